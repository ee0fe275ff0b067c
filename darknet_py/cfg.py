"""cfg text -> sections that remember their line numbers."""

from __future__ import annotations

import difflib
import math
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import CfgError, DarknetError, DarknetWarning
from .files import read_text, resolve

MAX_BYTES = 64 << 20  # more cannot be a cfg: a weights file in its place, say
MAX_LINE = 1 << 16
_BLANKS = {ord(blank): None for blank in " \t\r\f\v"}


@dataclass(frozen=True)
class Entry:
    """One ``key=value`` line."""

    value: str
    line: int


@dataclass(frozen=True)
class Option:
    """What a section's option may hold.

    Attributes
    ----------
    parse : callable
        Text to value; raises ValueError, whose text says what was expected.
    default
        The value where the option is absent.
    """

    parse: Callable[[str], Any]
    default: Any = None


@dataclass
class Section:
    """A ``[name]`` with its options, first value of each key."""

    name: str
    line: int
    file: str
    entries: dict[str, Entry] = field(default_factory=dict)

    def error(self, reason: str, key: str | None = None) -> CfgError:
        """The error `reason` at this section, or at its option `key` where the text has it."""
        entry = None if key is None else self.entries.get(key)
        option = f"[{self.name}]" + ("" if entry is None else f" {key}={shorten(entry.value)}")
        return CfgError(reason, file=self.file, line=self.line if entry is None else entry.line, option=option)

    def read(self, options: Mapping[str, Option], ignored: Iterable[str] = ()) -> dict[str, Any]:
        """The value of each of `options`.

        A key that is neither in `options` nor in `ignored` is an error where it looks like a misspelt
        one and a warning otherwise, as darknet passes over what it does not know.
        """
        known = [*options, *ignored]
        for key in self.entries:
            if key in known:
                continue
            close = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
            if close:
                raise self.error(f"unknown option; did you mean {close[0]}?", key)
            warnings.warn(DarknetWarning(str(self.error("unknown option, ignored", key))), stacklevel=2)
        values = {}
        for key, option in options.items():
            entry = self.entries.get(key)
            try:
                values[key] = option.default if entry is None else option.parse(entry.value)
            except ValueError as reason:
                raise self.error(str(reason), key) from None
        return values


def integer(default: int | None = None, least: int | None = None) -> Option:
    """An integer option, `least` or more."""

    def parse(text: str) -> int:
        return parse_integer(text, least)

    return Option(parse, default)


def number(default: float) -> Option:
    """A finite floating-point option."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ValueError("not a number") from None
        if not math.isfinite(value):
            raise ValueError("a finite number is expected")
        return value

    return Option(parse, default)


def flag(default: bool = False) -> Option:
    """An option that is on where it is not 0."""
    return Option(lambda text: parse_integer(text) != 0, default)


def choice(names: Iterable[str], default: str) -> Option:
    """One word out of `names`."""
    names = list(names)

    def parse(text: str) -> str:
        if text not in names:
            close = difflib.get_close_matches(text, names, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(names)}"
            raise ValueError(f"unknown; {hint}")
        return text

    return Option(parse, default)


def integers() -> Option:
    """A list of integers between commas."""
    return Option(lambda text: [parse_integer(part) for part in text.split(",") if part], None)


def text(default: str | None = None) -> Option:
    """Any text."""
    return Option(str, default)


def parse_integer(value: str, least: int | None = None) -> int:
    """An integer in decimal digits; ValueError says what was wrong."""
    digits = value[1:] if value[:1] in "+-" else value
    if not (digits.isascii() and digits.isdigit()):
        try:
            float(value)
        except ValueError:
            raise ValueError("not a number; an integer is expected") from None
        raise ValueError("an integer is expected")
    if len(digits) > 18:
        raise ValueError("too large")
    result = int(value)
    if least is not None and result < least:
        raise ValueError(f"at least {least} is expected")
    return result


def parse_cfg(text: str, file: str) -> list[Section]:
    """Sections of a cfg text.

    Parameters
    ----------
    text : str
        The cfg.
    file : str
        Its name, for messages.

    Raises
    ------
    CfgError
        At the first line that is neither a section, an option nor a comment; where a section is
        unclosed, a value empty, a line over 65,536 characters.
    """
    sections: list[Section] = []
    for line, original in enumerate(text.split("\n"), 1):
        if len(original) > MAX_LINE:
            reason = f"a line of {len(original)} characters; at most {MAX_LINE} are expected"
            raise CfgError(reason, file=file, line=line)
        content = original.translate(_BLANKS)
        if content[:1] in ("", "#", ";"):
            continue
        content = content.partition("#")[0]
        if content.startswith("["):
            if not content.endswith("]"):
                raise CfgError("a section's name is not closed with ]", file=file, line=line, option=shorten(content))
            sections.append(Section(content[1:-1], line, file))
            continue
        if not sections:
            reason = "an option before any section; a cfg starts with [net]"
            raise CfgError(reason, file=file, line=line, option=shorten(content))
        add_entry(sections[-1].entries, content, line, file, CfgError)
    if not sections:
        raise CfgError("no section in this file; a cfg starts with [net]", file=file)
    return sections


def add_entry(entries: dict[str, Entry], content: str, line: int, file: str, error: type[DarknetError]) -> None:
    """Add the ``key=value`` of a line to `entries`, unless the key is there already."""
    key, equals, value = content.partition("=")
    if not equals:
        raise error("key=value is expected", file=file, line=line, option=shorten(content))
    if not value or not key:
        raise error("a key or a value is missing", file=file, line=line, option=shorten(content))
    if key in entries:
        reason = f"repeated; the first value, {shorten(entries[key].value)}, counts"
        warnings.warn(DarknetWarning(str(error(reason, file=file, line=line, option=shorten(content)))), stacklevel=3)
        return
    entries[key] = Entry(value, line)


def load_cfg(path: str | os.PathLike[str]) -> list[Section]:
    """Sections of the cfg file at `path`, or of the packaged one of that name."""
    shown = os.fspath(path)
    return parse_cfg(read_text(Path(resolve(path)), CfgError, shown, MAX_BYTES), shown)


def shorten(value: str) -> str:
    """`value`, cut to what fits in a message."""
    return value if len(value) <= 60 else value[:57] + "..."
