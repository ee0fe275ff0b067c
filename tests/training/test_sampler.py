"""Orders of samples."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_py.errors import UsageError
from darknet_py.training.sampler import BLOCK, SAMPLINGS, make_sampler

TRUTHS = [0] * 50 + [1] * 7 + [3] * 1 + [-1] * 3
POSITIONS = st.integers(0, 3 * BLOCK)


@given(st.sampled_from(list(SAMPLINGS)), st.lists(st.integers(-1, 3), min_size=1, max_size=30), POSITIONS, st.data())
def test_the_order_is_the_same_wherever_one_begins(sampling, truths, position, data):
    whole = make_sampler(sampling, truths, 4).take(position, 200)
    assert len(whole) == 200
    sampler = make_sampler(sampling, truths, 4)
    sampler.take(data.draw(POSITIONS), 3)
    begin = data.draw(st.integers(0, 199))
    count = data.draw(st.integers(0, 200 - begin))
    assert sampler.take(position + begin, count).tolist() == whole[begin : begin + count].tolist()


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_seed_decides(sampling):
    first, second = (make_sampler(sampling, TRUTHS, seed).take(0, 61).tolist() for seed in (1, 2))
    assert first != second
    assert set(first) <= set(range(61))


def test_each_epoch_has_every_sample_once_in_an_order_of_its_own():
    drawn = make_sampler("epochs", TRUTHS, 1).take(0, 3 * 61).reshape(3, 61)
    assert (np.sort(drawn) == np.arange(61)).all()
    assert len({tuple(epoch) for epoch in drawn.tolist()}) == 3


def test_with_replacement_some_samples_are_not_seen():
    drawn = make_sampler("replacement", [0] * 10_000, 1).take(0, 10_000)
    assert abs(len(set(drawn.tolist())) / 10_000 - (1 - np.exp(-1))) < 0.02


def test_balanced_every_round_has_each_class_once_in_an_order_of_its_own():
    drawn = make_sampler("balanced", TRUTHS, 1).take(0, 8 * BLOCK).reshape(-1, 4)
    classes = np.array(TRUTHS)[drawn]
    assert (np.sort(classes) == [-1, 0, 1, 3]).all()
    assert len({tuple(order) for order in classes.tolist()}) == 24


def test_balanced_a_class_has_all_its_samples_before_any_once_more():
    drawn = make_sampler("balanced", TRUTHS, 1).take(0, 4 * 50 * 7)
    of_one = [index for index in drawn.tolist() if TRUTHS[index] == 1]
    cycles = [of_one[at : at + 7] for at in range(0, len(of_one), 7)]
    assert all(sorted(cycle) == list(range(50, 57)) for cycle in cycles)
    assert len({tuple(cycle) for cycle in cycles}) > 40
    assert set(Counter(index for index in drawn.tolist() if TRUTHS[index] == 0).values()) == {7}


def test_far_positions_are_as_near():
    for sampling in SAMPLINGS:
        assert len(make_sampler(sampling, TRUTHS, 1).take(10**15, 64)) == 64


def test_unknown_orders_and_no_samples_are_refused():
    with pytest.raises(UsageError, match=r"^sampling=any: one of epochs, replacement, balanced is expected$"):
        make_sampler("any", TRUTHS, 1)
    with pytest.raises(UsageError, match=r"^no sample to train on$"):
        make_sampler("epochs", [], 1)
