"""How parameters follow their gradients: darknet's SGD, and Adam.

Sources: darknet's ``convolutional_layer.c`` (update_convolutional_layer) and ``blas_kernels.cu`` (adam_update_gpu) of
2018; D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", 2014.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..engines.base import TrainingPlan
from ..layers import Array
from ..layers.training import rates
from ..parameters import Parameters
from .options import TrainingOptions

CHUNK = 1 << 16  # values that NumPy works on at a time, so that they stay in the cache


@dataclass(frozen=True)
class Part:
    """Neighbouring parameters that are updated alike.

    Attributes
    ----------
    place : slice
        Of the flat array.
    rate : float
        What the learning rate is multiplied by.
    weights : bool
        Whether they are weights: with SGD only these decay, as in darknet, and only these are clipped.
    """

    place: slice
    rate: float
    weights: bool


def learned_parts(parameters: Parameters) -> list[Part]:
    """The parameters that are learned: not statistics, and not those of frozen layers."""
    of_layers, parts = rates(parameters.layers), list[Part]()
    for entry in parameters.entries:
        role, rate = entry.parameter.role, of_layers[entry.layer.index]
        if not rate or role == "statistic":
            continue
        part = Part(entry.part, rate, role == "weight")
        if parts and replace(parts[-1], place=part.place) == part and parts[-1].place.stop == part.place.start:
            part = replace(part, place=slice(parts.pop().place.start, part.place.stop))
        parts.append(part)
    return parts


def follow_sgd(values: Array, gradients: Array, **numbers: np.float32) -> None:
    """Update by SGD: gradients accumulate with momentum, and the decay of values is part of them."""
    gradients -= numbers["decay"] * values
    values += numbers["rate"] * gradients
    gradients *= numbers["momentum"]


def follow_adam(values: Array, gradients: Array, first: Array, second: Array, **numbers: np.float32) -> None:
    """Update by Adam: values follow the first moment over the root of the second; gradients are set to 0."""
    gradients -= numbers["decay"] * values
    for name, moment, powers in (("first", first, gradients), ("second", second, gradients * gradients)):
        moment *= numbers[f"{name}_kept"]
        moment += numbers[f"{name}_taken"] * powers
    mean = first / numbers["first_whole"]
    spread = np.sqrt(second / numbers["second_whole"]) + numbers["least"]
    values += numbers["rate"] * mean / spread
    gradients[...] = 0


RULES: dict[str, Callable[..., None]] = {"sgd": follow_sgd, "adam": follow_adam}


@dataclass(frozen=True)
class Rule:
    """An `Update` by one of `RULES`, defined in NumPy."""

    rule: str
    arrays: Mapping[str, Array]
    numbers: Mapping[str, float]

    def define(self) -> None:
        """See `Update`."""
        numbers = {name: np.float32(number) for name, number in self.numbers.items()}
        limit = numbers.pop("limit")
        for start in range(0, len(self.arrays["values"]), CHUNK):
            chunk = {name: array[start : start + CHUNK] for name, array in self.arrays.items()}
            RULES[self.rule](**chunk, **numbers)
            if np.isfinite(limit):
                np.clip(chunk["values"], -limit, limit, out=chunk["values"])


class Optimizer:
    """Updates a plan's parameters by the sums of their gradients; made by `make_optimizer`.

    Attributes
    ----------
    count : int
        Updates so far.
    state : mapping of str to array
        What it carries from one update to the next, besides the gradients, for checkpoints: arrays as long as the flat
        array of parameters.
    """

    def __init__(self, plan: TrainingPlan, options: TrainingOptions) -> None:
        self.plan, self.options = plan, options
        self.parts = learned_parts(plan.parameters)
        self.count = 0
        self.state: Mapping[str, Array] = {}

    def update(self, rate: float) -> None:
        """Move the parameters along the gradients of an iteration, at the learning rate `rate`."""
        self.count += 1
        self.plan.update([self._make_rule(part, rate * part.rate) for part in self.parts])

    def _make_rule(self, part: Part, rate: float) -> Rule:
        raise NotImplementedError

    def _find_arrays(self, part: Part) -> dict[str, Array]:
        return {
            "values": self.plan.parameters.values[part.place],
            "gradients": self.plan.gradients.values[part.place],
        }

    def _find_limit(self, part: Part) -> float:
        """The magnitude that values are clipped to; infinity where none are."""
        return self.options.clip if self.options.clip and part.weights else math.inf


class SGD(Optimizer):
    """Darknet's SGD: only weights decay."""

    def _make_rule(self, part: Part, rate: float) -> Rule:
        options = self.options
        numbers = {
            "decay": options.decay * options.batch * part.weights,
            "rate": rate / options.batch,
            "momentum": options.momentum,
            "limit": self._find_limit(part),
        }
        return Rule("sgd", self._find_arrays(part), numbers)


class Adam(Optimizer):
    """Adam, in which all parameters decay; the gradients are sums over a batch, and start from 0 for the next."""

    def __init__(self, plan: TrainingPlan, options: TrainingOptions) -> None:
        super().__init__(plan, options)
        values = plan.parameters.values
        self.state = {"first moments": np.zeros_like(values), "second moments": np.zeros_like(values)}

    def _make_rule(self, part: Part, rate: float) -> Rule:
        options = self.options
        first, second = (moments[part.place] for moments in self.state.values())
        numbers = {
            "decay": options.decay * options.batch,
            "rate": rate,
            "first_kept": options.b1,
            "first_taken": 1 - options.b1,
            "first_whole": 1 - options.b1**self.count,
            "second_kept": options.b2,
            "second_taken": 1 - options.b2,
            "second_whole": 1 - options.b2**self.count,
            "least": options.eps,
            "limit": self._find_limit(part),
        }
        return Rule("adam", {**self._find_arrays(part), "first": first, "second": second}, numbers)


def make_optimizer(plan: TrainingPlan, options: TrainingOptions) -> Optimizer:
    """The optimizer that the options ask for, before its first update."""
    return (Adam if options.adam else SGD)(plan, options)
