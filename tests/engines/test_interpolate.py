"""The compiled interpolation of pictures against its definition: the same bits."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_closed_memory import run_between_closed_pages

from darknet_py import images
from darknet_py.engines.cpu.interpolate import interpolate
from darknet_py.images.fit import MODES, preprocess, resize

SIDES = st.integers(1, 80)


def draw_picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@given(SIDES, SIDES, SIDES, SIDES)
def test_any_size_to_any_other(height, width, new_height, new_width):
    picture = draw_picture(height, width)
    resized = resize(picture, new_width, new_height, interpolate=interpolate)
    assert resized.dtype == np.float32
    np.testing.assert_array_equal(resized, resize(picture, new_width, new_height))


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
    picture = view(draw_picture(60, 70))
    np.testing.assert_array_equal(resize(picture, 33, 47, interpolate=interpolate), resize(picture, 33, 47))


@pytest.mark.parametrize("mode", MODES)
def test_every_fitting(mode):
    picture = draw_picture(375, 500)
    for fast, plain in zip(
        preprocess(picture, mode, 224, 224, interpolate), preprocess(picture, mode, 224, 224), strict=True
    ):
        assert fast.flags.c_contiguous
        np.testing.assert_array_equal(fast, plain)


@given(SIDES, SIDES, st.integers(1, 40), st.floats(0, 1, width=32))
def test_a_share_of_what_is_behind_the_last_pixel_is_its_own(height, width, columns, share):
    left, across = np.full(columns, width - 1), np.full(columns, share, np.float32)
    top, lower = np.zeros(1, np.int64), np.zeros(1, np.float32)
    arguments = draw_picture(height, width), left, across, top, 1 - lower, lower
    np.testing.assert_array_equal(interpolate(*arguments), images.fit.interpolate(*arguments))


@pytest.mark.skipif(sys.platform != "linux", reason="memory is closed by a call of Linux")
def test_pictures_at_either_end_of_memory_are_read_as_they_are():
    run_between_closed_pages("""
        from darknet_py.engines.cpu.interpolate import interpolate
        from darknet_py.images.fit import resize

        for height in range(1, 12):
            for width in range(1, 12):
                for part in (slice(3 * height * width), slice(-3 * height * width, None)):
                    picture = between[part].reshape(height, width, 3)
                    assert (resize(picture, 40, 24, interpolate=interpolate) == resize(picture, 40, 24)).all()
    """)
