"""The classes that a path indicates."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from ..errors import UsageError

# Labels are looked for as whole words: letters and digits, with anything else between them.
_WORD = re.compile(r"[^\W_]+")

Find = Callable[[str], Iterator[int]]  # the classes that a path indicates, each once, in ascending order


def _by_words(labels: Sequence[str]) -> Find:
    """Find the classes whose labels are a word, or several in a row, in a file's name or its folder's."""
    classes: dict[tuple[str, ...], list[int]] = {}
    for index, label in enumerate(labels):
        classes.setdefault(tuple(_WORD.findall(label)), []).append(index)
    classes.pop((), None)
    longest = max(map(len, classes), default=0)

    def find(path: str) -> Iterator[int]:
        found: set[int] = set()
        for part in re.split(r"[/\\]+", path)[-2:]:
            words = tuple(_WORD.findall(part))
            at = 0
            while at < len(words):
                # A longer label wins over one that is a part of it.
                size = next(
                    (n for n in range(min(longest, len(words) - at), 0, -1) if words[at : at + n] in classes), 0
                )
                found.update(classes.get(words[at : at + size], ()))
                at += size or 1
        return iter(sorted(found))

    return find


def _by_substring(labels: Sequence[str]) -> Find:
    """Find the classes whose labels occur anywhere in a path, as darknet does."""
    return lambda path: (index for index, label in enumerate(labels) if label in path)


MATCHES: dict[str, Callable[[Sequence[str]], Find]] = {"words": _by_words, "substring": _by_substring}
# Where they look, for messages.
WHERE = {"words": "as words of a file's name or its folder's", "substring": "anywhere in a path"}


class Folder(NamedTuple):
    """A folder with a folder for each class.

    Attributes
    ----------
    written : str
        Its name as paths in lists may begin with it.
    located : str
        Its absolute path.
    locate : callable
        Returns the absolute path for a path in a list.
    """

    written: str
    located: str
    locate: Callable[[str], str]


def find_classes(labels: Sequence[str], match: str, folders: Iterable[Folder]) -> Find:
    """A function that finds the classes that a path indicates.

    Parameters
    ----------
    labels : sequence of str
        One for each class.
    match : str
        A key of `MATCHES`.
    folders : iterable of Folder
        Files in a class's folder in one of these, or below it, are of that class, except for ``substring``. The first
        of these that has such a folder counts.

    Raises
    ------
    UsageError
        Where there is no such `match`.
    """
    if match not in MATCHES:
        raise UsageError(f"match={match}: one of {', '.join(MATCHES)} is expected")
    find = MATCHES[match](labels)
    if match == "substring":
        return find
    for folder in reversed([*folders]):
        find = _by_folder(labels, folder, find)
    return find


def _by_folder(labels: Sequence[str], folder: Folder, otherwise: Find) -> Find:
    """Find the classes whose label is the name of the folder in `folder` that a file lies in or below."""
    written, located = (os.path.join(os.path.normpath(place), "") for place in folder[:2])
    classes: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        classes.setdefault(label, []).append(index)
    classes.pop("", None)

    def find(path: str) -> Iterator[int]:
        top, place = written, os.path.normpath(path)
        if not place.startswith(top):  # nearly all do: this takes 0.8 us for a path, and locating it 38
            top, place = located, folder.locate(path)
        name, inside, _ = place[len(top) :].partition(os.sep)
        known = classes.get(name.strip()) if inside and place.startswith(top) else None
        return otherwise(path) if known is None else iter(known)

    return find
