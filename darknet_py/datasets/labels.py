"""Which class a path tells."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

# Labels are looked for as whole words: letters and digits, with anything else between them.
_WORD = re.compile(r"[^\W_]+")


def _by_words(labels: Sequence[str]) -> Callable[[str], tuple[int, str]]:
    """Find the one class whose label is a word, or several in a row, of a file's name or of its folder's."""
    classes: dict[tuple[str, ...], list[int]] = {}
    for index, label in enumerate(labels):
        classes.setdefault(tuple(_WORD.findall(label)), []).append(index)
    classes.pop((), None)
    longest = max(map(len, classes), default=0)

    def find(path: str) -> tuple[int, str]:
        found: dict[int, str] = {}
        for part in re.split(r"[/\\]+", path)[-2:]:
            words = tuple(_WORD.findall(part))
            at = 0
            while at < len(words):
                # A longer label wins over one that is a part of it.
                size = next(
                    (n for n in range(min(longest, len(words) - at), 0, -1) if words[at : at + n] in classes), 0
                )
                found |= {index: labels[index] for index in classes.get(words[at : at + size], ())}
                at += size or 1
        if len(found) == 1:
            return next(iter(found)), ""
        if not found:
            return -1, "no label is a word of its name or folder"
        first, second = sorted(found)[:2]
        more = f" and {len(found) - 2} more" * (len(found) > 2)
        return -1, f"labels of {len(found)} classes in its name or folder: {found[first]}, {found[second]}{more}"

    return find


def _by_substring(labels: Sequence[str]) -> Callable[[str], tuple[int, str]]:
    """Find the first class whose label occurs anywhere in a path; without one, no guess is right. As darknet."""

    def find(path: str) -> tuple[int, str]:
        return next((index for index, label in enumerate(labels) if label in path), -1), ""

    return find


MATCHES: dict[str, Callable[[Sequence[str]], Callable[[str], tuple[int, str]]]] = {
    "words": _by_words,
    "substring": _by_substring,
}
