"""Random numbers of a run."""

from __future__ import annotations

from darknet_py.training.generators import Purpose, generator


def numbers(*arguments):
    return generator(*arguments).random(4).tolist()


def test_the_same_generator_comes_again():
    assert numbers(1, Purpose.ORDER, 5) == numbers(1, Purpose.ORDER, 5)


def test_seeds_purposes_and_numbers_have_generators_of_their_own():
    asked = [(seed, purpose, *rest) for seed in (0, 1) for purpose in Purpose for rest in ((), (0,), (1,), (0, 0))]
    assert len({tuple(numbers(*arguments)) for arguments in asked}) == len(asked)
