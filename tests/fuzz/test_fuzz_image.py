"""Pictures of every format that Pillow writes, from their bytes to pixels."""

from __future__ import annotations

import functools
import io
import random
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import BASES, Seeds, fuzz, memory_folder
from mutations import BINARY, damage
from PIL import Image

from darknet_py.errors import ImageError
from darknet_py.images.decode import decode_image, load_image
from darknet_py.images.fit import PREDICT_MODES, preprocess

pytestmark = pytest.mark.slow

# For each format the modes that it supports, and options, of each of which one value is chosen.
FORMATS: list[tuple[str, tuple[str, ...], dict[str, tuple[Any, ...]]]] = [
    ("JPEG", ("L", "RGB", "RGB", "CMYK"), {
        "quality": (5, 75, 95), "progressive": (False, True), "optimize": (False, True), "restart_marker_rows": (0, 1),
        "subsampling": (0, 1, 2), "comment": (b"", b"a comment"),
    }),
    ("PNG", ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"), {"compress_level": (0, 6)}),
    ("GIF", ("1", "L", "P", "RGB"), {"interlace": (0, 1)}),
    ("BMP", ("1", "L", "P", "RGB", "RGBA"), {}),
    ("TIFF", ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"), {
        "compression": (None, "tiff_lzw", "tiff_adobe_deflate", "packbits"),
    }),
    ("TIFF", ("1",), {"compression": ("group3", "group4")}),
    ("TIFF", ("L", "RGB", "CMYK"), {"compression": ("jpeg",)}),
    ("PPM", ("1", "L", "RGB", "I;16"), {}),
    ("TGA", ("L", "P", "RGB", "RGBA"), {"compression": (None, "tga_rle")}),
    ("WEBP", ("RGB", "RGBA"), {"lossless": (False, True), "quality": (5, 80), "method": (0,)}),
    ("JPEG2000", ("L", "RGB"), {"irreversible": (False, True)}),
    ("ICO", ("RGBA",), {}), ("PCX", ("1", "L", "P", "RGB"), {}), ("SGI", ("L", "RGB"), {}), ("EPS", ("RGB",), {}),
    ("DDS", ("RGB", "RGBA"), {}), ("QOI", ("RGB", "RGBA"), {}), ("XBM", ("1",), {}), ("DIB", ("RGB",), {}),
    ("MPO", ("RGB",), {}), ("ICNS", ("RGBA",), {}), ("SPIDER", ("F",), {}), ("MSP", ("1",), {}),
]  # fmt: skip
COMMON = 11  # the first of `FORMATS`, which are in common use
LARGE = 16_383  # pixels; a picture of 2^28, nearly


@functools.lru_cache(None)
def whole(base: int) -> bytes:
    """A picture of up to 64 x 64 pixels, or one that takes much time or memory for its size."""
    if base >= BASES - len(COSTLY):
        return COSTLY[base - BASES]()
    rng = random.Random(base)
    name, modes, options = FORMATS[base % COMMON] if base < 900 else FORMATS[base % len(FORMATS)]
    mode = rng.choice(modes)
    width, height = (rng.choice((1, 2, 3, 7, 8, 16, 17, 33, 64)) for _ in range(2))
    pixels = np.random.default_rng(base).integers(0, 256, (height, width, 3), np.uint8)
    if rng.random() < 0.7:  # even areas, which compress
        pixels[:] = pixels[:1, :1]
    image = Image.fromarray(pixels)
    image = image.convert("I").convert(mode) if mode in ("I;16", "F") else image.convert(mode)
    if name == "ICNS":
        image = image.resize((16, 16))
    stream = io.BytesIO()
    image.save(stream, name, **{key: rng.choice(values) for key, values in options.items()})
    return stream.getvalue()


def many_scans() -> bytes:
    """A progressive JPEG of 2,048 x 2,048 pixels: after the means of its cells 10,000 scans, which add nothing."""
    stream = io.BytesIO()
    Image.new("L", (2_048, 2_048)).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    means = data[: data.index(b"\xff\xc4", data.index(b"\xff\xda"))]
    # The one code of this table, a bit 0, and 14 more bits say that 16,384 cells, a quarter, have nothing.
    table = b"\xff\xc4\0\x14\x10\1" + bytes(15) + b"\xe0"
    scan = b"\xff\xda\0\x08\1\1\0\1\x3f\0" + bytes(8)  # four times
    return means + table + scan * 10_000 + b"\xff\xd9"


def many_pixels(name: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.new("1", (LARGE, LARGE)).save(stream, name, **options)
    return stream.getvalue()


COSTLY = [many_scans, lambda: many_pixels("PNG"), lambda: many_pixels("TIFF", compression="group4")]


def mend_png(data: bytes) -> bytes:
    """The PNG with the right checksums, so that what is wrong within its chunks is reached."""
    parts, start = [data[:8]], 8
    while start + 12 <= len(data):
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        if end > len(data):
            break
        parts += [data[start : end - 4], zlib.crc32(data[start + 4 : end - 4]).to_bytes(4, "big")]
        start = end
    return b"".join(parts) + data[start:]


def test_a_picture_is_pixels_or_refused():
    def make(base: int, seeds: Seeds) -> bytes:
        data = damage(whole(base), seeds, BINARY, [])
        return mend_png(data) if data[:4] == b"\x89PNG" and sum(seeds) % 4 else data

    def use(data: bytes) -> None:
        Path("x").write_bytes(data)
        picture = load_image("x")
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        assert picture.shape[2] == 3
        assert 0 not in picture.shape
        if picture.size < 1 << 20:
            for mode in PREDICT_MODES[1:]:
                (view,) = preprocess(picture, mode, 9, 7)
                assert view.shape == (3, 7, 9)
                assert view.min() >= 0
                assert view.max() <= 1

    with memory_folder():
        fuzz("pictures", make, use)


def test_a_picture_cut_short_is_refused_or_has_all_its_pixels():
    """Some formats end in what no pixel needs."""
    for base in range(BASES - len(COSTLY)):
        data = whole(base)
        cut = data[: int(len(data) * (0.6, 0.8, 0.9, 0.97)[base % 4])]
        try:
            found, picture = decode_image(cut), decode_image(data)
        except ImageError:
            continue
        assert np.array_equal(found, picture), f"{data[:4]!r} of {len(data)} bytes, {len(cut)} of them"
