"""Holding samples out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darknet_py.datasets.samples import Sample
from darknet_py.datasets.split import hold_out
from darknet_py.datasets.truths import count_classes
from darknet_py.errors import UsageError


def make_samples(*counts):
    """A list of samples, with the given number of each class."""
    return [Sample(f"{truth}/{number}.png", truth) for truth, count in enumerate(counts) for number in range(count)]


def test_a_tenth_of_each_class_is_held_out():
    kept, held = hold_out(make_samples(100, 34, 10, 5, 2, 1), 0.1, 0)
    assert count_classes(held, 6) == [10, 3, 1, 1, 1, 0]
    assert count_classes(kept, 6) == [90, 31, 9, 4, 1, 1]
    assert hold_out(make_samples(100, 2), 0, 0)[1] == []


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), st.floats(0, 1, exclude_max=True), st.integers(0, 9))
def test_both_parts_together_are_the_samples_in_their_order(counts, fraction, seed):
    samples = make_samples(*counts)
    kept, held = hold_out(samples, fraction, seed)
    assert sorted(kept + held) == sorted(samples)
    assert [sample for sample in samples if sample in kept] == kept
    for count, left in zip(counts, count_classes(kept, len(counts)), strict=True):
        assert left >= min(count, 1)
        assert left < count or count < 2 or not fraction


def test_the_seed_decides_and_other_classes_do_not():
    samples = make_samples(50, 50)
    held = hold_out(samples, 0.2, 1)[1]
    assert held == hold_out(samples, 0.2, 1)[1]
    assert held != hold_out(samples, 0.2, 2)[1]
    assert held[:10] == hold_out(make_samples(50, 9, 9), 0.2, 1)[1][:10]
    assert [sample.file[2:] for sample in held[:10]] != [sample.file[2:] for sample in held[10:]]


def test_a_file_that_is_listed_twice_is_on_one_side():
    kept, held = hold_out(make_samples(10) * 3, 0.5, 0)
    assert len(kept) == len(held) == 15
    assert not set(kept) & set(held)


def test_samples_of_no_class_are_a_class_too():
    kept, held = hold_out([Sample(f"{number}.png") for number in range(10)], 0.1, 0)
    assert (len(kept), len(held)) == (9, 1)


@pytest.mark.parametrize("fraction", [-0.1, 1, float("nan")])
def test_a_fraction_that_is_none_is_refused(fraction):
    with pytest.raises(UsageError, match=f"^fraction={fraction}: a number from 0 to less than 1 is expected$"):
        hold_out(make_samples(3), fraction, 0)
