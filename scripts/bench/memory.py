"""The memory that training takes beside PyTorch's: python -m scripts.bench.memory.

The peak memory of a process, libraries included, after some iterations as scripts.bench.train times them: a fresh
process for each program, PyTorch's in both layouts of memory. In MiB; the less of PyTorch's two, and the ratio.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys

from .iterations import BATCHES, EAGER, OURS, Iterations
from .options import make_parser


def main() -> int:
    """Run both on each network; print their peaks and the ratio."""
    parser = make_parser("scripts.bench.memory", __doc__, 3, tuple(BATCHES), ",".join(BATCHES))
    args = parser.parse_args()
    print(f"{args.threads} threads, {args.rounds} iterations; MiB")
    print(f"{'network':14}{'batch':>6}{'PyTorch':>10}{'darknet':>10}{'ratio':>8}")
    for name in args.networks:
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            work = [(name, program, args.threads, args.rounds) for program in (OURS, *EAGER)]
            ours, *theirs = pool.starmap(_peak, work, chunksize=1)
        print(f"{name:14}{BATCHES[name]:6}{min(theirs):10.0f}{ours:10.0f}{ours / min(theirs):8.2f}", flush=True)
    return 0


def _peak(name: str, program: str, threads: int, count: int) -> float:
    iterate = Iterations(name, threads).make(program)
    for _ in range(count):
        iterate()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
