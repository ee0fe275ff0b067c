"""Wrong and odd pictures, by themselves and in lists, and what the program answers."""

from __future__ import annotations

import io
import json
import os
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from support_bad_input import (
    CLASSIFY,
    NO_FILE,
    PAGE,
    PLAIN,
    SOME,
    Content,
    Program,
    Row,
    make,
    needs_posix,
    rows,
)

pytestmark = needs_posix
CLASSIFY_ALL = "classify shapes --engine reference --format jsonl -t 10"
STAR = Image.open(ROOT / "data" / "star.png").convert("RGB")
SIDE = Image.Exif()
SIDE[0x0112] = 6  # turned by a quarter


@pytest.fixture
def darknet(tmp_path, cache):
    return Program(tmp_path, cache)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """An RGB PNG put together by hand."""
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, content in (header, *chunks, (b"IEND", b"")):
        parts += [struct.pack(">I", len(content)), name, content, struct.pack(">I", zlib.crc32(name + content))]
    return b"".join(parts)


JPEG = encoded(STAR, "JPEG", quality=90)
PNG = encoded(STAR)
GREY = STAR.convert("L")
PALETTE = STAR.convert("P")
FRAME = JPEG.index(b"\xff\xc0") + 5  # where a JPEG says its height and width


class Picture(NamedTuple):
    """A picture: its name, its content, and why it is refused, or what it equals, and within what bound."""

    name: str
    content: Content
    says: str = ""
    same: bytes = b""
    within: float = 0


# Two codings of a picture differ by a step here and there.
LOSSY = 0.02
PICTURES = [
    Picture("missing.png", lambda path: None, "no such file"),
    Picture("pipe.png", os.mkfifo, NO_FILE),
    Picture("empty.jpg", b"", "an empty file"),
    # Cut short or damaged
    Picture("half.jpg", JPEG[: len(JPEG) // 2], "a damaged JPEG: premature end of JPEG file"),
    Picture("without-end.jpg", JPEG[:-2], "a damaged JPEG: premature end of JPEG file"),
    Picture("half.png", PNG[: len(PNG) // 2], "a damaged picture: image file is truncated"),
    Picture("without-end.png", PNG[:-1], "a damaged picture: image file is truncated"),
    Picture("half-cmyk.jpg", encoded(STAR.convert("CMYK"), "JPEG")[:4000], "a damaged JPEG: premature end"),
    Picture("damage.jpg", JPEG[:2000] + b"\x55" * 99 + JPEG[2099:], "a damaged JPEG: corrupt JPEG data"),
    Picture("damage.png", PNG[:3900] + b"\x55" + PNG[3901:], "a damaged picture: wrong checksum of its IDAT chunk"),
    Picture("stray-bytes.jpg", JPEG[: FRAME - 5] + b"stray bytes" + JPEG[FRAME - 5 :], same=JPEG),
    # Something else
    Picture("text.jpg", b"malamute\n" * 99, "not a picture in any format known here"),
    Picture("page.png", PAGE, "not a picture in any format known here"),
    Picture("unknown.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "not a picture in any format known here"),
    Picture("unknown.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n", "not a picture in any format"),
    Picture("really-png.jpg", PNG, same=PNG),
    Picture("really-jpeg.png", JPEG, same=JPEG),
    # Of other colours, depths and kinds
    Picture("cmyk.jpg", encoded(STAR.convert("CMYK"), "JPEG", quality=100), same=PNG, within=LOSSY),
    Picture("grey.jpg", encoded(GREY, "JPEG", quality=100), same=encoded(GREY), within=LOSSY),
    Picture("grey-of-16-bits.png", encoded(Image.fromarray(np.asarray(GREY).astype("u2") * 257)), same=encoded(GREY)),
    Picture("palette.png", encoded(PALETTE), same=encoded(PALETTE.convert("RGB"))),
    Picture("palette-alpha.png", encoded(PALETTE, transparency=3), same=encoded(PALETTE.convert("RGB"))),
    Picture("one-bit.png", encoded(STAR.convert("1")), same=encoded(STAR.convert("1").convert("RGB"))),
    Picture("alpha.png", encoded(Image.merge("RGBA", (*STAR.split(), GREY))), same=PNG),
    Picture("grey-alpha.png", encoded(Image.merge("LA", (GREY, GREY))), same=encoded(GREY)),
    Picture("floats.tif", encoded(Image.new("F", (9, 9)), "TIFF"), "pixels of 32 bits (mode F); 8 or 16 are"),
    Picture("progressive.jpg", encoded(STAR, "JPEG", quality=90, progressive=True), same=JPEG),
    Picture("turned-by-exif.jpg", encoded(STAR, "JPEG", quality=90, exif=SIDE), same=JPEG),
    Picture("turned-by-exif.png", encoded(STAR, exif=SIDE), same=PNG),
    # Of other sizes
    Picture("bomb.png", png(60_000, 60_000, (b"IDAT", zlib.compress(bytes(10**6)))), "60000 x 60000 pixels; at"),
    Picture("bomb.jpg", JPEG[:FRAME] + b"\xff\x00\xff\x00" + JPEG[FRAME + 4 :], "65280 x 65280 pixels; at most"),
    Picture("bomb-of-text.png", png(1, 1, (b"zTXt", b"a\0\0" + zlib.compress(bytes(10**7)))), "a damaged picture: "),
    Picture(
        "one-pixel.png", encoded(Image.new("RGB", (1, 1), "teal")), same=encoded(Image.new("RGB", (64, 64), "teal"))
    ),
]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, cache):
    """The answers to all pictures, and to those that they should equal: probabilities or a message by name."""
    folder = tmp_path_factory.mktemp("pictures")
    names = []
    for picture in PICTURES:
        make(folder, {picture.name: picture.content, f"{picture.name}.expected": picture.same})
        names += [picture.name] + [f"{picture.name}.expected"] * bool(picture.same)
    answer = Program(folder, cache)(" ".join([CLASSIFY_ALL, *names]))
    assert answer.code == SOME
    answers: dict[str, object] = {}
    for record in map(json.loads, answer.out.splitlines()):
        guesses = {guess["label"]: guess["probability"] for guess in record["predictions"]}
        answers[record["file"]] = record.get("error") or guesses
    assert answer.complaints == [f"{name}: {said}" for name, said in answers.items() if isinstance(said, str)]
    assert list(answers) == names
    return answers


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_picture(pictures, picture):
    answer = pictures[picture.name]
    if picture.says:
        assert str(answer).startswith(picture.says)
    else:
        expected = pictures[f"{picture.name}.expected"]
        assert isinstance(expected, dict)
        assert answer == pytest.approx(expected, abs=picture.within)


def test_a_strip_of_65000_pixels_is_answered_as_a_letterbox_and_says_so(tmp_path, darknet):
    """Of one colour, it gives the same column or row as a strip of the network's size.

    But where rounding puts the last row slightly above the picture's, as here, darknet leaves nothing of it.
    """
    for name, size in (("high", (1, 65_000)), ("wide", (65_000, 1)), ("low", (64, 1)), ("short", (1, 64))):
        image = Image.new("RGB", size, "teal")
        image.save(tmp_path / f"{name}.png")
    image.putpixel((0, 63), (0, 0, 0))
    image.save(tmp_path / "short.png")
    strips = darknet(f"{CLASSIFY_ALL} high.png wide.png")
    boxed = darknet(f"{CLASSIFY_ALL} --preprocess letterbox short.png low.png")
    assert strips.code == boxed.code == 0
    assert strips.complaints == [
        "warning: high.png: 1 x 65000 pixels, too long a strip for shorter; letterbox is used",
        "warning: wide.png: 65000 x 1 pixels, too long a strip for shorter; letterbox is used",
    ]
    for strip, box in zip(strips.out.splitlines(), boxed.out.splitlines(), strict=True):
        given, same = json.loads(strip), json.loads(box)
        assert (given["preprocess"], given["width"], given["height"]) == ("letterbox", 64, 64)
        for guess, expected in zip(given["predictions"], same["predictions"], strict=True):
            assert guess == expected | {"probability": pytest.approx(expected["probability"], abs=1e-4)}


@rows(
    Row("empty list", {}, "-: no path on standard input", "-"),
    Row("empty folder", {"f": Path.mkdir}, "f: no picture in this folder or below it", "f"),
    Row("missing in a list", {"list": "star.png\nnone.png\n\nstar.png"}, "none.png: no such file", "-", SOME),
    Row("missing among others", {}, "none.png: no such file", "star.png none.png star.png", SOME),
    Row(
        "empty folder among others",
        {"f": Path.mkdir},
        "f: no picture in this folder or below it",
        "star.png f star.png",
        SOME,
    ),
)
def test_of_several_pictures_those_that_can_be_are_answered(tmp_path, darknet, row):
    make(tmp_path, {**PLAIN, "list": "", **row.files})
    command = CLASSIFY.replace("star.png", row.command)
    answer = darknet(f"{command} --format json", stdin=(tmp_path / "list").read_text())
    assert answer.complaints == [row.says]
    assert answer.code == row.code
    answered = [record["file"] for record in json.loads(answer.out) if "error" not in record]
    assert answered == ["star.png"] * (2 if row.code == SOME else 0)
