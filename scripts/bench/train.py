"""Time training beside PyTorch's: python -m scripts.bench.train, or make bench-train.

They take turns, an iteration each, in rounds (A B C A B C ...), on the same pictures, from the same weights: forward,
loss, backward, and the update by SGD with momentum and decay; pictures are given, none are loaded. PyTorch runs
eagerly, in both layouts of memory, and, with --compile, by torch.compile, channels last; the fastest counts, and is
named. Before, the losses of all are compared. Median and least milliseconds are printed, and the ratio of medians.
"""

from __future__ import annotations

import sys
import time
from statistics import median

import torch

from darknet_py.layers.dropout import Dropout

from .iterations import BATCHES, COMPILED, EAGER, OURS, Iteration, Iterations
from .options import make_parser

PAUSE = 0.2  # seconds, after which the other's threads sleep
MOST_APART = 0.02  # losses, relatively: PyTorch's epsilon differs
MOST_DROPPED_OUT = 0.1  # likewise with dropout, where each drops other values


def main() -> int:
    """Run both on each network; print their times and the ratio."""
    parser = make_parser("scripts.bench.train", __doc__, 7, tuple(BATCHES), "tiny,shapes")
    parser.add_argument("--compile", action="store_true", help="torch.compile too, which takes minutes at first")
    args = parser.parse_args()
    programs = (OURS, *EAGER, *([COMPILED] if args.compile else []))
    print(f"{args.threads} threads; ms: median, least")
    print(f"{'network':14}{'batch':>6}{'PyTorch':>20}{'darknet':>20}{'ratio':>8}")
    for name in args.networks:
        iterations = Iterations(name, args.threads)
        runs = {program: iterations.make(program) for program in programs}
        losses = _begin(runs)
        drops = any(isinstance(layer, Dropout) for layer in iterations.network.layers)
        most = MOST_DROPPED_OUT if drops else MOST_APART
        if max(losses.values()) - min(losses.values()) > most * max(losses.values()):
            print(f"{name}: the losses differ: {losses}", file=sys.stderr)
            return 1
        times: dict[str, list[float]] = {program: [] for program in runs}
        for _ in range(args.rounds):
            for program, run in runs.items():
                time.sleep(PAUSE)
                start = time.perf_counter()
                run()
                times[program].append(1000 * (time.perf_counter() - start))
        ours = times.pop(OURS)
        best = min(times, key=lambda program: median(times[program]))
        told = "".join(f"{median(found):12.1f}{min(found):8.1f}" for found in (times[best], ours))
        print(f"{name:14}{BATCHES[name]:6}{told}{median(ours) / median(times[best]):8.2f}  {best}", flush=True)
        if args.compile:
            for program, found in times.items():
                print(f"  {program}: {median(found):.1f}, {min(found):.1f}", flush=True)
    return 0


def _begin(runs: dict[str, Iteration]) -> dict[str, float]:
    """The losses of the first iterations; a program that cannot compile is reported, and left out."""
    losses = {}
    for program, run in list(runs.items()):
        start = time.perf_counter()
        try:
            losses[program] = run()
        except torch._dynamo.exc.TorchDynamoException as error:
            print(f"{program}: left out: {str(error).splitlines()[0]}", file=sys.stderr)
            del runs[program]
            continue
        if program == COMPILED:
            print(f"  {program}: {time.perf_counter() - start:.0f} s to compile", flush=True)
    return losses


if __name__ == "__main__":
    sys.exit(main())
