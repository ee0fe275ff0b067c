"""Files of pictures in folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TypeVar

from ..errors import DarknetError
from ..files import describe_oserror, resolve

Refusal = TypeVar("Refusal", bound=DarknetError)

SUFFIXES = frozenset((
    ".bmp", ".exr", ".gif", ".hdr", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm",
    ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp",
))  # fmt: skip


def find_pictures(
    folder: str | os.PathLike[str], error: type[Refusal], tell: Callable[[Refusal], None] | None = None
) -> list[str]:
    """The pictures in a folder and below it, in the order of their paths.

    Parameters
    ----------
    folder : path
        A folder, or the packaged one of that name.
    error, tell
        As `walk_pictures` takes them.

    Raises
    ------
    error
        As `walk_pictures`, or where there is no picture, and nothing to `tell`.
    """
    told: list[Refusal] = []
    found = sorted(walk_pictures(os.fspath(resolve(folder)), error, None if tell is None else told.append))
    if not found and not told:
        raise error("no picture in this folder or below it", file=folder)
    if tell is not None:
        for refused in told:
            tell(refused)
    return found


def walk_pictures(folder: str, error: type[Refusal], tell: Callable[[Refusal], None] | None = None) -> Iterator[str]:
    """The files in a folder and below it that are named like pictures, in no order.

    Links are followed; one that leads nowhere is left to its reader to report. Names that begin with a dot are ignored.

    Parameters
    ----------
    folder : str
    error : type
        The error that is raised.
    tell : callable, optional
        Is called with each error instead, and the walk goes on.

    Raises
    ------
    error
        Where a folder cannot be read, or a link leads to a folder that contains it.
    """
    folders: list[tuple[str, frozenset[str]]] = [(folder, frozenset())]
    while folders:
        inside, above = folders.pop()
        real = os.path.realpath(inside)
        try:
            if any(_is_within(one, real) for one in above):
                raise error("a link to a folder that it is in", file=inside)
            entries = list_folder(inside, error)
        except error as refused:
            if tell is None:
                raise
            tell(refused)
            continue
        for entry in entries:
            if is_folder(entry):
                folders.append((entry.path, above | {real}))
            elif is_called_picture(entry.name):
                yield entry.path


def list_folder(folder: str, error: type[Refusal]) -> list[os.DirEntry[str]]:
    """The entries of a folder, in no order, without names that begin with a dot; `error` where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as reason:
        raise error(describe_oserror(reason), file=folder) from None


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder, or a link that leads to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def is_called_picture(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name ends like a picture's."""
    return os.path.splitext(path)[1].lower() in SUFFIXES


def _is_within(real: str, folder: str) -> bool:
    """Whether a folder is another, or below it, both without links."""
    return os.path.join(real, "").startswith(os.path.join(folder, ""))
