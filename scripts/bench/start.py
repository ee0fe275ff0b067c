"""Time the whole program, from its start to its answer: python -m scripts.bench.start, or make bench-start.

``darknet classifier predict`` on one picture against a script that does the same with ONNX Runtime (start_peer.py),
each in a fresh process, in rounds (A B A B ...); medians of wall seconds. Files and kernels are in caches: a
first round is not measured, and its best guesses must agree.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from darknet_py.cache import cache_dir

from .models import ROOT, Model, prepare
from .options import make_parser
from .programs import run

DRAW = ROOT / "tests" / "golden" / "make_images.py"
LABELS = ROOT / "data" / "imagenet.shortnames.list"


def main() -> int:
    """Run both on each network; print their times and the ratio."""
    args = make_parser("scripts.bench.start", __doc__, rounds=9).parse_args()
    picture = _picture()
    print(f"{'network':14}{'onnxruntime':>12}{'darknet':>12}{'ratio':>12}  (s)")
    for name in args.networks:
        commands = _commands(prepare(name), picture, args.threads)
        guesses = {program: _best_guess(run(command)) for program, command in commands.items()}
        if len(set(guesses.values())) > 1:
            print(f"{name}: the best guesses differ: {guesses}", file=sys.stderr)
            return 1
        times: dict[str, list[float]] = {program: [] for program in commands}
        for _ in range(args.rounds):
            for program, command in commands.items():
                start = time.perf_counter()
                run(command)
                times[program].append(time.perf_counter() - start)
        theirs, ours = median(times["onnxruntime"]), median(times["darknet"])
        print(f"{name:14}{theirs:12.3f}{ours:12.3f}{ours / theirs:12.2f}", flush=True)
    return 0


def _picture() -> Path:
    """A JPEG in the cache, drawn by the program that draws the tests' pictures."""
    from PIL import Image

    folder = cache_dir() / "bench"
    picture = folder / "landscape.jpg"
    if not picture.exists():
        subprocess.run([sys.executable, DRAW, folder / "pictures"], check=True)
        Image.open(folder / "pictures" / "landscape.png").save(picture, quality=90)
    return picture


def _commands(model: Model, picture: Path, threads: int) -> dict[str, list[str | Path]]:
    peer = Path(__file__).with_name("start_peer.py")
    predict = [sys.executable, "-m", "darknet_py", "classifier", "predict", "-nogpu"]
    options = ["--preprocess", "letterbox", "-t", "5", "--threads", str(threads)]
    return {
        "onnxruntime": [sys.executable, peer, model.onnx, LABELS, picture, str(threads)],
        "darknet": [*predict, *options, model.cfg, model.weights, picture],
    }


def _best_guess(printed: str) -> str:
    """The label on the first of the last five lines: ``label: probability``."""
    return printed.splitlines()[-5].rpartition(":")[0]


if __name__ == "__main__":
    sys.exit(main())
