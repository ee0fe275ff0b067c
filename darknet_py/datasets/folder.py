"""A folder with a folder for each class, the pictures in these."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import DarknetWarning, DatasetError
from ..files import describe_oserror
from ..images.decode import SUFFIXES
from .lists import PARTS
from .samples import Sample


class ClassFolders(NamedTuple):
    """What a folder of class folders holds.

    Attributes
    ----------
    names : list of str
        Of the classes, sorted.
    samples : list of Sample
        The pictures, class by class, sorted; their files' names begin with the folder's.
    """

    names: list[str]
    samples: list[Sample]


def load_folder(folder: str | os.PathLike[str]) -> ClassFolders:
    """The pictures of a folder with a folder for each class, each with its class.

    They may lie in folders within their class's; links are followed. What begins with a dot is passed over, and what
    has no suffix of a picture.

    Raises
    ------
    DatasetError
        Where the folder cannot be read, has less than two classes, or one without a picture.
    """
    shown = os.fspath(folder)
    entries = _entries(Path(folder), shown)
    names = [entry.name for entry in entries if entry.is_dir()]
    if not names:
        raise DatasetError("no folder in it; one for each class is expected, with its pictures", file=shown)
    if {name.lower() for name in names} <= PARTS:
        reason = f"its folders are {', '.join(names)}: parts of a data set, no classes; name one of them"
        raise DatasetError(reason, file=shown)
    if len(names) == 1:
        reason = f"{names[0]} is the only folder in it; at least two classes are expected, a folder for each"
        raise DatasetError(reason, file=shown)
    _warn_of_case(names, shown)
    stray = sum(entry.suffix.lower() in SUFFIXES for entry in entries if entry.is_file())
    if stray:
        _warn(f"{shown}: {stray} pictures lie in no class's folder and are left out")
    samples = [
        Sample(os.path.join(shown, path), truth)
        for truth, name in enumerate(names)
        for path in sorted(_pictures(Path(folder), Path(name), shown, ()))
    ]
    empty = sorted(set(range(len(names))) - {sample.truth for sample in samples})
    if empty:
        more = f" and {len(empty) - 10} more" * (len(empty) > 10)
        reason = f"no picture in {', '.join(names[at] for at in empty[:10])}{more}; a class has at least one"
        raise DatasetError(reason, file=shown)
    return ClassFolders(names, samples)


def _entries(folder: Path, shown: str) -> list[Path]:
    """What is in a folder, sorted, but for what is hidden."""
    try:
        return sorted(
            (entry for entry in folder.iterdir() if not entry.name.startswith(".")), key=lambda path: path.name
        )
    except OSError as reason:
        raise DatasetError(describe_oserror(reason), file=shown) from None


def _pictures(top: Path, inside: Path, shown: str, above: tuple[str, ...]) -> Iterator[str]:
    """The pictures in a folder `inside` another and below, relative to that one; `above` is where this one lies."""
    real = os.path.realpath(top / inside)
    if real in above:
        raise DatasetError("a link to a folder that it is in", file=os.path.join(shown, inside))
    for entry in _entries(top / inside, os.path.join(shown, inside)):
        if entry.is_dir():
            yield from _pictures(top, inside / entry.name, shown, (*above, real))
        elif entry.suffix.lower() in SUFFIXES and entry.exists():
            yield os.fspath(inside / entry.name)


def _warn_of_case(names: list[str], shown: str) -> None:
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(name.casefold(), name)
        if other != name:
            _warn(f"{shown}: {other} and {name} are two classes, though only upper and lower case differ")


def _warn(text: str) -> None:
    warnings.warn(DarknetWarning(text), stacklevel=3)
