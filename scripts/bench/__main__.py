"""Time this project's engine beside others: python -m scripts.bench, or make bench.

All run in one process on the same files and pictures, in rounds (A B C A B C ...), so that other load on the
machine meets all of them; medians are printed. Threads that a library leaves spinning after a call would take
the next one's cores: before each timed call everything rests for `PAUSE` seconds, after which all such threads
sleep, and then calls run unmeasured for `WARM` seconds, which wakes the library's own. So each library keeps its
own way of waiting for work, as its users have it, and none pays for another's. Before all that, each one's
outputs are compared with ours; one that differs is not timed.

A second thread is worth more where both cores share a cache, and a virtual machine may be moved between cores that do
and cores that do not: each round measures how far apart they are, and medians of the two kinds are printed apart.

The networks take some 8 GB of cache in all.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Any, TextIO

import numpy as np

from darknet_py import __version__
from darknet_py.errors import DarknetError
from darknet_py.layers import Array

from .cores import distance
from .models import NETWORKS, Model, limit, prepare
from .options import make_parser, names, positive
from .peers import NARROW, OURS, PEERS, DarknetPy, Runner

PAUSE = 0.2  # seconds; ONNX Runtime's threads spin longest, for some 0.1
WARM = 0.05  # seconds of unmeasured calls after that
MAX_ERROR = {"float32": 1e-3, "bfloat16": 0.1}  # of an output, a probability


def main() -> int:
    """Run the benchmark; print its table."""
    args = _parse_arguments()
    results = _redirect_stdout()
    report: dict[str, Any] = {
        "threads": args.threads,
        "batch": args.batch,
        "precision": args.precision,
        "rounds": args.rounds,
        "versions": {OURS: __version__, **{name: _version(PEERS[name].distribution) for name in args.peers}},
        "networks": {},
    }
    if args.format == "text":
        print(
            f"{args.threads} threads, batch {args.batch}, {args.precision}, medians of {args.rounds} rounds, ms",
            file=results,
        )
        columns = {name: name for name in _columns(args.peers)}
        print(_row("network", "cores", columns, args.peers), file=results, flush=True)
    for name in args.networks:
        try:
            entry = report["networks"][name] = _bench(prepare(name), args)
        except DarknetError as error:
            _say(str(error))
            return 1
        if args.format == "text":
            for cores, told in entry["cores"].items():
                print(_row(name, cores, _cells(told, entry["limit"]), args.peers), file=results, flush=True)
    if args.format == "json":
        print(json.dumps(report, indent=1), file=results, flush=True)
    return 0


def _bench(model: Model, args: argparse.Namespace) -> dict[str, Any]:
    """The results for one network."""
    images = np.random.default_rng(1).random((args.batch, *model.network.input_shape), np.float32)
    asked = {} if args.precision == "float32" else {"precision": args.precision}
    ours = DarknetPy(model, args.threads, args.batch, **asked)
    expected = ours.run(images)
    runners: dict[str, Runner] = {OURS: ours}
    errors, left_out = {}, {}
    for name in args.peers:
        try:
            runner = PEERS[name](model, args.threads, args.batch, **asked)
            errors[name] = _error(runner.run(images), expected, MAX_ERROR[args.precision])
            runners[name] = runner
        except Exception as reason:  # whatever fails in another program, only that one is left out
            left_out[name] = " ".join(str(reason).split())[:200] or type(reason).__name__
            _say(f"{model.name}: {name} is left out: {left_out[name]}")
    _say(f"{model.name}: largest differences " + ", ".join(f"{name} {error:.1e}" for name, error in errors.items()))
    rounds = _measure(runners, images, args.rounds)
    del runners, ours
    gc.collect()
    return {
        "cores": {
            cores: _sum_up([took for apart, took in rounds if apart == cores])
            for cores in dict.fromkeys(apart for apart, _ in rounds)
        },
        "limit": limit(model.network, args.batch, args.gflops, args.gbytes),
        "errors": errors,
        "left_out": left_out,
    }


def _sum_up(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """The results of rounds in which the cores were equally far apart."""
    times = {name: median(took[name] for took in rounds) for name in rounds[0]}
    least = {name: min(took[name] for took in rounds) for name in rounds[0]}
    own = times.pop(OURS)
    best = min(times, key=lambda name: times[name], default=None)
    ratio = None if best is None else own / times[best]
    return {"rounds": len(rounds), "ms": times, "least": least, OURS: own, "best": best, "ratio": ratio}


def _error(outputs: Array, expected: Array, most: float) -> float:
    """The largest difference; ValueError where it is too large."""
    if outputs.shape != expected.shape:
        raise ValueError(f"outputs of shape {outputs.shape}, not {expected.shape}")
    error = float(np.abs(outputs - expected).max())
    if not error <= most:
        raise ValueError(f"outputs differ from ours by {error:.1e}")
    return error


def _measure(runners: dict[str, Runner], images: Array, rounds: int) -> list[tuple[str, dict[str, float]]]:
    """For each round how far apart the cores are, and the milliseconds of each program."""
    measured = []
    for _ in range(rounds):
        times = {}
        for name, runner in runners.items():
            time.sleep(PAUSE)
            start = time.perf_counter()
            while time.perf_counter() < start + WARM:
                runner.run(images)
            start = time.perf_counter()
            runner.run(images)
            times[name] = 1000 * (time.perf_counter() - start)
        measured.append((distance(), times))
    return measured


def _columns(peers: list[str]) -> list[str]:
    return ["rounds", *peers, OURS, "best", "ratio", "limit"]


def _cells(entry: dict[str, Any], limit: float) -> dict[str, str]:
    """The entries of a network's row."""
    cells = {name: f"{value:.1f}" for name, value in entry["ms"].items()}
    cells |= {"rounds": str(entry["rounds"]), OURS: f"{entry[OURS]:.1f}", "limit": f"{limit:.1f}"}
    if entry["best"] is not None:
        cells |= {"best": entry["best"], "ratio": f"{entry['ratio']:.2f}"}
    return cells


def _row(name: str, cores: str, cells: dict[str, str], peers: list[str]) -> str:
    return f"{name:18}{cores:>6}" + "".join(f"{cells.get(column, '-'):>12}" for column in _columns(peers))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _redirect_stdout() -> TextIO:
    """Standard output for the results alone: what libraries print goes to standard error."""
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return results


def _parse_arguments() -> argparse.Namespace:
    parser = make_parser("scripts.bench", __doc__, 9, default=",".join(NETWORKS))
    parser.add_argument("--batch", type=positive, default=1, metavar="N", help="pictures at once (default: 1)")
    parser.add_argument("--precision", choices=tuple(MAX_ERROR), default="float32")
    parser.add_argument("--peers", type=names(tuple(PEERS)), metavar="A,B", help=f"default: all of {','.join(PEERS)}")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    of_limit = "of the limit: what {} reaches (default: {} of two cores with AVX-512)"
    parser.add_argument("--gflops", type=float, default=229, help=of_limit.format("a micro-kernel", "the 229 GFLOP/s"))
    parser.add_argument("--gbytes", type=float, default=47, help=of_limit.format("reading memory", "the 47 GB/s"))
    args = parser.parse_args()
    able = list(PEERS) if args.precision == "float32" else list(NARROW)
    args.peers = args.peers or able
    if not set(args.peers) <= set(able):
        parser.error(f"--peers: only {', '.join(able)} in {args.precision}")
    return args


if __name__ == "__main__":
    sys.exit(main())
