"""Guesses and heat drawn on pictures."""

from __future__ import annotations

import numpy as np
import pytest

from darknet_py.images import draw

GREY = np.full((400, 600, 3), 100, np.uint8)


def test_each_guess_has_a_bar_as_long_as_its_share():
    drawn = draw.annotate(GREY, [("cat", 0.75), ("dog", 0.25), ("nothing", 0.0)])
    assert drawn.shape == GREY.shape
    blue = (drawn == draw.BAR).all(axis=2)
    lengths = sorted({int(row.sum()) for row in blue if row.any()})
    panel = np.flatnonzero((drawn[1] != 100).any(axis=1)).max() + 1
    assert lengths[-1] == pytest.approx(0.75 * panel, abs=2)
    assert any(length == pytest.approx(0.25 * panel, abs=2) for length in lengths)
    assert (drawn == draw.TEXT).all(axis=2).any()
    np.testing.assert_array_equal(drawn[-200:], GREY[-200:])
    assert (GREY == 100).all()


@pytest.mark.parametrize("shape", [(1, 1), (64, 85), (1, 3000), (3000, 1)])
def test_small_pictures_get_a_margin_for_the_panel(shape):
    picture = np.full((*shape, 3), 255, np.uint8)
    drawn = draw.annotate(picture, [("a", 0.5)] * 5)
    assert drawn.shape[0] >= shape[0] + 5 * draw.SMALLEST
    assert drawn.shape[1] >= max(shape[1], draw.LEAST_WIDTH)
    left = (drawn.shape[1] - shape[1]) // 2
    np.testing.assert_array_equal(drawn[-shape[0] :, left : left + shape[1]], picture)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("lady's slipper", "lady's slipper"),
        ("Löwe", "Lowe"),
        ("龍", "?"),
        ("a\n\x1b[2J\u202eb", "a??[2J?b"),
        ("\ud800", "?"),
        ("", ""),
    ],
)
def test_names_are_told_with_the_letters_that_the_font_has(name, shown):
    assert draw._fit(name, 10_000, 20) == shown


def test_long_names_are_cut():
    cut = draw._fit("x" * 100_000, 200, 20)
    assert cut.endswith("…")
    assert len(cut) < 40


def test_shares_beyond_their_range_are_drawn_at_its_ends():
    draw.annotate(GREY, [("a", 7.0), ("b", -1.0), ("c", float("nan"))])


def test_heat_colours_where_it_is_and_leaves_grey_where_it_is_not():
    picture = np.random.default_rng(0).integers(255, size=(8, 8, 3), dtype=np.uint8)
    warmth = np.zeros((8, 8), np.float32)
    warmth[0, 0] = 1
    drawn = draw.heat(picture, warmth)
    assert np.ptp(drawn[1:], axis=2).max() == 0
    assert np.abs(drawn[3, 3].astype(float) - picture[3, 3].mean()).max() <= 1
    assert drawn[0, 0, 0] > drawn[0, 0, 2] + 30


def test_side_by_side_and_smaller():
    joined = draw.beside(GREY, GREY[:200])
    assert joined.shape == (400, 1204, 3)
    assert draw.shrink(GREY, 300).shape == (200, 300, 3)
    assert draw.shrink(GREY, 600) is GREY
