"""Time a training run beside its bare steps: python -m scripts.bench.loading, or make bench-loading.

A run decodes and augments JPEGs of ImageNet's size while it trains, as ``darknet classifier train`` does; the same
iterations are then made of pictures that are given. In rounds (A B A B ...); a run's first iterations are not measured:
they wait for their pictures. Medians of images a second, their ratio, and how long a run waits for pictures.
"""

from __future__ import annotations

import sys
import time
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from darknet_py import TrainingOptions, TrainingSettings, load_network, train
from darknet_py.datasets.samples import Sample

from .iterations import BATCHES, OURS, Iterations
from .models import ROOT
from .options import make_parser, positive
from .pictures import draw

FIRST = 3  # iterations that go unmeasured


def main() -> int:
    """Run both on each network; print images a second and the ratio."""
    parser = make_parser("scripts.bench.loading", __doc__, 5, ("tiny", "darknet19"), "tiny,darknet19")
    parser.add_argument("--count", type=positive, default=500, metavar="N", help="pictures (default: %(default)s)")
    parser.add_argument("--iterations", type=positive, default=12, metavar="N", help="of a round (%(default)s)")
    args = parser.parse_args()
    print(f"{args.threads} threads; images a second, medians")
    print(f"{'network':14}{'batch':>6}{'step':>10}{'run':>10}{'ratio':>8}{'waiting':>9}")
    with TemporaryDirectory() as folder:
        samples = [Sample(str(path), number % 1000) for number, path in enumerate(draw(Path(folder), args.count))]
        for name in args.networks:
            steps, runs, waits = [], [], []
            for _ in range(args.rounds):
                rate, waited = _run(name, samples, args.threads, args.iterations)
                runs.append(rate)
                waits.append(waited)
                steps.append(_step(name, args.threads, args.iterations))
            step, run = median(steps), median(runs)
            told = f"{step:10.1f}{run:10.1f}{run / step:8.3f}{median(waits):9.1%}"
            print(f"{name:14}{BATCHES[name]:6}{told}", flush=True)
    return 0


def _options(name: str) -> TrainingOptions:
    """The options as for a network that is trained on ImageNet."""
    network = load_network(ROOT / "cfg" / f"{name}.cfg", None, "reference")
    batch = BATCHES[name]
    changed = dict(min_crop=128, max_crop=448, angle=7.0, hue=0.1, saturation=0.75, exposure=0.75, aspect=0.75)
    return TrainingOptions.of(network, batch=batch, max_batches=1 << 20, **changed)


def _run(name: str, samples: list[Sample], threads: int, iterations: int) -> tuple[float, float]:
    """Images a second of a training run, and the share of its time in which it waits for them."""
    network = load_network(ROOT / "cfg" / f"{name}.cfg", None, "reference")
    settings = TrainingSettings(threads=threads, validate_every=1 << 20)
    progress = train(network, samples, _options(name), settings)
    for _ in islice(progress, FIRST):
        pass
    waited, start = 0.0, time.perf_counter()
    for told in islice(progress, iterations):
        waited += told.waiting
    seconds = time.perf_counter() - start
    progress.close()
    return iterations * BATCHES[name] / seconds, waited / seconds


def _step(name: str, threads: int, iterations: int) -> float:
    """Images a second of iterations whose pictures are given."""
    iterate = Iterations(name, threads).make(OURS)
    for _ in range(FIRST):
        iterate()
    start = time.perf_counter()
    for _ in range(iterations):
        iterate()
    return iterations * BATCHES[name] / (time.perf_counter() - start)


if __name__ == "__main__":
    sys.exit(main())
