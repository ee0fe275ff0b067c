"""Image lists, and which class each image is of."""

from __future__ import annotations

import codecs
import os
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import DarknetWarning, DatasetError, UsageError
from ..files import check_regular, describe_oserror
from ..images.decode import SUFFIXES
from .data_file import Dataset, find_listed

MAX_BYTES = 1 << 30
MAX_PATHS = 1 << 24  # ImageNet has 14 million pictures
MAX_PATH = 1 << 16  # bytes
CHUNK = 1 << 20
# Labels are looked for as whole words: letters and digits, with anything else between them.
_WORD = re.compile(r"[^\W_]+")


class Sample(NamedTuple):
    """An image of a list.

    Attributes
    ----------
    file : str
        As it is listed.
    truth : int
        Its class; -1 where none is known.
    doubt : str
        Why its class is not known, and it does not count; else empty.
    """

    file: str
    truth: int = -1
    doubt: str = ""


def load_samples(source: str | os.PathLike[str], dataset: Dataset, match: str | None = "words") -> list[Sample]:
    """The images of a list or a folder, each with its class.

    Parameters
    ----------
    source : path
        A list with one path a line, or a folder of images.
    dataset : Dataset
        Whose labels are looked for in the paths.
    match : str, optional
        How a path tells its class: ``words``, by a label that is a word of its name or of its folder's, or
        ``substring``, by the first label anywhere in it; None: not at all.

    Raises
    ------
    DatasetError
        Where the list cannot be read, names no image, or no path tells a class.
    UsageError
        Where `match` is none of these.
    """
    file = os.fspath(source)
    return make_samples(load_list(file, dataset), dataset, match, file)


def make_samples(paths: Sequence[str], dataset: Dataset, match: str | None, source: str) -> list[Sample]:
    """The samples for `paths`, which the list `source` has; warnings of what is odd about them. As `load_samples`."""
    if match is not None and match not in MATCHES:
        raise UsageError(f"match={match}: one of {', '.join(MATCHES)} is expected")
    repeated = count_repeated(paths)
    if repeated:
        _warn(f"{source}: {repeated} of {len(paths)} paths repeat others; they count each time")
    if match is None:
        return [Sample(path) for path in paths]
    samples = label_samples(paths, dataset.wnids, match)
    doubtful = [sample for sample in samples if sample.doubt]
    if len(doubtful) == len(samples):
        reason = f"no image's class is known, e.g. {samples[0].file}: {samples[0].doubt}"
        raise DatasetError(f"{reason}; labels are such as {dataset.wnids[0]}", file=source)
    if doubtful:
        first = doubtful[0]
        _warn(f"{source}: {len(doubtful)} images do not count, e.g. {first.file}: {first.doubt}")
    return samples


def _warn(text: str) -> None:
    warnings.warn(DarknetWarning(text), stacklevel=2)


def load_list(source: str, dataset: Dataset) -> list[str]:
    """The paths that a list names, one a line, or the images in a folder and below it.

    Raises
    ------
    DatasetError
        Where the list cannot be read or names no image.
    """
    path = find_listed(source, dataset.path)
    if path.is_dir():
        paths = sorted(str(found) for found in path.rglob("*") if found.suffix.lower() in SUFFIXES and found.is_file())
        if not paths:
            raise DatasetError("no image in this folder or below it", file=source)
        return paths
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


def _read_paths(path: Path, source: str) -> list[str]:
    """The lines of a list that are not blank, as names of files: those are bytes to the system, and need be no text."""
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
            if len(paths) > MAX_PATHS:
                raise DatasetError(f"more than {MAX_PATHS} paths", file=source)
            rest += chunk
    return paths


def take_part(paths: Sequence[str], limit: int | None, shard: tuple[int, int]) -> Sequence[str]:
    """The first `limit` of `paths`, and of those every n-th from the i-th on, where `shard` is (i, n), from 1."""
    part, parts = shard
    return paths[:limit][part - 1 :: parts]


def label_samples(paths: Sequence[str], labels: Sequence[str], match: str) -> list[Sample]:
    """Say of each image which of `labels` its path bears; `match` is a key of `MATCHES`."""
    find = MATCHES[match](labels)
    return [Sample(path, *find(path)) for path in paths]


def count_repeated(paths: Sequence[str]) -> int:
    """How many paths have occurred before."""
    return len(paths) - len(set(paths))


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


def find_image(file: str, dataset: Dataset) -> Path:
    """Where an image of a list lies: as files that a .data file names."""
    return find_listed(file, dataset.path)
