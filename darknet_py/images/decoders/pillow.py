"""Pictures by Pillow: files of the formats that are named here, and pictures that are already Pillow's."""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...errors import ImageError, ImageFormatError
from ...files import describe_oserror
from . import tiff
from .limits import check_size
from .png import critical_chunks
from .signatures import UNKNOWN

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

Picture: TypeAlias = "npt.NDArray[np.uint8]"
BAND = 1 << 20  # pixels
DECODING = frozenset({"", "PIL", __name__.partition(".")[0], *sys.stdlib_module_names})  # modules whose code decodes
# Pillow's modules, without Plugin, and their classes, without File.
READERS = {
    "BMP": "BmpImage",
    "GIF": "GifImage",
    "JPEG2000": "Jpeg2KImage",
    "PNG": "PngImage",
    "PPM": "PpmImage",
    "TGA": "TgaImage",
    "TIFF": "TiffImage",
    "WEBP": "WebPImage",
}


def decode(data: bytes, kind: str, file: str) -> Picture:
    """The pixels of a file of the format `kind`.

    Not through ``Image.open``, which tries more formats, some with other programs, and warns by a limit of its own.
    """
    from PIL import Image

    reader: type[ImageFile] = getattr(import_module(f"PIL.{READERS[kind]}Plugin"), f"{READERS[kind]}File")
    prepare = {"GIF": _sized_gif, "PNG": critical_chunks, "TIFF": tiff.pixel_tags, "WEBP": _checked_webp}
    if kind in prepare:
        data = prepare[kind](data, file)
    with _told(file):
        try:
            image = reader(io.BytesIO(data))
        except SyntaxError:
            if kind != "TGA":
                raise
            raise ImageFormatError(UNKNOWN, file=file) from None
    if kind == "TIFF":  # whose reader warns, by Pillow's own limit, if it has to allocate memory itself
        check_size(image.size, file)
        image.im = Image.new(image.mode, image.size).im
    _load(image, file)
    if image.fp:
        image.fp.close()  # and free what it holds
    return _in_bands(image, file)


def from_pillow(image: Image, file: str) -> Picture:
    """The pixels of a Pillow picture, which may not have been read yet, without alpha; only the upper 8 of 16 bits.

    Raises
    ------
    ImageError
        Where it is damaged, too large, or of 32 bits.
    """
    _load(image, file)
    return _in_bands(image, file)


def _load(image: Image, file: str) -> None:
    check_size(image.size, file)
    # PPM's 16 bits, and PNG's in some releases of Pillow, come as mode I.
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):
        raise ImageError(f"pixels of 32 bits (mode {image.mode}); 8 or 16 are expected", file=file)
    with _told(file), tiff.errors_raised():
        image.load()


def _in_bands(image: Image, file: str) -> Picture:
    """The pixels of a picture that has been read; a large one is converted in bands, not to have two whole copies."""
    width, height = image.size
    with _told(file):
        if width * height <= 4 * BAND:
            return _to_rgb(image)
        picture = np.empty((height, width, 3), np.uint8)
        rows = max(BAND // width, 1)
        for top in range(0, height, rows):
            picture[top : top + rows] = _to_rgb(image.crop((0, top, width, min(top + rows, height))))
        return picture


@contextmanager
def _told(file: str) -> Iterator[None]:
    """Turn what Pillow raises into an ImageError."""
    try:
        yield
    except ImageError:
        raise
    except MemoryError:
        raise ImageError("not enough memory to decode it", file=file) from None
    except Exception as reason:  # its decoders raise nearly everything on damaged data
        if _is_of_caller(reason):
            raise
        raise ImageError(f"a damaged picture: {describe_oserror(reason)}", file=file) from None


def _is_of_caller(reason: Exception) -> bool:
    """Whether a signal's handler raised it, such as one that ends what takes too long: not code that decodes."""
    traceback = reason.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    name: str = "" if traceback is None else traceback.tb_frame.f_globals.get("__name__", "")
    return name.partition(".")[0] not in DECODING


def _to_rgb(image: Image) -> Picture:
    if image.mode == "La":  # which Pillow converts to no other mode
        image = image.convert("LA")
    if image.mode not in ("RGB", "RGBA", "RGBX", "1", "L", "LA", "P", "PA", "I") and image.mode[:4] != "I;16":
        image = image.convert("RGB")
    pixels = np.asarray(image)
    if image.mode in ("RGB", "RGBA", "RGBX"):
        return np.ascontiguousarray(pixels[..., :3])
    if pixels.ndim == 3:  # with alpha
        pixels = pixels[..., 0]
    if image.mode in ("P", "PA"):
        colours = np.zeros((256, 3), np.uint8)
        palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        colours[: len(palette)] = palette
        return colours[pixels]
    if image.mode == "1":
        pixels = pixels * np.uint8(255)
    elif image.mode[:1] == "I":
        pixels = (pixels >> 8).astype(np.uint8)
    return np.repeat(pixels[..., None], 3, axis=2)


def _sized_gif(data: bytes, file: str) -> bytes:
    """The GIF `data` with a screen that its first picture does not exceed; Pillow warns where the screen grows much."""
    screen, first = 6, 13
    if len(data) > first and data[first - 3] & 0x80:
        first += 3 << (data[first - 3] & 7) + 1
    while data[first : first + 1] == b"!":  # an extension: its label, blocks of up to 255 bytes
        first += 2
        while first < len(data) and data[first]:
            first += 1 + data[first]
        first += 1
    if data[first : first + 1] != b"," or first + 9 > len(data):
        raise ImageError("a damaged picture: image file is truncated", file=file)
    left, top, across, down = struct.unpack_from("<4H", data, first + 1)
    width, height = struct.unpack_from("<2H", data, screen)
    width, height = max(width, left + across), max(height, top + down)
    check_size((width, height), file)
    if max(width, height) > 0xFFFF:
        raise ImageError("a damaged picture: it lies beyond its screen", file=file)
    return data[:screen] + struct.pack("<2H", width, height) + data[screen + 4 :]


def _checked_webp(data: bytes, file: str) -> bytes:
    """`data`, if its size may be decoded: Pillow allocates memory for it when it opens a file."""
    kind = data[12:16]
    head = data[20:30].ljust(10, b"\0")
    if kind == b"VP8X":
        size = [int.from_bytes(head[at : at + 3], "little") + 1 for at in (4, 7)]
    elif kind == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        size = [(bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1]
    else:
        size = [int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (6, 8)]
    check_size(size, file)
    return data
