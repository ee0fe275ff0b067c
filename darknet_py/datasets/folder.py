"""A folder with a folder of pictures for each class."""

from __future__ import annotations

import os
import warnings
from typing import NamedTuple

from ..errors import DarknetWarning, DatasetError
from ..files import resolve
from ..images.folders import is_called_picture, is_folder, list_folder, walk_pictures
from .lists import PARTS
from .samples import Sample


class ClassFolders(NamedTuple):
    """The content of a folder of class folders.

    Attributes
    ----------
    names : list of str
        The classes' names, sorted.
    samples : list of Sample
        The pictures, class by class, sorted; their files' names begin with the folder's.
    """

    names: list[str]
    samples: list[Sample]


def load_folder(folder: str | os.PathLike[str]) -> ClassFolders:
    """The pictures of a folder with a folder for each class, each with its class.

    They may be in folders within their class's, as `walk_pictures` finds them.

    Raises
    ------
    DatasetError
        Where the folder cannot be read, has less than two classes, or one without a picture.
    """
    shown = os.fspath(folder)
    entries = sorted(list_folder(os.fspath(resolve(folder)), DatasetError), key=lambda entry: entry.name)
    folders = [entry for entry in entries if is_folder(entry)]
    names = [entry.name for entry in folders]
    if not names:
        raise DatasetError("no folder in it; one for each class is expected, with its pictures", file=shown)
    if {name.lower() for name in names} <= PARTS:
        reason = f"its folders are {', '.join(names)}: parts of a data set, no classes; name one of them"
        raise DatasetError(reason, file=shown)
    if len(names) == 1:
        reason = f"{names[0]} is the only folder in it; at least two classes are expected, a folder for each"
        raise DatasetError(reason, file=shown)
    _warn_of_case(names, shown)
    stray = sum(is_called_picture(entry.name) for entry in entries if not is_folder(entry))
    if stray:
        _warn(f"{shown}: {stray} pictures lie in no class's folder and are left out")
    samples = [
        Sample(path, truth)
        for truth, inside in enumerate(folders)
        for path in sorted(walk_pictures(inside.path, DatasetError))
    ]
    empty = sorted(set(range(len(names))) - {sample.truth for sample in samples})
    if empty:
        more = f" and {len(empty) - 10} more" * (len(empty) > 10)
        reason = f"no picture in {', '.join(names[at] for at in empty[:10])}{more}; a class has at least one"
        raise DatasetError(reason, file=shown)
    return ClassFolders(names, samples)


def _warn_of_case(names: list[str], shown: str) -> None:
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(name.casefold(), name)
        if other != name:
            _warn(f"{shown}: {other} and {name} are two classes, though only upper and lower case differ")


def _warn(text: str) -> None:
    warnings.warn(DarknetWarning(text), stacklevel=3)
