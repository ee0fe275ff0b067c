"""The order of samples: a function of the seed and of how many were seen before, so that a run can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ..errors import UsageError
from .generators import Purpose, generator

if TYPE_CHECKING:
    import numpy.typing as npt

Indices: TypeAlias = "npt.NDArray[np.int64]"

BLOCK = 4096  # positions that are drawn together, where any number would do


class Sampler:
    """An endless order of samples.

    Attributes
    ----------
    block : int
        Positions that are drawn together.
    """

    block: int

    def _draw(self, number: int) -> Indices:
        """The samples of block `number`."""
        raise NotImplementedError

    def __init__(self) -> None:
        self._drawn: tuple[int, Indices] = (-1, np.empty(0, np.int64))

    def take(self, position: int, count: int) -> Indices:
        """The indices of the samples at `count` positions from `position` on, which counts from 0."""
        parts = []
        while count > 0:
            number, start = divmod(position, self.block)
            if self._drawn[0] != number:
                self._drawn = number, self._draw(number)
            part = self._drawn[1][start : start + count]
            parts.append(part)
            position, count = position + len(part), count - len(part)
        return np.concatenate(parts) if parts else np.empty(0, np.int64)


class Epochs(Sampler):
    """All samples once in each epoch, in an order that is drawn for it."""

    def __init__(self, truths: Sequence[int], seed: int) -> None:
        super().__init__()
        self.block, self.seed = len(truths), seed

    def _draw(self, number: int) -> Indices:
        return generator(self.seed, Purpose.ORDER, number).permutation(self.block)


class Replacement(Sampler):
    """Any sample at any time, as in darknet: of N samples, 37 % are not among N draws."""

    block = BLOCK

    def __init__(self, truths: Sequence[int], seed: int) -> None:
        super().__init__()
        self.count, self.seed = len(truths), seed

    def _draw(self, number: int) -> Indices:
        return generator(self.seed, Purpose.ORDER, number).integers(self.count, size=BLOCK)


class Balanced(Sampler):
    """All classes equally often, in rounds of one sample of each; a class's samples all come before any comes again."""

    def __init__(self, truths: Sequence[int], seed: int) -> None:
        super().__init__()
        self.seed = seed
        of_sample = np.asarray(truths)
        self.members = [np.flatnonzero(of_sample == truth) for truth in np.unique(of_sample)]
        self.rounds = max(1, BLOCK // len(self.members))
        self.block = self.rounds * len(self.members)
        self._orders: dict[int, tuple[int, Indices]] = {}  # by class: the number of its last order, and that order

    def _draw(self, number: int) -> Indices:
        classes = np.tile(np.arange(len(self.members)), (self.rounds, 1))
        classes = generator(self.seed, Purpose.ORDER, number).permuted(classes, axis=1)
        rounds = number * self.rounds + np.arange(self.rounds)
        columns = [self._of_class(at, rounds) for at in range(len(self.members))]
        return np.stack(columns, axis=1)[np.arange(self.rounds)[:, None], classes].reshape(-1)

    def _of_class(self, at: int, rounds: Indices) -> Indices:
        """The samples of class `at` in some rounds."""
        members = self.members[at]
        cycles, places = np.divmod(rounds, len(members))
        samples = np.empty(len(rounds), np.int64)
        for cycle in range(int(cycles[0]), int(cycles[-1]) + 1):
            if self._orders.get(at, (-1,))[0] != cycle:
                order = generator(self.seed, Purpose.ORDER, at, cycle).permutation(members)
                self._orders[at] = cycle, order
            chosen = cycles == cycle
            samples[chosen] = self._orders[at][1][places[chosen]]
        return samples


SAMPLINGS: dict[str, Callable[[Sequence[int], int], Sampler]] = {
    "epochs": Epochs,
    "replacement": Replacement,
    "balanced": Balanced,
}


def make_sampler(sampling: str, truths: Sequence[int], seed: int) -> Sampler:
    """The sampler named `sampling`, for samples whose classes are `truths`.

    Raises
    ------
    UsageError
        Where there is no such sampler, or no sample.
    """
    if sampling not in SAMPLINGS:
        raise UsageError(f"sampling={sampling}: one of {', '.join(SAMPLINGS)} is expected")
    if not len(truths):
        raise UsageError("no sample to train on")
    return SAMPLINGS[sampling](truths, seed)
