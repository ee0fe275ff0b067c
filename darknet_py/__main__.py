"""Entry point of ``python -m darknet_py`` and of the command ``darknet``."""

from __future__ import annotations

import gc
import os
import sys

from .interrupt import end_on_interrupt, ignore_interrupt
from .lazy import load_when_used


def main() -> int:
    """Run the program; return its exit code."""
    gc.disable()  # modules stay alive: scanning them for garbage took 10 ms of a start's 170
    # NumPy's own threads, which would only help the reference engine, cannot be started everywhere; OpenBLAS answers
    # that with SIGINT.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    end_on_interrupt()
    load_when_used("numpy")  # importing it takes half the time of a command that runs no network
    from .cli import main as run

    code = run(begin=_collect)
    ignore_interrupt()  # the exit code is known, nothing is left to stop
    gc.freeze()  # nor is there garbage worth looking for: that took a tenth of a short run
    return code


def _collect() -> None:
    """Turn garbage collection on, for objects that are made from now on."""
    gc.freeze()
    gc.enable()


if __name__ == "__main__":
    sys.exit(main())
