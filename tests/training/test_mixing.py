"""Truths, and the mixing of pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_py.errors import UsageError
from darknet_py.training.mixing import Mix, Mixing, draw_mixing, make_truths, mix

ALL = Mixing(("mixup", "cutmix", "mosaic"), 1.0)


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)


def test_truths_are_one_for_the_class():
    truths = make_truths([2, 0, -1], 3)
    assert truths.dtype == np.float32
    assert truths.tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 0]]


def test_smoothed_truths_give_a_part_to_the_others():
    close(make_truths([2, -1], 5, 0.1), [[0.025, 0.025, 0.9, 0.025, 0.025], [0] * 5])
    assert make_truths([0, -1], 1, 0.1).tolist() == [[1], [0]]


def batch(count=4, width=10, height=10, classes=4):
    """Pictures whose values are all the picture's number, and truths of one class each."""
    images = np.broadcast_to(np.arange(count, dtype=np.float32)[:, None, None, None], (count, 3, height, width)).copy()
    return images, make_truths(list(range(count)), classes)


def test_mixup_is_the_mean_of_two():
    images, truths = batch()
    mixed, shared = mix(images, truths, [Mix("mixup", (3,)), None, Mix("mixup", (2,)), Mix("mixup", (0,))])
    assert mixed[:, 0, 0, 0].tolist() == [1.5, 1, 2, 1.5]
    assert shared.tolist() == [[0.5, 0, 0, 0.5], [0, 1, 0, 0], [0, 0, 1, 0], [0.5, 0, 0, 0.5]]
    assert images[0].max() == 0
    assert truths.tolist() == np.eye(4).tolist()


def test_cutmix_pastes_a_box_and_shares_truth_by_its_area():
    images, truths = batch()
    mixed, shared = mix(images, truths, [None, Mix("cutmix", (3,), (2, 1, 7, 5)), None, None])
    expected = np.ones((10, 10))
    expected[1:5, 2:7] = 3
    assert (mixed[1] == expected).all()
    close(shared[1], [0, 0.8, 0, 0.2])


def test_a_mosaic_joins_four_at_a_point():
    images, truths = batch()
    mixed, shared = mix(images, truths, [None] * 3 + [Mix("mosaic", (0, 1, 2), (0, 0, 3, 6))])
    expected = np.block([[np.full((6, 3), 3), np.full((6, 7), 0)], [np.full((4, 3), 1), np.full((4, 7), 2)]])
    assert (mixed[3] == expected).all()
    close(shared[3], [0.42, 0.12, 0.28, 0.18])


@given(st.integers(1, 9), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32))
def test_whatever_is_drawn_truths_say_how_much_of_whom_is_seen(count, width, height, seed):
    images, truths = batch(count, width, height, count)
    mixes = draw_mixing(ALL, count, width, height, np.random.default_rng(seed))
    mixed, shared = mix(images, truths, mixes)
    for picture, truth, drawn in zip(mixed, shared, mixes, strict=True):
        if drawn.way != "mixup":
            close(truth, [(picture[0] == number).mean() for number in range(count)])
        close(truth.sum(), 1)


def test_boxes_and_points_lie_where_the_fork_draws_them():
    mixes = draw_mixing(ALL, 3000, 100, 50, np.random.default_rng(0))
    boxes = np.array([drawn.box for drawn in mixes if drawn.way == "cutmix"])
    sides = boxes[:, 2:] - boxes[:, :2]
    assert sides.min(axis=0).tolist() == [30, 15]
    assert sides.max(axis=0).tolist() == [80, 40]
    assert boxes[:, :2].min() == 0
    assert (boxes[:, 2:].max(axis=0) < [100, 50]).all()
    points = np.array([drawn.box[2:] for drawn in mixes if drawn.way == "mosaic"])
    assert points.min(axis=0).tolist() == [20, 10]
    assert points.max(axis=0).tolist() == [80, 40]
    assert all(len(drawn.others) == (3 if drawn.way == "mosaic" else 1) for drawn in mixes)


def test_half_of_the_pictures_are_mixed_in_each_way_alike():
    mixes = draw_mixing(Mixing(("cutmix", "mosaic")), 4000, 10, 10, np.random.default_rng(0))
    ways = [drawn.way for drawn in mixes if drawn]
    assert abs(len(ways) - 2000) < 150
    assert abs(ways.count("cutmix") - ways.count("mosaic")) < 200


def test_nothing_is_mixed_unasked():
    images, truths = batch()
    for options in (Mixing(), Mixing(("mixup",), 0.0)):
        mixed, shared = mix(images, truths, draw_mixing(options, 4, 10, 10, np.random.default_rng(0)))
        assert mixed is images
        assert shared is truths


def test_an_unknown_way_is_refused():
    with pytest.raises(UsageError, match=r"^mixing=blend: some of mixup, cutmix, mosaic are expected$"):
        Mixing(("blend",))
