""".data files and class names."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .cfg import Entry, add_entry, guess_key, parse_integer, shorten
from .errors import DarknetWarning, DatasetError
from .files import read_text, resolve

DEFAULT = "cfg/imagenet1k.data"
MAX_BYTES = 64 << 20
KEYS = ("classes", "names", "labels", "top", "train", "valid", "test", "backup", "leaves", "tree", "results", "eval")


@dataclass(frozen=True)
class Dataset:
    """What a .data file says.

    Attributes
    ----------
    file : str
        Its name, for messages.
    classes : int
    names : list of str
        What people read, one for each class.
    wnids : list of str
        What a picture's path is searched for, one for each class: ImageNet's WordNet ids.
    top : int
        How many guesses are printed.
    lists : mapping of str to str
        The lists of images that ``valid`` and ``test`` name, where they do.
    path : Path
        Where the .data file lies, from which what it names is looked for too.
    """

    file: str
    classes: int
    names: list[str]
    wnids: list[str]
    top: int
    lists: Mapping[str, str] = field(default_factory=dict)
    path: Path = Path()

    def check_outputs(self, outputs: int, cfg: str) -> None:
        """Raise DatasetError unless the network `cfg` has as many outputs as there are classes."""
        if outputs != self.classes:
            reason = f"{self.classes}, but {cfg} has {outputs} outputs; name the .data file of this network"
            raise DatasetError(reason, file=self.file, option="classes")


def load_dataset(path: str | os.PathLike[str] = DEFAULT) -> Dataset:
    """The .data file at `path`, or the packaged one of that name; of a folder its ``imagenet1k.data``.

    ``names`` or ``labels`` may be missing: the one then stands for the other.

    Raises
    ------
    DatasetError
        Where a file cannot be read, a value makes no sense, or names are fewer than classes.
    """
    file = os.fspath(path)
    if os.path.isdir(resolve(path)):
        file = os.path.join(file, "imagenet1k.data")
    found = resolve(file)
    entries = _parse_data(read_text(found, DatasetError, file, MAX_BYTES), file)
    classes = _integer(entries, "classes", 2, file)
    top = _integer(entries, "top", 1, file)
    if top > classes:
        entry, reason = entries["top"], f"more than the {classes} classes; {classes} is taken"
        where = DatasetError(reason, file=file, line=entry.line, option=f"top={top}")
        warnings.warn(DarknetWarning(str(where)), stacklevel=2)
        top = classes
    given = [key for key in ("names", "labels") if key in entries]
    if not given:
        raise DatasetError("names= is missing: the file with the names of the classes", file=file)
    lists = {key: _load_names(entries[key], key, found, classes, file) for key in given}
    names = lists[given[0]]
    images: dict[str, str] = {key: entries[key].value for key in ("valid", "test") if key in entries}
    return Dataset(file, classes, names, lists.get("labels", names), top, images, found)


def _parse_data(text: str, file: str) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip()[:1] not in ("", "#", ";"):
            key, equals, value = line.partition("=")
            content = key.strip() + equals + value.strip()
            add_entry(entries, content, shorten(line.strip()), number, file, DatasetError)
    for key, entry in entries.items():
        meant = None if key in KEYS else guess_key(key, KEYS)
        if meant is not None:
            reason = f"unknown key, ignored; did you mean {meant}?"
            where = DatasetError(reason, file=file, line=entry.line, option=shorten(f"{key}={entry.value}"))
            warnings.warn(DarknetWarning(str(where)), stacklevel=2)
    if not entries:
        raise DatasetError("no key = value line in this file", file=file)
    return entries


def _integer(entries: Mapping[str, Entry], key: str, default: int, file: str) -> int:
    if key not in entries:
        return default
    entry = entries[key]
    try:
        return parse_integer(entry.value, 1)
    except ValueError as reason:
        raise DatasetError(str(reason), file=file, line=entry.line, option=shorten(f"{key}={entry.value}")) from None


def _load_names(entry: Entry, key: str, data_file: Path, classes: int, file: str) -> list[str]:
    """The first `classes` lines of the list that option `key` names."""
    option = f"{key}={entry.value}"
    path = find_listed(entry.value, data_file)
    try:
        text = read_text(path, DatasetError, entry.value, MAX_BYTES)
    except DatasetError as unreadable:
        raise DatasetError(str(unreadable), file=file, line=entry.line, option=option) from None
    names = [line.strip() for line in text.split("\n") if line.strip()]
    if len(names) < classes:
        reason = f"{len(names)} names; classes={classes} asks for as many"
        raise DatasetError(reason, file=file, line=entry.line, option=option)
    return names[:classes]


def find_listed(path: str, data_file: Path) -> Path:
    """The file that a .data file names: from the working directory, beside the .data file's folder, or packaged.

    Darknet looks from the working directory alone, which is where cfg/ and data/ lie; the folder above the
    .data file's is the same place, wherever one stands.

    Raises
    ------
    DatasetError
        Where `path` is empty: it would be the folder itself.
    """
    if not path:
        raise DatasetError("a name is expected, of a file or a folder", file=path)
    above = data_file.absolute().parent.parent / path
    return above if not os.path.lexists(path) and os.path.exists(above) else resolve(path)
