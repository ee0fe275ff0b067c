"""The truths of a batch, and the mixing of its pictures and truths with each other.

Source: ``load_data_augment`` and ``fill_truth_smooth`` of AlexeyAB's ``data.c``. There, each loading thread draws once
whether it mixes all its pictures, and loads others to mix with; here this is drawn for each picture, and the others are
from its batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from ..errors import UsageError
from ..layers import Array

Way = Literal["mixup", "cutmix", "mosaic"]

CUT = 0.3, 0.8  # limits of a box's width and height, as parts of the picture's
MIDDLE = 0.2, 0.8  # likewise of the point where a mosaic's pictures meet


def make_truths(classes: Sequence[int], count: int, smoothing: float = 0) -> Array:
    """A row of `count` truths for each of `classes`: 1 - `smoothing` at the class, the others share `smoothing`.

    Parameters
    ----------
    classes : sequence of int
        -1 for an image of no class: then all truths are 0.
    count : int
        How many classes there are.
    smoothing : float
        ``label_smooth_eps`` of darknet, in 0..1.

    Returns
    -------
    array
        float32 (len(classes), count).
    """
    truths = np.full((len(classes), count), smoothing / max(count - 1, 1), np.float32)
    for row, truth in zip(truths, classes, strict=True):
        if truth < 0:
            row[:] = 0
        else:
            row[truth] = 1 - smoothing if count > 1 else 1
    return truths


@dataclass(frozen=True)
class Mixing:
    """In what ways pictures are mixed, all equally often.

    Attributes
    ----------
    ways : tuple of str
        Any of ``mixup``: the mean of two pictures; ``cutmix``: a box is taken from another picture; ``mosaic``: four
        pictures that meet at a point. Where empty, nothing is mixed.
    share : float
        The part of the pictures that is mixed, in 0..1.

    Raises
    ------
    UsageError
        Where one of `ways` is unknown.
    """

    ways: tuple[Way, ...] = ()
    share: float = 0.5

    def __post_init__(self) -> None:
        for way in self.ways:
            if way not in ("mixup", "cutmix", "mosaic"):
                raise UsageError(f"mixing={way}: some of mixup, cutmix, mosaic are expected")


NOTHING_MIXED = Mixing()


class Mix(NamedTuple):
    """How one picture of a batch is mixed.

    Attributes
    ----------
    way : str
    others : tuple of int
        The pictures of the batch that it is mixed with: one, or three in a mosaic.
    box : tuple of int
        For cutmix the left, top, right and bottom of the other picture's box; for a mosaic 0, 0 and the x and y where
        the pictures meet; else zeros.
    """

    way: Way
    others: tuple[int, ...]
    box: tuple[int, int, int, int] = (0, 0, 0, 0)


def draw_mixing(options: Mixing, count: int, width: int, height: int, random: np.random.Generator) -> list[Mix | None]:
    """Draw how each of `count` pictures of `width` x `height` is mixed: None for one that stays as it is."""
    return [_draw_mix(options, count, width, height, random) for _ in range(count if options.ways else 0)]


def _draw_mix(options: Mixing, count: int, width: int, height: int, random: np.random.Generator) -> Mix | None:
    if random.random() >= options.share:
        return None
    way = options.ways[random.integers(len(options.ways))]
    others = tuple(random.integers(count, size=3 if way == "mosaic" else 1).tolist())

    def between(limits: tuple[float, float], side: int) -> int:
        return int(random.integers(int(limits[0] * side), int(limits[1] * side) + 1))

    if way == "mixup":
        return Mix(way, others)
    if way == "mosaic":
        return Mix(way, others, (0, 0, between(MIDDLE, width), between(MIDDLE, height)))
    across, down = between(CUT, width), between(CUT, height)
    left, top = (int(random.integers(side - cut)) for side, cut in ((width, across), (height, down)))
    return Mix(way, others, (left, top, left + across, top + down))


def mix(images: Array, truths: Array, mixes: Sequence[Mix | None]) -> tuple[Array, Array]:
    """Mix the pictures and truths of a batch as `mixes` say, each with others as given; the arguments are not changed.

    Parameters
    ----------
    images : array
        (n, channels, height, width).
    truths : array
        (n, classes).
    mixes : sequence
        As `draw_mixing` gives them; empty: nothing is mixed.
    """
    if not any(mixes):
        return images, truths
    mixed, shared = images.copy(), truths.copy()
    for at, drawn in enumerate(mixes):
        if drawn is not None:
            _mix_one(images, truths, drawn, mixed[at], shared[at])
    return mixed, shared


def _mix_one(images: Array, truths: Array, drawn: Mix, picture: Array, truth: Array) -> None:
    """Change one picture and its truth, both in place."""
    height, width = picture.shape[1:]
    first = drawn.others[0]
    if drawn.way == "mixup":
        parts = [np.float32(0.5)]
        picture += images[first]
        picture *= np.float32(0.5)
    elif drawn.way == "cutmix":
        left, top, right, bottom = drawn.box
        parts = [np.float32((right - left) * (bottom - top) / (width * height))]
        picture[:, top:bottom, left:right] = images[first][:, top:bottom, left:right]
    else:
        _, _, x, y = drawn.box
        corners = ((slice(y), slice(x, None)), (slice(y, None), slice(x)), (slice(y, None), slice(x, None)))
        sizes = ((width - x) * y, x * (height - y), (width - x) * (height - y))
        parts = [np.float32(size / (width * height)) for size in sizes]
        for other, (rows, columns) in zip(drawn.others, corners, strict=True):
            picture[:, rows, columns] = images[other][:, rows, columns]
    truth *= 1 - sum(parts)
    for other, part in zip(drawn.others, parts, strict=True):
        truth += part * truths[other]
