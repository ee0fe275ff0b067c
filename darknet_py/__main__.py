"""python -m darknet_py, and the command ``darknet``."""

from __future__ import annotations

import gc
import os
import sys

from .interrupt import end_on_interrupt, ignore_interrupt
from .lazy import load_when_used

# Objects made, and not freed, before Python looks for what nothing refers to: with its own 700 a short run takes 4 ms
# more, of 174.
COLLECT = 10_000


def main() -> int:
    """Run the program; return its exit code."""
    gc.set_threshold(COLLECT, *gc.get_threshold()[1:])
    # Threads of NumPy's own, of which only the reference engine would have anything, cannot be started everywhere;
    # OpenBLAS answers that with SIGINT.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    end_on_interrupt()
    load_when_used("numpy")  # it is half of the time of a command that runs no network
    from .cli import main as run

    code = run()
    ignore_interrupt()  # the code is known, nothing is left to stop
    gc.freeze()  # nor is anything worth looking for: it took a tenth of a short run
    return code


if __name__ == "__main__":
    sys.exit(main())
