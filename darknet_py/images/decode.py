"""Pictures from files, bytes and arrays, and files of them."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..errors import ImageError
from ..files import read_bytes, resolve
from . import Picture, decoders
from .decoders.limits import MAX_PIXELS, max_pixels

if TYPE_CHECKING:
    from PIL.Image import Image

    Source = str | os.PathLike[str] | bytes | bytearray | memoryview | Image | npt.NDArray[np.generic]

PIXEL_BYTES = 8  # no format that is read has more, and what else a file carries is small beside its pixels
SUFFIXES = frozenset(
    [
        ".bmp",
        ".gif",
        ".jfif",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".pbm",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".tga",
        ".tif",
        ".tiff",
        ".webp",
    ]
)


def load_image(path: str | os.PathLike[str]) -> Picture:
    """Decode the picture at `path`, or the packaged one of that name.

    EXIF orientation is ignored, grey becomes three equal channels, alpha is dropped, of 16 bits the
    upper 8 are taken: as darknet does.

    Raises
    ------
    ImageError
        Where the file cannot be read, is damaged or cut short, is no picture, or has more pixels than
        `darknet_py.images.decoders.limits.max_pixels` allows.
    """
    file = os.fspath(path)
    most = PIXEL_BYTES * max(max_pixels(), MAX_PIXELS)
    return decode_image(read_bytes(Path(resolve(path)), ImageError, file, most), file)


def check_image(path: str | os.PathLike[str]) -> None:
    """Raise ImageError where `load_image` would, but for damage amid a JPEG, which only decoding finds."""
    file = os.fspath(path)
    data = read_bytes(Path(resolve(path)), ImageError, file, PIXEL_BYTES * max(max_pixels(), MAX_PIXELS))
    if not decoders.jpeg.is_complete(data, file):
        decode_image(data, file)


def decode_image(data: bytes, file: str = "image") -> Picture:
    """Decode the content of a picture file; `file` is its name for messages. As `load_image`."""
    return decoders.decode(data, file)


def to_picture(image: Source, file: str = "image") -> Picture:
    """A picture from a path, the bytes of a file, a PIL image, or a uint8 array (height, width[, 3 or 4])."""
    if isinstance(image, (str, os.PathLike)):
        return load_image(image)
    if isinstance(image, (bytes, bytearray, memoryview)):
        return decode_image(bytes(image), file)
    if not isinstance(image, np.ndarray) and hasattr(image, "convert"):
        return decoders.from_pillow(image, file)
    array = np.asarray(image)
    if array.dtype != np.uint8:
        reason = f"an array of {array.dtype}; uint8 is expected (for floats use predict)"
        raise ImageError(reason, file=file)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] not in (3, 4) or 0 in array.shape:
        reason = f"an array of shape {array.shape}; (height, width, 3) is expected"
        raise ImageError(reason, file=file)
    return array[..., :3]


def thumbnail(picture: Picture, side: int) -> bytes:
    """A small JPEG of `picture`: its longer side at most `side` pixels."""
    from PIL import Image

    image = Image.fromarray(picture)
    image.thumbnail((side, side))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80, optimize=True)
    return stream.getvalue()


def encode_png(picture: Picture) -> bytes:
    """The content of a PNG file of `picture`."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()
