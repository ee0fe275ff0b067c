"""python -m darknet_py, and the command ``darknet``."""

from __future__ import annotations

import gc
import os
import sys

from .interrupt import end_on_interrupt, ignore_interrupt
from .lazy import load_when_used


def main() -> int:
    """Run the program; return its exit code."""
    gc.disable()  # modules stay: looking through them for what nothing refers to took 10 ms of a start's 170
    # Threads of NumPy's own, of which only the reference engine would have anything, cannot be started everywhere;
    # OpenBLAS answers that with SIGINT.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    end_on_interrupt()
    load_when_used("numpy")  # it is half of the time of a command that runs no network
    from .cli import main as run

    code = run(begin=_collect)
    ignore_interrupt()  # the code is known, nothing is left to stop
    gc.freeze()  # nor is anything worth looking for: it took a tenth of a short run
    return code


def _collect() -> None:
    """Free from now on what only refers to itself, but for what is there already."""
    gc.freeze()
    gc.enable()


if __name__ == "__main__":
    sys.exit(main())
