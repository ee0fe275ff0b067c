"""Which classes a path tells."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

# Labels are looked for as whole words: letters and digits, with anything else between them.
_WORD = re.compile(r"[^\W_]+")

Find = Callable[[str], Iterator[int]]  # the classes that a path tells, each once, from the first on


def _by_words(labels: Sequence[str]) -> Find:
    """Find the classes whose labels are a word, or several in a row, of a file's name or of its folder's."""
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
    """Find the classes whose labels occur anywhere in a path, as darknet."""
    return lambda path: (index for index, label in enumerate(labels) if label in path)


MATCHES: dict[str, Callable[[Sequence[str]], Find]] = {"words": _by_words, "substring": _by_substring}
# Where they look, for messages.
WHERE = {"words": "as words of a file's name or its folder's", "substring": "anywhere in a path"}
