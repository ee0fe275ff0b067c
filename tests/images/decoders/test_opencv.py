"""Pictures of light, Radiance's HDR and OpenEXR: darknet's answer, whole or not at all."""

from __future__ import annotations

import struct
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from darknet_py.errors import ImageError
from darknet_py.images.decode import decode_image
from darknet_py.images.decoders import opencv
from darknet_py.opencv import load_opencv

LIGHT = (np.random.default_rng(3).random((6, 20, 3)) ** 3 * 1.5).astype(np.float32)
LIGHT[:3, :10] = 0.25


def to_screen(light):
    """What stb_image makes of light."""
    return np.floor(np.clip(light.astype(np.float64) ** (1 / 2.2) * 255 + 0.5, 0, 255)).astype(np.uint8)


def to_rgbe(light):
    """Light as Radiance has it: three mantissas and an exponent."""
    exponent = np.frexp(light.max(axis=2))[1]
    scale = np.ldexp(256.0, -exponent)[..., None]
    return np.concatenate([light * scale, exponent[..., None] + 128.0], axis=2).astype(np.uint8)


def from_rgbe(rgbe):
    return np.ldexp(rgbe[..., :3].astype(np.float64), rgbe[..., 3:].astype(int) - 136)


RGBE = to_rgbe(LIGHT)


def hdr(body, size="-Y 6 +X 20", lines="FORMAT=32-bit_rle_rgbe", signature="RADIANCE"):
    return f"#?{signature}\n# drawn\n{lines}\nEXPOSURE=4\n\n{size}\n".encode() + body


def coded(rgbe=RGBE):
    """The rows of an HDR, each byte's plane for itself, in runs of one value and pieces of others."""
    body = b""
    for row in rgbe:
        body += struct.pack(">BBH", 2, 2, len(row))
        for plane in row.T:
            half = len(plane) // 2
            if (plane[:half] == plane[0]).all():
                body += bytes([128 + half, plane[0]])
            else:
                body += bytes([half, *plane[:half]])
            body += bytes([len(plane) - half, *plane[half:]])
    return body


@pytest.mark.parametrize(
    "data", [hdr(coded()), hdr(coded(), signature="RGBE"), hdr(RGBE.tobytes())], ids=["coded", "as RGBE", "flat"]
)
def test_hdr_is_what_darknet_makes_of_it(data):
    assert (decode_image(data) == to_screen(from_rgbe(RGBE))).all()


def test_hdr_that_opencv_writes_is_read():
    cv2 = load_opencv()
    data = cv2.imencode(".hdr", LIGHT)[1]
    assert (decode_image(data.tobytes()) == to_screen(cv2.imdecode(data, cv2.IMREAD_UNCHANGED)[..., ::-1])).all()


@pytest.mark.parametrize("most", [1, 17, 1 << 20])
def test_large_ones_are_converted_by_bands(monkeypatch, most):
    monkeypatch.setattr(opencv, "BAND", most)
    assert (decode_image(hdr(coded())) == to_screen(from_rgbe(RGBE))).all()


OLD_RUN = np.array([[128, 128, 128, 128], [1, 1, 1, 119]], np.uint8).tobytes() * 6  # a pixel, and 119 of the same


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (hdr(coded())[:-1], "a damaged picture"),
        (hdr(RGBE.tobytes())[:-1], "a damaged picture"),
        (hdr(b""), "a damaged picture"),
        (hdr(OLD_RUN), "a damaged picture"),
        (hdr(coded(), size="-Y 6 +X 21"), "a damaged picture"),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n", "image file is truncated"),
        (hdr(coded(), size="-Y 60000 +X 20000"), "20000 x 60000 pixels; at most"),
        (hdr(coded(), size="-Y 0 +X 20"), "20 x 0 pixels"),
        (hdr(coded(), size="+X 20 -Y 6"), r"size is given as \+X 20 -Y 6; -Y N \+X M is read"),
        (hdr(coded(), lines="FORMAT=32-bit_rle_xyze"), "of the format 32-bit_rle_xyze; 32-bit_rle_rgbe is read"),
        (hdr(coded(), lines="GAMMA=1"), "of the format none"),
    ],
)
def test_damaged_and_other_hdr_is_refused_in_one_line(capfd, data, message):
    with pytest.raises(ImageError, match=message) as error:
        decode_image(data)
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


@given(st.integers(12, len(hdr(coded())) - 1), st.integers(0, 255))
def test_any_damage_of_an_hdr_gives_a_picture_or_an_error_of_ours(place, value):
    data = bytearray(hdr(coded()))
    data[place] = value
    with suppress(ImageError):
        assert decode_image(bytes(data)).shape[2] == 3


def attribute(name, kind, content):
    return f"{name}\0{kind}\0".encode() + struct.pack("<i", len(content)) + content


def exr(channels=None, window=(0, 0, 19, 5), version=2, kind=2, sampling=1, extra=b""):
    """An EXR that is not compressed, put together by hand; `channels` are their planes."""
    if channels is None:
        channels = {"B": LIGHT[..., 2], "G": LIGHT[..., 1], "R": LIGHT[..., 0]}
    listed = b"".join(f"{name}\0".encode() + struct.pack("<iiii", kind, 0, sampling, sampling) for name in channels)
    box = struct.pack("<4i", *window)
    head = struct.pack("<II", 20000630, version) + extra + b"".join([
        attribute("channels", "chlist", listed + b"\0"),
        attribute("compression", "compression", b"\0"),
        attribute("dataWindow", "box2i", box),
        attribute("displayWindow", "box2i", box),
        attribute("lineOrder", "lineOrder", b"\0"),
        attribute("pixelAspectRatio", "float", struct.pack("<f", 1)),
        attribute("screenWindowCenter", "v2f", bytes(8)),
        attribute("screenWindowWidth", "float", struct.pack("<f", 1)),
    ]) + b"\0"  # fmt: skip
    rows = [b"".join(plane[y].tobytes() for plane in channels.values()) for y in range(6)]
    size = 8 + len(rows[0])
    first = len(head) + 8 * len(rows)
    offsets = struct.pack("<6Q", *(first + size * y for y in range(6)))
    return head + offsets + b"".join(struct.pack("<ii", y, len(row)) + row for y, row in enumerate(rows))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (exr()[:30], "image file is truncated"),
        (exr()[:4], "image file is truncated"),
        (exr(window=(0, 0, 99_999, 99_999)), "100000 x 100000 pixels; at most"),
        (exr(window=(0, 0, -1, 5)), "0 x 6 pixels"),
        (exr(window=(-(1 << 31), 0, (1 << 31) - 1, 5)), "4294967296 x 6 pixels"),
        (exr(version=2 | 0x1000), "several parts"),
        (exr(version=2 | 0x800), "deep pixels"),
        (exr(kind=0), "of the channels B, G, R; R, G, B or Y of floats"),
        (exr(sampling=2), "each whole"),
        (exr({"Z": LIGHT[..., 0]}), "of the channels Z"),
        (exr(extra=attribute("dataWindow", "box2i", bytes(16))), "image file is truncated"),
    ],
)
def test_an_exrs_header_is_checked_before_opencv_sees_it(monkeypatch, data, message):
    monkeypatch.setattr(opencv, "load", lambda file: pytest.fail("OpenCV is asked"))
    with pytest.raises(ImageError, match=message):
        decode_image(data)


def test_an_opencv_without_openexr_is_told_of_in_one_line(monkeypatch):
    monkeypatch.setattr(opencv, "lacks", lambda part, file: "5.0.0")
    with pytest.raises(ImageError, match=r"^x\.exr: an EXR; this OpenCV \(5\.0\.0\) was built without OpenEXR"):
        decode_image(exr(), "x.exr")


needs_openexr = pytest.mark.skipif(bool(opencv.lacks("OpenEXR", "")), reason="this OpenCV was built without OpenEXR")


@needs_openexr
@pytest.mark.parametrize("alpha", [False, True])
def test_exr_is_light_as_well(alpha):
    planes = {"A": np.zeros_like(LIGHT[..., 0])} if alpha else {}
    planes |= {"B": LIGHT[..., 2], "G": LIGHT[..., 1], "R": LIGHT[..., 0]}
    assert (decode_image(exr(planes)) == to_screen(LIGHT)).all()


@needs_openexr
def test_exr_of_one_channel_is_grey():
    assert (decode_image(exr({"Y": LIGHT[..., 0]})) == to_screen(LIGHT[..., :1])).all()


@needs_openexr
def test_what_is_no_light_is_black_or_white():
    odd = LIGHT.copy()
    odd[0, 0], odd[1, 1], odd[2, 2] = np.nan, np.inf, -1
    picture = decode_image(exr({"B": odd[..., 2], "G": odd[..., 1], "R": odd[..., 0]}))
    assert picture[0, 0].tolist() == picture[2, 2].tolist() == [0, 0, 0]
    assert picture[1, 1].tolist() == [255, 255, 255]


@needs_openexr
def test_a_cut_exr_is_refused():
    for cut in range(1, 400, 7):
        with pytest.raises(ImageError, match="a damaged picture"):
            decode_image(exr()[:-cut])


def run_python(code, cwd=ROOT):
    """The lines that `code` prints in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, check=True, capture_output=True, text=True
    ).stdout.splitlines()


def test_without_opencv_the_picture_is_refused_with_what_to_install(tmp_path):
    (tmp_path / "x.hdr").write_bytes(hdr(coded()))
    code = "import sys; sys.modules['cv2'] = None; import darknet_py.images.decode as d\ntry: d.load_image('x.hdr')\n"
    (line,) = run_python(code + "except d.ImageError as error: print(error)", tmp_path)
    assert line.startswith("x.hdr: is read by OpenCV, which cannot be loaded: ")
    assert line.endswith("pip install opencv-python")


def test_other_pictures_do_not_load_opencv():
    code = "import sys, darknet_py.images.decode as d; d.load_image('data/star.png'); print('cv2' in sys.modules)"
    assert run_python(code) == ["False"]
