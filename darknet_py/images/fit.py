"""Fitting pictures to a network: resize, crop, letterbox. Source: darknet's ``image.c`` and ``classifier.c``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from ..errors import UsageError
from . import Input, Picture

if TYPE_CHECKING:
    import numpy.typing as npt

Places: TypeAlias = "npt.NDArray[np.int64]"
Interpolate = Callable[[Picture, Places, Input, Places, Input, Input], Input]
Resize = Callable[..., Input]

LUMA = np.array([77, 150, 29], np.uint16)  # weights of red, green, blue, in 256ths: 0.299, 0.587, 0.114
TEN_CROP_SHIFT = 32  # pixels
MULTI_SIZES = (224, 256, 288, 320)  # pixels of the longer side
GREY = 0.5
ALL = slice(None)

UNIT: Input = (np.arange(256) / 255).astype(np.float32)


class Fitted(NamedTuple):
    """A picture as a network takes it.

    Attributes
    ----------
    view : array
        float32 (channels, height, width) in 0..1.
    mode : str
        The preprocessing that made it.
    """

    view: Input
    mode: str


def interpolate(picture: Picture, left: Places, across: Input, top: Places, upper: Input, lower: Input) -> Input:
    """Interpolate bilinearly, along rows first.

    Parameters
    ----------
    picture : array
        uint8 (h, w, 3).
    left, across : array
        For each column of the result, its left neighbour, and how far beyond that it lies, in 0..1.
    top, upper, lower : array
        For each row, its upper neighbour, and the shares of that and of the next one.

    Returns
    -------
    array
        float32 (rows, columns, 3) in 0..1.
    """
    right, bottom = np.minimum(left + 1, picture.shape[1] - 1), np.minimum(top + 1, picture.shape[0] - 1)
    across, upper, lower = across[:, None], upper[:, None, None], lower[:, None, None]
    rows = (1 - across) * UNIT[picture[:, left]] + across * UNIT[picture[:, right]]
    resized: Input = upper * rows[top] + lower * rows[bottom]
    return resized


def resize(
    picture: Picture,
    width: int,
    height: int,
    columns: Places | slice = ALL,
    rows: Places | slice = ALL,
    interpolate: Interpolate = interpolate,
) -> Input:
    """A picture uint8 (h, w, 3) at another size, with its corners aligned.

    Parameters
    ----------
    picture : array
    width, height : int
        Pixels.
    columns, rows : array, optional
        Those of the resized picture that are wanted.
    interpolate : function
        This module's function of that name, or a faster one with the same answers.

    Returns
    -------
    array
        float32 (rows, columns, 3) in 0..1.
    """
    left, across, last = _sample(picture.shape[1], width, columns)
    left[last], across[last] = picture.shape[1] - 1, 0
    top, lower, last = _sample(picture.shape[0], height, rows)
    upper = 1 - lower
    # The last row has no lower part in darknet. Where rounding puts it a little above the picture's last
    # row, almost nothing is left of it: darknet's networks then see a black line, and so must ours.
    lower[last] = 0
    return interpolate(picture, left, across, top, upper, lower)


def _sample(source: int, target: int, wanted: Places | slice) -> tuple[Places, Input, npt.NDArray[np.bool_]]:
    """For each `wanted` of `target` cells: its lower neighbour of `source`, how far beyond that it is, if it is last.

    A crop wants few of very many where a narrow picture is made wide.
    """
    places = np.arange(target)[wanted] if isinstance(wanted, slice) else wanted
    step = np.float32(source - 1) / np.float32(max(target - 1, 1))
    position = places.astype(np.float32) * step
    lower = position.astype(np.int64)
    return lower, position - lower.astype(np.float32), places == target - 1


def to_grey(picture: Picture) -> Picture:
    """A picture with its luma in all channels, rounded down as by stb_image, with which darknet reads pictures."""
    luma: Picture = (picture @ LUMA >> 8).astype(np.uint8)
    return np.repeat(luma[..., None], 3, axis=2)


def window(size: int, start: int, count: int) -> Places:
    """`count` places from `start` on, within 0 to `size` - 1; beyond either end, that end."""
    return np.clip(np.arange(start, start + count), 0, size - 1)


def shorter_size(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height of a `width` x `height` picture whose shorter side is made `side`."""
    return (side, height * side // width) if width < height else (width * side // height, side)


def longer_size(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height of a `width` x `height` picture whose longer side is made `side`."""
    size = (side, height * side // width) if width > height else (width * side // height, side)
    return max(size[0], 1), max(size[1], 1)


def _stretch(picture: Picture, width: int, height: int, resize: Resize) -> list[Input]:
    return [resize(picture, width, height)]


def _shorter(picture: Picture, width: int, height: int, resize: Resize) -> list[Input]:
    return [resize(picture, *shorter_size(picture.shape[1], picture.shape[0], width))]


def _box(w: int, h: int, width: int, height: int) -> tuple[int, int, int, int]:
    """Where a `w` x `h` picture is when letterboxed into `width` x `height`: left, top, its width, its height."""
    by_width = np.float32(width) / np.float32(w) < np.float32(height) / np.float32(h)
    new_width, new_height = (width, h * width // w) if by_width else (w * height // h, height)
    new_width, new_height = max(new_width, 1), max(new_height, 1)
    return (width - new_width) // 2, (height - new_height) // 2, new_width, new_height


def _square(w: int, h: int) -> tuple[int, int, int]:
    """The middle square of a picture: left, top, side."""
    side = min(w, h)
    return (w - side) // 2, (h - side) // 2, side


def _middle(w: int, h: int, width: int, height: int) -> tuple[int, int, int, int]:
    """The middle `width` x `height` of a picture whose shorter side is made `width`: left, top; the picture's size."""
    w, h = shorter_size(w, h, width)
    # C's division rounds towards zero; negative where a network is higher than wide.
    return int((w - width) / 2), int((h - height) / 2), w, h


def _letterbox(picture: Picture, width: int, height: int, resize: Resize) -> list[Input]:
    h, w = picture.shape[:2]
    left, top, new_width, new_height = _box(w, h, width, height)
    boxed = np.full((3, height, width), GREY, np.float32).transpose(1, 2, 0)  # in its final memory layout
    boxed[top : top + new_height, left : left + new_width] = resize(picture, new_width, new_height)
    return [boxed]


def _center_crop(picture: Picture, width: int, height: int, resize: Resize) -> list[Input]:
    left, top, side = _square(picture.shape[1], picture.shape[0])
    return [resize(picture[top : top + side, left : left + side], width, height)]


def _resize_crop(picture: Picture, width: int, height: int, resize: Resize) -> list[Input]:
    left, top, w, h = _middle(picture.shape[1], picture.shape[0], width, height)
    return [resize(picture, w, h, window(w, left, width), window(h, top, height))]


def _ten_crop(picture: Picture, width: int, height: int, resize: Resize) -> list[Input]:
    shift = TEN_CROP_SHIFT
    w, h = width + shift, height + shift
    corners = [(-shift, -shift), (shift, -shift), (0, 0), (-shift, shift), (shift, shift)]
    windows = [(window(w, left, width), window(h, top, height)) for left, top in corners]
    mirrored = [(w - 1 - columns, rows) for columns, rows in windows]
    return [resize(picture, w, h, columns, rows) for columns, rows in windows + mirrored]


def _multi(picture: Picture, width: int, height: int, resize: Resize) -> list[Input]:
    h, w = picture.shape[:2]
    resized = [resize(picture, *longer_size(w, h, side)) for side in MULTI_SIZES]
    return [view for side in resized for view in (side, side[:, ::-1])]


# How a picture becomes one or several inputs of a network of width x height.
MODES: dict[str, Callable[[Picture, int, int, Resize], list[Input]]] = {
    "shorter": _shorter,
    "letterbox": _letterbox,
    "center-crop": _center_crop,
    "stretch": _stretch,
    "resize-crop": _resize_crop,
    "ten-crop": _ten_crop,
    "multi": _multi,
}
# The inputs' sizes where they are not the network's own, for a picture of width x height and the network's width.
RESIZING_MODES: dict[str, Callable[[int, int, int], list[tuple[int, int]]]] = {
    "shorter": lambda width, height, side: [shorter_size(width, height, side)],
    "multi": lambda width, height, side: [longer_size(width, height, longer) for longer in MULTI_SIZES],
}
# Those that predict offers: one input for each picture, nothing cut off twice.
PREDICT_MODES = ("shorter", "letterbox", "center-crop", "stretch", "resize-crop")


def preprocess(
    picture: Picture, mode: str, width: int, height: int, interpolate: Interpolate = interpolate
) -> list[Input]:
    """The inputs that `mode` makes of a picture for a network of `width` x `height`; `interpolate` as in `resize`.

    Returns
    -------
    list of array
        float32 (3, h, w) in 0..1, contiguous; one, except for ten for ``ten-crop`` and eight for ``multi``, whose
        outputs darknet adds up.

    Raises
    ------
    UsageError
        Where there is no such mode.
    """
    if mode not in MODES:
        raise UsageError(f"preprocess={mode}: one of {', '.join(MODES)} is expected")
    views = MODES[mode](picture, width, height, partial(resize, interpolate=interpolate))
    return [np.ascontiguousarray(view.transpose(2, 0, 1)) for view in views]


def find_area(mode: str, w: int, h: int, width: int, height: int) -> tuple[float, float, float, float]:
    """The area of a `w` x `h` picture that is shown by the input of `width` x `height` that `mode` makes of it.

    Parameters
    ----------
    mode : str
        One of `PREDICT_MODES`.
    w, h, width, height : int
        Pixels.

    Returns
    -------
    tuple of float
        Left, top, right, bottom; the whole picture is 0, 0, 1, 1, and anything beyond is not of the picture.
    """
    if mode == "letterbox":
        left, top, new_width, new_height = _box(w, h, width, height)
        return -left / new_width, -top / new_height, (width - left) / new_width, (height - top) / new_height
    if mode == "center-crop":
        left, top, side = _square(w, h)
        return left / w, top / h, (left + side) / w, (top + side) / h
    if mode == "resize-crop":
        left, top, w, h = _middle(w, h, width, height)
        return left / w, top / h, (left + width) / w, (top + height) / h
    return 0, 0, 1, 1
