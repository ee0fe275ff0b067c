"""Fitting pictures to a network: resizing against loops, and what each mode cuts out."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_py.errors import UsageError
from darknet_py.images.fit import PREDICT_MODES, find_area, preprocess, resize, window

RNG = np.random.default_rng(1)
PIXELS = RNG.integers(0, 256, (6, 5, 3), np.uint8)


def resize_slowly(picture, width, height):
    """As darknet's resize_image, value by value in float32."""
    one = np.float32(1)
    source = [[[np.float32(v / 255) for v in pixel] for pixel in row] for row in picture.tolist()]
    h, w = len(source), len(source[0])
    if (h, w) == (height, width):
        return np.float32(source)
    across = np.float32(w - 1) / np.float32(max(width - 1, 1))
    down = np.float32(h - 1) / np.float32(max(height - 1, 1))
    part = np.zeros((h, width, 3), np.float32)
    for row, column, c in np.ndindex(*part.shape):
        if column == width - 1 or w == 1:
            part[row, column, c] = source[row][w - 1][c]
            continue
        x = np.float32(column) * across
        left = int(x)
        beyond = x - np.float32(left)
        part[row, column, c] = (one - beyond) * source[row][left][c] + beyond * source[row][left + 1][c]
    result = np.zeros((height, width, 3), np.float32)
    for row, column, c in np.ndindex(*result.shape):
        y = np.float32(row) * down
        top = int(y)
        beyond = y - np.float32(top)
        result[row, column, c] = (one - beyond) * part[top, column, c]
        if row != height - 1 and h != 1:
            result[row, column, c] += beyond * part[top + 1, column, c]
    return result


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.integers(0, 1000),
)
def test_resize_equals_the_loops(source, target, seed):
    picture = np.random.default_rng(seed).integers(0, 256, (*source, 3), np.uint8)
    resized = resize(picture, *target)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, resize_slowly(picture, *target), rtol=0, atol=2e-7)


def rounded_down(target, source):
    """Whether in float32 the last of `target` rows is above the last of `source` rows."""
    last = np.float32(target - 1) * (np.float32(source - 1) / np.float32(target - 1))
    return int(last) < source - 1


def test_last_row_is_black_where_rounding_puts_it_above_the_pictures_last():
    height, source = next((t, s) for s in range(2, 99) for t in range(2, 99) if t != s and rounded_down(t, s))
    white = np.full((source, 4, 3), 255, np.uint8)
    resized = resize(white, 3, height)
    np.testing.assert_allclose(resized, resize_slowly(white, 3, height), rtol=0, atol=2e-7)
    assert resized[-1].max() < 1e-4
    assert resized[:-1].min() > 0.9999


def test_unchanged_size_gives_the_pixels_by_255():
    assert (resize(PIXELS, 5, 6) == (PIXELS / 255).astype(np.float32)).all()


def test_a_window_beyond_an_edge_repeats_the_edge():
    assert window(5, -2, 9).tolist() == [0, 0, 0, 1, 2, 3, 4, 4, 4]


def test_some_columns_and_rows_are_those_of_the_whole():
    columns, rows = np.array([7, 0, 0, 3]), np.array([2, 9, 5])
    assert (resize(PIXELS, 8, 10, columns, rows) == resize(PIXELS, 8, 10)[rows[:, None], columns]).all()


# Modes: what they make of a picture for a network of 32 x 24 (width x height)

WIDE = RNG.integers(0, 256, (30, 50, 3), np.uint8)
HIGH = RNG.integers(0, 256, (50, 30, 3), np.uint8)


def views(picture, mode):
    """The mode's inputs, height x width x 3."""
    return [view.transpose(1, 2, 0) for view in preprocess(picture, mode, 32, 24)]


@pytest.mark.parametrize("picture", [WIDE, HIGH], ids=["wide", "high"])
@pytest.mark.parametrize("mode", ["shorter", "letterbox", "center-crop", "stretch", "resize-crop", "ten-crop", "multi"])
def test_inputs_are_contiguous_float32_in_0_to_1(picture, mode):
    made = preprocess(picture, mode, 32, 24)
    assert len(made) == {"ten-crop": 10, "multi": 8}.get(mode, 1)
    for view in made:
        assert view.dtype == np.float32
        assert view.flags.c_contiguous
        assert view.shape[0] == 3
        assert view.min() >= 0
        assert view.max() <= 1
        if mode not in ("shorter", "multi"):
            assert view.shape == (3, 24, 32)


def test_stretch_resizes():
    assert (views(WIDE, "stretch")[0] == resize(WIDE, 32, 24)).all()


@pytest.mark.parametrize(("picture", "size"), [(WIDE, (53, 32)), (HIGH, (32, 53)), (WIDE[:, :30], (32, 32))])
def test_shorter_makes_the_shorter_side_the_networks_width(picture, size):
    assert (views(picture, "shorter")[0] == resize(picture, *size)).all()


@pytest.mark.parametrize(
    ("picture", "size", "corner"),
    [
        (WIDE, (32, 19), (0, 2)),
        (HIGH, (14, 24), (9, 0)),
        (WIDE[:1, :40], (32, 1), (0, 11)),
        (HIGH[:, :1], (1, 24), (15, 0)),
    ],
    ids=["wide", "high", "wide strip", "high strip"],
)
def test_letterbox_centres_the_picture_on_grey(picture, size, corner):
    (width, height), (left, top) = size, corner
    (boxed,) = views(picture, "letterbox")
    inside = np.zeros((24, 32), bool)
    inside[top : top + height, left : left + width] = True
    assert (boxed[inside].reshape(height, width, 3) == resize(picture, width, height)).all()
    assert (boxed[~inside] == 0.5).all()


def test_letterbox_of_a_strip_that_would_vanish_keeps_one_row():
    (boxed,) = views(np.full((1, 200, 3), 255, np.uint8), "letterbox")
    assert (boxed[11] == 1).all()
    assert (np.delete(boxed, 11, axis=0) == 0.5).all()


@pytest.mark.parametrize(
    ("picture", "square"), [(WIDE, np.s_[:, 10:40]), (HIGH, np.s_[10:40]), (WIDE[:, :33], np.s_[:, 1:31])]
)
def test_center_crop_takes_the_middle_square(picture, square):
    assert (views(picture, "center-crop")[0] == resize(picture[square], 32, 24)).all()


@pytest.mark.parametrize(("picture", "size", "corner"), [(WIDE, (53, 32), (10, 4)), (HIGH, (32, 53), (0, 14))])
def test_resize_crop_takes_the_middle_of_shorter(picture, size, corner):
    left, top = corner
    assert (views(picture, "resize-crop")[0] == resize(picture, *size)[top : top + 24, left : left + 32]).all()


def test_resize_crop_for_a_network_higher_than_wide_repeats_the_edge():
    made = preprocess(WIDE, "resize-crop", 24, 35)[0].transpose(1, 2, 0)
    resized = resize(WIDE, 40, 24)
    assert made.shape == (35, 24, 3)
    # (24 - 35) / 2 is -5 in C
    for row in range(35):
        assert (made[row] == resized[min(max(row - 5, 0), 23), 8:32]).all()


def test_resize_crop_of_a_strip_takes_little_memory():
    """Resized as a whole it would be 224 x 13 million pixels, of which few are needed."""
    strip = np.zeros((60_000, 1, 3), np.uint8)
    given = []

    def interpolate(picture, *places):
        given.extend(map(len, places))
        return np.zeros((224, 224, 3), np.float32)

    tracemalloc.start()
    preprocess(strip, "resize-crop", 224, 224, interpolate)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert given == [224] * 5
    assert peak < 5e6


def test_ten_crop_takes_five_crops_of_the_picture_and_of_its_mirror():
    resized = resize(WIDE, 64, 56)
    corners = [(-32, -32), (32, -32), (0, 0), (-32, 32), (32, 32)]
    windows = [(window(64, left, 32), window(56, top, 24)[:, None]) for left, top in corners]
    expected = [side[rows, columns] for side in (resized, resized[:, ::-1]) for columns, rows in windows]
    assert all((a == b).all() for a, b in zip(views(WIDE, "ten-crop"), expected, strict=True))


@pytest.mark.parametrize(
    ("picture", "sizes"),
    [
        (WIDE, [(224, 134), (256, 153), (288, 172), (320, 192)]),
        (HIGH, [(134, 224), (153, 256), (172, 288), (192, 320)]),
        (WIDE[:1], [(224, 4), (256, 5), (288, 5), (320, 6)]),
    ],
    ids=["wide", "high", "strip"],
)
def test_multi_resizes_to_four_longer_sides_each_with_its_mirror(picture, sizes):
    made = views(picture, "multi")
    for number, size in enumerate(sizes):
        resized = resize(picture, *size)
        assert (made[2 * number] == resized).all()
        assert (made[2 * number + 1] == resized[:, ::-1]).all()


def test_unknown_mode_is_refused():
    with pytest.raises(UsageError, match="preprocess=squash: one of shorter, letterbox"):
        preprocess(WIDE, "squash", 32, 24)


@pytest.mark.parametrize("mode", PREDICT_MODES)
@pytest.mark.parametrize(("w", "h"), [(80, 60), (60, 80), (64, 64), (300, 40)])
def test_an_area_is_where_the_input_shows_the_picture(mode, w, h):
    """A picture whose red grows to the right and whose green grows downwards tells from where each pixel comes."""
    across, down = (np.arange(w) + 0.5) / w, (np.arange(h) + 0.5) / h
    picture = np.zeros((h, w, 3), np.uint8)
    picture[..., 0], picture[..., 1] = np.rint(across * 250), np.rint(down * 250)[:, None]
    picture[..., 2] = 255
    (view,) = preprocess(picture, mode, 96, 96)
    _, rows, columns = view.shape
    left, top, right, bottom = find_area(mode, w, h, columns, rows)
    inside = view[2] > 0.9
    x = np.broadcast_to(left + (right - left) * (np.arange(columns) + 0.5) / columns, view.shape[1:])
    y = np.broadcast_to((top + (bottom - top) * (np.arange(rows) + 0.5) / rows)[:, None], view.shape[1:])
    slack = 1.1 / min(w, h) + 0.01  # a pixel of the picture: corners lie on corners
    np.testing.assert_allclose(x[inside], view[0][inside] * 255 / 250, rtol=0, atol=slack)
    np.testing.assert_allclose(y[inside], view[1][inside] * 255 / 250, rtol=0, atol=slack)
    assert ((x >= 0) & (x <= 1) & (y >= 0) & (y <= 1))[inside].all()
