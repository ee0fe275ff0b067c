"""Pictures with information drawn on them: guesses, or a heat map of what a network looked at."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

from . import Picture

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL.ImageFont import FreeTypeFont

Heat: TypeAlias = "npt.NDArray[np.float32]"

TEXT, BAR, DARK = (255, 255, 255), (72, 132, 196), 0.45  # the panel's; DARK: how much of the picture shines through it
SMALLEST, LARGEST = 13, 64  # pixels, of text
OF_HEIGHT = 28  # lines of text that together are as high as the picture
LEAST_WIDTH = 300  # pixels of a picture on which text is drawn; narrower ones get a margin
NOTHING = "\uffff"  # a character that no font has
# Colours from no heat to the most, and how much the most covers.
COLOURS = np.array([[0, 0, 0], [80, 0, 110], [200, 40, 60], [255, 150, 20], [255, 250, 150]], np.float32)
COVER = 0.65


def annotate(picture: Picture, guesses: Sequence[tuple[str, float]], note: str = "") -> Picture:
    """`picture` with a panel in which each guess has its name, its share and a bar.

    Parameters
    ----------
    picture : array
        uint8 (height, width, 3).
    guesses : sequence of (str, float)
        Names, and shares in 0..1.
    note : str
        A line of text below them.

    Returns
    -------
    array
        A copy; larger than the picture, with a dark margin, where that has no room for the panel.
    """
    from PIL import Image, ImageDraw

    size = min(max(min(picture.shape[:2]) // OF_HEIGHT, SMALLEST), LARGEST)
    line, edge = size * 3 // 2, size // 2
    height = (len(guesses) + bool(note)) * line + edge
    has_room = picture.shape[1] >= LEAST_WIDTH and picture.shape[0] >= 2 * height
    canvas = picture.copy() if has_room else _add_margin(picture, height)
    width = min(canvas.shape[1], max(LEAST_WIDTH, 24 * size))
    panel = canvas[:height, :width]
    panel[...] = panel * np.float32(DARK)
    image = Image.fromarray(canvas)
    draw, font = ImageDraw.Draw(image), _load_font(size)
    share_width = int(font.getlength("100.0%")) + edge
    for number, (name, share) in enumerate(guesses):
        top = number * line + edge // 2
        share = min(max(0.0, share), 1.0)  # without softmax it may be anything
        draw.rectangle((0, top, round(share * (width - 1)), top + line - edge // 2), fill=BAR)
        draw.text((edge, top), f"{share:.1%}", fill=TEXT, font=font)
        draw.text((edge + share_width, top), _fit(name, width - 2 * edge - share_width, size), fill=TEXT, font=font)
    if note:
        draw.text((edge, len(guesses) * line + edge // 2), note, fill=TEXT, font=font)
    return np.asarray(image)


def heat(picture: Picture, warmth: Heat) -> Picture:
    """`picture` in grey under the colours of `warmth`, float32 (height, width) in 0..1."""
    grey = picture.mean(axis=2, dtype=np.float32, keepdims=True)
    warmth = warmth[..., None]
    place = warmth[..., 0] * (len(COLOURS) - 1)
    below = np.minimum(place.astype(np.int64), len(COLOURS) - 2)
    rest = (place - below)[..., None]
    colour = COLOURS[below] * (1 - rest) + COLOURS[below + 1] * rest
    cover = COVER * warmth
    mixed: Picture = (grey * (1 - cover) + colour * cover).round().clip(0, 255).astype(np.uint8)
    return mixed


def beside(left: Picture, right: Picture) -> Picture:
    """Two pictures side by side, with a gap between them."""
    height, gap = max(left.shape[0], right.shape[0]), 4
    joined = np.zeros((height, left.shape[1] + gap + right.shape[1], 3), np.uint8)
    joined[: left.shape[0], : left.shape[1]] = left
    joined[: right.shape[0], left.shape[1] + gap :] = right
    return joined


def shrink(picture: Picture, side: int) -> Picture:
    """`picture` with its longer side at most `side` pixels."""
    from PIL import Image

    if max(picture.shape[:2]) <= side:
        return picture
    image = Image.fromarray(picture)
    image.thumbnail((side, side))
    return np.asarray(image)


def _add_margin(picture: Picture, above: int) -> Picture:
    """A copy with `above` dark rows on top, at least as wide as the panel."""
    h, w = picture.shape[:2]
    canvas = np.full((above + h, max(w, LEAST_WIDTH), 3), 32, np.uint8)
    left = (canvas.shape[1] - w) // 2
    canvas[above:, left : left + w] = picture
    return canvas


@cache
def _load_font(size: int) -> FreeTypeFont:
    from PIL import ImageFont

    return cast("FreeTypeFont", ImageFont.load_default(size))


def _fit(text: str, width: int, size: int) -> str:
    """As much of `text` as `width` has room for, in characters that the font has.

    Others lose their accents, or become question marks.
    """
    font, fitted, room = _load_font(size), "", width
    for letter in text:
        plain = unicodedata.normalize("NFKD", letter)[0]
        shown = next((one for one in (letter, plain) if _has(one)), "?")
        room -= int(np.ceil(font.getlength(shown)))
        if room < 0:
            return fitted[:-1] + "…"
        fitted += shown
    return fitted


@cache
def _has(letter: str) -> bool:
    font = _load_font(SMALLEST)
    return letter.isprintable() and bytes(font.getmask(letter)) != bytes(font.getmask(NOTHING))
