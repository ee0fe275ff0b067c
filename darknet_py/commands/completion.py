"""darknet completion: shell completion, which shtab makes from the options of all commands."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from ..errors import DarknetError
from ..networks import packaged_names
from ..report import print_text
from . import COMMANDS
from .common import add_common

SHELLS = ("bash", "zsh", "fish")
EPILOG = """\
bash: darknet completion bash > ~/.local/share/bash-completion/completions/darknet
zsh:  darknet completion zsh > FOLDER/_darknet, for a FOLDER of $fpath
fish: darknet completion fish > ~/.config/fish/completions/darknet.fish
"""
# The shell function that offers both files and networks, for operands. shtab sees _file in its name, and has bash show
# files as such.
_FUNCTION = "_darknet_file_or_network"
_PREAMBLE = {
    "bash": f"""{_FUNCTION}() {{
  compgen -f -- "$1"
  compgen -W "%s" -- "$1"
}}""",
    "zsh": f"""{_FUNCTION}() {{
  _alternative 'networks:network:(%s)' 'files:file:_files'
}}""",
    "fish": "",
}
_FILES = ("FILE", "FILE.npy", "LIST", "OUT", "WEIGHTS")
_FOLDERS = ("DIR",)


def add_completion(parser: argparse.ArgumentParser) -> None:
    """The options of ``completion``."""
    parser.epilog = EPILOG
    parser.add_argument("shell", choices=SHELLS, help="the shell that the script is for")


def run_completion(args: argparse.Namespace) -> int:
    """Print a script for the shell."""
    try:
        import shtab
    except ImportError:
        raise DarknetError("is not installed: pip install shtab", option="shtab") from None
    names = " ".join(packaged_names())
    operand = {"bash": _FUNCTION, "zsh": _FUNCTION, "fish": f"(__fish_complete_path (commandline -ct)) {names}"}
    file: Any = shtab.FILE
    folder: Any = shtab.DIRECTORY
    parser = _make_parser(operand, file, folder)
    print_text(shtab.complete(parser, args.shell, preamble=_PREAMBLE[args.shell].replace("%s", names)))
    return 0


def _make_parser(operand: dict[str, str], file: dict[str, str], folder: dict[str, str]) -> argparse.ArgumentParser:
    """A parser of all commands, whose actions say what completes their values."""
    root = argparse.ArgumentParser("darknet")
    groups = {"": root.add_subparsers()}
    for name, command in COMMANDS.items():
        group, _, word = name.rpartition(" ")
        if group not in groups:
            groups[group] = groups[""].add_parser(group, help=f"Commands of darknet {group}.").add_subparsers()
        parser = groups[group].add_parser(word, help=command.summary, description=command.summary)
        module = import_module(f".{command.module}", __package__)
        parser.set_defaults(command=word)
        getattr(module, f"add_{command.name}")(parser)
        add_common(parser)
        for action in parser._actions:
            _describe(action, operand, file, folder)
    return root


def _describe(action: argparse.Action, operand: dict[str, str], file: dict[str, str], folder: dict[str, str]) -> None:
    """Say what completes the value of `action`; leave out flags like -nogpu, which no shell knows."""
    action.option_strings = [flag for flag in action.option_strings if flag.startswith("--") or len(flag) == 2]
    if action.choices is not None:
        return
    metavar = str(action.metavar)
    kind = file if metavar in _FILES else folder if metavar in _FOLDERS else None
    if not action.option_strings and kind is None:
        kind = operand
    if kind is not None:
        action.complete = kind  # type: ignore[attr-defined]
