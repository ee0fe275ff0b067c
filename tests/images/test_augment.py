"""Augmentation against darknet's own steps, and its draws."""

from __future__ import annotations

import colorsys
import math
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import GOLDEN, REFERENCE
from golden.make_images import draw as draw_picture
from hypothesis import given
from hypothesis import strategies as st

from darknet_py.errors import UsageError
from darknet_py.images.augment import DRAWN, Augmentation, Draws, augment, draw

# Every fourth row of each answer.
EXPECTED = GOLDEN / "expected_augment.npz"
WHOLE = REFERENCE / "training" / "expected_augment.npz"
BOUND = 3e-5  # the error of darknet's places, which are rounded to float32
PICTURE = np.random.default_rng(2).integers(0, 256, (9, 12, 3), np.uint8)


def recorded(file):
    """For each set of draws, its values by their names, and the recorded steps."""
    with np.load(file) as arrays:
        for number, row in enumerate(arrays["sets"].tolist()):
            values = SimpleNamespace(**dict(zip(arrays["names"].tolist(), row, strict=True)))
            yield values, arrays[f"{number}/geometry"], arrays[f"{number}/final"]


@pytest.mark.parametrize(
    ("file", "every"),
    [
        (EXPECTED, 4),
        pytest.param(WHOLE, 1, marks=pytest.mark.skipif(not WHOLE.is_file(), reason=f"no {WHOLE}")),
    ],
    ids=["some rows", "all rows"],
)
def test_each_step_is_darknets(file, every):
    picture = draw_picture(500, 375, 1)
    for drawn, geometry, final in recorded(file):
        placed = Draws(drawn.rad, drawn.scale, drawn.dx, drawn.dy, drawn.aspect)
        coloured = placed._replace(flip=bool(drawn.flip), hue=drawn.dhue, saturation=drawn.dsat, exposure=drawn.dexp)
        for draws, expected in ((placed, geometry), (coloured, final)):
            changed = augment(picture, draws, int(drawn.w), int(drawn.h))
            assert changed.dtype == np.float32
            assert changed.shape == (3, drawn.h, drawn.w)
            np.testing.assert_allclose(changed[:, ::every], expected, rtol=0, atol=BOUND)


def plain(picture, size=None):
    """The draws that leave the middle of a picture as it is, and its size."""
    height, width = picture.shape[:2]
    return Draws(), *(size or (width, height))


def test_without_changes_pixels_come_back():
    np.testing.assert_allclose(augment(PICTURE, *plain(PICTURE)), PICTURE.transpose(2, 0, 1) / 255, atol=1e-6)


def test_outside_is_black_and_the_edge_fades_into_it():
    white = np.full((2, 2, 3), 255, np.uint8)
    for dx, row in [(0, [0, 1, 1, 0]), (0.25, [0.25, 1, 0.75, 0]), (-0.25, [0, 0.75, 1, 0.25]), (9, [0, 0, 0, 0])]:
        np.testing.assert_allclose(augment(white, Draws(dx=dx), 4, 2), np.broadcast_to(row, (3, 2, 4)), atol=1e-6)
    np.testing.assert_allclose(augment(white, Draws(), 4, 4)[0, :, 1], [0, 1, 1, 0], atol=1e-6)


def slowly(picture, draws, width, height):
    """`augment` cell by cell, with the standard library's colours."""
    rows, columns = picture.shape[:2]
    result = np.zeros((3, height, width))

    def pixel(column, row):
        return picture[row, column] / 255 if 0 <= column < columns and 0 <= row < rows else np.zeros(3)

    for y in range(height):
        for x in range(width):
            u = (x - width / 2 + draws.dx) / draws.scale * draws.aspect
            v = (y - height / 2 + draws.dy) / draws.scale
            column = u * math.cos(draws.angle) - v * math.sin(draws.angle) + columns / 2
            row = u * math.sin(draws.angle) + v * math.cos(draws.angle) + rows / 2
            left, top = math.floor(column), math.floor(row)
            a, b = column - left, row - top
            upper = (1 - a) * pixel(left, top) + a * pixel(left + 1, top)
            lower = (1 - a) * pixel(left, top + 1) + a * pixel(left + 1, top + 1)
            hue, saturation, value = colorsys.rgb_to_hsv(*((1 - b) * upper + b * lower))
            colour = colorsys.hsv_to_rgb((hue + draws.hue) % 1, saturation * draws.saturation, value * draws.exposure)
            result[:, y, width - 1 - x if draws.flip else x] = np.clip(colour, 0, 1)
    return result


DRAWS = st.builds(
    Draws,
    st.floats(-4, 4),
    st.floats(0.2, 4),
    st.floats(-9, 9),
    st.floats(-9, 9),
    st.floats(0.5, 2),
    st.booleans(),
    st.floats(-1, 1),
    st.floats(0.25, 4),
    st.floats(0.25, 4),
)


@given(st.integers(1, 7), st.integers(1, 7), st.integers(1, 7), st.integers(1, 7), DRAWS, st.integers(0, 99))
def test_any_change_is_that_of_the_loops(rows, columns, width, height, draws, seed):
    picture = np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), np.uint8)
    changed, expected = augment(picture, draws, width, height), slowly(picture, draws, width, height)
    # Where a colour is almost grey, its hue is ill-defined, and rounding turns it.
    np.testing.assert_allclose(changed, expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize("hue", [0.3, -0.3, 1.0, -1.0])
def test_grey_stays_grey_and_keeps_its_value(hue):
    grey = np.repeat(np.arange(0, 250, 5, dtype=np.uint8)[None, :, None], 3, axis=2)
    draws, width, height = plain(grey)
    changed = augment(grey, draws._replace(hue=hue, saturation=2.0), width, height)
    np.testing.assert_allclose(changed, grey.transpose(2, 0, 1) / 255, atol=1e-6)


@pytest.mark.parametrize("red", [(255, 0, 0), (255, 0, 1), (255, 1, 0)])
def test_red_whose_hue_is_next_to_a_whole_turn_stays_red(red):
    picture = np.full((3, 3, 3), red, np.uint8)
    for hue in (-1e-9, 1e-9, 1 - 1e-8, -1 + 1e-8, 1.0):
        changed = augment(picture, Draws(hue=hue), 1, 1)[:, 0, 0]
        np.testing.assert_allclose(changed, np.array(red) / 255, atol=2e-6)


# Draws

FULL = Augmentation(224, 256, 320, angle=7, aspect=0.75, saturation=1.5, exposure=1.25, hue=0.1)


class Numbers:
    """A generator of the numbers that it is given."""

    def __init__(self, *numbers):
        self.numbers = np.array(numbers)

    def random(self, count):
        assert count == len(self.numbers) == DRAWN
        return self.numbers


def test_numbers_are_drawn_in_darknets_order():
    # aspect and coin, crop, angle, dx, dy, mirror, hue, saturation and coin, exposure and coin
    random = Numbers(0.4, 0.2, 0.999, 0.75, 1.0, 0.25, 0.1, 0.0, 0.5, 0.9, 0.5, 0.1)
    draws = draw(FULL, 500, 375, random)
    aspect, scale = 0.9, 320 / 375
    assert draws == pytest.approx(
        (
            math.radians(3.5),
            scale,
            (500 * scale / aspect - 224) / 2,
            -(375 * scale - 224) / 4,
            aspect,
            True,
            -0.1,
            1 / 1.25,
            1.125,
        )
    )


def test_draws_lie_between_the_options_limits():
    random = np.random.default_rng(0)
    drawn = [draw(FULL, 300, 400, random) for _ in range(2000)]
    crops = {
        round(draws.scale * int(300 * draws.aspect) if draws.aspect * 300 < 400 else draws.scale * 400)
        for draws in drawn
    }
    assert crops == set(range(256, 321))
    for name, least, most in [
        ("angle", -math.radians(7), math.radians(7)),
        ("aspect", 0.75, 1 / 0.75),
        ("hue", -0.1, 0.1),
        ("saturation", 1 / 1.5, 1.5),
        ("exposure", 0.8, 1.25),
    ]:
        values = [getattr(draws, name) for draws in drawn]
        assert least <= min(values) < least + 0.02 * (most - least)
        assert most - 0.02 * (most - least) < max(values) <= most
    assert 900 < sum(draws.flip for draws in drawn) < 1100


def test_without_options_only_place_and_mirror_are_drawn():
    options = Augmentation(28, 28, 56, flip=False, aspect=0, saturation=0, exposure=0)
    for seed in range(20):
        draws = draw(options, 32, 32, np.random.default_rng(seed))
        assert draws._replace(scale=1, dx=0, dy=0) == Draws()
        assert abs(draws.dx) <= (32 * draws.scale - 28) / 2
        assert abs(draws.dy) <= (32 * draws.scale - 28) / 2


def test_a_strip_that_aspect_would_make_nothing_is_drawn_all_the_same():
    draws = draw(Augmentation(8, 8, 8, aspect=0.5), 1, 100, Numbers(1, 0.2, *[0.5] * 10))
    assert (draws.aspect, draws.scale) == (0.5, 8)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (dict(size=0), "size=0: at least 1 pixel is expected"),
        (dict(min_crop=0), "min_crop=0, max_crop=8: 1 <= min_crop <= max_crop is expected"),
        (dict(min_crop=9), "min_crop=9, max_crop=8: 1 <= min_crop <= max_crop is expected"),
        (dict(angle=math.nan), "angle=nan: a number from 0 on is expected"),
        (dict(hue=-1), "hue=-1: a number from 0 on is expected"),
        (dict(exposure=math.inf), "exposure=inf: a number from 0 on is expected"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, says):
    with pytest.raises(UsageError, match=f"^{says}$"):
        Augmentation(**{"size": 8, "min_crop": 8, "max_crop": 8, **options})
