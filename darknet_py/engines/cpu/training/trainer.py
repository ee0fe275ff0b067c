"""A layer's part in a mini-batch: what all kinds share, and any layer by its definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from ....layers import Array, Layer, Saved
from ....layers.counts import count_kept, count_working
from ....layers.training import move_statistics
from ....parameters import Parameters, Views
from .. import operations as o
from ..arena import Store
from .buffers import Buffers
from .calls import Calls
from .products import Products, name_implementation
from .values import Value
from .weight_gradients import WeightGradients


class Context(Protocol):
    """What the layers of a mini-batch share.

    Attributes
    ----------
    buffers : Buffers
        Memory that values and operations use in turns.
    store : Store
        Memory for what stays from one step to the next.
    copied : list of (array, array)
        Pairs of which the second is copied, to the start of the first, before each step.
    products : Products
    weight_gradients : WeightGradients
    parameters, gradients : Parameters
    values, deltas : dict of int to Value
        By layer, -1 for the network's input; only those whose delta is needed have one.
    rates : list of float
        By layer; 0 where nothing is learned.
    random : numpy.random.Generator
        Of this step.
    """

    buffers: Buffers
    store: Store
    copied: list[tuple[Array, Array]]
    products: Products
    weight_gradients: WeightGradients
    parameters: Parameters
    gradients: Parameters
    values: dict[int, Value]
    deltas: dict[int, Value]
    rates: list[float]
    random: np.random.Generator


class Trainer:
    """A layer's part in a mini-batch.

    Attributes
    ----------
    delta : Value or None
        Of its output; None where not needed. It is filled when the backward pass gets to it, if anything depends on it.
    source_deltas : list of Value or None
        Of its inputs; None where they are not needed.
    implementations : dict of str to str
        The implementations of ``forward``, ``data`` (back to its inputs) and ``weights`` (back to what it learns); one
        with nothing to do is missing.
    """

    def __init__(self, context: Context, layer: Layer) -> None:
        self.context, self.layer = context, layer
        self.parameters: Views = context.parameters.views[layer.index]
        self.gradients: Views = context.gradients.views[layer.index]
        self.sources = [context.values[source] for source in layer.inputs]
        self.target = context.values[layer.index]
        self.delta = context.deltas.get(layer.index)
        self.source_deltas = [context.deltas.get(source) for source in layer.inputs]
        self.learns = context.rates[layer.index] != 0
        self.implementations: dict[str, str] = {}

    @property
    def name(self) -> str:
        """The name of its implementation, where it has only one."""
        return name_implementation(self.layer.kind)

    def build_forward(self, calls: Calls) -> None:
        """Call `add_forward`; note the implementation."""
        self.implementations["forward"] = self.name
        self.add_forward(calls)

    def build_backward(self, calls: Calls) -> None:
        """Call `add_backward`, where anything depends on the output; note the implementations."""
        if self.delta is None or not self.delta.filled:
            return
        if any(goal is not None for goal in self.source_deltas):
            self.implementations["data"] = self.name
        if self.learns and self.gradients:
            self.implementations["weights"] = self.name
        self.add_backward(calls)

    def add_forward(self, calls: Calls) -> None:
        """Add the calls that compute the layer's output."""
        raise NotImplementedError

    def add_backward(self, calls: Calls) -> None:
        """Add the calls that compute its inputs' deltas from its output's, and add to its gradients."""
        raise NotImplementedError

    def own_delta(self, calls: Calls) -> int:
        """The address of the delta of its output."""
        assert self.delta is not None
        return self.delta.blocked(calls)

    def _pass_on(self, calls: Calls, number: int = 0, alpha: float = 1) -> None:
        """Add `alpha` times the layer's delta to that of input `number`."""
        target = self.source_deltas[number]
        if target is not None:
            add_delta(calls, self.own_delta(calls), target, alpha)


def add_delta(calls: Calls, source: int, target: Value, alpha: float = 1) -> None:
    """Add `alpha` times the blocked values at `source` to a delta."""
    cells, goal = target.blocks * target.images * target.cells, target.make_blocked()
    calls.add(o.AddDelta(a=source, c=goal, cells=cells, clear=not target.filled, alpha=alpha))
    target.filled = True


class Definition(Trainer):
    """Any layer, by its definition."""

    name = "definition"
    saved: Saved

    def add_forward(self, calls: Calls) -> None:
        """See `Trainer`."""
        self.inputs = [source.plain(calls) for source in self.sources]
        calls.then(self._train, self.target.make_plain(), *self.inputs, apart=self._count_bytes(count_working))
        if self.delta is not None:
            calls.kept_apart += self._count_bytes(count_kept)

    def _count_bytes(self, count: Callable[[Layer], int]) -> int:
        return 4 * self.target.images * count(self.layer)

    def _train(self, target: Array, *inputs: Array) -> None:
        layer, parameters = self.layer, self.parameters
        output, self.saved = layer.train(inputs, parameters, layer.draw(len(inputs[0]), self.context.random))
        np.copyto(target, output)
        if self.learns:
            move_statistics(layer, parameters, self.saved)
        if self.delta is None:
            self.saved = {}

    def add_backward(self, calls: Calls) -> None:
        """See `Trainer`."""
        assert self.delta is not None
        found = [Value(self.context.buffers, "delta", source.shape, source.images) for source in self.sources]
        arrays = [self.delta.plain(calls), *(value.make_plain() for value in found)]
        arrays += [] if self.layer.frees_inputs else self.inputs
        calls.then(self._go_back, *arrays, apart=self._count_bytes(count_working))
        for value, goal in zip(found, self.source_deltas, strict=True):
            if goal is not None:
                add_delta(calls, value.blocked(calls), goal)

    def _go_back(self, delta: Array, *found: Array) -> None:
        """`found` are the inputs' deltas; the inputs may follow, as parts of them may have been saved."""
        gradients = self.layer.backward(delta, self.saved, self.parameters)
        self.saved = {}
        for target, gradient in zip(found, gradients.inputs, strict=False):
            np.copyto(target, gradient)
        for name, gradient in gradients.parameters.items():
            if self.learns:
                self.gradients[name] += gradient
