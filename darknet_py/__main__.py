"""python -m darknet_py, and the command ``darknet``."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs


def main() -> int:
    """Run the program; from its first import to its last line, Ctrl-C ends it without a traceback."""
    try:
        sys.unraisablehook = _repeat_interrupt
        from .cli import main as run

        return run()
    except KeyboardInterrupt:
        return 130
    finally:
        # The code is known and nothing is left to stop.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _repeat_interrupt(unraisable: UnraisableHookArgs) -> None:
    """Interrupt again, in a moment, where Ctrl-C fell into a library's callback, which cannot be left that way."""
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    import _thread
    import threading

    timer = threading.Timer(0.02, _thread.interrupt_main)
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    sys.exit(main())
