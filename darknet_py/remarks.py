"""What is odd about a file of options, and ignored or refused."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection
from typing import NoReturn

from .errors import DarknetError, DarknetWarning, nearest

MAX_REMARKS = 10  # for each file that are shown one by one
MAX_GUESSES = 1000  # keys of a file that are compared with the known ones
_WORD = re.compile(r"[^\s=:]*")


class Remarks:
    """What is odd about a file and ignored: a warning for each of the first, and one that counts the others.

    Parameters
    ----------
    file : str
        Its name, for messages.
    error : type of DarknetError
        The error whose text the warnings take.
    """

    def __init__(self, file: str, error: type[DarknetError]) -> None:
        self.file = file
        self.count = 0
        self._error = error
        self._told: set[tuple[object, ...]] = set()
        self._guesses: dict[tuple[str, str], str | None] = {}

    def add(self, reason: str, line: int, option: str) -> None:
        """Warn once of `option`, as the user wrote it, unless there were many before."""
        if (reason, line, option) in self._told:  # another network is made from the same sections
            return
        self._told.add((reason, line, option))
        self.count += 1
        if self.count <= MAX_REMARKS:
            text = str(self._error(reason, file=self.file, line=line, option=option))
            warnings.warn(DarknetWarning(text), stacklevel=3)

    def add_once(self, reason: str, line: int, option: str) -> None:
        """As `add`, but once for each `reason`."""
        if (reason,) not in self._told:
            self._told.add((reason,))
            self.add(reason, line, option)

    def fail(self, reason: str, line: int, option: str) -> NoReturn:
        """Raise what `add` would warn of."""
        raise self._error(reason, file=self.file, line=line, option=option)

    def add_stray(
        self, text: str, line: int, essential: Collection[str], known: Collection[str], place: str = ""
    ) -> None:
        """Refuse a line without a key or a value that looks like an `essential` one of `known`; else warn of it."""
        word = find_word(text)
        reason = "a key or a value is missing" if "=" in text else "key=value is expected"
        meant = word if word in known else self.guess(word, known, place)
        if meant in essential:
            self.fail(reason, line, shorten(text))
        self.add(f"{reason}; ignored", line, shorten(text))

    def close(self) -> None:
        """Warn of how many were not shown."""
        if self.count > MAX_REMARKS:
            text = f"{self.file}: and {self.count - MAX_REMARKS} more like these"
            warnings.warn(DarknetWarning(text), stacklevel=3)
        self.count = 0

    def guess(self, key: str, known: Collection[str], place: str = "") -> str | None:
        """The key out of `known`, those of `place`, that `key` looks like a misspelling of.

        In a file with more unknown keys than any network has, only the first are compared.
        """
        if (place, key) not in self._guesses and len(self._guesses) < MAX_GUESSES:
            self._guesses[place, key] = guess_key(key, known)
        return self._guesses.get((place, key))


def find_word(text: str) -> str:
    """The start of a line, up to the first blank, ``=`` or ``:``."""
    return _WORD.match(text)[0]  # type: ignore[index]  # it matches the empty text, too


def guess_key(key: str, known: Collection[str]) -> str | None:
    """The key out of `known` that `key` looks like a misspelling of."""
    if len(key) > 2 * max(map(len, known), default=0):
        return None
    return nearest(key, known, 0.75)


def shorten(value: str, most: int = 60) -> str:
    """`value`, cut to what fits in a message."""
    return value if len(value) <= most else value[: most - 3] + "..."
