"""Time measuring a network on a list of JPEGs: python -m scripts.bench.valid, or make bench-valid.

``darknet classifier valid`` against a script that does the same with ONNX Runtime (valid_peer.py), each a process of
its own from start to end, in rounds (A B A B ...); medians of images a second. Files and kernels are in caches: a
first round, of a few images, is not measured.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from darknet_py.cache import cache_dir
from darknet_py.images.folders import is_called_picture

from .models import ROOT, Model, prepare
from .options import make_parser, positive
from .programs import run

DRAW = ROOT / "tests" / "golden" / "make_images.py"
LABELS = ROOT / "data" / "imagenet.labels.list"
DIFFERENCE = 0.02  # of the images, between the counts of right answers: OpenCV decodes and resizes slightly differently


def main() -> int:
    """Run both on each network; print images a second and the ratio."""
    parser = make_parser("scripts.bench.valid", __doc__, rounds=5)
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="of JPEGs, WNID_anything.JPEG (default: drawn)")
    parser.add_argument("--count", type=positive, default=1000, metavar="N", help="images, taken in turn (%(default)s)")
    args = parser.parse_args()
    images = sorted(path for path in (args.images or _draw()).iterdir() if is_called_picture(path))
    if not images:
        parser.error(f"--images {args.images}: no image in this folder")
    print(f"{'network':14}{'onnxruntime':>12}{'darknet':>12}{'ratio':>12}  (images/s)")
    with tempfile.TemporaryDirectory() as folder:
        for name in args.networks:
            if not _bench(prepare(name), images, args, Path(folder, "images.list")):
                return 1
    return 0


def _bench(model: Model, images: Sequence[Path], args: argparse.Namespace, listed: Path) -> bool:
    """Print a network's line; False where the two disagree."""
    programs = {"onnxruntime": _peer, "darknet": _darknet}
    times: dict[str, list[float]] = {name: [] for name in programs}
    right: dict[str, int] = {}
    for round in range(args.rounds + 1):
        count = args.count if round else min(args.count, 16)
        listed.write_text("".join(f"{path.absolute()}\n" for path in islice(cycle(images), count)))
        for name, program in programs.items():
            start = time.perf_counter()
            right[name] = program(model, listed, args.threads)
            if round:
                times[name].append(time.perf_counter() - start)
    if abs(right["darknet"] - right["onnxruntime"]) > DIFFERENCE * args.count:
        print(f"{model.name}: right answers differ: {right}", file=sys.stderr)
        return False
    theirs, ours = (args.count / median(times[name]) for name in programs)
    print(f"{model.name:14}{theirs:12.1f}{ours:12.1f}{ours / theirs:12.2f}", flush=True)
    return True


def _peer(model: Model, listed: Path, threads: int) -> int:
    """Right answers of the script."""
    peer = Path(__file__).with_name("valid_peer.py")
    return int(run([sys.executable, peer, model.onnx, LABELS, listed, str(threads)]).split()[0])


def _darknet(model: Model, listed: Path, threads: int) -> int:
    """Right answers of the program."""
    command = [sys.executable, "-m", "darknet_py", "classifier", "valid", "-nogpu", "--format", "json"]
    summary = run([*command, "--threads", str(threads), model.cfg, model.weights, listed])
    right: int = json.loads(summary)["top-1"]["right"]
    return right


def _draw() -> Path:
    """JPEGs in the cache, drawn by the program that draws the tests' pictures."""
    from PIL import Image

    folder = cache_dir() / "bench" / "labelled"
    if not folder.is_dir():
        drawn = folder.with_name("pictures")
        subprocess.run([sys.executable, DRAW, drawn], check=True)
        folder.mkdir()
        for path in drawn.glob("*.png"):
            Image.open(path).convert("RGB").save(folder / f"n01440764_{path.stem}.JPEG", quality=90)
    return folder


if __name__ == "__main__":
    sys.exit(main())
