"""python -m darknet_py, and the command ``darknet``."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def main() -> int:
    """Run the program; Ctrl-C ends it at any time without a word."""
    signal.signal(signal.SIGINT, _leave)
    from .cli import main as run

    code = run()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the code is known, nothing is left to stop
    return code


def _leave(signum: int, frame: FrameType | None) -> None:
    """End at once, with 130.

    An exception instead would be swallowed, or become another, in the callback, destructor or import of a
    library into which it may fall. Answers have been flushed; a command with more to finish takes the signal
    itself for as long.
    """
    if os.isatty(2):
        os.write(2, b"\n")  # below the terminal's ^C
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
