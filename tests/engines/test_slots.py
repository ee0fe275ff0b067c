"""Slots: values that are needed at the same time do not overlap, and little more memory is taken."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from darknet_py.engines.slots import Lifetime, assign_slots


@st.composite
def lifetimes(draw):
    """Of values of a few sizes."""
    found = []
    for _ in range(draw(st.integers(0, 40))):
        first = draw(st.integers(0, 20))
        found.append(Lifetime(first, draw(st.integers(first, 20)), draw(st.sampled_from([1, 2, 3, 10, 100]))))
    return found


@given(lifetimes())
def test_values_that_are_needed_at_the_same_time_lie_in_slots_of_their_own(values):
    slots, sizes = assign_slots(values)
    for step in range(21):
        alive = [slot for slot, value in zip(slots, values, strict=True) if value.first <= step <= value.last]
        assert len(alive) == len(set(alive))
    for slot, value in zip(slots, values, strict=True):
        assert value.size <= sizes[slot]
    assert sorted(set(slots)) == list(range(len(sizes)))
    for slot, size in enumerate(sizes):
        assert size == max(value.size for value, own in zip(values, slots, strict=True) if own == slot)


@given(lifetimes())
def test_values_of_one_size_take_no_more_than_are_needed_at_the_same_time(values):
    """As first-fit does for intervals in the order in which they begin."""
    values = [value._replace(size=1) for value in values]
    most = max((sum(value.first <= step <= value.last for value in values) for step in range(21)), default=0)
    assert sum(assign_slots(values)[1]) == most


def test_a_large_value_takes_what_a_small_one_was_in_and_none_grows():
    assert assign_slots([Lifetime(0, 1, 5), Lifetime(1, 2, 9), Lifetime(2, 3, 8)]) == ([1, 0, 1], [9, 8])


def test_none():
    assert assign_slots([]) == ([], [])
