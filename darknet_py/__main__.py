"""python -m darknet_py, and the command ``darknet``."""

from __future__ import annotations

import atexit
import gc
import os
import sys

from .interrupt import end_on_interrupt, ignore_interrupt
from .lazy import load_when_used


def main() -> int:
    """Run the program; return its exit code."""
    codes: list[int] = []
    atexit.register(_leave, codes)  # before all others: it comes last
    gc.disable()  # modules stay: looking through them for what nothing refers to took 10 ms of a start's 170
    # Threads of NumPy's own, of which only the reference engine would have anything, cannot be started everywhere;
    # OpenBLAS answers that with SIGINT.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    end_on_interrupt()
    load_when_used("numpy")  # it is half of the time of a command that runs no network
    from .cli import main as run

    code = run(begin=_collect)
    ignore_interrupt()  # the code is known, nothing is left to stop
    codes.append(code)
    return code


def _collect() -> None:
    """Free from now on what only refers to itself, but for what is there already."""
    gc.freeze()
    gc.enable()


def _leave(codes: list[int]) -> None:
    """End the process, whose code is known, with all that it has: to free that took 4 ms of a start's 137."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        return  # Python has a code for this
    for code in codes:
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
