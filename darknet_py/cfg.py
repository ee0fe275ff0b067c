"""cfg text -> sections that remember their line numbers."""

from __future__ import annotations

import difflib
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
LARGEST, SMALLEST = (2 - 2.0**-23) * 2.0**127, 2.0**-126  # of normal float32 numbers
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
        option = f"[{shorten(self.name)}]" + ("" if entry is None else f" {shorten(f'{key}={entry.value}')}")
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
            meant = guess_key(key, known)
            if meant is not None:
                raise self.error(f"unknown option; did you mean {meant}?", key)
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
    """A floating-point option that float32 can hold."""

    def parse(text: str) -> float:
        try:
            if not text.isascii() or "_" in text:  # which Python would take
                raise ValueError
            value = float(text)
        except ValueError:
            raise ValueError("not a number") from None
        if not abs(value) <= LARGEST:
            raise ValueError("a finite number is expected")
        if 0 < abs(value) < SMALLEST:
            raise ValueError("too small")
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
        shown = shorten(original.strip())
        content = content.partition("#")[0]
        if content.startswith("["):
            if not content.endswith("]"):
                raise CfgError("a section's name is not closed with ]", file=file, line=line, option=shown)
            sections.append(Section(content[1:-1], line, file))
            continue
        if not sections:
            reason = "an option before any section; a cfg starts with [net]"
            raise CfgError(reason, file=file, line=line, option=shown)
        add_entry(sections[-1].entries, content, shown, line, file, CfgError)
    if not sections:
        raise CfgError("no section in this file; a cfg starts with [net]", file=file)
    return sections


def add_entry(
    entries: dict[str, Entry], content: str, shown: str, line: int, file: str, error: type[DarknetError]
) -> None:
    """Add the ``key=value`` of a line, which messages quote as `shown`, unless `entries` has the key already."""
    key, equals, value = content.partition("=")
    if not equals:
        raise error("key=value is expected", file=file, line=line, option=shown)
    if not value or not key:
        raise error("a key or a value is missing", file=file, line=line, option=shown)
    if key in entries:
        reason = f"repeated; the first value, {shorten(entries[key].value)}, counts"
        warnings.warn(DarknetWarning(str(error(reason, file=file, line=line, option=shown))), stacklevel=3)
        return
    entries[key] = Entry(value, line)


def guess_key(key: str, known: Iterable[str]) -> str | None:
    """The key out of `known` that `key` looks a misspelling of."""
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
    return close[0] if close else None


def load_cfg(path: str | os.PathLike[str]) -> list[Section]:
    """Sections of the cfg file at `path`, or of the packaged one of that name."""
    shown = os.fspath(path)
    return parse_cfg(read_text(Path(resolve(path)), CfgError, shown, MAX_BYTES), shown)


def shorten(value: str) -> str:
    """`value`, cut to what fits in a message."""
    return value if len(value) <= 60 else value[:57] + "..."
