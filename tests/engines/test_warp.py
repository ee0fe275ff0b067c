"""The compiled warp of pictures against its definition: the same bits."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_closed_memory import run_between_closed_pages

from darknet_py.engines.cpu.warp import warp
from darknet_py.errors import UsageError
from darknet_py.images import augment as definition
from darknet_py.images.augment import Augmentation, Draws, Places, augment, draw

SIDES = st.integers(1, 40)
FULL = Augmentation(48, 40, 96, angle=180, aspect=2, saturation=3, exposure=2, hue=0.5)


def draw_picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def empty(rows, columns):
    return np.full((3, rows, columns), math.nan, np.float32)


def assert_same(picture, draws, width, height):
    changed = augment(picture, draws, width, height, warp)
    assert changed.dtype == np.float32
    assert changed.flags.c_contiguous
    np.testing.assert_array_equal(changed, augment(picture, draws, width, height))


@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 2**32))
def test_any_picture_changed_in_any_way(rows, columns, width, height, seed):
    draws = draw(FULL, columns, rows, np.random.default_rng(seed))
    assert_same(draw_picture(rows, columns, seed), draws, width, height)


@pytest.mark.parametrize(
    "view",
    [
        lambda picture: picture[3:40, 5:50],
        lambda picture: picture[::-1],
        lambda picture: picture[:, ::-1],
        lambda picture: picture[..., ::-1],
        lambda picture: np.asfortranarray(picture),
    ],
    ids=["part", "upside down", "mirrored", "BGR", "columns first"],
)
def test_a_view_of_a_picture(view):
    assert_same(view(draw_picture(60, 70)), Draws(angle=0.3, scale=0.7, hue=0.2, flip=True), 33, 47)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (9, 9, 9), (255, 0, 0), (0, 255, 0), (0, 0, 255)])
def test_colours_without_a_hue_and_at_its_ends(colour):
    picture = np.full((8, 8, 3), colour, np.uint8)
    for hue in (0, 0.5, -0.5, 1, 1e-9, -1e-9):
        assert_same(picture, Draws(hue=hue, saturation=2, exposure=1.5), 8, 8)


@pytest.mark.parametrize("far", [-1e300, 1e300, -1.0001, 7, 6.999, -0.001, 2.0**63, math.inf, -math.inf])
def test_places_far_outside_and_at_the_edges(far):
    places = Places(*(np.array(values, np.float64) for values in ([far, 0, 1], [0], [0, far, 1], [0])))
    picture = draw_picture(7, 7)
    if math.isfinite(far):
        expected = definition.warp(picture, places, Draws(), empty(1, 3))
        np.testing.assert_array_equal(warp(picture, places, Draws(), empty(1, 3)), expected)
    else:
        assert (warp(picture, places, Draws(), empty(1, 3))[:, 0, :2] == 0).all()


def test_places_that_are_not_numbers_are_outside():
    places = Places(np.array([math.nan, 0.0]), np.zeros(1), np.zeros(2), np.zeros(1))
    changed = warp(np.full((2, 2, 3), 255, np.uint8), places, Draws(), empty(1, 2))
    assert changed[0, 0].tolist() == [0, 1]


def test_nothing_is_read_or_written_beyond_the_arrays():
    height, width, rows, columns = 5, 6, 9, 40
    around = np.full(height * width * 3 + 128, 255, np.uint8)
    picture = around[64:-64].reshape(height, width, 3)
    picture[:] = 0
    for seed in range(200):
        draws = draw(FULL, width, height, np.random.default_rng(seed))
        assert augment(picture, draws, columns, rows, warp).max() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="memory is closed by a call of Linux")
def test_pictures_at_either_end_of_memory_are_read_as_they_are():
    run_between_closed_pages("""
        from darknet_py.engines.cpu.warp import warp
        from darknet_py.images.augment import Draws, augment

        for height in range(1, 12):
            for width in range(1, 12):
                for part in (slice(3 * height * width), slice(-3 * height * width, None)):
                    picture = between[part].reshape(height, width, 3)
                    for angle in (0, 0.1):
                        draws = Draws(angle, scale=2)
                        changed = augment(picture, draws, 40, 24, warp)
                        assert (changed == augment(picture.copy(), draws, 40, 24)).all()
    """)


PLACES = Places(np.zeros(7), np.zeros(4), np.zeros(7), np.zeros(4))

WRONG = {
    "fewer rows": (draw_picture(5, 6), PLACES, empty(3, 7)),
    "more columns": (draw_picture(5, 6), PLACES, empty(4, 8)),
    "one channel": (draw_picture(5, 6), PLACES, empty(4, 7)[:1]),
    "numbers of another kind": (draw_picture(5, 6), PLACES, empty(4, 7).astype(np.float64)),
    "numbers of the other order": (draw_picture(5, 6), PLACES, empty(4, 7).astype(">f4")),
    "not contiguous": (draw_picture(5, 6), PLACES, empty(4, 14)[..., ::2]),
    "read alone": (draw_picture(5, 6), PLACES, np.broadcast_to(np.float32(0), (3, 4, 7))),
    "places that differ": (draw_picture(5, 6), PLACES._replace(down_y=np.zeros(3)), empty(4, 7)),
    "a picture of floats": (draw_picture(5, 6).astype(np.float32), PLACES, empty(4, 7)),
    "a picture of two channels": (draw_picture(5, 6)[..., :2], PLACES, empty(4, 7)),
    "a picture of none": (draw_picture(0, 6), PLACES, empty(4, 7)),
}


@pytest.mark.parametrize("function", [warp, definition.warp], ids=["compiled", "plain"])
@pytest.mark.parametrize("arrays", WRONG.values(), ids=WRONG)
def test_arrays_that_do_not_go_together_are_refused(function, arrays):
    picture, places, out = arrays
    before = out.copy()
    with pytest.raises(UsageError, match=r" expected$"):
        function(picture, places, Draws(), out)
    np.testing.assert_array_equal(out, before)


def test_a_result_of_another_size_than_is_asked_for_is_refused():
    with pytest.raises(
        UsageError, match=r"^out of float32 \(3, 4, 7\), .*; float32 \(3, 4, 8\), contiguous, is expected$"
    ):
        augment(draw_picture(5, 6), Draws(), 8, 4, warp, empty(4, 7))
