"""argv -> a command; the only place that turns an error into an exit code."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Collection, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn, TextIO, cast

from . import foreign
from .commands import COMMANDS
from .commands.common import VERSION, add_common
from .errors import DarknetError, DarknetWarning, UsageError, nearest
from .files import describe_oserror
from .streams import StandardOutput, StandardOutputError, say
from .version import __version__

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

EXIT_INTERRUPTED = 130
EXIT_CLOSED_PIPE = 141
NO_THREAD = "can't start new thread"  # what Python says, in a RuntimeError


HELP = ("-h", "--help", "help")
# Flags accepted anywhere on the line (darknet's, and those of every command), and how many values follow each.
_FLAGS = {"-t": 1, "-i": 1, "-nogpu": 0, "-q": 0, "--quiet": 0, "-v": 0, "--verbose": 0}


class _Parser(argparse.ArgumentParser):
    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        print(self.format_help(), end="")  # argparse's own hides errors

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message.removeprefix('argument ')}; see {self.prog} --help")

    def check_flags(self, words: Sequence[str]) -> None:
        """Refuse unknown flags: argparse reads ``-thresh`` as ``-t hresh``, and suggests no corrections."""
        for word in words[: words.index("--")] if "--" in words else words:
            if reason := _explain_flag(word, self._option_string_actions, self.prog):
                raise UsageError(reason)


def main(argv: list[str] | None = None, begin: Callable[[], None] = lambda: None) -> int:
    """Run the program; return its exit code. `begin` is called when a command has been loaded and is about to run.

    0 done, 1 failed, 2 wrong usage, 3 some pictures failed, 130 interrupted, 141 standard output closed.
    """
    if sys.stdout is None:
        return EXIT_CLOSED_PIPE
    try:
        _prepare_streams()
        _show_warnings()
        _show_log(logging.INFO)
        code = _run(sys.argv[1:] if argv is None else argv, begin)
        sys.stdout.flush()
        return code
    except DarknetError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _discard_stdout()
        return EXIT_CLOSED_PIPE
    except StandardOutputError as error:
        _discard_stdout()
        return _fail(f"standard output: {describe_oserror(error)}", 1)
    except OSError as error:
        return _fail(_explain_oserror(error), 1)
    except MemoryError:
        return _fail("not enough memory", 1)
    except ImportError as error:
        reason = str(error).strip().partition("\n")[0]
        return _fail(f"a library cannot be loaded; is there too little memory, or one missing? {reason}", 1)
    except RuntimeError as error:
        if str(error) != NO_THREAD:
            raise
        return _fail("no thread can be started; are there too many processes, or too little memory?", 1)


def _run(argv: list[str], begin: Callable[[], None]) -> int:
    argv = _move_flags(argv)
    words = argv[:1] if argv[:1] != ["classifier"] else argv[:2]
    name = " ".join(words)
    if words and words[-1] in HELP:
        print(_help(words[:-1]), end="")
        return 0
    if not {*VERSION}.isdisjoint(argv[: _end_of_options(argv)]):
        print(f"darknet {__version__}")
        return 0
    if name not in COMMANDS:
        raise UsageError(_explain_unknown(argv))
    command = COMMANDS[name]
    module = import_module(f".commands.{command.module}", __package__)
    # argparse makes a formatter with each argument, which asks for the terminal's width: that loads shutil, 2 ms.
    width = None if {"-h", "--help"} & {*argv} else 80
    parser = _Parser(
        prog=f"darknet {name}",
        description=command.summary,
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, width=width),
        allow_abbrev=False,
    )
    parser.set_defaults(command=words[-1])
    getattr(module, f"add_{command.name}")(parser)
    add_common(parser)
    parser.check_flags(argv[len(words) :])
    try:
        args = parser.parse_intermixed_args(argv[len(words) :])
    except SystemExit:  # --help has been printed
        return 0
    _show_log(logging.WARNING if args.quiet else logging.DEBUG if args.verbose else logging.INFO)
    begin()
    code: int = getattr(module, f"run_{command.name}")(args)
    return code


def _end_of_options(argv: Sequence[str]) -> int:
    return argv.index("--") if "--" in argv else len(argv)


def _move_flags(argv: list[str]) -> list[str]:
    """`argv` with the flags accepted anywhere moved behind the command's own words, where argparse looks for them."""
    end = _end_of_options(argv)
    words, flags = [], []
    left = iter(argv[:end])
    for word in left:
        if word in _FLAGS:
            flags += [word, *(value for _, value in zip(range(_FLAGS[word]), left, strict=False))]
        else:
            words.append(word)
    return [*words, *flags, *argv[end:]]


def _help(group: Sequence[str]) -> str:
    """The help text that lists the commands, or those of one group."""
    start = " ".join(["", *group])
    lines = [f"  {name:22} {command.summary}" for name, command in COMMANDS.items() if f" {name}".startswith(start)]
    return "\n".join(
        [
            f"usage: darknet{start} COMMAND ...",
            "",
            "Classify images with darknet's ImageNet networks, from their own .cfg and .weights files.",
            "",
            *lines,
            "",
            f"darknet{start} COMMAND --help tells more.",
            "-q, --quiet: no progress and no remarks. -v, --verbose: more of them. -V, --version.",
            "",
        ]
    )


def _explain_flag(word: str, known: Collection[str], prog: str = "darknet") -> str:
    """Why a word that looks like a flag is none; empty where it is one, or does not look like one."""
    flag = word.partition("=")[0]
    takes_rest = flag[:2] in known and not flag[2:3].isalpha()  # -t5
    if not re.match("--?[A-Za-z]", flag) or flag in known or takes_rest:
        return ""
    name, names = flag.lstrip("-"), {option.lstrip("-"): option for option in known}
    if name in foreign.FLAGS and name not in names:
        return f"{flag}: {foreign.FLAGS[name]}"
    close = nearest(name, names, 0.7)
    return f"{flag}: unknown option; {f'did you mean {names[close]}?' if close else f'see {prog} --help'}"


def _explain_unknown(argv: list[str]) -> str:
    if not argv or argv[0].startswith("-"):
        return (argv and _explain_flag(argv[0], _FLAGS)) or "a command is missing; see darknet --help"
    below = [name.partition(" ")[2] for name in COMMANDS if name.startswith(f"{argv[0]} ")]
    if below and len(argv) == 1:
        return f"{argv[0]}: a command is missing after it; one of {', '.join(below)} is expected"
    name = " ".join(argv[: 2 if below else 1])
    if name in foreign.COMMANDS:
        prog = " ".join(["darknet", *name.split()[:-1]])
        return f"{name}: a command of darknet that this program does not have; it classifies images: see {prog} --help"
    if f"classifier {name}" in COMMANDS:
        return f"{name}: unknown command; did you mean classifier {name}?"
    for words in (argv[:2], argv[:1]):
        if close := nearest(" ".join(words), COMMANDS, 0.7):
            return f"{' '.join(words)}: unknown command; did you mean {close}?"
    return f"{name}: unknown command; see darknet --help"


def _prepare_streams() -> None:
    """Pass file names, which are bytes to the system, through unchanged; replace closed streams."""
    for name, mode in (("stdin", "r"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    encodings = ((sys.stdin, sys.getfilesystemencoding()), (sys.stdout, "utf-8"), (sys.stderr, "utf-8"))
    for stream, encoding in encodings:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding=encoding, errors="surrogateescape")
    sys.stdout = cast(TextIO, StandardOutput(sys.stdout))


def _show_warnings() -> None:
    """Show each warning as one line on stderr."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        say(f"warning: {message}")

    warnings.showwarning = show
    warnings.simplefilter("always", DarknetWarning)


class _Lines(logging.Handler):
    """Shows each record as one line on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


def _show_log(level: int) -> None:
    """Show the library's own remarks, such as why a first run takes long, from a level on."""
    log = logging.getLogger(__package__)
    log.setLevel(level)
    log.handlers = [_Lines()]
    log.propagate = False


def _fail(reason: str, code: int) -> int:
    with contextlib.suppress(OSError):  # nobody is left to hear it
        say(reason)
    return code


def _explain_oserror(error: OSError) -> str:
    """What failed, and where; an error that names no file is probably of a working directory that is gone."""
    if error.filename is not None:
        return f"{error.filename}: {describe_oserror(error)}"
    try:
        os.getcwd()
    except OSError as reason:
        return f"the working directory: {describe_oserror(reason)}; was it removed? cd to another"
    return describe_oserror(error)


def _discard_stdout() -> None:
    """Discard what is still buffered, which Python would otherwise complain about at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
