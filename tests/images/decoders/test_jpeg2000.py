"""JPEG 2000: by whom it is read, the file's own pixels, whole or not at all."""

from __future__ import annotations

import base64
import io
import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from darknet_py.errors import ImageError
from darknet_py.images.decode import decode_image
from darknet_py.images.decoders import opencv
from darknet_py.opencv import load_opencv

RNG = np.random.default_rng(5)
PIXELS = RNG.integers(0, 256, (32, 40, 3), np.uint8)
DEEP = RNG.integers(0, 1 << 16, (32, 40, 4), np.uint16)


def encode(pixels, **options):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG2000", **options)
    return stream.getvalue()


def encode_deep(pixels):
    """By OpenCV, which takes blue first, without loss."""
    cv2, order = load_opencv(), [2, 1, 0, 3][: pixels.shape[2]]
    options = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000]
    return cv2.imencode(".jp2", np.ascontiguousarray(pixels[..., order]), options)[1].tobytes()


def box(kind, content):
    return struct.pack(">I4s", 8 + len(content), kind) + content


def of_colours(data, space):
    """The file with another number of its colour space."""
    place = data.index(b"colr") + 7
    return data[:place] + struct.pack(">I", space) + data[place + 4 :]


def of_palette(indices, palette, bits=8):
    """A file whose pixels are `indices` of colours."""
    codestream = encode(indices, no_jp2=True)
    colours = struct.pack(">HB3B", len(palette), 3, *[bits - 1] * 3) + palette.tobytes()
    header = [
        box(b"ihdr", struct.pack(">IIHBBBB", *indices.shape, 1, 7, 7, 0, 0)),
        box(b"colr", struct.pack(">BBBI", 1, 0, 0, 16)),
        box(b"pclr", colours),
        box(b"cmap", b"".join(struct.pack(">HBB", 0, 1, column) for column in range(3))),
    ]
    start = encode(indices)[:32]  # the signature and the file's type
    return start + box(b"jp2h", b"".join(header)) + box(b"jp2c", codestream)


FILE = encode(PIXELS)
CODESTREAM = encode(PIXELS, no_jp2=True)
TILED = encode(PIXELS, tile_size=(16, 16), no_jp2=True)
# 8 x 8, luma 20 * column + 8 * row + 20, of chroma a quarter as much: red-yellow 170, blue-yellow 90 and below 140.
SUBSAMPLED = base64.b85decode(
    "|4;u>051Rl000080000800000000000000800008000000000000RdB0S5vC2Lb~BQUDA90003100aa80smY81VBLlkN^q*00000SO5Y4lh3rQ5l"
    "`LoLy9sgTbs-YWRR^#_qH1vz_n|!iCysFdx0es1{c76R!cKIvb;aX)EE%lJvzPZcmOQDSyRW<6chkbW_KXKw0(&G*#"
)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (FILE, PIXELS),
        (CODESTREAM, PIXELS),
        (TILED, PIXELS),
        (encode(PIXELS[..., 0]), PIXELS[..., :1]),
        (encode(np.concatenate([PIXELS, PIXELS[..., :1]], axis=2)), PIXELS),
        (encode(PIXELS[..., :2]), PIXELS[..., :1]),
        (encode(DEEP[..., 0]), DEEP[..., :1] >> 8),
        (of_palette(PIXELS[..., 0] % 7, PIXELS[0, :7]), PIXELS[0, :7][PIXELS[..., 0] % 7]),
        (FILE + box(b"xml ", b"<a/>"), PIXELS),
        (FILE[:32] + box(b"uuid", bytes(99)) + FILE[32:], PIXELS),
    ],
    ids=["file", "codestream", "tiles", "grey", "alpha", "grey and alpha", "grey of 16 bits", "palette", "a box behind",
         "a box before"],
)  # fmt: skip
def test_pixels_are_the_files(monkeypatch, data, expected):
    monkeypatch.setattr(opencv, "load", lambda file: pytest.fail("OpenCV is asked for what Pillow reads"))
    assert (decode_image(data) == np.broadcast_to(expected, PIXELS.shape)).all()


@pytest.mark.parametrize("channels", [3, 4])
def test_of_colours_of_16_bits_the_upper_8_are_taken(channels):
    assert (decode_image(encode_deep(DEEP[..., :channels])) == DEEP[..., :3] >> 8).all()


def test_luma_and_chroma_become_colours():
    luma, blue, red = (PIXELS[..., c].astype(float) for c in range(3))
    expected = [luma + 1.402 * (red - 128), luma - 0.344136 * (blue - 128) - 0.714136 * (red - 128)]
    expected = np.stack([*expected, luma + 1.772 * (blue - 128)], axis=2).clip(0, 255)
    picture = decode_image(of_colours(encode(PIXELS, mct=0), 18))
    assert np.abs(picture - expected).max() <= 2


def test_subsampled_chroma_is_spread():
    luma = np.add.outer(8.0 * np.arange(8), 20.0 * np.arange(8)) + 20
    blue = np.where(np.arange(8) < 4, 90 - 128, 140 - 128)[:, None]
    expected = [luma + 1.402 * 42, luma - 0.344136 * blue - 0.714136 * 42, luma + 1.772 * blue]
    assert np.abs(decode_image(SUBSAMPLED) - np.stack(expected, axis=2).clip(0, 255)).max() <= 2


def patched(data, place, content):
    """`data` with other bytes at a place of its codestream."""
    place += data.index(b"\xff\x4f\xff\x51")
    return data[:place] + content + data[place + len(content) :]


PART = TILED.index(b"\xff\x90")  # the first part of a tile, and how long it is
LENGTH = int.from_bytes(TILED[PART + 6 : PART + 10], "big")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (FILE[:-1], "image file is truncated"),
        (CODESTREAM[:-1], "image file is truncated"),
        (CODESTREAM[:-2], "image file is truncated"),
        (CODESTREAM[: len(CODESTREAM) // 2], "image file is truncated"),
        (CODESTREAM[: len(CODESTREAM) // 2] + b"\xff\xd9", "image file is truncated"),
        (CODESTREAM[:60], "image file is truncated"),
        (FILE[:40], "image file is truncated"),
        (TILED[:PART] + TILED[PART + LENGTH :], "image file is truncated"),
        (patched(CODESTREAM, 8, struct.pack(">II", 60_000, 60_000)), "60000 x 60000 pixels; at most"),
        (FILE.replace(b"ihdr\0\0\0\x20", b"ihdr\0\0\0\x21"), "its two headers differ"),
        (patched(CODESTREAM, 8, bytes(8)), "0 x 0 pixels"),
        (of_colours(encode(np.concatenate([PIXELS, PIXELS[..., :1]], axis=2)), 12), "colour space 12: not read"),
        (of_palette(PIXELS[..., 0] % 7, PIXELS[0, :7], bits=7), "a palette of other than 8 bits: not read"),
        (patched(FILE, 42, bytes([3, 1, 1] * 3)), "3 components of 4 bits, colour space 16: not read"),
        (patched(CODESTREAM, 42, bytes([0x87, 1, 1] * 3)), "signed"),
        (patched(FILE, 45, bytes([7, 2, 2, 7, 2, 2])), "colour space 16, subsampled: not read"),
        (encode_deep(DEEP[..., :3])[:-9], "image file is truncated"),
    ],
    ids=["cut file", "cut codestream", "no end", "half", "half with an end", "header", "boxes", "a tile less", "large",
         "two sizes", "none", "inks", "palette of 7 bits", "4 bits", "signed", "subsampled red", "cut 16 bits"],
)  # fmt: skip
def test_damage_and_what_nobody_reads_right_is_refused(capfd, data, message):
    with pytest.raises(ImageError, match=message) as error:
        decode_image(data)
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


@given(st.sampled_from([FILE, TILED, SUBSAMPLED, encode_deep(DEEP[..., :3])]), st.data())
def test_any_damage_gives_a_picture_or_an_error_of_ours(data, drawn):
    content = bytearray(data)
    for _ in range(drawn.draw(st.integers(1, 3))):
        content[drawn.draw(st.integers(4, min(len(content), 300) - 1))] = drawn.draw(st.integers(0, 255))
    with suppress(ImageError):
        assert decode_image(bytes(content)).shape[2] == 3
