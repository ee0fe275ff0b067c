"""The one class of each image that a network is trained on, or why there is none."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..errors import DatasetError
from .data_file import Dataset
from .labels import WHERE, Folder, find_classes
from .lists import class_folders, load_list
from .samples import Sample

SHOWN = 10  # offenders that a message names


class Offender(NamedTuple):
    """An image whose path indicates no class, or several.

    Attributes
    ----------
    file : str
        As it is listed.
    labels : tuple of str
        The labels that its path bears.
    """

    file: str
    labels: tuple[str, ...]


def find_truths(
    paths: Sequence[str], labels: Sequence[str], match: str, folders: Iterable[Folder] = ()
) -> tuple[list[Sample], list[Offender]]:
    """The images whose paths bear one of `labels`, and the others.

    Parameters
    ----------
    paths : sequence of str
    labels : sequence of str
        One for each class. If there is only one class, an image without its label is of none: its truth is -1.
    match, folders
        As for `find_classes`.
    """
    find = find_classes(labels, match, folders)
    samples, offenders = [], []
    for path in paths:
        found = list(find(path))
        if len(found) == 1 or (not found and len(labels) == 1):
            samples.append(Sample(path, found[0] if found else -1))
        else:
            offenders.append(Offender(path, tuple(labels[index] for index in found)))
    return samples, offenders


def describe_offenders(offenders: Sequence[Offender], total: int, match: str) -> str:
    """What is wrong with some of `total` images, the first `SHOWN` by name."""
    shown = "; ".join(
        f"{offender.file} ({', '.join(label or 'an empty line' for label in offender.labels) or 'none'})"
        for offender in offenders[:SHOWN]
    )
    more = f"; and {len(offenders) - SHOWN} more" * (len(offenders) > SHOWN)
    return f"{len(offenders)} of {total} images bear not one label, {WHERE[match]}: {shown}{more}"


def load_training(source: str | os.PathLike[str], dataset: Dataset, match: str = "words") -> list[Sample]:
    """The images of a list or a folder, each with the class that its path indicates.

    Parameters
    ----------
    source, dataset, match
        As for `load_samples`, except that with ``substring`` there must be exactly one label.

    Raises
    ------
    DatasetError
        Where the list cannot be read, names no image, or some image bears no label or several.
    UsageError
        Where there is no such `match`.
    """
    file = os.fspath(source)
    paths = load_list(file, dataset)
    samples, offenders = find_truths(paths, dataset.wnids, match, class_folders(file, dataset))
    if offenders:
        raise DatasetError(describe_offenders(offenders, len(paths), match), file=file)
    return samples


def count_classes(samples: Sequence[Sample], classes: int) -> list[int]:
    """How many samples each of `classes` classes has."""
    counts = Counter(sample.truth for sample in samples)
    return [counts[truth] for truth in range(classes)]
