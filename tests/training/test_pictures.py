"""Pictures kept in memory."""

from __future__ import annotations

import numpy as np
import pytest

from darknet_py.errors import ImageError
from darknet_py.images.decode import encode_png
from darknet_py.training import pictures as module
from darknet_py.training.pictures import Pictures

PIXELS = np.random.default_rng(0).integers(0, 256, (10, 10, 3), np.uint8)
SIZE = PIXELS.nbytes + Pictures.OVERHEAD


@pytest.fixture
def decoded(tmp_path, monkeypatch):
    """The names of pictures as they are decoded; there are a.png, b.png and c.png."""
    names = []
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(encode_png(PIXELS))
    monkeypatch.chdir(tmp_path)
    real = module.load_image
    monkeypatch.setattr(module, "load_image", lambda file: names.append(file) or real(file))
    return names


@pytest.mark.parametrize(("most", "expected"), [(0, "abcabc"), (SIZE - 1, "abcabc"), (2 * SIZE, "abcc"), (9999, "abc")])
def test_the_first_pictures_that_fit_are_kept(decoded, most, expected):
    pictures = Pictures(most)
    for name in "abcabc":
        assert (pictures.load(f"{name}.png") == PIXELS).all()
    assert [file[0] for file in decoded] == list(expected)


def test_what_cannot_be_read_is_tried_again(decoded):
    pictures = Pictures(9999)
    for _ in range(2):
        with pytest.raises(ImageError, match=r"^d\.png: no such file$"):
            pictures.load("d.png")
    assert decoded == ["d.png"] * 2


def test_what_was_read_is_not_read_again(decoded):
    assert (Pictures(0).load("d.png", encode_png(PIXELS)) == PIXELS).all()
    with pytest.raises(ImageError, match=r"^d\.png: a damaged picture: "):
        Pictures(0).load("d.png", encode_png(PIXELS)[:-30])
    assert decoded == []
