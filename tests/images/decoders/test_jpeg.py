"""JPEGs that carry more than their pixels, and those that carry less."""

from __future__ import annotations

import io
import re
import warnings

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from darknet_py.errors import DarknetWarning, ImageError
from darknet_py.images.decode import decode_image
from darknet_py.images.decoders import jpeg
from darknet_py.images.decoders.jpeg import decode_frame

RNG = np.random.default_rng(1)
STAR = Image.open(ROOT / "data" / "star.png").convert("RGB")
NOISE = Image.fromarray(RNG.integers(0, 256, (40, 70, 3), np.uint8))
SOI, EOI, SOF, DHT, SOS, RST = (bytes([0xFF, kind]) for kind in (0xD8, 0xD9, 0xC0, 0xC4, 0xDA, 0xD3))
STRAY = [b"\0" * 3, b"\0" * 40, b"stray", b"\x5a\xff\x00\xa5" * 9, b"\xff" * 7]


def encode(image, **options):
    stream = io.BytesIO()
    image.save(stream, "JPEG", **options)
    return stream.getvalue()


PLAIN = encode(NOISE)
KINDS = {
    "baseline": PLAIN,
    "grey": encode(NOISE.convert("L")),
    "4:4:4": encode(NOISE, subsampling=0),
    "progressive": encode(NOISE, progressive=True),
    "restarts": encode(NOISE, restart_marker_rows=1),
    "inks": encode(NOISE.convert("CMYK")),
}


def decode(data):
    """The picture, and what is warned of."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        picture = decode_image(data, "x.jpg")
    assert all(warning.category is DarknetWarning for warning in told)
    return picture, [str(warning.message) for warning in told]


@pytest.mark.parametrize("kind", KINDS)
def test_only_of_several_scans_are_markers_searched_where_nothing_is_odd(kind, monkeypatch):
    expected, searched = decode_image(KINDS[kind] + b"behind"), []
    split = jpeg._split
    monkeypatch.setattr(jpeg, "_split", lambda data: searched.append(data) or split(data))
    assert (decode_image(KINDS[kind]) == expected).all()
    assert len(searched) == (kind == "progressive")


@pytest.mark.parametrize("stray", STRAY, ids=repr)
@pytest.mark.parametrize("marker", [b"\xff\xe0", b"\xff\xdb", SOF, DHT, SOS], ids=bytes.hex)
def test_stray_bytes_between_segments_are_passed_over(marker, stray):
    data = PLAIN.replace(marker, stray + marker, 1)
    picture, told = decode(data)
    assert (picture == decode_image(PLAIN)).all()
    assert told == []


@pytest.mark.parametrize("stray", [*STRAY, RNG.integers(0, 255, 700, np.uint8).tobytes()], ids=lambda stray: stray[:8])
@pytest.mark.parametrize("kind", KINDS)
def test_stray_bytes_before_the_end_are_passed_over_with_a_warning(kind, stray):
    picture, told = decode(KINDS[kind][:-2] + stray + EOI)
    assert (picture == decode_image(KINDS[kind])).all()
    # The decoder reads some bytes ahead, of which nothing is told; 0xFF may fill gaps.
    assert len(told) == 1 or len(stray) < 9
    assert all(re.fullmatch(r"x\.jpg: \d+ stray bytes after coded pixels, .*", line) for line in told)


@pytest.mark.parametrize("marker", [DHT, SOS], ids=["tables", "scan"])
@pytest.mark.parametrize("stray", [b"\0" * 40, b"stray bytes that are no pixels"], ids=repr)
def test_stray_bytes_between_the_scans_of_a_progressive_jpeg(marker, stray):
    data = KINDS["progressive"]
    places = [place for place in range(len(data)) if data.startswith(marker, place)]
    for place in places[2:]:
        picture, _ = decode(data[:place] + stray + data[place:])
        assert (picture == decode_image(data)).all()


@pytest.mark.parametrize("stray", [b"\0" * 40, b"stray bytes that are no pixels", b"\0\1"], ids=repr)
def test_stray_bytes_before_restart_markers_as_webcams_write_them(stray):
    data = encode(STAR, restart_marker_blocks=4)
    once, everywhere = data.replace(RST, stray + RST, 1), re.sub(rb"(\xff[\xd0-\xd7])", stray + rb"\1", data)
    for odd in (once, everywhere):
        assert (decode(odd)[0] == decode_image(data)).all()


def test_what_follows_the_end_is_passed_over():
    picture, told = decode(PLAIN + b"another file" + PLAIN[:50])
    assert (picture == decode_image(PLAIN)).all()
    assert told == []


# What would hide a warning of libjpeg's, which tells the first only.
FIRST = {
    "stray bytes": lambda data: data.replace(SOF, b"stray" + SOF, 1),
    "a revision of JFIF that nobody knows": lambda data: data.replace(b"JFIF\0\1\1", b"JFIF\0\2\1", 1),
    "a scan that names no frequencies": lambda data: data.replace(b"\0\x3f\0", b"\0\0\0", 1),
    "an unknown transform": lambda data: SOI + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\7" + data[2:],
    "stray bytes before a restart": lambda data: data.replace(b"\xff\xd0", bytes(40) + b"\xff\xd0", 1),
}


@pytest.mark.parametrize("first", FIRST)
def test_what_is_passed_over_hides_no_lost_pixels(first):
    data = FIRST[first](KINDS["restarts"])
    assert data != KINDS["restarts"]
    picture, _ = decode(data)
    assert (picture == decode_image(KINDS["restarts"])).all()
    cut = data[: len(data) * 3 // 4]
    for damaged in (cut, cut + EOI, data[:-2], data[:-300] + bytes(298) + EOI):
        with pytest.raises(ImageError, match="a damaged JPEG"):
            decode(damaged)


def test_stray_bytes_between_scans_hide_no_lost_pixels():
    data = KINDS["progressive"]
    place = data.index(DHT, data.index(SOS))
    with pytest.raises(ImageError, match="a damaged JPEG"):
        decode(data[:place] + b"stray bytes, and so on" + data[place:-400] + EOI)


@pytest.mark.parametrize("kind", KINDS)
def test_every_cut_is_refused(kind):
    """Of a progressive JPEG with an end; its first scans alone are a picture too."""
    data = KINDS[kind]
    for end in range(3, len(data) - 9, 7):
        for rest in (b"", EOI)[: 1 if kind == "progressive" else 2]:
            with pytest.raises(ImageError, match="a damaged JPEG"):
                decode(data[:end] + rest)


@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}, {"subsampling": 0}], ids=str)
def test_blocks_left_over_are_lost_ones(options):
    """Damage in a scan that changes how many blocks there are leaves the last ones over."""
    noise = RNG.integers(0, 256, (64, 64, 3), np.uint8)
    data = encode(Image.fromarray(noise), **options)
    higher = encode(Image.fromarray(np.concatenate([noise, noise[:16]])), **options)
    height = higher.index(SOF) + 5
    with pytest.raises(ImageError, match=r"a damaged JPEG: .*(blocks are left over|out of order)"):
        decode(higher[:height] + data[height : height + 2] + higher[height + 2 :])


def with_scans(count, side):
    """A progressive JPEG whose first scan of frequencies comes as often as there are to be scans."""
    data = encode(Image.new("RGB", (side, side)), progressive=True)
    first, second, third = [place for place in range(len(data)) if data.startswith(SOS, place)][:3]
    start, end = data.index(DHT, first), data.index(DHT, second) if DHT in data[second:third] else third
    return data[:-2] + data[start:end] * (count - data.count(SOS)) + EOI


@pytest.mark.parametrize(("count", "side", "most"), [(501, 16, 500), (5000, 2000, 500), (64, 8192, 32)])
def test_more_scans_than_an_encoder_writes_are_refused(count, side, most):
    with pytest.raises(ImageError, match=f"a JPEG of {count} scans; of {side} x {side} at most {most}"):
        decode(with_scans(count, side))


@pytest.mark.parametrize("stray", STRAY, ids=repr)
def test_of_a_camera_what_is_left_over_is_passed_over(stray):
    for data in (PLAIN[:-2] + stray + EOI, PLAIN + stray):
        np.testing.assert_array_equal(decode_frame(data, "camera"), decode_image(PLAIN))


@pytest.mark.parametrize("data", [PLAIN[: len(PLAIN) // 2], PLAIN[:-300] + EOI, b"", b"no JPEG"], ids=len)
def test_of_a_camera_lost_pixels_are_an_error(data):
    with pytest.raises(ValueError, match=r".+"):
        decode_frame(data, "camera")
