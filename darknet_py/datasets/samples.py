"""Images of a list, each with its class."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from typing import NamedTuple, SupportsIndex

from ..errors import DarknetWarning, DatasetError, UsageError
from .data_file import Dataset
from .labels import Folder, find_classes
from .lists import class_folders, count_repeated, load_list


class Sample(NamedTuple):
    """An image of a list.

    Attributes
    ----------
    file : str
        As it is listed.
    truth : int
        Its class; -1 for none, so that no guess is right.
    doubt : str
        Why its class is not known, so that it does not count; otherwise empty.
    """

    file: str
    truth: int = -1
    doubt: str = ""


def check_samples(samples: Iterable[object]) -> None:
    """Raise UsageError unless each is a `Sample` with a file's name and a class's number."""
    for sample in samples:
        if not isinstance(sample, Sample):
            raise UsageError(f"samples: {sample!r} is none; load_samples makes them, or Sample(file, truth)")
        if not isinstance(sample.file, str):
            raise UsageError(f"samples: {sample.file!r} is a {type(sample.file).__name__}; a str names the file")
        if not isinstance(sample.truth, SupportsIndex):
            raise UsageError(f"samples: {sample.file}: class {sample.truth!r}; a whole number is expected")


def load_samples(source: str | os.PathLike[str], dataset: Dataset, match: str | None = "words") -> list[Sample]:
    """The images of a list or a folder, each with its class.

    Parameters
    ----------
    source : path
        A list with one path a line, or a folder of images.
    dataset : Dataset
        The data set whose labels are looked for in the paths.
    match : str, optional
        How a path indicates its class: ``words``, by the class's folder that it is in, where `source` or the
        data set's `folder` has one for each class, else by a label that is a word in its name or its folder's;
        ``substring``, by the first label anywhere in it; None: not at all.

    Raises
    ------
    DatasetError
        Where the list cannot be read, names no image, or no path indicates a class.
    UsageError
        Where `match` is none of these.
    """
    file = os.fspath(source)
    return make_samples(load_list(file, dataset), dataset, match, file)


def make_samples(paths: Sequence[str], dataset: Dataset, match: str | None, source: str) -> list[Sample]:
    """The samples for `paths` of the list `source`, as `load_samples` returns them; warns of what is odd about them."""
    repeated = count_repeated(paths)
    if repeated:
        _warn(f"{source}: {repeated} of {len(paths)} paths repeat others; they count each time")
    if match is None:
        return [Sample(path) for path in paths]
    samples = label_samples(paths, dataset.wnids, match, class_folders(source, dataset))
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


def label_samples(
    paths: Sequence[str], labels: Sequence[str], match: str, folders: Iterable[Folder] = ()
) -> list[Sample]:
    """Give each image the class that its path indicates, as `find_classes` finds it.

    Of several labels that are substrings, the first counts; without one no guess is right, as in darknet's `valid`.
    """
    find = find_classes(labels, match, folders)
    if match == "substring":
        return [Sample(path, next(find(path), -1)) for path in paths]
    return [_by_words(path, list(find(path)), labels) for path in paths]


def _by_words(path: str, found: Sequence[int], labels: Sequence[str]) -> Sample:
    if len(found) == 1:
        return Sample(path, found[0])
    if not found:
        return Sample(path, doubt="no label is a word of its name or folder")
    more = f" and {len(found) - 2} more" * (len(found) > 2)
    first, second = (labels[index] for index in found[:2])
    return Sample(path, doubt=f"labels of {len(found)} classes in its name or folder: {first}, {second}{more}")
