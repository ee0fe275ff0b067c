"""cfg text -> sections that remember their line numbers."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .cfg_files import CfgFiles, NamedFile
from .errors import CfgError, DarknetError, nearest
from .files import decode_text, read_bytes, resolve
from .remarks import Remarks, find_word, shorten

MAX_BYTES = 64 << 20  # more cannot be a cfg: a weights file in its place, say
MAX_LINE = 1 << 16
MAX_LINES = 1 << 20
MAX_INTEGER = 2**31 - 1  # darknet's integers are C's int
LARGEST, SMALLEST = (2 - 2.0**-23) * 2.0**127, 2.0**-126  # of normal float32 numbers
_COMMENT = re.compile("[#;]")
_BLANKS = {ord(blank): None for blank in " \t\r\f\v"}


class Entry(NamedTuple):
    """One ``key=value`` line."""

    value: str
    line: int


class Option(NamedTuple):
    """How an option of a section is read.

    Attributes
    ----------
    parse : callable
        Turns text into the value; raises a ValueError whose text says what was expected.
    default
        The value where the option is absent.
    follows : str
        Another option whose value is the default instead; empty for none.
    matters : bool
        Whether the network's answer depends on it; where it does not (it is only listed, or only used in training), a
        wrong value is ignored with a warning.
    """

    parse: Callable[[str], Any]
    default: Any = None
    follows: str = ""
    matters: bool = True


@dataclass
class Section:
    """A ``[name]`` section with its options: the first value of each key.

    Attributes
    ----------
    name, line, file
        Its name and its place.
    remarks : Remarks
        What is odd about the file.
    files : CfgFiles
        It, and those that its sections name.
    entries : dict of str to Entry
    strays : list of Entry
        Lines without a value, as written.
    """

    name: str
    line: int
    file: str
    remarks: Remarks = field(compare=False)
    files: CfgFiles = field(compare=False, repr=False)
    entries: dict[str, Entry] = field(default_factory=dict)
    strays: list[Entry] = field(default_factory=list)

    def error(self, reason: str, key: str | None = None) -> CfgError:
        """The error `reason` at this section, or at its option `key` where the text has it."""
        entry = None if key is None else self.entries.get(key)
        option = self._show(None if entry is None else f"{key}={entry.value}")
        return CfgError(reason, file=self.file, line=self.line if entry is None else entry.line, option=option)

    def tell_once(self, reason: str, key: str) -> None:
        """Warn of option `key`, unless another section of the file has been warned of for the same `reason`."""
        entry = self.entries[key]
        self.remarks.add_once(reason, entry.line, self._show(f"{key}={entry.value}"))

    def read_file(self, key: str, most: int) -> NamedFile:
        """The file that option `key` names, of at most `most` bytes; CfgError where it cannot be read."""
        found = self.files.read(self.entries[key].value, most)
        if found is None:
            raise self.error("no such file, nor one beside the cfg", key)
        return found

    def read(
        self,
        options: Mapping[str, Option],
        ignored: Collection[str] = (),
        unsupported: Mapping[str, Option] | None = None,
    ) -> dict[str, Any]:
        """The value of each of `options`.

        Parameters
        ----------
        options : mapping of str to Option
            What the section's answer depends on.
        ignored : collection of str
            Keys that do not affect inference.
        unsupported : mapping of str to Option
            Keys that change the answer in a way that is not supported: their default, which changes
            nothing, is the only value accepted.

        Raises
        ------
        CfgError
            Where a value is wrong, or a key or a stray line looks like a misspelling of an option that the answer
            depends on. Anything else unknown gets a warning, as darknet ignores it.
        """
        unsupported = unsupported or {}
        self._check_keys({**options, **unsupported}, ignored)
        values: dict[str, Any] = {}
        for key, option in options.items():
            values[key] = self._read_option(key, option, values)
        for key, option in unsupported.items():
            self._check_off(key, option, values, "not supported, and it changes the answer")
        return values

    def read_quietly(self, options: Mapping[str, Option]) -> dict[str, Any]:
        """The value of each of `options`; the default replaces a wrong one, as nothing depends on it yet."""
        values: dict[str, Any] = {}
        for key, option in options.items():
            try:
                values[key] = self._read_option(key, option, values, strictly=True)
            except CfgError:
                values[key] = _default(option, values)
        return values

    def check_training(
        self, options: Mapping[str, Option], ignored: Collection[str], unsupported: Mapping[str, Option]
    ) -> None:
        """Refuse what `read` ignores but training must not.

        Parameters
        ----------
        options : mapping of str to Option
            What the section's answer, or its training, depends on.
        ignored : collection of str
            Keys that affect neither.
        unsupported : mapping of str to Option
            Keys that change training in a way that is not supported: their default is the only value accepted.

        Raises
        ------
        CfgError
            At the first wrong value, misspelt key, option without a value, or key that is not supported.
        """
        known = {*options, *ignored, *unsupported}
        for key in self.entries:
            meant = None if key in known else self.remarks.guess(key, known, self.name)
            if meant is not None and meant not in ignored:
                raise self.error(f"unknown option; did you mean {meant}?", key)
        for text, line in self.strays:
            if find_word(text) in {*options, *unsupported}:
                self.remarks.fail("key=value is expected", line, self._show(text))
        values: dict[str, Any] = {}
        for key, option in options.items():
            values[key] = self._read_option(key, option, values, strictly=True)
        for key, option in unsupported.items():
            self._check_off(key, option, values, "not supported in training")

    def _read_option(self, key: str, option: Option, values: Mapping[str, Any], strictly: bool = False) -> Any:
        entry = self.entries.get(key)
        if entry is None:
            return _default(option, values)
        try:
            return option.parse(entry.value)
        except ValueError as reason:
            if option.matters or strictly:
                raise self.error(str(reason), key) from None
            self.remarks.add(f"{reason}; ignored", entry.line, self._show(f"{key}={entry.value}"))
            return _default(option, values)

    def _check_off(self, key: str, option: Option, values: Mapping[str, Any], reason: str) -> None:
        off = _default(option, values)
        if key in self.entries and self._read_option(key, option, values) != off:
            expected = "a network without it" if off is None else f"{key}={off if isinstance(off, str) else int(off)}"
            raise self.error(f"{reason}; {expected} is expected", key)

    def _check_keys(self, options: Mapping[str, Option], ignored: Collection[str]) -> None:
        """Refuse what looks like a misspelling of an option that matters; warn of anything else unknown."""
        essential = {key for key, option in options.items() if option.matters}
        known = {*options, *ignored}
        for key, entry in self.entries.items():
            if key in known:
                continue
            meant = self.remarks.guess(key, known, self.name)
            if meant in essential:
                raise self.error(f"unknown option; did you mean {meant}?", key)
            hint = f"; did you mean {meant}?" if meant else ""
            self.remarks.add(f"unknown option, ignored{hint}", entry.line, self._show(f"{key}={entry.value}"))
        for text, line in self.strays:
            self.remarks.add_stray(text, line, essential, known, self.name)

    def _show(self, option: str | None = None) -> str:
        return f"[{shorten(self.name)}]" + ("" if option is None else f" {shorten(option)}")


def _default(option: Option, values: Mapping[str, Any]) -> Any:
    return values[option.follows] if option.follows else option.default


def integer(default: int | None = None, least: int | None = None, most: int = MAX_INTEGER, follows: str = "") -> Option:
    """An integer option, from `least` to `most`."""

    def parse(text: str) -> int:
        value = parse_integer(text, least)
        if value > most:
            raise ValueError(f"at most {most} is expected")
        return value

    return Option(parse, default, follows)


def number(default: float, matters: bool = True, least: float = -math.inf) -> Option:
    """A floating-point option that float32 can hold, at least `least`."""

    def parse(text: str) -> float:
        value = parse_number(text)
        if value < least:
            raise ValueError(f"at least {least:g} is expected")
        return value

    return Option(parse, default, matters=matters)


def numbers() -> Option:
    """A list of floating-point numbers, separated by commas."""
    return Option(lambda text: [parse_number(part) for part in text.split(",") if part], None)


def flag(default: bool = False) -> Option:
    """An option that is on where it is not 0."""
    return Option(lambda text: parse_integer(text) != 0, default)


def choice(names: Collection[str], default: str) -> Option:
    """One word out of `names`."""

    def parse(text: str) -> str:
        if text not in names:
            close = nearest(text, names)
            hint = f"did you mean {close}?" if close else f"known are {', '.join(names)}"
            raise ValueError(f"unknown; {hint}")
        return text

    return Option(parse, default)


def integers() -> Option:
    """A list of integers, separated by commas."""
    return Option(lambda text: [parse_integer(part) for part in text.split(",") if part], None)


def text(default: str | None = None) -> Option:
    """Any text."""
    return Option(str, default)


def parse_number(text: str) -> float:
    """A number that float32 can hold; ValueError says what was wrong."""
    try:
        if not text.isascii() or "_" in text:  # which Python would accept
            raise ValueError
        value = float(text)
    except ValueError:
        raise ValueError("not a number") from None
    if not abs(value) <= LARGEST:
        raise ValueError("a finite number is expected")
    if 0 < abs(value) < SMALLEST:
        raise ValueError("too small")
    return value


def parse_integer(value: str, least: int | None = None) -> int:
    """An integer in decimal digits that C's int can hold; ValueError says what was wrong."""
    digits = value[1:] if value[:1] in "+-" else value
    if not (digits.isascii() and digits.isdigit()):
        try:
            float(value)
        except ValueError:
            raise ValueError("not a number; an integer is expected") from None
        raise ValueError("an integer is expected")
    digits = digits.lstrip("0") or "0"
    # Python refuses to convert thousands of digits.
    result = int(digits) if len(digits) <= len(str(MAX_INTEGER)) else MAX_INTEGER + 1
    if value.startswith("-"):
        result = -result
    if least is not None and result < least:
        raise ValueError(f"at least {least} is expected")
    if abs(result) > MAX_INTEGER:
        raise ValueError(f"too {'large' if result > 0 else 'small'}; integers end at {MAX_INTEGER}")
    return result


def parse_cfg(text: str, file: str, files: CfgFiles | None = None) -> list[Section]:
    """Sections of a cfg text.

    Parameters
    ----------
    text : str
        The cfg.
    file : str
        Its name, for messages.
    files : CfgFiles, optional
        It, and those that its sections name.

    Raises
    ------
    CfgError
        Where an option precedes any section, a value has no key, a section's name is not closed, a line has over
        65,536 characters, or there are over a million lines, or no section.
    """
    check_lines(text, file, CfgError)
    sections: list[Section] = []
    remarks, files = Remarks(file, CfgError), files or CfgFiles(file)
    lines = zip(text.split("\n"), text.translate(_BLANKS).split("\n"), strict=True)
    for line, (original, content) in enumerate(lines, 1):
        if content[:1] in ("", "#", ";"):
            continue
        content = drop_comment(content)
        if content.startswith("["):
            if not content.endswith("]"):
                shown = shorten(original.strip())
                raise CfgError("a section's name is not closed with ]", file=file, line=line, option=shown)
            sections.append(Section(content[1:-1], line, file, remarks, files))
            continue
        if not sections:
            reason = "an option before any section; a cfg starts with [net]"
            raise CfgError(reason, file=file, line=line, option=shorten(original.strip()))
        add_line(sections[-1].entries, sections[-1].strays, content, original, line, remarks)
    if not sections:
        raise CfgError("no section in this file; a cfg starts with [net]", file=file)
    return sections


def drop_comment(text: str) -> str:
    """`text` up to the first comment mark."""
    return _COMMENT.split(text, maxsplit=1)[0]


def check_lines(text: str, file: str, error: type[DarknetError]) -> None:
    """Raise `error` where `text` has more or longer lines than a file of options ever has."""
    lines = text.count("\n") + 1
    if lines > MAX_LINES:
        raise error(f"{lines} lines; at most {MAX_LINES} are expected", file=file)
    if len(text) > MAX_LINE:
        for line, content in enumerate(text.split("\n"), 1):
            if len(content) > MAX_LINE:
                reason = f"a line of {len(content)} characters; at most {MAX_LINE} are expected"
                raise error(reason, file=file, line=line)


def add_line(
    entries: dict[str, Entry], strays: list[Entry], content: str, original: str, line: int, remarks: Remarks
) -> None:
    """Add the ``key=value`` in `content` to `entries`, or the line to `strays`; the first value of a key counts.

    `original` is the line as written in the file.
    """
    key, _, value = content.partition("=")
    if not key:
        remarks.fail("a key or a value is missing", line, shorten(original.strip()))
    if not value:
        strays.append(Entry(original.strip(), line))
    elif key in entries:
        reason = f"repeated; the first value, {shorten(entries[key].value)}, counts"
        remarks.add(reason, line, shorten(original.strip()))
    else:
        entries[key] = Entry(value, line)


def load_cfg(path: str | os.PathLike[str], located: Mapping[str, str] | None = None) -> list[Section]:
    """Sections of the cfg file at `path`, or of the packaged file of that name; `located` is as in `CfgFiles`."""
    shown = os.fspath(path)
    content = read_bytes(resolve(path), CfgError, shown, MAX_BYTES)
    return parse_cfg(decode_text(content, CfgError, shown), shown, CfgFiles(shown, content, located))
