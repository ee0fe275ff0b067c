"""TIFFs: what is damaged is said once, in an error, and never printed or warned of by the libraries below."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import threading
import warnings
from contextlib import suppress

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from darknet_py.errors import DarknetWarning, ImageError
from darknet_py.images.decode import decode_image

STAR = Image.open(ROOT / "data" / "star.png").convert("RGB").resize((120, 90))  # one strip
COMPRESSIONS = [
    "raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "lzma", "group3", "group4", "tiff_ccitt",
]  # fmt: skip


def encode(image, **options):
    stream = io.BytesIO()
    image.save(stream, "TIFF", **options)
    return stream.getvalue()


def compressed(compression):
    return encode(
        STAR.convert("1") if compression.startswith(("group", "tiff_ccitt")) else STAR, compression=compression
    )


def entry(data, tag):
    """Where the directory of `data`, little-endian, has `tag`."""
    (start,) = struct.unpack_from("<L", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    return next(
        at for at in range(start + 2, start + 2 + 12 * count, 12) if data[at : at + 2] == struct.pack("<H", tag)
    )


def changed(data, tag, kind, count, value):
    place = entry(data, tag)
    return data[: place + 2] + struct.pack("<HLL", kind, count, value) + data[place + 12 :]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_damage_prints_nothing_and_warns_of_nothing(compression, capfd):
    rng = np.random.default_rng(1)
    data = compressed(compression)
    for _ in range(200):
        damaged = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(4, len(data))] = rng.integers(256)
        with suppress(ImageError), warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", DarknetWarning)
            decode_image(bytes(damaged[: rng.integers(8, len(data))] if rng.random() < 0.2 else damaged))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("compression", ["group4", "lzma", "jpeg", "tiff_adobe_deflate"])
def test_what_libtiff_makes_of_damaged_rows_is_no_picture(compression):
    data = compressed(compression)
    (strip,) = struct.unpack_from("<L", data, entry(data, 273) + 8)
    (size,) = struct.unpack_from("<L", data, entry(data, 279) + 8)
    middle = strip + size // 2
    with pytest.raises(ImageError, match="a damaged"):
        decode_image(data[:middle] + b"\x55" * (size // 4) + data[middle + size // 4 :])


def test_strip_of_jpeg_that_ends_early_is_refused():
    data = compressed("jpeg")
    (strip,) = struct.unpack_from("<L", data, entry(data, 273) + 8)
    with pytest.raises(ImageError, match="a damaged JPEG: corrupt JPEG data: premature end"):
        decode_image(data[: strip + 300] + b"\xff\xd9" + data[strip + 302 :])


@pytest.mark.parametrize("lost", [1, 13, 200])
def test_strips_that_reach_beyond_the_file_are_refused(lost):
    """Also where the directory comes first, and all of it is there."""
    data = encode(STAR)
    moved = bytearray(data + np.asarray(STAR).tobytes())
    struct.pack_into("<L", moved, entry(data, 273) + 8, len(data))
    assert (decode_image(bytes(moved)) == np.asarray(STAR)).all()
    with pytest.raises(ImageError, match="truncated"):
        decode_image(bytes(moved[:-lost]))


def test_a_size_that_is_a_number_of_64_bits_is_read_where_it_lies():
    """Elsewhere Pillow would find nothing, and warn of it."""
    data = encode(STAR) + b"\0\xff\xff\x7f\0\0\0\0"
    with warnings.catch_warnings(record=True) as caught, suppress(ImageError):
        warnings.simplefilter("always")
        decode_image(changed(data, 257, 12, 1, len(data) - 8))
    assert not caught


def test_errors_of_others_go_where_they_went(capfd):
    data = compressed("tiff_lzw")
    decode_image(data)
    damaged = bytearray(data)
    (strip,) = struct.unpack_from("<L", data, entry(data, 273) + 8)
    damaged[strip : strip + 400] = b"\x55" * 400
    with pytest.raises(OSError, match="-2"):
        Image.open(io.BytesIO(bytes(damaged))).load()
    assert "Using code not yet in table" in capfd.readouterr().err


def test_errors_are_told_to_the_thread_that_has_them():
    good, bad, wrong = compressed("tiff_lzw"), compressed("tiff_lzw"), []
    (strip,) = struct.unpack_from("<L", bad, entry(bad, 273) + 8)
    bad = bad[:strip] + b"\x55" * 400 + bad[strip + 400 :]

    def work(data, fails):
        for _ in range(50):
            try:
                decode_image(data)
            except ImageError:
                wrong.extend([] if fails else [data])
            else:
                wrong.extend([data] if fails else [])

    threads = [threading.Thread(target=work, args=job) for job in ((good, False), (bad, True)) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


TOGETHER = """
import gc, sys
from darknet_py.images.decode import decode_image
from darknet_py.images.decoders import tiff
tiff._listen()
tiff._listen.__wrapped__()
gc.collect()
try:
    decode_image(sys.stdin.buffer.read())
except Exception as error:
    print(error)
"""


def test_threads_that_come_to_libtiff_together_have_it_call_nothing_that_is_gone():
    data = compressed("tiff_lzw")
    (strip,) = struct.unpack_from("<L", data, entry(data, 273) + 8)
    damaged = data[:strip] + b"\x55" * 400 + data[strip + 400 :]
    ran = subprocess.run([sys.executable, "-c", TOGETHER], input=damaged, capture_output=True, cwd=ROOT)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout.startswith(b"image: a damaged picture: libtiff")


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_orientation_is_ignored_as_in_other_formats(orientation, compression):
    assert (decode_image(encode(STAR, compression=compression, tiffinfo={274: orientation})) == np.asarray(STAR)).all()


@pytest.mark.parametrize("options", [{"big_tiff": True}, {"compression": "tiff_lzw", "big_tiff": True}], ids=str)
def test_addresses_of_64_bits(options):
    assert (decode_image(encode(STAR, **options)) == np.asarray(STAR)).all()


def test_first_of_several_pictures():
    data = encode(STAR, save_all=True, append_images=[STAR.convert("L")])
    assert (decode_image(data) == np.asarray(STAR)).all()


def test_tags_that_decide_no_pixel_may_be_damaged():
    data = encode(STAR, tiffinfo={270: "a star", 305: "a program", 34665: 999})
    for tag in (270, 305):
        data = changed(data, tag, 2, 99_999, 4_000_000_000)
    assert (decode_image(data) == np.asarray(STAR)).all()


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ((277, 3, 1, 9999), "9999 samples a pixel; at most 6 are read"),
        ((256, 4, 1, 4_000_000_000), "4000000000 x 90 pixels; at most"),
        ((257, 4, 1, 500_000), "1 strips or tiles; 5556 are expected"),
        ((273, 4, 999_999, 8), "image file is truncated"),
        ((257, 4, 1, 0), "120 x 0 pixels; a picture has at least one"),
    ],
)
def test_what_the_directory_claims_is_looked_at(tag, message):
    with pytest.raises(ImageError, match=message):
        decode_image(changed(encode(STAR), *tag))


def test_tile_that_is_larger_than_any_picture_is_refused():
    data = changed(changed(encode(STAR, compression="tiff_lzw"), 278, 4, 1, 30_000), 279, 4, 1, 30_000)
    for old, new in ((278, 322), (279, 323)):
        place = entry(data, old)
        data = data[:place] + struct.pack("<H", new) + data[place + 2 :]
    with pytest.raises(ImageError, match="a tile of 30000 x 30000 pixels; at most"):
        decode_image(data)
