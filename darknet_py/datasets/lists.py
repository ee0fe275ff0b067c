"""Lists of images: their paths, parts of them, and where the images are."""

from __future__ import annotations

import codecs
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence, Set
from pathlib import Path

from ..errors import DarknetWarning, DatasetError
from ..files import check_regular, describe_oserror
from ..images.folders import find_pictures, is_folder, list_folder
from .data_file import Dataset, find_listed
from .labels import Folder

MAX_BYTES = 1 << 30
MAX_LINES = 1 << 24  # ImageNet has 14 million pictures
MAX_PATH = 1 << 16  # bytes
CHUNK = 1 << 20
# Names of folders that are parts of a data set, not classes.
PARTS = frozenset(["test", "testing", "train", "training", "val", "valid", "validation"])


def load_list(source: str, dataset: Dataset) -> list[str]:
    """The paths in a list, one per line, or the images in a folder and below it.

    Raises
    ------
    DatasetError
        Where the list or folder cannot be read or names no image.
    """
    path = find_listed(source, dataset.path)
    if os.path.isdir(path):  # what cannot be accessed is none, and its reader says why
        return find_pictures(path, DatasetError)
    size = check_regular(path, DatasetError, source)
    if size > MAX_BYTES:
        raise DatasetError(f"{size} bytes; at most {MAX_BYTES} are expected here", file=source)
    try:
        paths = _read_paths(path, source)
    except (OSError, UnicodeDecodeError) as reason:  # Windows has names that are text
        raise DatasetError(describe_oserror(reason), file=source) from None
    if not paths:
        raise DatasetError("an empty list; one path a line is expected", file=source)
    return paths


def class_folders(source: str, dataset: Dataset) -> Iterator[Folder]:
    """The folders with a folder for each class: `source`, if it looks like one, and the one that ``folder`` names."""

    def locate(path: str) -> str:
        return os.path.abspath(find_listed(path, dataset.path))

    found = find_listed(source, dataset.path)
    if os.path.isdir(found) and _has_classes(found, {*dataset.wnids}):
        yield Folder(os.fspath(found), os.path.abspath(found), locate)
    if dataset.folder:
        located = locate(dataset.folder)
        yield Folder(dataset.folder, located, locate)
        if not os.path.isdir(located):
            reason = "no such folder; a picture's class is looked for in its name and its folder's"
            text = DatasetError(reason, file=dataset.file, option=f"folder={dataset.folder}")
            warnings.warn(DarknetWarning(str(text)), stacklevel=2)


def _has_classes(folder: Path, labels: Set[str]) -> bool:
    """Whether all folders in one are named like classes, and not like parts of a data set."""
    names = {entry.name.strip() for entry in list_folder(os.fspath(folder), DatasetError) if is_folder(entry)}
    return bool(names) and names <= labels and not {name.lower() for name in names} <= PARTS


def _read_paths(path: Path, source: str) -> list[str]:
    """The lines of a list that are not blank, as file names: to the system those are bytes, which need not be text."""
    paths: list[str] = []
    before = 0  # lines
    with path.open("rb", buffering=0) as stream:
        rest = stream.read(CHUNK)
        if rest[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise DatasetError("UTF-16 or UTF-32 text; save it as UTF-8", file=source)
        rest = rest.removeprefix(codecs.BOM_UTF8)
        while rest:
            if b"\0" in rest:
                line = before + rest[: rest.index(b"\0")].count(b"\n") + 1
                raise DatasetError("byte 0x00: not a list of paths", file=source, line=line)
            chunk = stream.read(CHUNK)
            whole, newline, rest = rest.rpartition(b"\n") if chunk else (rest, b"", b"")
            lines = os.fsdecode(whole).split("\n")
            paths += [line.rstrip("\r") for line in lines if line and not line.isspace()]
            before += whole.count(b"\n") + len(newline)
            if len(rest) > MAX_PATH:
                reason = f"a line of more than {MAX_PATH} bytes; one path a line is expected"
                raise DatasetError(reason, file=source, line=before + 1)
            if before > MAX_LINES:
                raise DatasetError(f"more than {MAX_LINES} lines", file=source)
            rest += chunk
    return paths


def take_part(paths: Sequence[str], limit: int | None, shard: tuple[int, int]) -> Sequence[str]:
    """Every n-th of the first `limit` of `paths`, from the i-th on, where `shard` is (i, n), counted from 1."""
    part, parts = shard
    return paths[:limit][part - 1 :: parts]


def count_repeated(paths: Sequence[str]) -> int:
    """How many paths have occurred before."""
    return len(paths) - len(set(paths))


def find_image(file: str, dataset: Dataset) -> Path:
    """Where an image of a list is: it is looked for like files that a .data file names."""
    return find_listed(file, dataset.path)


def locate_images(files: Iterable[str], dataset: Dataset) -> Iterator[str]:
    """The path of each image of a list, the same from any working directory and through links to its folder."""
    folders: dict[str, str] = {}
    for file in files:
        folder, name = os.path.split(os.path.abspath(find_image(file, dataset)))
        if folder not in folders:
            folders[folder] = _follow_links(folder)
        yield os.path.join(folders[folder], name)


def _follow_links(folder: str) -> str:
    """The path of a folder without links; `folder` itself where it has a NUL byte, which no path has."""
    try:
        return os.path.realpath(folder)
    except ValueError:
        return folder
