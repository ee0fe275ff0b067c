"""Pictures as a network sees them in training, written for people to look at."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ..datasets.samples import Sample
from ..errors import UsageError
from ..files import describe_oserror, make_writable, write_atomically
from ..images.decode import encode_png
from ..layers import Array
from .loader import Batch

_ODD = re.compile(r"[^\w.-]+")
MOST = 40  # characters of each part of a name


def show_pictures(
    folder: str | os.PathLike[str],
    batches: Iterable[Batch],
    samples: Sequence[Sample],
    names: Sequence[str],
    count: int,
) -> list[str]:
    """Write the first `count` pictures of `batches` as PNG files.

    Parameters
    ----------
    folder : path
        Where they are written; it is made where it is missing.
    batches : iterable of Batch
        Only as many are taken as are needed.
    samples : sequence of Sample
        The feed's.
    names : sequence of str
        Of the classes.
    count : int

    Returns
    -------
    list of str
        The paths of the files, each named NUMBER_CLASSES_FILE.png.

    Raises
    ------
    UsageError
        Where the folder cannot be written.
    """
    try:
        make_writable(folder)
    except OSError as reason:
        raise UsageError(describe_oserror(reason), file=folder) from None
    written: list[str] = []
    iterator = iter(batches)
    while len(written) < count:
        batch = next(iterator)
        for at, index in enumerate(batch.indices[: count - len(written)]):
            pixels = np.rint(batch.images[at].transpose(1, 2, 0) * 255).astype(np.uint8)
            pixels = np.broadcast_to(pixels, (*pixels.shape[:2], 3))  # of one channel, grey
            label = "+".join(_name(names[truth]) for truth in _classes(batch.truths[at])) or "none"
            path = os.path.join(folder, f"{len(written):04}_{label}_{_name(Path(samples[index].file).stem)}.png")
            write_atomically(path, [encode_png(np.ascontiguousarray(pixels))], UsageError)
            written.append(path)
    return written


def _name(text: str) -> str:
    """`text` as a part of a file's name on any system."""
    return _ODD.sub("-", text)[:MOST]


def _classes(truths: Array) -> list[int]:
    """The classes whose truth is at least the mean and above 0, the largest first.

    These are the classes of a mixed picture, without those that only smoothing gives a share; all classes where their
    shares are equal, as in the mean of two pictures of two classes.
    """
    return [int(at) for at in np.argsort(-truths, kind="stable") if truths[at] >= truths.mean() and truths[at] > 0]
