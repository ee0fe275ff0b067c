"""Results -> lines, JSON, CSV; nothing else writes to standard output."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .errors import one_line
from .streams import say

if TYPE_CHECKING:
    import csv

    from .datasets.samples import Sample
    from .evaluation.outcome import Outcome
    from .evaluation.totals import Summary, Totals
    from .layers import Array
    from .prediction import Prediction
    from .training.options import TrainingOptions
    from .training.trainer import TrainingProgress

FORMATS = ("text", "json", "jsonl", "csv")
STYLES = ("lines", "table")


def _shown(name: str) -> str:
    """A name for standard output: as it is for programs that read it; on a terminal with control characters escaped."""
    return one_line(name) if sys.stdout.isatty() else name


class Record(NamedTuple):
    """One picture's answer.

    Attributes
    ----------
    file : str
        As the user named it.
    width, height : int
        Pixels that the network ran at.
    preprocess : str
        How the picture was fitted.
    seconds : float
        Of the forward pass; where several pictures ran in one, this picture's share.
    predictions : sequence of Prediction
        Most probable first.
    """

    file: str
    width: int
    height: int
    preprocess: str
    seconds: float
    predictions: Sequence[Prediction]

    def fields(self) -> dict[str, object]:
        """The fields besides the predictions."""
        return {
            "file": self.file,
            "width": self.width,
            "height": self.height,
            "preprocess": self.preprocess,
            "seconds": round(self.seconds, 6),
        }


class LinesReport:
    """What the 2016 program prints: size, time, then ``name: probability``, in a hierarchy with the class's number
    and its parent's name."""

    def add(self, record: Record) -> None:
        """Print a record at once."""
        print(f"{record.width} {record.height}")
        print(f"{_shown(record.file)}: Predicted in {record.seconds:f} seconds.")
        for guess in record.predictions:
            place, parent = "", ""
            if guess.parent is not None:
                place, parent = f"{guess.index}, ", f", parent: {_shown(guess.parent or 'Root')}"
            print(f"{place}{_shown(guess.label)}: {guess.probability:f}{parent}")
        sys.stdout.flush()

    def fail(self, file: str, reason: str) -> None:
        """Print that `file` was not answered, and why; not in text, where standard error says so."""

    def close(self) -> None:
        """Print what is left."""


class TableReport(LinesReport):
    """What the 2018 program prints: ``percent: name``, and the time on standard error."""

    def add(self, record: Record) -> None:
        """Print a record at once."""
        say(f"{record.file}: Predicted in {record.seconds:f} seconds.", speaker="")
        for guess in record.predictions:
            print(f"{100 * guess.probability:5.2f}%: {_shown(guess.label)}")
        sys.stdout.flush()


class JsonlReport:
    """A JSON object on a line for each picture."""

    def add(self, record: Record) -> None:
        """Print a record at once."""
        guesses = [
            {"index": g.index, "wnid": g.wnid, "label": g.label, "probability": g.probability}
            | ({} if g.parent is None else {"parent": g.parent})
            for g in record.predictions
        ]
        self._write(_to_json({**record.fields(), "predictions": guesses}))

    def fail(self, file: str, reason: str) -> None:
        """Print that `file` was not answered, and why."""
        self._write(_to_json({"file": file, "error": reason, "predictions": []}))

    def _write(self, text: str) -> None:
        print(text, flush=True)

    def close(self) -> None:
        """Print what is left."""


class JsonReport(JsonlReport):
    """One JSON array with an object for each picture."""

    def __init__(self) -> None:
        self.empty = True

    def _write(self, text: str) -> None:
        print("[" if self.empty else ",", text, sep="\n", end="", flush=True)
        self.empty = False

    def close(self) -> None:
        """Print the end of the array."""
        print("[]" if self.empty else "\n]", flush=True)


class CsvReport:
    """A row for each guess, best first, or for a picture's error, under a header."""

    columns = (
        "file", "width", "height", "preprocess", "seconds", "rank", "index", "wnid", "label", "probability", "error",
    )  # fmt: skip

    def __init__(self) -> None:
        self.writer: csv.DictWriter[str] | None = None

    def add(self, record: Record) -> None:
        """Print a record's rows at once."""
        for rank, guess in enumerate(record.predictions, 1):
            guessed = {"index": guess.index, "wnid": _shown(guess.wnid), "label": _shown(guess.label)}
            answered = {**record.fields(), "file": _shown(record.file)}
            self._write({**answered, "rank": rank, **guessed, "probability": guess.probability})

    def fail(self, file: str, reason: str) -> None:
        """Print that `file` was not answered, and why."""
        self._write({"file": _shown(file), "error": reason})

    def _write(self, row: dict[str, object]) -> None:
        if self.writer is None:
            import csv

            self.writer = csv.DictWriter(sys.stdout, self.columns, lineterminator="\n")
            self.writer.writeheader()
        self.writer.writerow(row)
        sys.stdout.flush()

    def close(self) -> None:
        """Print what is left."""


Report = LinesReport | JsonlReport | CsvReport


def open_report(format: str, style: str) -> Report:
    """The report for a value of ``--format`` and, for text, of ``--style``."""
    text = LinesReport if style == "lines" else TableReport
    reports: dict[str, type[Report]] = {"text": text, "json": JsonReport, "jsonl": JsonlReport, "csv": CsvReport}
    return reports[format]()


def _print_running(sample: Sample, outcome: Outcome, totals: Totals, names: Sequence[str]) -> None:
    if not outcome.error:
        right, right_top = totals.accuracy, totals.accuracy_top
        print(f"{outcome.index}: top 1: {right:f}, top {totals.top}: {right_top:f}")


def _print_valid(sample: Sample, outcome: Outcome, totals: Totals, names: Sequence[str]) -> None:
    if not outcome.error:
        shown = "".join(f"{probability:f}, " for probability in outcome.shown)
        print(f"{_shown(sample.file)}, {sample.truth}, {shown}")
    _print_running(sample, outcome, totals, names)


def _print_label(sample: Sample, outcome: Outcome, totals: Totals, names: Sequence[str]) -> None:
    # An empty line for an image that cannot be read: line n belongs to image n.
    print("" if outcome.error else _shown(names[outcome.guesses[0][0]]))


def _print_csv(sample: Sample, outcome: Outcome, totals: Totals, names: Sequence[str]) -> None:
    if not outcome.error:
        print(_shown(sample.file), *(index for index, _ in outcome.guesses[: totals.top]), sep="\t")


def _print_fout(sample: Sample, outcome: Outcome, totals: Totals, names: Sequence[str]) -> None:
    if not outcome.error:
        print(_shown(sample.file), *(f"{probability:g}" for probability in outcome.shown), sep="\t")


# What darknet prints for each image; the totals include it.
LINES: dict[str, Callable[[Sample, Outcome, Totals, Sequence[str]], None]] = {
    "valid": _print_valid,
    "validfull": _print_running,
    "valid10": _print_running,
    "validmulti": _print_running,
    "validcrop": _print_running,
    "label": _print_label,
    "csv": _print_csv,
    "fout": _print_fout,
    "test": _print_fout,
}


def flush_lines() -> None:
    """Flush what was printed."""
    sys.stdout.flush()


def print_summary(summary: Summary, format: str) -> None:
    """Print the results of a run, as ``text`` or ``json``."""
    if format == "json":
        print(_to_json(summary.fields(), indent=1), flush=True)
        return
    totals, progress = summary.totals, summary.progress
    for name, (right, share, (low, high)) in totals.figures().items() if totals.counted else ():
        print(f"{name}: {share:.2%} (95 % interval {low:.2%} to {high:.2%}), {right} of {totals.counted}")
    excluded = [f"{totals.unreadable} unreadable"] * (totals.unreadable > 0)
    excluded += [f"{totals.doubtful} of unknown class"] * (totals.doubtful > 0)
    left = [f"{progress.total - totals.images} not done"] * (not progress.complete)
    print(", ".join([f"{progress.total} images: {totals.counted} counted", *excluded, *left]))
    print(summary.pace, flush=True)


def print_operations(operations: int) -> None:
    """Print what ``ops`` prints."""
    print(f"Floating Point Operations: {operations}")
    print(f"Floating Point Operations: {operations / 1e9:.2f} Bn", flush=True)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns as wide as their widest cell, two blanks apart; numbers are aligned to the right."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        cells = (
            cell.rjust(width) if cell.removeprefix("-")[:1].isdigit() else cell.ljust(width)
            for cell, width in zip(line, widths, strict=True)
        )
        print("  ".join(cells).rstrip())
    sys.stdout.flush()


class LayerRecord(NamedTuple):
    """One layer's output for one picture.

    Attributes
    ----------
    file : str
        As the user named it.
    width, height : int
        Pixels that the network ran at.
    preprocess : str
        How the picture was fitted.
    layer : int
        Its index.
    kind : str
    values : array
        float32 (channels, height, width).
    """

    file: str
    width: int
    height: int
    preprocess: str
    layer: int
    kind: str
    values: Array

    def describe(self) -> str:
        """A line that summarizes the values."""
        fitted = f"{self.file}: {self.preprocess}, {self.width} x {self.height}"
        values, size = self.values, " x ".join(map(str, self.values.shape))
        spread = f"least {values.min():.6g}, mean {values.mean():.6g}, most {values.max():.6g}"
        return f"{fitted}; layer {self.layer} [{self.kind}]: {size}, {spread}"


def print_layer(record: LayerRecord, format: str) -> None:
    """Print each value on a line after its channel, row and column; or all in a JSON object.

    They are written as briefly as float32 allows; one that is not finite is null in JSON.
    """
    if format == "json":
        nested = [[[_shorten(value) for value in row] for row in plane] for plane in record.values]
        print(_to_json({**record._asdict(), "values": nested}), flush=True)
        return
    between = "," if format == "csv" else " "
    if format == "csv":
        print("channel", "row", "column", "value", sep=between)
    for channel, plane in enumerate(record.values):
        for row, values in enumerate(plane):
            for column, value in enumerate(values):
                print(channel, row, column, value, sep=between)
    sys.stdout.flush()


def _shorten(value: float) -> float | None:
    return float(str(value)) if math.isfinite(value) else None


def print_frame(fps: float, predictions: Sequence[Prediction]) -> None:
    """Print what darknet's demo prints for a frame; only a terminal is cleared for it."""
    if sys.stdout.isatty():
        print("\033[2J\033[1;1H", end="")
    print(f"\nFPS:{fps:.0f}")
    for guess in predictions:
        print(f"{100 * guess.probability:.1f}%: {_shown(guess.label)}")
    sys.stdout.flush()


def print_line(text: str) -> None:
    """Print a line."""
    print(_shown(text), flush=True)


def print_text(text: str) -> None:
    """Print lines that contain nothing from a user."""
    print(text, flush=True)


def print_json(value: object) -> None:
    """Print a value for a program, on lines of its own."""
    print_text(_to_json(value, indent=2))


def print_training_start(name: str, images: int, options: TrainingOptions) -> None:
    """Print what darknet prints before the first iteration on one device."""
    print(f"{_shown(name)}\n1")
    print(f"Learning Rate: {options.learning_rate:g}, Momentum: {options.momentum:g}, Decay: {options.decay:g}")
    print(images)
    print(options.augmentation.min_crop, options.augmentation.max_crop, flush=True)


def print_training(progress: TrainingProgress) -> None:
    """Print what darknet prints for an iteration, and a line for a validation that is complete."""
    if progress.validation is None:
        print(f"Loaded: {progress.waiting:f} seconds")
        losses = f"{progress.loss:f}, {progress.average:f} avg, {progress.rate:f} rate"
        place = f"{progress.iteration}, {progress.epoch:.3f}"
        print(f"{place}: {losses}, {progress.working:f} seconds, {progress.done} images")
    elif progress.validation.complete:
        print(f"{progress.iteration}, {progress.epoch:.3f}: {tell_scores(progress)}")
    sys.stdout.flush()


def tell_scores(progress: TrainingProgress) -> str:
    """The results of the last validation, in words; empty before the first one."""
    if progress.validation is None:
        return ""
    totals = progress.validation.totals
    shares = "".join(f"{name}: {share:.2%}, " for name, (_, share, _) in totals.figures().items())
    return f"{shares}best {progress.best:.2%} after {progress.best_iteration}"


def _to_json(value: object, indent: int | None = None) -> str:
    from json import dumps  # most runs print none: loading it took 1 % of a start

    return dumps(value, indent=indent, allow_nan=False)
