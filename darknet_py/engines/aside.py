"""A function called in another process, while this one does something else."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from types import TracebackType
from typing import Any


class Aside:
    """A call of `function`, which a module defines, in a process that ends no later than the context.

    Parameters
    ----------
    function : callable
        Takes `argument`; what it returns can be pickled, too.
    argument : object
    """

    def __init__(self, function: Callable[[Any], object], argument: object) -> None:
        self._content = b""
        self._process: subprocess.Popen[bytes] | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        # A program that was packed into one file would start itself again.
        if not sys.executable or getattr(sys, "frozen", False):
            return
        # It imports from where this process does, not from the working directory, which would be searched first.
        paths = [os.path.abspath(path) for path in sys.path if isinstance(path, str)]
        call = f"serve({function.__module__!r}, {function.__name__!r})"
        code = f"import sys; sys.path[:] = {paths!r}; from {__name__} import serve; {call}"
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            assert self._process.stdin is not None
            pickle.dump(argument, self._process.stdin)
            self._process.stdin.flush()
            self._reader.start()
        except (OSError, RuntimeError):  # there are too many processes or threads
            self._end()
        except BaseException:
            self._end()
            raise

    def _read(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._content = self._process.stdout.read()

    def receive(self, patience: float) -> Any:
        """What the function returned; None where it failed or takes more than `patience` seconds from now."""
        if self._process is None:
            return None
        self._reader.join(patience)
        try:
            return pickle.loads(self._content)
        except Exception:  # a pickle that is none, or incomplete, may raise anything
            return None

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        if self._reader.ident is not None:
            self._reader.join()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):  # it has not read everything
                    stream.close()

    def __enter__(self) -> Aside:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()


def serve(module: str, function: str) -> None:
    """Write what the function returns to standard output, unless the process that asked for it ends before."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a terminal sends it to both
    argument = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_the_other, daemon=True).start()
    content = pickle.dumps(getattr(import_module(module), function)(argument))
    with open(1, "wb") as stream:
        stream.write(content)


def _end_with_the_other() -> None:
    os.read(0, 1)  # nothing comes but the end of the stream
    os._exit(1)
