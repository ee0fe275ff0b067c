"""Decoding every kind of picture, whole or damaged."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from darknet_py.errors import DarknetWarning, ImageError
from darknet_py.images.decode import decode_image, encode_png, load_image, thumbnail, to_picture

RNG = np.random.default_rng(1)
PIXELS = RNG.integers(0, 256, (6, 5, 3), np.uint8)
SMOOTH = (np.add.outer(np.arange(0, 160, 5), np.arange(48))[..., None] + [0, 20, 40]).astype(np.uint8)


def encode(picture, kind="PNG", **options):
    """The content of a picture file."""
    stream = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(stream, kind, **options)
    return stream.getvalue()


def png_chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width, height, depth, color, rows=b""):
    """A PNG file put together by hand."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "TIFF", "TGA"])
def test_lossless_formats_come_back_pixel_by_pixel(tmp_path, kind):
    path = tmp_path / "picture"
    path.write_bytes(encode(PIXELS, kind))
    picture = load_image(path)
    assert picture.dtype == np.uint8
    assert (picture == PIXELS).all()


def test_png_named_jpg_is_read_for_what_it_is(tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(encode(PIXELS))
    assert (load_image(path) == PIXELS).all()


def test_packaged_picture_is_found_by_name():
    assert load_image("data/star.png").shape[2] == 3


def test_grey_becomes_three_equal_channels():
    picture = decode_image(encode(PIXELS[..., 0]))
    assert (picture == PIXELS[..., :1]).all()
    assert picture.shape == (6, 5, 3)


def test_one_bit_is_black_and_white():
    picture = decode_image(encode(PIXELS[..., 0] > 127))
    assert (picture == np.where(PIXELS[..., :1] > 127, 255, 0)).all()


def test_alpha_is_dropped_not_blended():
    alpha = np.concatenate([PIXELS, np.zeros((6, 5, 1), np.uint8)], axis=2)
    assert (decode_image(encode(alpha)) == PIXELS).all()


def test_grey_with_alpha():
    grey = png(2, 1, 8, 4, rows=bytes([0, 10, 0, 200, 255]))
    assert decode_image(grey).tolist() == [[[10] * 3, [200] * 3]]


@pytest.mark.parametrize("options", [{}, {"transparency": 1}, {"transparency": b"\x00\x80"}], ids=str)
def test_palette_gives_its_colours(options):
    image = Image.new("P", (2, 1))
    image.putpalette([1, 2, 3, 4, 5, 6])
    image.putpixel((1, 0), 1)
    assert decode_image(encode(image, **options)).tolist() == [[[1, 2, 3], [4, 5, 6]]]


@pytest.mark.parametrize(("color", "samples"), [(0, 1), (2, 3)], ids=["grey", "rgb"])
def test_of_16_bits_the_upper_8_are_taken(color, samples):
    values = [[0x12FF, 0xFF00, 0x8001], [0x00FF, 0x0100, 0x7FFF]]
    row = b"\0" + b"".join(struct.pack(">H", value) for pixel in values for value in pixel[:samples])
    expected = [[pixel[c % samples] >> 8 for c in range(3)] for pixel in values]
    assert decode_image(png(2, 1, 16, color, row)).tolist() == [expected]


def test_of_a_16_bit_pgm_too():
    assert decode_image(b"P5 2 1 65535\n\x12\xff\xff\x00").tolist() == [[[0x12] * 3, [0xFF] * 3]]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 100}], ids=str)
def test_jpeg_is_close_to_what_was_saved(options):
    picture = decode_image(encode(SMOOTH, "JPEG", **options))
    assert picture.shape == SMOOTH.shape
    assert np.abs(picture.astype(int) - SMOOTH).mean() < 3


@pytest.mark.parametrize(
    ("right", "odd"),
    [(b"JFIF\0\1\1", b"JFIF\0\2\1"), (b"\0\x3f\0", b"\0\0\0")],
    ids=["a revision of JFIF that nobody knows", "a scan that names no frequencies"],
)
def test_jpeg_with_an_odd_header_is_read_as_every_viewer_reads_it(right, odd):
    plain = encode(SMOOTH, "JPEG")
    assert right in plain
    assert (decode_image(plain.replace(right, odd, 1)) == decode_image(plain)).all()


def test_grey_jpeg():
    picture = decode_image(encode(SMOOTH[..., 0], "JPEG"))
    assert picture.shape == SMOOTH.shape
    assert np.abs(picture.astype(int) - SMOOTH[..., :1]).mean() < 3


def test_cmyk_jpeg():
    inks = [*SMOOTH.transpose(2, 0, 1), SMOOTH[..., 0] // 2]
    picture = decode_image(encode(Image.merge("CMYK", [Image.fromarray(ink) for ink in inks]), "JPEG"))
    expected = (255.0 - SMOOTH) * (255 - inks[3][..., None]) / 255
    assert picture.shape == SMOOTH.shape
    assert np.abs(picture - expected).mean() < 3


def test_exif_orientation_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    assert (decode_image(encode(SMOOTH, "JPEG", exif=exif)) == decode_image(encode(SMOOTH, "JPEG"))).all()
    assert (decode_image(encode(PIXELS, "PNG", exif=exif)) == PIXELS).all()


def test_picture_of_one_pixel():
    assert decode_image(encode(PIXELS[:1, :1])).tolist() == PIXELS[:1, :1].tolist()
    assert decode_image(encode(PIXELS[:1, :1], "JPEG")).shape == (1, 1, 3)


JPEG = encode(RNG.integers(0, 256, (64, 64, 3), np.uint8), "JPEG")
SCAN = JPEG.index(b"\xff\xda") + 14
CMYK_JPEG = encode(Image.fromarray(RNG.integers(0, 256, (64, 64, 3), np.uint8)).convert("CMYK"), "JPEG")
NOISY_PNG = encode(RNG.integers(0, 256, (64, 64, 3), np.uint8))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "an empty file"),
        (b"malamute\n" * 9, "not a picture in any format known here"),
        (JPEG[: len(JPEG) // 2], "a damaged JPEG"),
        (JPEG[:-9], "a damaged JPEG"),
        (JPEG[:SCAN], "a damaged JPEG"),
        (JPEG[:4], "a damaged JPEG"),
        (JPEG[: SCAN + 100] + b"\xff\xd9" + JPEG[SCAN + 100 :], "a damaged JPEG"),
        (JPEG[: SCAN + 900] + bytes(300) + JPEG[SCAN + 1200 :], "a damaged JPEG"),
        (CMYK_JPEG[: len(CMYK_JPEG) // 2], "a damaged JPEG"),
        (NOISY_PNG[: len(NOISY_PNG) // 2], "a damaged picture"),
        (NOISY_PNG[:500] + b"damage" + NOISY_PNG[506:], "a damaged picture"),
        (NOISY_PNG[:20], "picture"),
        (png(100_000, 100_000, 8, 2), "100000 x 100000 pixels; at most 67108864 are decoded"),
        (encode(PIXELS.astype(np.float32)[..., 0], "TIFF"), "pixels of 32 bits"),
    ],
    ids=[
        "empty", "text", "half JPEG", "JPEG without its end", "JPEG without scan", "four bytes of JPEG",
        "JPEG that ends early", "JPEG with zeros in its scan", "half CMYK JPEG", "half PNG",
        "PNG with a wrong checksum", "PNG header alone", "bomb", "32 bits",
    ],
)  # fmt: skip
def test_damage_is_an_error_and_never_half_a_picture(tmp_path, data, message):
    path = tmp_path / "picture"
    path.write_bytes(data)
    with pytest.raises(ImageError) as error:
        load_image(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


def test_jpeg_that_claims_too_many_pixels_is_refused():
    frame = JPEG.index(b"\xff\xc0") + 5
    bomb = JPEG[:frame] + struct.pack(">HH", 65000, 65000) + JPEG[frame + 4 :]
    with pytest.raises(ImageError, match="65000 x 65000 pixels; at most"):
        decode_image(bomb)


@given(st.data())
def test_any_damage_gives_a_picture_or_an_error_of_ours(data):
    content = bytearray(data.draw(st.sampled_from([JPEG, NOISY_PNG[:3000] + NOISY_PNG[-12:], encode(PIXELS, "GIF")])))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(3, len(content) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ImageError), warnings.catch_warnings():
        warnings.simplefilter("ignore", DarknetWarning)
        assert decode_image(bytes(content)).dtype == np.uint8


def test_file_that_is_larger_than_any_picture_is_not_read(tmp_path):
    path = tmp_path / "x.png"
    path.touch()
    os.truncate(path, (1 << 29) + 1)
    with pytest.raises(ImageError, match="536870913 bytes; at most 536870912 are expected here"):
        load_image(path)


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(ImageError, match="no such file"):
        load_image(tmp_path / "none.png")
    with pytest.raises(ImageError, match="is a folder"):
        load_image(tmp_path)


@pytest.mark.parametrize(
    "source",
    [
        encode(PIXELS),
        bytearray(encode(PIXELS)),
        memoryview(encode(PIXELS)),
        Image.fromarray(PIXELS),
        Image.fromarray(PIXELS).convert("RGBA"),
        PIXELS,
        np.concatenate([PIXELS, PIXELS[..., :1]], axis=2),
        np.asfortranarray(PIXELS),
    ],
    ids=["bytes", "bytearray", "memoryview", "pil", "pil with alpha", "array", "array with alpha", "fortran order"],
)
def test_bytes_pil_images_and_arrays_are_pictures_too(source):
    picture = to_picture(source)
    assert picture.dtype == np.uint8
    assert (picture == PIXELS).all()


def test_paths_are_pictures_too(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(encode(PIXELS))
    assert (to_picture(path) == PIXELS).all()
    assert (to_picture(str(path)) == PIXELS).all()


@pytest.mark.parametrize("grey", [PIXELS[..., 0], PIXELS[..., :1]], ids=["2-d", "3-d"])
def test_grey_arrays_become_three_equal_channels(grey):
    assert (to_picture(grey) == PIXELS[..., :1]).all()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (PIXELS / 255, "an array of float64; uint8 is expected"),
        (PIXELS.astype(np.int64), "an array of int64"),
        (PIXELS.transpose(2, 0, 1), r"an array of shape \(3, 6, 5\); \(height, width, 3\) is expected"),
        (PIXELS[:0], r"shape \(0, 5, 3\)"),
        (PIXELS[None], r"shape \(1, 6, 5, 3\)"),
        (np.uint8(3), r"shape \(\)"),
        (["p1.png"], "a list; a path, a file's bytes, an open file, a PIL image or an array is expected"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(array, message):
    with pytest.raises(ImageError, match=message):
        to_picture(array)


@pytest.mark.parametrize(
    ("shape", "size"), [((10, 20), (20, 10)), ((999, 333), (53, 160)), ((1, 4000), (160, 1)), ((160, 160), (160, 160))]
)
def test_thumbnails_keep_their_shape_and_never_grow(shape, size):
    assert Image.open(io.BytesIO(thumbnail(np.zeros((*shape, 3), np.uint8), 160))).size == size


def test_a_file_that_is_made_is_a_png_of_the_same_pixels():
    assert (decode_image(encode_png(PIXELS)) == PIXELS).all()
