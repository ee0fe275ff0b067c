"""Time the service under load beside the library: python -m scripts.bench.serve, or make bench-serve.

``darknet serve``, asked by many clients at a time over loopback (serve_clients.py), against the library in this
process on the same JPEGs, in batches as large as the service's largest: ``classify``, which decodes, fits and runs
them, and ``predict`` alone, on inputs that are ready. In rounds (A B C A B C ...) after one that is not measured;
medians of images a second. Each answer must be the library's. The clients run on the same cores; their share is
printed, too.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from darknet_py import Classifier, load_network
from darknet_py.serving.limits import Limits

from .models import ROOT, Model, prepare
from .options import make_parser, positive
from .pictures import draw

PICTURES = 16  # different ones
DIFFERENCE = 1e-5  # between probabilities of one picture in two batches


class Answer(NamedTuple):
    """The answer that a client got: for which picture, with what status, and the first guess."""

    picture: int
    status: int
    number: int
    probability: float


class Load(NamedTuple):
    """What the clients measured: wall and CPU seconds, and the answers."""

    seconds: float
    cpu: float
    answers: list[Answer]


def main() -> int:
    """Run all three on each network; print images a second, the ratios and the clients' share."""
    parser = make_parser("scripts.bench.serve", __doc__, rounds=5, default="tiny,resnet50")
    parser.add_argument("--clients", type=positive, default=200, metavar="N", help="at a time (%(default)s)")
    parser.add_argument("--count", type=positive, default=1000, metavar="N", help="images a round (%(default)s)")
    args = parser.parse_args()
    columns = ("predict", "classify", "serve", "/predict", "/classify", "a batch", "clients")
    print(f"{'network':14}" + "".join(f"{column:>11}" for column in columns) + "  (images/s; ratios; CPU)")
    with tempfile.TemporaryDirectory() as folder:
        pictures = draw(Path(folder), PICTURES)
        for name in args.networks:
            if not _bench(prepare(name), pictures, args):
                return 1
    return 0


def _bench(model: Model, pictures: Sequence[Path], args: argparse.Namespace) -> bool:
    """Print a network's line; False where the service's answers are not the library's."""
    network = load_network(model.cfg, model.weights, "cpu", args.threads)
    contents = [path.read_bytes() for path in pictures]
    batch = Limits().batch
    inputs = np.stack(list(islice(cycle([network.fit(content) for content in contents]), batch)))
    expected = [(guesses[0].index, guesses[0].probability) for guesses in network.classify(contents, 1)]
    rates: dict[str, list[float]] = {"predict": [], "classify": [], "serve": []}
    shares, cores = [], args.threads
    with _serving(model, args) as port:
        for round in range(args.rounds + 1):
            alone = _time(lambda: _predict(network, inputs, args.count))
            both = _time(lambda: network.classify(islice(cycle(contents), args.count), 1))
            before = _tell_batches(port)
            load = _load(port, pictures, args)
            runs, ran = (after - first for after, first in zip(_tell_batches(port), before, strict=True))
            wrong = [answer for answer in load.answers if not _is_right(answer, expected)]
            if wrong or len(load.answers) != args.count:
                print(f"{model.name}: {len(wrong)} wrong of {len(load.answers)}: {wrong[:1]}", file=sys.stderr)
                return False
            if round:
                for name, seconds in zip(rates, (alone, both, load.seconds), strict=True):
                    rates[name].append(args.count / seconds)
                shares.append(load.cpu / load.seconds / cores)
    predict, classify, serve = (median(rate) for rate in rates.values())
    line = f"{model.name:14}{predict:11.1f}{classify:11.1f}{serve:11.1f}{serve / predict:11.2f}{serve / classify:11.2f}"
    print(f"{line}{ran / runs:11.1f}{median(shares):11.1%}", flush=True)
    return True


def _time(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _predict(network: Classifier, inputs: np.ndarray, count: int) -> None:
    for done in range(0, count, len(inputs)):
        network.predict(inputs[: count - done])


def _is_right(answer: Answer, expected: Sequence[tuple[int, float]]) -> bool:
    """Whether a client got the library's answer for its picture."""
    index, probability = expected[answer.picture]
    return answer.status == 200 and answer.number == index and abs(answer.probability - probability) <= DIFFERENCE


def _load(port: int, pictures: Sequence[Path], args: argparse.Namespace) -> Load:
    """Run the clients, and return what they measured."""
    program = Path(__file__).with_name("serve_clients.py")
    command: list[str | Path] = [sys.executable, program, str(port), str(args.clients), str(args.count), *pictures]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the clients: {done.stderr.strip()[-500:]}")
    told = json.loads(done.stdout)
    return Load(told["seconds"], told["cpu"], [Answer(*answer) for answer in told["answers"]])


def _tell_batches(port: int) -> tuple[float, float]:
    """How many batches the service has run, and how many pictures in them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        metrics = answer.read().decode()
    runs, pictures = (
        re.search(rf"^darknet_batch_pictures_{what}\{{.*\}} (\S+)$", metrics, re.MULTILINE) for what in ("count", "sum")
    )
    return (float(runs[1]), float(pictures[1])) if runs and pictures else (0, 0)


@contextmanager
def _serving(model: Model, args: argparse.Namespace) -> Iterator[int]:
    """Have the program serve a network within the block; yield its port."""
    command: list[str | Path] = [sys.executable, "-m", "darknet_py", "serve", "-nogpu", "--port", "0"]
    command += ["--threads", str(args.threads), "--queue", str(args.clients), "--timeout", "600"]
    command += [model.cfg, model.weights]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as program:
        assert program.stderr
        try:
            for line in program.stderr:
                if address := re.search(r" at http://127\.0\.0\.1:(\d+)", line):
                    yield int(address[1])
                    break
            else:
                sys.exit(f"darknet serve ended with {program.wait()}")
        finally:
            program.send_signal(signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
