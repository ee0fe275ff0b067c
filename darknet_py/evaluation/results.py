"""A record for each image, for other programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence

from ..datasets.data_file import Dataset
from ..datasets.samples import Sample
from ..errors import DatasetError
from ..files import write_atomically
from .outcome import Outcome


def save_results(path: str, top: int, dataset: Dataset, samples: Sequence[Sample], outcomes: Iterable[Outcome]) -> None:
    """Write the file, class and `top` guesses of each image, as CSV where `path` ends in ``.csv``, else as JSON lines.

    Raises
    ------
    DatasetError
        Where the file cannot be written.
    """
    write = _write_csv if path.lower().endswith(".csv") else _write_jsonl
    write_atomically(path, write(top, dataset, samples, outcomes), DatasetError)


def _write_jsonl(top: int, dataset: Dataset, samples: Sequence[Sample], outcomes: Iterable[Outcome]) -> Iterator[bytes]:
    for outcome in outcomes:
        sample = samples[outcome.index]
        record: dict[str, object] = {
            "index": outcome.index,
            "file": sample.file,
            "truth": _named(dataset, sample.truth) if sample.truth >= 0 else None,
            "predictions": [
                {**_named(dataset, index), "probability": probability} for index, probability in outcome.guesses[:top]
            ],
        }
        excluded = outcome.error or sample.doubt
        if excluded:
            record["excluded"] = excluded
        yield json.dumps(record, allow_nan=False).encode() + b"\n"


def _named(dataset: Dataset, index: int) -> dict[str, object]:
    return {"index": index, "wnid": dataset.wnids[index], "label": dataset.names[index]}


def _write_csv(top: int, dataset: Dataset, samples: Sequence[Sample], outcomes: Iterable[Outcome]) -> Iterator[bytes]:
    ranks = range(1, top + 1)
    header = ["index", "file", "truth", "excluded", *(f"{what}{rank}" for rank in ranks for what in ("class", "p"))]
    yield _row(header)
    for outcome in outcomes:
        sample = samples[outcome.index]
        truth = sample.truth if sample.truth >= 0 else ""
        guesses: list[object] = [value for guess in outcome.guesses[:top] for value in guess]
        guesses += [""] * (2 * top - len(guesses))
        yield _row([outcome.index, sample.file, truth, outcome.error or sample.doubt, *guesses])


def _row(cells: Sequence[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8", "surrogateescape")
