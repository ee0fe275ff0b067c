""".data files and class names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..cfg import Entry, add_line, check_lines, drop_comment, parse_integer
from ..errors import DatasetError, one_line
from ..files import read_text, resolve
from ..images.fit import PREDICT_MODES
from ..networks import IMAGENET
from ..remarks import Remarks, shorten

MAX_BYTES = 64 << 20
MAX_SHOWN = 512  # characters of a path in a message
ESSENTIAL = ("classes", "names", "labels", "top")
LISTS = ("train", "valid", "test")
KEYS = (*ESSENTIAL, *LISTS, "backup", "folder", "leaves", "tree", "results", "eval", "preprocess")
_COMMENT = re.compile(r"\s[#;].*")


@dataclass(frozen=True)
class Dataset:
    """What a .data file says.

    Attributes
    ----------
    file : str
        Its name, for messages.
    classes : int
    names : list of str
        Readable names, one for each class.
    wnids : list of str
        Labels that are looked for in a picture's path, one for each class: ImageNet's WordNet ids.
    top : int
        How many guesses are printed.
    lists : mapping of str to str
        The lists of images that ``train``, ``valid`` and ``test`` name, as far as they are given.
    path : Path, optional
        The .data file, relative to which the files that it names are looked for, too; None where there is none.
    backup : str
        The folder that ``backup`` names for weights; empty where it is not given.
    preprocess : str
        How pictures are fitted where no other way is asked for: the value of ``preprocess``, which darknet does not
        know; empty where it is not given.
    folder : str
        The folder with a folder for each class that ``folder`` names, which darknet does not know; empty where it
        is not given.
    files : sequence of Path
        The .data file and the files that it names, which a run reads and must not write.

    Raises
    ------
    DatasetError
        Where there are not as many names, or labels, as classes.
    """

    file: str
    classes: int
    names: list[str]
    wnids: list[str]
    top: int
    lists: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None
    backup: str = ""
    preprocess: str = ""
    folder: str = ""
    files: Sequence[Path] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        for what, given in (("names", self.names), ("labels", self.wnids)):
            if len(given) != self.classes:
                raise DatasetError(
                    f"{len(given)} {what} of {self.classes} classes; one for each is expected", file=self.file
                )

    def check_outputs(self, outputs: int, cfg: str) -> None:
        """Raise DatasetError unless the network `cfg` has as many outputs as there are classes."""
        if outputs != self.classes:
            reason = f"{self.classes}, but {cfg} has {outputs} outputs; name the .data file of this network"
            raise DatasetError(reason, file=self.file, option="classes")


def load_dataset(path: str | os.PathLike[str] = IMAGENET) -> Dataset:
    """The .data file at `path`, or the packaged one of that name; for a folder, its ``imagenet1k.data``.

    ``names`` or ``labels`` may be missing: the other then stands for both. So may ``classes``: there are
    then as many as names.

    Raises
    ------
    DatasetError
        Where a file cannot be read, a value makes no sense, or names are fewer than classes.
    """
    file = os.fspath(path)
    if file and os.path.isdir(resolve(path)):
        file = os.path.join(file, "imagenet1k.data")
    found = resolve(file)
    remarks = Remarks(file, DatasetError)
    entries = _parse_data(read_text(found, DatasetError, file, MAX_BYTES), file, remarks)
    given = [key for key in ("names", "labels") if key in entries]
    if not given:
        raise DatasetError("names= is missing: the file with the names of the classes", file=file)
    paths = {key: _settle(entries[key], key, found, remarks) for key in (*given, *LISTS) if key in entries}
    lists = {key: _read_names(paths[key], key, entries[key], found, remarks) for key in given}
    names = lists[given[0]]
    if "classes" not in entries:
        entry = entries[given[0]]
        if not names:
            remarks.fail("an empty list; one name a line is expected", entry.line, _show(given[0], entry))
        remarks.add(f"classes= is missing; its {len(names)} names count", entry.line, _show(given[0], entry))
    classes = _integer(entries, "classes", len(names), remarks)
    top = _integer(entries, "top", 1, remarks)
    if top > classes:
        remarks.add(f"more than the {classes} classes; {classes} is taken", entries["top"].line, f"top={top}")
        top = classes
    for key in given:
        lists[key] = _take_names(lists[key], classes, key, entries[key], remarks)
    images = {key: paths[key] for key in LISTS if key in paths}
    remarks.close()
    backup, folder = (
        _without_comment(entries[key].value, found) if key in entries else "" for key in ("backup", "folder")
    )
    preprocess = _choose_preprocess(entries, remarks)
    files = [found, *(find_listed(path, found) for path in paths.values() if path)]
    names, labels = lists[given[0]], lists[given[-1]]
    return Dataset(file, classes, names, labels, top, images, found, backup, preprocess, folder, files)


def _parse_data(text: str, file: str, remarks: Remarks) -> dict[str, Entry]:
    check_lines(text, file, DatasetError)
    entries: dict[str, Entry] = {}
    strays: list[Entry] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip()[:1] not in ("", "#", ";"):
            key, equals, value = line.partition("=")
            add_line(entries, strays, key.strip() + equals + value.strip(), line, number, remarks)
    for key, entry in entries.items():
        meant = None if key in KEYS else remarks.guess(key, KEYS)
        if meant is not None:
            remarks.add(f"unknown key, ignored; did you mean {meant}?", entry.line, _show(key, entry))
    for stray, number in strays:
        remarks.add_stray(stray, number, ESSENTIAL, KEYS)
    if not entries:
        raise DatasetError("no key = value line in this file", file=file)
    return entries


def _show(key: str, entry: Entry) -> str:
    return shorten(f"{key}={entry.value}")


def _integer(entries: Mapping[str, Entry], key: str, default: int, remarks: Remarks) -> int:
    if key not in entries:
        return default
    entry = entries[key]
    try:
        return parse_integer(drop_comment(entry.value).strip(), 1)
    except ValueError as reason:
        remarks.fail(str(reason), entry.line, _show(key, entry))


def _choose_preprocess(entries: Mapping[str, Entry], remarks: Remarks) -> str:
    if "preprocess" not in entries:
        return ""
    entry = entries["preprocess"]
    mode = drop_comment(entry.value).strip()
    if mode not in PREDICT_MODES:
        remarks.fail(f"one of {', '.join(PREDICT_MODES)} is expected", entry.line, _show("preprocess", entry))
    return mode


def _read_names(name: str, key: str, entry: Entry, data_file: Path, remarks: Remarks) -> list[str]:
    """The lines of the list `name`, which option `key` names, without blank ones at its end."""
    shown = shorten(one_line(name), MAX_SHOWN)
    try:
        return split_names(read_text(find_listed(name, data_file), DatasetError, shown, MAX_BYTES), shown)
    except DatasetError as unreadable:
        remarks.fail(str(unreadable), entry.line, _show(key, entry))


def split_names(text: str, file: str) -> list[str]:
    """The names in a list of classes, one per line, without blank lines at its end; DatasetError if it is too long."""
    text = text.rstrip()
    check_lines(text, file, DatasetError)
    return [line.strip() for line in text.split("\n")] if text else []


def _take_names(names: list[str], classes: int, key: str, entry: Entry, remarks: Remarks) -> list[str]:
    """The first `classes` of `names`. A blank line is a class without a name, as in darknet."""
    if len(names) < classes:
        reason = f"{len(names)} names; classes={classes} asks for as many"
        remarks.fail(reason, entry.line, _show(key, entry))
    names = names[:classes]
    blank = names.count("")
    if blank:
        reason = f"{blank} of {classes} are blank, the first on line {names.index('') + 1}"
        remarks.add(reason, entry.line, _show(key, entry))
    return names


def _settle(entry: Entry, key: str, data_file: Path, remarks: Remarks) -> str:
    """The file that an option of a .data file names.

    If there is none, but one of the same bare name beside the .data file, it is that one, with a warning: a folder that
    training has written may be moved or renamed.
    """
    path = _without_comment(entry.value, data_file)
    beside = os.path.join(data_file.absolute().parent, os.path.basename(path))
    if not path or os.path.exists(find_listed(path, data_file)) or not os.path.isfile(beside):
        return path
    remarks.add("not there; the file of that name beside this one is taken", entry.line, _show(key, entry))
    return beside


def _without_comment(path: str, data_file: Path) -> str:
    """`path`, a value of a .data file, without a comment after it unless there is a file of the whole name."""
    return path if os.path.exists(find_listed(path, data_file)) else _COMMENT.sub("", path)


def find_listed(path: str, data_file: Path | None) -> Path:
    """The file that a .data file names: from the working directory, from above or in its own folder, or packaged.

    Darknet looks only from the working directory, which is where it expects cfg/ and data/; the folder above the
    .data file's is that place from anywhere. Without a .data file, `path` is looked for from the working directory
    only, or packaged.

    Raises
    ------
    DatasetError
        Where `path` is empty: it would be the folder itself.
    """
    if not path:
        raise DatasetError("a name is expected, of a file or a folder", file=path)
    if data_file is None or os.path.lexists(path):
        return resolve(path)
    folder = data_file.absolute().parent
    beside = (candidate for candidate in (folder.parent / path, folder / path) if os.path.exists(candidate))
    return next(beside, resolve(path))
