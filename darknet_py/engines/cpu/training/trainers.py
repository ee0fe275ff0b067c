"""How each kind of layer is trained: the operations of its forward and its backward pass."""

from __future__ import annotations

import numpy as np

from ....layers import Array, Layer
from ....layers.activation import Activation
from ....layers.avgpool import AvgPool
from ....layers.batchnorm import BatchNorm
from ....layers.connected import Connected
from ....layers.convolutional import Convolutional
from ....layers.cost import Cost
from ....layers.crop import Crop
from ....layers.dropout import Dropout
from ....layers.maxpool import MaxPool
from ....layers.route import Route
from ....layers.shortcut import Shortcut
from ....layers.softmax import Softmax
from ...passes import decline
from .. import operations as o
from ..isa import BLOCK, LANES
from ..lowering import decline_sum
from .calls import Calls
from .ending import Ending
from .matrix import Matrix
from .matrix import no_kernel as no_matrix
from .products import name_implementation
from .products import no_kernel as no_convolution
from .trainer import Context, Definition, Trainer, add_delta
from .values import Value


class Convolution(Trainer):
    """[convolutional]."""

    def __init__(self, context: Context, layer: Layer) -> None:
        super().__init__(context, layer)
        self.ending = Ending(self, normalized="scales" in self.parameters)

    def add_forward(self, calls: Calls) -> None:
        """See `Trainer`."""
        weights, biases = self.parameters["weights"], self.parameters["biases"]
        added = np.zeros_like(biases) if self.ending.normalized else biases
        products, given = self.context.products, self.ending.given
        done = self.implementations
        done["forward"] = products.forward(calls, self.layer, weights, added, self.sources[0], given)
        self.ending.add_forward(calls)

    def add_backward(self, calls: Calls) -> None:
        """See `Trainer`."""
        self.ending.add_backward(calls)
        assert isinstance(self.layer, Convolutional)
        products, weights, (goal,) = self.context.products, self.parameters["weights"], self.source_deltas
        assert self.delta is not None
        done, (source,) = self.implementations, self.sources
        if self.learns:
            add = self.context.weight_gradients.add
            done["weights"] = name_implementation(add(calls, self.layer, self.gradients["weights"], source, self.delta))
        if goal is not None:
            done["data"] = products.convolve_back(calls, self.layer, weights, self.delta, goal)


class Pointwise(Trainer):
    """[batchnorm] and [activation]."""

    def __init__(self, context: Context, layer: Layer) -> None:
        super().__init__(context, layer)
        self.ending = Ending(self, isinstance(layer, BatchNorm), self.sources[0])

    def add_forward(self, calls: Calls) -> None:
        """See `Trainer`."""
        self.ending.add_forward(calls)

    def add_backward(self, calls: Calls) -> None:
        """See `Trainer`."""
        self.ending.add_backward(calls)
        self._pass_on(calls)


class Maximum(Trainer):
    """[maxpool]."""

    def _windows(self) -> dict[str, int]:
        layer = self.layer
        assert isinstance(layer, MaxPool)
        source, shape = layer.input_shapes[0], layer.shape
        return dict(
            blocks=self.target.blocks,
            images=self.target.images,
            height=source.height,
            width=source.width,
            size=layer.size,
            stride=layer.stride,
            padding=layer.padding // 2,
            out_height=shape.height,
            out_width=shape.width,
        )

    def add_forward(self, calls: Calls) -> None:
        """See `Trainer`."""
        source, target = self.sources[0].blocked(calls), self.target.make_blocked()
        calls.add(o.MaxPool(a=source, c=target, cell=BLOCK, out_cell=BLOCK, **self._windows()))

    def add_backward(self, calls: Calls) -> None:
        """See `Trainer`."""
        (goal,) = self.source_deltas
        if goal is None:
            return
        source, target = self.sources[0].blocked(calls), self.target.blocked(calls)
        place = dict(b=self.own_delta(calls), c=goal.make_blocked(), clear=not goal.filled)
        calls.add(o.MaxPoolDelta(a=source, other=target, **place, **self._windows()))
        goal.filled = True


class Average(Trainer):
    """[avgpool]."""

    def _planes(self) -> dict[str, int]:
        _, height, width = self.layer.input_shapes[0]
        return dict(blocks=self.target.blocks, images=self.target.images, height=height, width=width)

    def add_forward(self, calls: Calls) -> None:
        """See `Trainer`."""
        source, target = self.sources[0].blocked(calls), self.target.make_blocked()
        cells = self.layer.input_shapes[0].height * self.layer.input_shapes[0].width
        calls.add(o.AvgPool(a=source, c=target, cell=BLOCK, out_cell=BLOCK, **self._planes(), cells=cells))

    def add_backward(self, calls: Calls) -> None:
        """See `Trainer`."""
        (goal,) = self.source_deltas
        if goal is None:
            return
        place = dict(c=goal.make_blocked(), clear=not goal.filled)
        calls.add(o.AvgPoolDelta(a=self.own_delta(calls), **place, **self._planes()))
        goal.filled = True


class Sum(Trainer):
    """[shortcut]."""

    def __init__(self, context: Context, layer: Layer) -> None:
        super().__init__(context, layer)
        self.ending = Ending(self)

    def add_forward(self, calls: Calls) -> None:
        """See `Trainer`."""
        layer, (source, other) = self.layer, self.sources
        assert isinstance(layer, Shortcut)
        calls.add(
            o.Add(
                a=source.blocked(calls),
                other=other.blocked(calls),
                c=self.ending.given.make_blocked(),
                cell=BLOCK,
                out_cell=BLOCK,
                blocks=source.blocks,
                images=source.images,
                height=source.shape.height,
                width=source.shape.width,
                other_height=other.shape.height,
                other_width=other.shape.width,
                other_step=layer.stride,
                spread=layer.spread,
                summed_blocks=min(source.blocks, other.blocks),
                curve=0,
                slope=1,
                alpha=layer.alpha,
                beta=layer.beta,
            )
        )
        self.ending.add_forward(calls)

    def add_backward(self, calls: Calls) -> None:
        """See `Trainer`."""
        layer, other = self.layer, self.source_deltas[1]
        assert isinstance(layer, Shortcut)
        if layer.activation != "linear":
            self.ending.add_backward(calls)
        self._pass_on(calls, 0, layer.alpha)
        if other is None:
            return
        calls.add(
            o.ShortcutDelta(
                a=self.own_delta(calls),
                c=other.make_blocked(),
                clear=not other.filled,
                blocks=other.blocks,
                images=other.images,
                height=layer.shape.height,
                width=layer.shape.width,
                other_height=other.shape.height,
                other_width=other.shape.width,
                other_step=layer.stride,
                spread=layer.spread,
                summed_blocks=min(self.target.blocks, other.blocks),
                beta=layer.beta,
            )
        )
        other.filled = True


class Join(Trainer):
    """[route]: its inputs are copied, in whole blocks of channels."""

    def _parts(self) -> list[int]:
        """How far into the blocked output each input lies, in bytes."""
        return np.cumsum([0, *(source.blocks * source.plane for source in self.sources)]).tolist()

    def add_forward(self, calls: Calls) -> None:
        """See `Trainer`."""
        target = self.target.make_blocked()
        for source, start in zip(self.sources, self._parts(), strict=False):
            cells = source.blocks * source.images * source.cells
            calls.add(o.AddDelta(a=source.blocked(calls), c=target + start, cells=cells, clear=1, alpha=1))

    def add_backward(self, calls: Calls) -> None:
        """See `Trainer`."""
        for goal, start in zip(self.source_deltas, self._parts(), strict=False):
            if goal is not None:
                add_delta(calls, self.own_delta(calls) + start, goal)


class Drop(Trainer):
    """[dropout]."""

    def add_forward(self, calls: Calls) -> None:
        """See `Trainer`."""
        layer, target, context = self.layer, self.target, self.context
        assert isinstance(layer, Dropout)
        factors = Value(context.buffers, "output", layer.shape, target.images)

        def draw(drawn: Array) -> None:
            np.copyto(drawn, layer.factors(layer.draw(target.images, context.random)))

        calls.then(draw, factors.make_plain(), apart=16 * target.images * layer.shape.size)
        self.cells = target.blocks * target.images * target.cells
        self.factors = factors.blocked(calls)
        source, goal = self.sources[0].blocked(calls), target.make_blocked()
        calls.add(o.MultiplyCells(a=source, other=self.factors, c=goal, cells=self.cells))

    def add_backward(self, calls: Calls) -> None:
        """See `Trainer`."""
        delta = self.own_delta(calls)
        calls.add(o.MultiplyCells(a=delta, other=self.factors, c=delta, cells=self.cells))
        self._pass_on(calls)


class Measured(Trainer):
    """[cost]: its output is its input."""

    def __init__(self, context: Context, layer: Layer) -> None:
        super().__init__(context, layer)
        context.values[layer.index] = self.sources[0]

    def add_forward(self, calls: Calls) -> None:
        """See `Trainer`."""
        del self.implementations["forward"]

    def add_backward(self, calls: Calls) -> None:
        """See `Trainer`."""
        self._pass_on(calls)


# What trains a layer, by its type; for some the definition is fast enough.
TRAINERS: dict[type[Layer], type[Trainer]] = {
    Activation: Pointwise,
    AvgPool: Average,
    BatchNorm: Pointwise,
    Connected: Matrix,
    Convolutional: Convolution,
    Cost: Measured,
    Crop: Definition,
    Dropout: Drop,
    MaxPool: Maximum,
    Route: Join,
    Shortcut: Sum,
    Softmax: Definition,
}


def no_kernel(layer: Layer) -> str:
    """Why no compiled code trains `layer`; empty where some does."""
    declined = decline(layer, TRAINERS)
    if declined:
        return f"{declined} in training"
    if not o.is_compiled(layer.activation):
        return f"the activation {layer.activation} has no kernel"
    if isinstance(layer, Connected):
        return no_matrix(layer)
    if isinstance(layer, Convolutional):
        return no_convolution(layer)
    if isinstance(layer, Shortcut):
        if declined := decline_sum(layer):
            return declined
        if layer.alpha != 1 and layer.input_shapes[0] != layer.input_shapes[1]:
            return "it scales a part of its input"
    if isinstance(layer, Route) and any(shape.channels % LANES for shape in layer.input_shapes[:-1]):
        return f"channels that it joins fill no whole blocks of {LANES}"
    return ""
