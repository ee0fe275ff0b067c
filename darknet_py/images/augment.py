"""Pictures as training sees them: a turned, stretched and shifted part, mirrored or not, its colours changed.

Source: ``load_data_augment`` of darknet's ``data.c``, with ``image.c``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from ..errors import UsageError
from . import Input, Picture

if TYPE_CHECKING:
    import numpy.typing as npt

Vector: TypeAlias = "npt.NDArray[Any]"  # float64

DRAWN = 12  # numbers that a picture draws from a generator, whatever the options
UNIT = np.float32(1 / 255)


@dataclass(frozen=True)
class Augmentation:
    """The limits within which pictures are changed.

    Attributes
    ----------
    size : int
        Pixels of the resulting square's side.
    min_crop, max_crop : int
        What the shorter side of a picture is scaled to, in pixels.
    angle : float
        Degrees by which it is turned, to either side.
    aspect, saturation, exposure : float
        Factors by which it is stretched, coloured and lightened, or their reciprocals; 0 counts as 1.
    hue : float
        Part of the circle of hues by which these are turned, to either side.
    flip : bool
        Whether pictures are mirrored half of the time.

    Raises
    ------
    UsageError
        Where a number makes no sense.
    """

    size: int
    min_crop: int
    max_crop: int
    angle: float = 0
    aspect: float = 1
    saturation: float = 1
    exposure: float = 1
    hue: float = 0
    flip: bool = True

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UsageError(f"size={self.size}: at least 1 pixel is expected")
        if not 1 <= self.min_crop <= self.max_crop:
            raise UsageError(
                f"min_crop={self.min_crop}, max_crop={self.max_crop}: 1 <= min_crop <= max_crop is expected"
            )
        for name in ("aspect", "saturation", "exposure", "angle", "hue"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise UsageError(f"{name}={value}: a number from 0 on is expected")


class Draws(NamedTuple):
    """How one picture is changed.

    Attributes
    ----------
    angle : float
        Radians by which it is turned.
    scale : float
        Factor of its height; that of its width is scale / aspect.
    dx, dy : float
        How far the part that is seen lies from the middle, in pixels of the result.
    aspect : float
    flip : bool
        Whether left and right are swapped.
    hue : float
        Added to hues, which are in 0..1.
    saturation, exposure : float
        Factors for these.
    """

    angle: float = 0.0
    scale: float = 1.0
    dx: float = 0.0
    dy: float = 0.0
    aspect: float = 1.0
    flip: bool = False
    hue: float = 0.0
    saturation: float = 1.0
    exposure: float = 1.0


def draw(options: Augmentation, width: int, height: int, random: np.random.Generator) -> Draws:
    """Draw how a picture of `width` x `height` is changed; each picture takes `DRAWN` numbers from `random`.

    In darknet's order: aspect, scale, angle, shift, mirror, hue, saturation, exposure.
    """
    numbers = iter(random.random(DRAWN).tolist())

    def uniform(reach: float) -> float:
        return (2 * next(numbers) - 1) * reach

    def factor(most: float) -> float:
        drawn = 1 + next(numbers) * ((most or 1) - 1)
        return drawn if next(numbers) < 0.5 else 1 / drawn

    aspect = factor(options.aspect)
    shorter = options.min_crop + int(next(numbers) * (options.max_crop - options.min_crop + 1))
    scale = shorter / max(1, min(height, int(width * aspect)))
    angle = math.radians(uniform(options.angle))
    dx = uniform((width * scale / aspect - options.size) / 2)
    dy = uniform((height * scale - options.size) / 2)
    flip = next(numbers) < 0.5 and options.flip
    hue = uniform(options.hue)
    return Draws(angle, scale, dx, dy, aspect, flip, hue, factor(options.saturation), factor(options.exposure))


class Places(NamedTuple):
    """Where in a picture the cells of a result are.

    Cell (x, y) lies at column across_x[x] + down_x[y] and row across_y[x] + down_y[y], in pixels; the value of a pixel
    is found at its whole number.
    """

    across_x: Vector
    down_x: Vector
    across_y: Vector
    down_y: Vector


Warp = Callable[[Picture, Places, Draws, Input], Input]


def warp(picture: Picture, places: Places, draws: Draws, out: Input) -> Input:
    """The cells of `picture` at `places`, with the colours changed as drawn.

    Parameters
    ----------
    picture : array
        uint8 (h, w, 3).
    places : Places
    draws : Draws
        Of which hue, saturation and exposure are used.
    out : array
        float32 (3, rows, columns), contiguous: where the cells go.

    Returns
    -------
    array
        `out`, in 0..1.

    Raises
    ------
    UsageError
        Where an array is not as said here.
    """
    check_warp(picture, places, out)
    x, y = places.across_x + places.down_x[:, None], places.across_y + places.down_y[:, None]
    out[:] = _recolour(_interpolate(picture, x, y), draws)
    return out


def check_warp(picture: Picture, places: Places, out: Input) -> None:
    """Raise UsageError unless these are arrays that `warp` takes, of matching sizes."""
    columns, rows = places.across_x.size, places.down_x.size
    shapes, expected = [vector.shape for vector in places], [(columns,), (rows,)] * 2
    if shapes != expected:
        raise UsageError(f"places of shapes {shapes}; {expected} are expected")
    if picture.dtype != np.uint8 or picture.ndim != 3 or 0 in picture.shape or picture.shape[2] != 3:
        raise UsageError(f"a picture of {picture.dtype} {picture.shape}; uint8 (h, w, 3) is expected")
    if out.dtype != np.float32 or out.shape != (3, rows, columns) or not out.flags.carray:
        reason = f"out of {out.dtype} {out.shape}, strides {out.strides}"
        raise UsageError(f"{reason}; float32 (3, {rows}, {columns}), contiguous, is expected")


def _interpolate(picture: Picture, x: Vector, y: Vector) -> Input:
    """Interpolate bilinearly between the four pixels round each place; outside is black. Float32 (3, rows, columns)."""
    left, top = np.floor(x), np.floor(y)
    across, down = (x - left).astype(np.float32), (y - top).astype(np.float32)
    result = np.zeros((3, *x.shape), np.float32)
    for row, share_y in ((top, 1 - down), (top + 1, down)):
        for column, share_x in ((left, 1 - across), (left + 1, across)):
            inside = (row >= 0) & (row < picture.shape[0]) & (column >= 0) & (column < picture.shape[1])
            at = np.where(inside, row, 0).astype(np.int64), np.where(inside, column, 0).astype(np.int64)
            result += np.where(inside, share_y * share_x, 0) * picture[at].transpose(2, 0, 1)
    return result * UNIT


def _recolour(rgb: Input, draws: Draws) -> Input:
    """Turn hues, multiply saturations and values, and keep colours within 0..1. Float32 (3, rows, columns).

    Hues are in 0..6. Source of the way back: https://en.wikipedia.org/wiki/HSL_and_HSV, "HSV to RGB alternative".
    """
    red, green, blue = rgb
    value, least = rgb.max(axis=0), rgb.min(axis=0)
    span = value - least
    with np.errstate(divide="ignore", invalid="ignore"):
        turned = np.where(
            red == value,
            (green - blue) / span,
            np.where(green == value, 2 + (blue - red) / span, 4 + (red - green) / span),
        )
        saturation = span / value
    hue = np.where(span > 0, turned, 0) + np.float32(6 * draws.hue)
    value = value * np.float32(draws.exposure)
    chroma = value * (np.where(span > 0, saturation, 0) * np.float32(draws.saturation))
    result = np.empty_like(rgb)
    for channel, corner in enumerate((5, 3, 1)):
        k = corner + hue
        k = k - 6 * np.floor(k * np.float32(1 / 6))
        result[channel] = value - chroma * np.clip(np.minimum(k, 4 - k), 0, 1)
    return np.clip(result, 0, 1)


def augment(
    picture: Picture, draws: Draws, width: int, height: int, warp: Warp = warp, out: Input | None = None
) -> Input:
    """`picture`, changed as `draws` says, as `width` x `height` pixels.

    Parameters
    ----------
    picture : array
        uint8 (h, w, 3).
    draws : Draws
    width, height : int
        Pixels of the result.
    warp : function
        This module's function of that name, or a faster one with the same answers.
    out : array, optional
        float32 (3, height, width), contiguous: where the result goes.

    Returns
    -------
    array
        float32 (3, height, width) in 0..1.

    Raises
    ------
    UsageError
        Where an array is not as said here.
    """
    if out is None:
        out = np.empty((3, height, width), np.float32)
    u = ((np.arange(width) - width / 2) + draws.dx) / draws.scale * draws.aspect
    v = ((np.arange(height) - height / 2) + draws.dy) / draws.scale
    if draws.flip:
        u = u[::-1]
    cosine, sine = math.cos(draws.angle), math.sin(draws.angle)
    places = Places(u * cosine, picture.shape[1] / 2 - v * sine, u * sine, picture.shape[0] / 2 + v * cosine)
    return warp(picture, places, draws, out)
