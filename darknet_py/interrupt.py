"""Ctrl-C: the program exits with 130, at once wherever it is, or when it is ready to."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

if sys.platform != "win32":
    import termios

EXIT_CODE = 130
REPEAT = 0.02  # seconds
REPEATS = 25
ECHO = 0.5  # seconds in which a signal counts as the same: a wrapper may pass on what the terminal has sent


def end_on_interrupt() -> None:
    """Let SIGINT end the process.

    A KeyboardInterrupt that is raised in a library's callback, destructor or import would be swallowed, or become
    another error. Answers are flushed as they are given, so nothing is lost; a command with more to finish sets a
    handler of its own meanwhile.
    """
    terminal = sys.platform != "win32" and os.isatty(0)
    modes = termios.tcgetattr(0) if terminal else []

    def leave(signum: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # one of those sent by `insist` may be on its way
        end()

    def end() -> None:
        if terminal:
            termios.tcsetattr(0, termios.TCSANOW, modes)  # readline has changed them
        if os.isatty(2):
            os.write(2, b"\n")  # below the terminal's ^C
        os._exit(EXIT_CODE)

    def insist() -> None:
        os.read(heard, 1)
        for _ in range(REPEATS):
            if signal.getsignal(signal.SIGINT) is not leave:
                return
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            time.sleep(REPEAT)
        end()  # a library waits and does not return: for a server's first byte, say

    signal.signal(signal.SIGINT, leave)
    if sys.platform != "win32":
        # Python runs `leave` when its own code continues; a signal between two waits of readline is forgotten.
        heard, told = os.pipe()
        os.set_blocking(told, False)
        with suppress(RuntimeError):  # no thread can be started: the signal then counts when Python's code continues
            threading.Thread(target=insist, daemon=True).start()
            signal.set_wakeup_fd(told)


class Stop:
    """Whether a signal has asked the program to stop.

    Attributes
    ----------
    signum : int
        The signal; 0 while none has come.
    """

    signum = 0

    @property
    def exit_code(self) -> int:
        """The exit code of a program that a signal has stopped."""
        return 128 + self.signum


@contextmanager
def stop_on_signals(when: str = "when the images at work are done") -> Iterator[Stop]:
    """Let the first SIGINT, SIGTERM or SIGHUP ask for an end, and the second one end the program at once.

    A message says `when` the end comes. SIGHUP, which is sent when a terminal is closed, stays ignored where it already
    is: ``nohup``.
    """
    stop, asked = Stop(), 0.0
    terminals = [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]

    def ask(signum: int, frame: FrameType | None) -> None:
        nonlocal asked
        now = time.monotonic()
        if signum not in (signal.SIGINT, signal.SIGTERM):
            _leave(terminals)
        if not stop.signum:
            stop.signum, asked = signum, now
            start = b"\n" if os.isatty(2) else b""  # below the terminal's ^C
            with suppress(OSError):  # nobody reads it any more; an error raised here would surface anywhere
                os.write(2, start + f"darknet: stopping, {when}; once more leaves at once\n".encode())
        elif now - asked > ECHO:
            os._exit(128 + signum)

    asking = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        asking.append(signal.SIGHUP)
    woken = signal.set_wakeup_fd(-1)  # or `end_on_interrupt` would hear of what is asked here, perhaps after its end
    before = {signum: signal.signal(signum, ask) for signum in asking}
    try:
        yield stop
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
        signal.set_wakeup_fd(woken)


def _leave(terminals: Sequence[int]) -> None:
    """Discard what is written to closed terminals, without an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in terminals:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def ignore_interrupt() -> None:
    """Let SIGINT do nothing more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
