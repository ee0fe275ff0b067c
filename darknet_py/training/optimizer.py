"""How parameters follow their gradients: darknet's SGD, and Adam.

Sources: darknet's ``convolutional_layer.c`` (update_convolutional_layer) and ``blas_kernels.cu`` (adam_update_gpu) of
2018; D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", 2014.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..layers import Array
from ..layers.training import rates
from ..parameters import Parameters
from .options import TrainingOptions

CHUNK = 1 << 16  # values that are worked on at a time: they stay in the cache


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
        Whether inputs are multiplied by them: only these decay, as in darknet, and are clipped.
    """

    place: slice
    rate: float
    weights: bool

    def chunks(self) -> Iterator[slice]:
        """Its place in pieces."""
        for start in range(self.place.start, self.place.stop, CHUNK):
            yield slice(start, min(start + CHUNK, self.place.stop))


def learned_parts(parameters: Parameters) -> list[Part]:
    """The parameters that are learned: not statistics, and not those of layers that are frozen."""
    of_layers, parts = rates(parameters.layers), []
    for entry in parameters.entries:
        role, rate = entry.parameter.role, of_layers[entry.layer.index]
        if rate and role != "statistic":
            parts.append(Part(entry.part, rate, role == "weight"))
    return parts


class Optimizer:
    """Updates parameters by the sums of their gradients; made by `make_optimizer`.

    Attributes
    ----------
    count : int
        Updates so far.
    state : mapping of str to array
        What it needs from one update to the next, besides the gradients, for checkpoints: arrays as long as
        the parameters' flat one.
    """

    def __init__(self, parameters: Parameters, gradients: Parameters, options: TrainingOptions) -> None:
        self.parameters, self.gradients, self.options = parameters.values, gradients.values, options
        self.parts = learned_parts(parameters)
        self.count = 0
        self.state: Mapping[str, Array] = {}

    def update(self, rate: float) -> None:
        """Move the parameters by `rate`, along the gradients of an iteration."""
        self.count += 1
        limit = np.float32(self.options.clip)
        for part in self.parts:
            for place in part.chunks():
                self._update(place, rate * part.rate, part.weights)
                if limit and part.weights:
                    values = self.parameters[place]
                    np.clip(values, -limit, limit, out=values)

    def _update(self, place: slice, rate: float, weights: bool) -> None:
        raise NotImplementedError


class SGD(Optimizer):
    """Gradients are summed up with momentum; weights decay through them, biases and scales do not."""

    def _update(self, place: slice, rate: float, weights: bool) -> None:
        values, sums, options = self.parameters[place], self.gradients[place], self.options
        if weights:
            sums -= np.float32(options.decay * options.batch) * values
        values += np.float32(rate / options.batch) * sums
        sums *= np.float32(options.momentum)


class Adam(Optimizer):
    """Adam, in which all parameters decay; the gradients are sums over the batch, and start anew each time."""

    def __init__(self, parameters: Parameters, gradients: Parameters, options: TrainingOptions) -> None:
        super().__init__(parameters, gradients, options)
        self.state = {"first moments": np.zeros_like(self.parameters), "second moments": np.zeros_like(self.parameters)}

    def _update(self, place: slice, rate: float, weights: bool) -> None:
        values, sums, options = self.parameters[place], self.gradients[place], self.options
        first, second = (moments[place] for moments in self.state.values())
        sums -= np.float32(options.decay * options.batch) * values
        for moments, share, powers in ((first, options.b1, sums), (second, options.b2, sums * sums)):
            moments *= np.float32(share)
            moments += np.float32(1 - share) * powers
        mean = first / np.float32(1 - options.b1**self.count)
        spread = np.sqrt(second / np.float32(1 - options.b2**self.count)) + np.float32(options.eps)
        values += np.float32(rate) * mean / spread
        sums[...] = 0


def make_optimizer(parameters: Parameters, gradients: Parameters, options: TrainingOptions) -> Optimizer:
    """The optimizer that the options ask for, at its start."""
    return (Adam if options.adam else SGD)(parameters, gradients, options)
