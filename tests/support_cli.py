"""Running the program as a user does: in its own process, with pipes or at a terminal."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import ROOT

PROGRAM = (sys.executable, "-m", "darknet_py")
PATIENCE = 300  # seconds; kernels may have to be compiled first
SCREEN_PATIENCE = 60
# A terminal becomes the program's controlling terminal, so that Ctrl-C typed there interrupts it.
_TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@dataclass(frozen=True)
class Answer:
    """What a run left behind.

    Attributes
    ----------
    code : int
        Exit code; negative where a signal ended it.
    out, err : str
    """

    code: int
    out: str
    err: str

    @property
    def complaints(self) -> list[str]:
        """The lines on standard error that are messages, without their ``darknet:``."""
        mark = "darknet: "
        return [line.removeprefix(mark) for line in self.err.split("\n") if line.startswith(mark)]

    @property
    def untimed(self) -> str:
        """Standard output with the seconds left out."""
        return re.sub(r"Predicted in \d+\.\d{6} seconds", "Predicted in ... seconds", self.out)


def environment(cache: Path, **more: str) -> dict[str, str]:
    """The environment of a run: the user's, without what changes Python or the program."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "DARKNET_", "NUMBA_"))}
    return {**plain, "PYTHONPATH": str(ROOT), "DARKNET_PY_CACHE": str(cache), **more}


def run(
    *arguments: str | Path,
    cwd: Path,
    env: Mapping[str, str],
    stdin: str | bytes = b"",
    **streams: Any,
) -> Answer:
    """Run ``darknet ARGUMENTS`` in the folder `cwd` until it ends."""
    given = stdin.encode() if isinstance(stdin, str) else stdin
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    done = subprocess.run([*PROGRAM, *map(str, arguments)], cwd=cwd, env=env, input=given, timeout=PATIENCE, **streams)
    out, err = ((text or b"").decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr))
    return Answer(done.returncode, out, err)


def run_shell(line: str, cwd: Path, env: Mapping[str, str]) -> Answer:
    """Run a line of sh in which ``darknet`` is the program."""
    program = " ".join(f"'{word}'" for word in PROGRAM)
    script = f'darknet() {{ {program} "$@"; }}\n{line}'
    shell = shutil.which("sh") or "sh"
    done = subprocess.run([shell, "-c", script], cwd=cwd, env=env, capture_output=True, timeout=PATIENCE)
    return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())


def start(*arguments: str | Path, cwd: Path, env: Mapping[str, str], **more: Any) -> subprocess.Popen[str]:
    """Start ``darknet ARGUMENTS`` with pipes and do not wait; `more` is for Popen."""
    pipe = subprocess.PIPE
    command = [*PROGRAM, *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True, **more)


def finish(process: subprocess.Popen[str]) -> Answer:
    """Wait for a process that `start` began."""
    out, err = process.communicate(timeout=PATIENCE)
    return Answer(process.returncode, out, err)


def limit_files(size: int) -> Callable[[], None]:
    """A `preexec_fn` that lets no file of a process grow beyond `size` bytes, as a full disk does."""
    import resource

    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


class Terminal:
    """``darknet ARGUMENTS`` at a terminal: what is typed and what appears.

    Standard output and standard error may go to files, `stdout` and `stderr`, instead.

    Attributes
    ----------
    screen : str
        All that has appeared and `read_until` has not yet given out.
    """

    def __init__(
        self, *arguments: str | Path, cwd: Path, env: Mapping[str, str], stdout: Any = None, stderr: Any = None
    ) -> None:
        import pty

        self.master, slave = pty.openpty()
        self.screen = ""
        command = [sys.executable, "-c", _TAKE_TERMINAL, *PROGRAM, *map(str, arguments)]
        # Readline with nothing but what the program asks for: no colours, no settings of the user's.
        plain = {**env, "TERM": "dumb", "INPUTRC": os.devnull}
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=plain,
            stdin=slave,
            stdout=stdout or slave,
            stderr=stderr or slave,
            start_new_session=True,
        )
        os.close(slave)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *raised: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self.master)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.master, text.encode())

    def read_until(self, text: str) -> str:
        """What appears up to and including `text`."""
        end = time.monotonic() + SCREEN_PATIENCE
        while text not in self.screen:
            assert self._read(end - time.monotonic()), f"{text!r} did not appear; {self.screen!r} did"
        seen, found, self.screen = self.screen.partition(text)
        return seen + found

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed, as it must after a program has ended."""
        import termios

        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def finish(self) -> Answer:
        """Wait for the end; everything on the screen counts as output."""
        end = time.monotonic() + SCREEN_PATIENCE
        while self._read(end - time.monotonic()):
            pass
        return Answer(self.process.wait(SCREEN_PATIENCE), self.screen, "")

    def _read(self, seconds: float) -> bool:
        """Read what has appeared; False where the program has ended or nothing comes in time."""
        if not select.select([self.master], [], [], max(seconds, 0))[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:  # the other end was closed
            return False
        self.screen += data.decode().replace("\r\n", "\n")
        return bool(data)
