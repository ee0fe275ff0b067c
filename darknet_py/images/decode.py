"""Pictures from files, bytes and arrays."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping, Set
from typing import IO, TYPE_CHECKING, cast

import numpy as np

from ..errors import ImageError
from ..files import describe_oserror, read_bytes, resolve
from . import Picture
from .decoders import decode, jpeg
from .decoders.limits import MAX_PIXELS, max_pixels
from .folders import find_pictures

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL.Image import Image

    Source = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | Image | npt.NDArray[np.generic]

SOFTWARE = ("Software", "darknet_py")  # text in a PNG file that says what made it
PNG_HEAD = 64  # bytes that contain this text: the signature and the header take 33
PIXEL_BYTES = 8  # few formats have more, like EXR of floats; what else a file carries is small beside its pixels


def load_image(path: str | os.PathLike[str]) -> Picture:
    """Decode the picture at `path`, or the packaged one of that name.

    As in darknet, EXIF orientation is ignored, grey becomes three equal channels, alpha is dropped, and only the
    upper 8 of 16 bits are used.

    Raises
    ------
    ImageError
        Where the file cannot be read, is damaged or cut short, is no picture, or has more pixels than
        `darknet_py.images.decoders.limits.max_pixels` allows.
    """
    return decode_image(_read_file(path), os.fspath(path))


def check_image(path: str | os.PathLike[str]) -> None:
    """Raise ImageError where `load_image` would, except for damage within a JPEG, which only decoding finds."""
    data, file = _read_file(path), os.fspath(path)
    if not jpeg.is_complete(data, file):
        decode_image(data, file)


def _read_file(path: str | os.PathLike[str]) -> bytes:
    return read_bytes(resolve(path), ImageError, os.fspath(path), _most_bytes())


def _most_bytes() -> int:
    """How many bytes a picture's file may have."""
    return PIXEL_BYTES * max(max_pixels(), MAX_PIXELS)


def decode_image(data: bytes, file: str = "image") -> Picture:
    """Decode the content of a picture file, as `load_image` does; `file` is its name for messages."""
    return decode(data, file)


def to_picture(image: Source, file: str = "image") -> Picture:
    """A picture from a path, a file's bytes, an open file, a PIL image, or an array uint8 (height, width[, 3 or 4])."""
    if isinstance(image, (str, os.PathLike)):
        return load_image(image)
    if isinstance(image, (bytes, bytearray, memoryview)):
        return decode_image(bytes(image), file)
    if not isinstance(image, np.ndarray) and hasattr(image, "convert"):
        from .decoders.pillow import from_pillow

        return from_pillow(cast("Image", image), file)
    if hasattr(image, "read"):
        return decode_image(_read(cast("IO[bytes]", image), file), file)
    if image is None:
        raise ImageError("None; a picture is expected", file=file)
    array = np.asarray(image)
    if array.dtype.kind not in "biufc":
        reason = f"a {type(image).__name__}; a path, a file's bytes, an open file, a PIL image or an array is expected"
        raise ImageError(reason, file=file)
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
    return cast("Picture", array)[..., :3]


def _read(stream: IO[bytes], file: str) -> bytes:
    """Read the rest of an open file."""
    most = _most_bytes()
    content: bytes | str
    try:
        content = stream.read(most + 1)
    except UnicodeDecodeError:
        content = ""
    except (OSError, ValueError) as reason:  # ValueError: it is closed
        raise ImageError(describe_oserror(reason), file=file) from None
    if not isinstance(content, bytes):
        raise ImageError(f"opened for {type(content).__name__}, not bytes: open(..., 'rb') is expected", file=file)
    if len(content) > most:
        raise ImageError(f"more than {most} bytes", file=file)
    return content


def split_sources(images: Source | Iterable[Source]) -> tuple[Iterable[Source], bool]:
    """The pictures that `images` stands for, in order, and whether there are several.

    Several are an iterable of sources, an array (n, height, width, channels), or a folder and those below it.

    Raises
    ------
    ImageError
        Where they have no order, a folder has no picture, or a name is empty.
    """
    if isinstance(images, (str, os.PathLike)):
        if not os.fspath(images):
            raise ImageError("a name is expected, of a file or a folder", file=images)
        return (find_pictures(images, ImageError), True) if os.path.isdir(resolve(images)) else ([images], False)
    if isinstance(images, (Mapping, Set)):
        raise ImageError(f"a {type(images).__name__}; pictures in an order are expected")
    if _is_content(images):
        return [cast("Source", images)], False
    if hasattr(images, "__array__"):
        array = np.asarray(images)
        return (array, True) if array.ndim == 4 or array.dtype.kind in "OU" else ([array], False)
    return (cast("Iterable[Source]", images), True) if isinstance(images, Iterable) else ([images], False)


def _is_content(image: object) -> bool:
    """Whether it is the bytes of a file, an open file, or a PIL image."""
    return isinstance(image, (bytes, bytearray, memoryview)) or hasattr(image, "convert") or hasattr(image, "read")


def name_source(image: Source, number: int) -> str:
    """The name in messages of the picture of that number."""
    named = getattr(image, "name", None) if hasattr(image, "read") else image
    return os.fspath(named) if isinstance(named, (str, os.PathLike)) else f"image {number}"


def thumbnail(picture: Picture, side: int) -> bytes:
    """A small JPEG of `picture`: its longer side at most `side` pixels."""
    from PIL import Image

    image = Image.fromarray(picture)
    image.thumbnail((side, side))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80, optimize=True)
    return stream.getvalue()


def encode_png(picture: Picture) -> bytes:
    """The content of a PNG file of `picture`, which `is_own_png` recognizes."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    stream, text = io.BytesIO(), PngInfo()
    text.add_text(*SOFTWARE)
    Image.fromarray(picture).save(stream, "PNG", pnginfo=text)
    return stream.getvalue()


def is_own_png(path: str | os.PathLike[str]) -> bool:
    """Whether the file at `path` begins like one of `encode_png`; False where it cannot be read."""
    try:
        with open(path, "rb") as stream:
            return "\0".join(SOFTWARE).encode() in stream.read(PNG_HEAD)
    except OSError:
        return False
