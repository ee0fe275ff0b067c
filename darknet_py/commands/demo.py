"""darknet classifier demo: classify the frames of a camera, a video or a stream."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

from ..errors import ImageError, UsageError
from ..images.fit import PREDICT_MODES
from ..interrupt import stop_on_signals
from ..report import print_frame
from ..streams import remark, say
from .model import add_engine_options, add_style, index, open_model, positive, split_operands
from .target import check_target

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..images import Picture
    from ..prediction import Predictions
    from ..video import Source, Window, Writer

USAGE = "[DATA] CFG WEIGHTS [FILE | URL]"
EPILOG = """\
NAME alone stands for CFG and WEIGHTS: a network that comes with the program. Without FILE, a video, or URL, a stream,
the camera that -c numbers is read. Of a file every frame is classified; of a camera or a stream the newest one, and
those that came meanwhile are dropped. The window is closed by Escape or q. Needs OpenCV (opencv-python).
"""
KEPT = 0.9  # weight of the frames per second so far in their moving average, as in darknet


def add_demo(parser: argparse.ArgumentParser) -> None:
    """The options of ``classifier demo``."""
    parser.add_argument("operands", nargs="*", metavar=USAGE, help="what to run, and on what")
    parser.add_argument("-c", "--camera", type=index, metavar="N", help="which camera, from 0 (default: 0)")
    parser.add_argument(
        "-t", "--top", type=positive, metavar="N", help="guesses for each frame (default: the .data file's)"
    )
    parser.add_argument(
        "-out_filename", "--out", metavar="FILE", help="write the video with the guesses in it (.mp4, .avi, .mkv)"
    )
    parser.add_argument("--every", type=positive, metavar="N", default=1, help="classify only every N-th frame")
    parser.add_argument(
        "--smooth",
        type=_share,
        metavar="S",
        default=0.0,
        help="average over frames: the last average counts S of 1 (default: 0)",
    )
    parser.add_argument("-dont_show", "--no-window", action="store_true", help="show no window")
    parser.add_argument(
        "--preprocess", choices=PREDICT_MODES, default="letterbox", help="how a frame is fitted (default: %(default)s)"
    )
    add_style(parser)
    add_engine_options(parser)
    parser.epilog = EPILOG


def run_demo(args: argparse.Namespace) -> int:
    """Classify frames until they end, the window is closed, or a signal comes; return 3 where frames are missing."""
    from ..video import CODECS, Source, Window, Writer

    operands = split_operands(args.operands, USAGE)
    if len(operands.rest) > 1:
        raise UsageError(f"{operands.rest[1]}: one FILE or URL is expected")
    if operands.rest and args.camera is not None:
        raise UsageError(f"together with {operands.rest[0]}: one of them is expected", option=f"-c {args.camera}")
    check_target("--out", args.out, tuple(CODECS), [operands.cfg, operands.weights, operands.data, *operands.rest])
    with (
        closing(Source(operands.rest[0] if operands.rest else args.camera or 0)) as source,
        nullcontext() if args.no_window else closing(Window()) as window,
    ):
        network = open_model(operands, args)
        with (
            nullcontext() if args.out is None else closing(Writer(args.out, source.rate)) as writer,
            stop_on_signals("when the frame at work is done") as stop,
        ):

            def is_left() -> bool:
                return stop.signum > 0 or (window is not None and window.is_left())

            frames = _follow(network, source, args, writer, window, is_left)
            missing = source.missing(frames)
            if missing and frames:
                say(f"{source.name}: {missing}")
    if missing and not frames:
        raise ImageError(missing, file=source.name)
    if args.out and frames:
        remark(f"{args.out}: {frames} {'frame' if frames == 1 else 'frames'}")
    return stop.exit_code if stop.signum else 3 if missing else 0


def _follow(
    network: Classifier,
    source: Source,
    args: argparse.Namespace,
    writer: Writer | None,
    window: Window | None,
    is_left: Callable[[], bool],
) -> int:
    """Classify, print, show and write the frames; return how many there were."""
    from ..images.draw import annotate

    answer, guesses, fps = None, None, 0.0
    frames, start, before = 0, time.monotonic(), time.monotonic()
    with closing(source.frames(is_left)) as coming:  # type: ignore[type-var]
        for frame in coming:
            if guesses is None or frames % args.every == 0:
                (view,) = network.prepare(frame.picture, network.mode_for(frame.picture, args.preprocess, source.name))
                probabilities = network.probabilities(view[None])[0]
                answer = probabilities if answer is None else args.smooth * answer + (1 - args.smooth) * probabilities
                guesses = network.rank(answer, network.dataset.top)
                print_frame(fps, guesses)
            frames += 1
            if writer is not None or window is not None:
                drawn = annotate(frame.picture, _tell(guesses), f"FPS {fps:.0f}")
                if writer is not None:
                    _write(writer, drawn, source, time.monotonic() - start)
                if window is not None:
                    window.show(drawn)
            now = time.monotonic()
            fps, before = KEPT * fps + (1 - KEPT) / max(now - before, 1e-6), now
    return frames


def _tell(guesses: Predictions) -> list[tuple[str, float]]:
    return [(guess.label, guess.probability) for guess in guesses]


def _write(writer: Writer, drawn: Picture, source: Source, seconds: float) -> None:
    """Write the frame; that of a live source so often that the video keeps real time."""
    times = max(1, round(seconds * writer.rate) - writer.written) if source.live else 1
    for _ in range(times):
        writer.add(drawn)


def _share(text: str) -> float:
    """An argument from 0 to below 1."""
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError(f"{text}: a number from 0 to below 1 is expected")
    return share
