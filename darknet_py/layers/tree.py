"""Classes in a hierarchy, as a ``.tree`` file has them.

Source: darknet's ``tree.c``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from ..cfg import parse_integer
from ..errors import CfgError
from ..files import decode_text
from ..forks import cached_property

if TYPE_CHECKING:
    import numpy.typing as npt

MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class Tree:
    """Which class is a kind of which other.

    Attributes
    ----------
    parents : tuple of int
        The parent of each class, which comes before it; -1 where it has none.
    """

    parents: tuple[int, ...]

    @cached_property
    def groups(self) -> list[slice]:
        """Runs of classes with one parent: one of them is true where the parent is."""
        groups, start = [], 0
        for _, members in groupby(self.parents):
            stop = start + len(list(members))
            groups.append(slice(start, stop))
            start = stop
        return groups

    @cached_property
    def leaves(self) -> npt.NDArray[np.bool_]:
        """Which classes are no other's parent."""
        leaves = np.ones(len(self.parents), bool)
        leaves[[parent for parent in self.parents if parent >= 0]] = False
        return leaves

    def multiply(self, probabilities: npt.NDArray[np.float32], only_leaves: bool = False) -> npt.NDArray[np.float32]:
        """The probability of each class, from `probabilities` (n, classes) given that its parent is true.

        With `only_leaves` it is 0 for all classes that are parents of others.
        """
        product = probabilities.copy()
        for index, parent in enumerate(self.parents):
            if parent >= 0:
                product[:, index] *= product[:, parent]
        if only_leaves:
            product[:, ~self.leaves] = 0
        return product


def parse_tree(content: bytes, file: str) -> Tree:
    """The tree that a file has.

    Parameters
    ----------
    content : bytes
        The file's.
    file : str
        Its path, for messages.

    Raises
    ------
    CfgError
        At the first line that is not a label and the number of an earlier one, or -1.
    """
    parents = tuple(_read_parents(decode_text(content, CfgError, file), file))
    if not parents:
        raise CfgError("no class in this file; lines of a label and a parent's number are expected", file=file)
    return Tree(parents)


def _read_parents(text: str, file: str) -> Iterator[int]:
    for number, line in enumerate(text.rstrip("\n").split("\n") if text.strip() else (), 1):
        words = line.split()
        if len(words) != 2:
            reason = f"{len(words)} words; a label and its parent's number are expected"
            raise CfgError(reason, file=file, line=number)
        try:
            parent = parse_integer(words[1], -1)
        except ValueError as error:
            raise CfgError(str(error), file=file, line=number, option=words[1]) from None
        if parent >= number - 1:
            reason = f"this is line {number - 1}, counted from 0; a parent comes before, and -1 is none"
            raise CfgError(reason, file=file, line=number, option=words[1])
        yield parent
