"""The pictures that the operands of a command name."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator

from ..errors import ImageError
from ..files import BINARY, resolve
from ..images.folders import find_pictures, is_called_picture

MAX_HEAD = 1 << 12  # bytes of a file that are read to tell what it is


def find_images(operands: list[str]) -> Iterator[str | ImageError]:
    """Yield the paths that operands name: files, the pictures in and below folders, the paths listed on stdin.

    Where an operand names none, an error that says so takes the place of a path.
    """
    for operand in operands:
        found: Iterable[str | ImageError] = [operand]
        refused: list[ImageError] = []
        if operand == "-":
            found = (line.rstrip("\r\n") for line in sys.stdin if line.strip())
        elif operand and os.path.isdir(resolve(operand)):
            try:
                found = find_pictures(operand, ImageError, refused.append)
            except ImageError as none:
                found = [none]
        yield from refused
        empty = not refused
        for path in found:
            empty = False
            yield path
        if empty:
            yield ImageError("no path on standard input", file=operand)


def is_list(operand: str) -> bool:
    """Whether an operand is a list of pictures: a text file whose name does not end as a picture's."""
    path = resolve(operand)
    if not os.path.isfile(path) or is_called_picture(operand):
        return False
    try:
        with path.open("rb") as stream:
            return BINARY.search(stream.read(MAX_HEAD).decode("latin-1")) is None
    except OSError:
        return False
