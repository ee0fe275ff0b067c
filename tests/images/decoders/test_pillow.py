"""Pictures of Pillow's formats, and Pillow's own: the same answers, and nothing of the process changed for them."""

from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image, ImageFile, PngImagePlugin

from darknet_py.errors import ImageError, UsageError
from darknet_py.images.decode import decode_image, to_picture
from darknet_py.images.decoders.limits import VARIABLE

STAR = Image.open(ROOT / "data" / "star.png").convert("RGB")
PIXELS = np.asarray(STAR)
GREY16 = np.asarray(STAR.convert("L")).astype(np.uint16) * 256 + 77
KINDS = ["PNG", "BMP", "GIF", "PPM", "TGA", "TIFF", "WEBP"]


def encode(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def opened(data):
    return Image.open(io.BytesIO(data))


# Pillow's pictures


def big_endian_tiff():
    """2 x 1 pixels of 16 bits."""
    tags = [(256, 2), (257, 1), (258, 16), (259, 1), (262, 1), (277, 1)]
    entries = [struct.pack(">HHLHH", tag, 3, 1, value, 0) for tag, value in tags]
    entries += [struct.pack(">HHLL", tag, 4, 1, value) for tag, value in ((273, 110), (279, 4))]
    return b"MM" + struct.pack(">HLH", 42, 8, 8) + b"".join(entries) + bytes(4) + b"\x12\xff\xff\x00"


PALETTE = encode(STAR.quantize(7), transparency=b"\0\x80")
ALIKE = {
    "grey of 16 bits": encode(Image.fromarray(GREY16)),
    "PGM of 16 bits": b"P5 240 180 65535\n" + GREY16.astype(">u2").tobytes(),
    "TIFF of 16 bits": encode(Image.fromarray(GREY16), "TIFF"),
    "big-endian TIFF of 16 bits": big_endian_tiff(),
    "32 bits": encode(Image.new("I", (4, 4)), "TIFF"),
    "floats": encode(Image.new("F", (4, 4)), "TIFF"),
    "palette": PALETTE,
    "palette of a GIF": encode(STAR.quantize(7), "GIF", transparency=2),
    "grey with a transparent value": encode(STAR.convert("L"), transparency=9),
    "alpha": encode(STAR.convert("RGBA")),
    "grey with alpha": encode(STAR.convert("LA")),
    "one bit": encode(STAR.convert("1")),
    "inks": encode(STAR.convert("CMYK"), "TIFF"),
}  # fmt: skip


def outcome(image):
    try:
        return to_picture(image).tolist()
    except ImageError as error:
        return str(error)


@pytest.mark.parametrize("name", ALIKE)
def test_pillows_picture_is_what_its_file_is(name):
    data = ALIKE[name]
    image = opened(data)
    info = dict(image.info)
    assert outcome(image) == outcome(data)
    assert image.info == info


def test_of_16_bits_the_upper_8_are_taken_of_arrays_made_pictures_too():
    assert (to_picture(Image.fromarray(GREY16)) == (GREY16 >> 8)[..., None]).all()


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bits_are_refused(mode):
    with pytest.raises(ImageError, match=f"pixels of 32 bits \\(mode {mode}\\); 8 or 16 are expected"):
        to_picture(Image.new(mode, (3, 3)))


def test_a_picture_that_is_not_read_yet_may_be_damaged():
    data = encode(STAR, "JPEG")
    with pytest.raises(ImageError, match="a damaged picture: image file is truncated"):
        to_picture(opened(data[: len(data) // 2]))
    closed = opened(data)
    closed.close()
    with pytest.raises(ImageError, match="a damaged picture"):
        to_picture(closed)


def test_what_a_signals_handler_raises_amid_a_picture_is_its_programs(monkeypatch):
    class TooLateError(Exception):
        pass

    def interrupt(image):
        raise TooLateError

    monkeypatch.setattr(ImageFile.ImageFile, "load", interrupt)
    with pytest.raises(TooLateError):
        decode_image(encode(Image.new("RGB", (3, 3)), "BMP"))


def test_a_signals_handler_may_decode_amid_a_picture(monkeypatch):
    load, found, image = ImageFile.ImageFile.load, [], encode(Image.new("RGB", (3, 3), "red"), "BMP")

    def interrupted(picture):
        if not found:
            found.append(None)
            found.append(decode_image(image))
        return load(picture)

    monkeypatch.setattr(ImageFile.ImageFile, "load", interrupted)
    assert (decode_image(image) == found[1]).all()


def test_large_pictures_are_the_same_in_bands():
    image = STAR.resize((2100, 2050))
    for kind in (image, image.convert("L"), image.quantize(9), image.convert("CMYK")):
        assert (to_picture(kind) == np.asarray(kind.convert("RGB"))).all()


# What is global to the process


@pytest.mark.parametrize("limit", [None, 100, 12345])
@pytest.mark.parametrize("kind", [*KINDS, "JPEG"])
def test_pillows_guard_stays_as_it_is(monkeypatch, kind, limit):
    data = encode(STAR.resize((10, 9)), kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    decode_image(data)
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("kind", [*KINDS, "JPEG"])
def test_pillows_guard_warns_of_nothing_that_is_decoded_here(monkeypatch, kind):
    data = encode(STAR, kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", STAR.width * STAR.height - 1)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert decode_image(data).shape == PIXELS.shape
    assert told == []


def test_filters_of_warnings_stay_as_they_are_in_many_threads():
    before, failures = list(warnings.filters), []
    files = [encode(STAR, kind) for kind in (*KINDS, "JPEG")] + [PALETTE]

    def work():
        for data in files * 5:
            try:
                decode_image(data)
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert warnings.filters == before


# Formats


@pytest.mark.parametrize("kind", ["ICO", "PCX", "SGI", "DDS", "MSP", "SPIDER"])
def test_other_formats_that_pillow_has_are_none_here(kind):
    image = {"MSP": STAR.convert("1"), "SPIDER": STAR.convert("F")}.get(kind, STAR)
    with pytest.raises(ImageError, match="not a picture in any format known here"):
        decode_image(encode(image, kind))


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8))),
        chunk(b"acTL", bytes(8)),
        chunk(b"iCCP", b"x"),
        chunk(b"tRNS", b"\1"),
        chunk(b"eXIf", b"II"),
        chunk(b"prVt", b"\0")[:-1] + b"\0",
    ],
    ids=lambda extra: extra[4:8].decode(),
)
def test_chunks_that_decide_no_pixel_are_passed_over(extra):
    data = encode(STAR)
    start = data.index(b"IDAT") - 4
    assert (decode_image(data[:start] + extra + data[start:]) == PIXELS).all()


def test_animations_give_their_first_picture():
    still, moving = STAR, STAR.rotate(90, expand=False)
    for kind in ("PNG", "GIF", "WEBP"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encode(still, kind, save_all=True, append_images=[moving], **options)
        assert (decode_image(data) == decode_image(encode(still, kind, **options))).all()


def test_text_of_a_png_is_left_alone():
    text = PngImagePlugin.PngInfo()
    text.add_text("a", "b" * 2_000_000, zip=True)
    assert (decode_image(encode(STAR, pnginfo=text)) == PIXELS).all()


@pytest.mark.parametrize("most", [1, 100, 255, 256, 1000, 65535])
@pytest.mark.parametrize(("magic", "channels"), [(b"P5", 1), (b"P6", 3)])
def test_netpbm_of_any_depth(magic, channels, most):
    values = np.random.default_rng(1).integers(0, most + 1, (4, 5, channels))
    head = magic + b"\n# a comment\n5 4\n%d\n" % most
    full = 255 if most < 256 else 65535
    expected = np.round(values / most * full).astype(int) >> (0 if most < 256 else 8)
    data = head + values.astype(">u2" if most > 255 else "u1").tobytes()
    assert (decode_image(data) == np.broadcast_to(expected, (4, 5, 3))).all()
    with pytest.raises(ImageError, match="image file is truncated"):
        decode_image(data[:-1])


# Sizes

SIDES = struct.pack("<HH", 9000, 9000)
HEADER = struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0)
BMP, TGA = encode(STAR, "BMP"), encode(STAR, "TGA")
HUGE = {
    "PNG": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", HEADER) + chunk(b"IEND", b""),
    "GIF": b"GIF89a\1\0\1\0\0\0\0" + b",\0\0\0\0" + SIDES + b"\0\2\0;",
    "BMP": BMP[:18] + struct.pack("<II", 9000, 9000) + BMP[26:],
    "PPM": b"P6 9000 9000 255\n",
    "TGA": TGA[:12] + SIDES + TGA[16:],
    "WEBP": b"RIFF\x1e\0\0\0WEBPVP8L\x11\0\0\0\x2f" + struct.pack("<I", 8999 | 8999 << 14) + bytes(12),
    "WEBP, extended": b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\x27\x23\0" * 2 + bytes(12),
}


@pytest.mark.parametrize("kind", HUGE)
def test_more_than_67_million_pixels_are_refused_before_they_are_decoded(kind):
    with pytest.raises(
        ImageError, match=r"9000 x 9000 pixels; at most 67108864 are decoded \(DARKNET_PY_MAX_PIXELS=81"
    ):
        decode_image(HUGE[kind])


def test_pillows_pictures_are_limited_too(monkeypatch):
    monkeypatch.setenv(VARIABLE, "24")
    with pytest.raises(ImageError, match="5 x 5 pixels; at most 24 are decoded"):
        to_picture(Image.new("RGB", (5, 5)))


def test_the_limit_can_be_raised_and_lowered(monkeypatch):
    data = encode(STAR.resize((50, 50)), "JPEG")
    monkeypatch.setenv(VARIABLE, "2499")
    with pytest.raises(ImageError, match="50 x 50 pixels; at most 2499 are decoded"):
        decode_image(data)
    monkeypatch.setenv(VARIABLE, "2500")
    assert decode_image(data).shape == (50, 50, 3)
    monkeypatch.setenv(VARIABLE, "81000000")
    with pytest.raises(ImageError, match="image file is truncated"):
        decode_image(HUGE["PPM"])


@pytest.mark.parametrize("text", ["many", "-1", "0", "1e9", "1.5", "²"])
def test_a_limit_that_is_no_number_is_wrong_usage(monkeypatch, text):
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(UsageError, match=f"DARKNET_PY_MAX_PIXELS={text}: a whole number of pixels above 0"):
        decode_image(encode(STAR))


def test_an_empty_limit_is_none(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    assert decode_image(encode(STAR)).shape == PIXELS.shape


def test_a_gif_beyond_its_screen_is_refused():
    sides = struct.pack("<4H", 60_000, 0, 60_000, 1)
    with pytest.raises(ImageError, match="a damaged picture: it lies beyond its screen"):
        decode_image(b"GIF89a\1\0\1\0\0\0\0," + sides + b"\0\2\0;")


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_a_picture_without_pixels_is_none(size):
    with pytest.raises(ImageError, match="pixels; a picture has at least one"):
        to_picture(Image.new("RGB", size))


@pytest.mark.parametrize(("mode", "plain"), [("La", "LA"), ("RGBa", "RGBA")])
def test_colours_that_are_multiplied_by_alpha_are_those_of_before(mode, plain):
    picture = STAR.convert(plain)
    assert (to_picture(picture.convert(mode)) == to_picture(picture)).all()
