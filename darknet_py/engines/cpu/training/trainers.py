"""How each kind of layer is trained: the operations of its way forward, and of that back."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ....layers import Array, Layer, Saved
from ....layers.activation import Activation
from ....layers.activations import ACTIVATIONS
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
from ....layers.training import KEPT
from ....parameters import Parameters, Views
from ...passes import SLOPES, decline
from .. import operations as o
from ..arena import Store, address
from ..isa import BLOCK, LANES
from .products import Products
from .products import no_kernel as no_product
from .values import Calls, Value


class Context(Protocol):
    """What the layers of a mini-batch share.

    Attributes
    ----------
    store : Store
    products : Products
    parameters, gradients : Parameters
    values, deltas : dict of int to Value
        By layers, -1 for the network's input; what is wanted has a delta.
    rates : list of float
        By layers; 0 where nothing is learned.
    random : numpy.random.Generator
        Of this step.
    """

    store: Store
    products: Products
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
    delta : Value
        Of its output; filled, when the way back comes to it, if anything depends on it.
    source_deltas : list of Value or None
        Of its inputs; None where nobody wants it.
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

    def add_forward(self, calls: Calls) -> None:
        """Add what gives the layer's output."""
        raise NotImplementedError

    def add_backward(self, calls: Calls) -> None:
        """Add what gives the deltas of its inputs, of that of its output, and adds to its gradients."""
        raise NotImplementedError

    def _own_delta(self, calls: Calls) -> int:
        assert self.delta is not None
        return self.delta.blocked(calls)

    def _pass_on(self, calls: Calls, number: int = 0, alpha: float = 1) -> None:
        """Add `alpha` times the delta to that of input `number`."""
        target = self.source_deltas[number]
        if target is not None:
            add_delta(calls, self._own_delta(calls), target, alpha)


def add_delta(calls: Calls, source: int, target: Value, alpha: float = 1) -> None:
    """Add `alpha` times what lies at `source`, blocked, to a delta."""
    cells, goal = target.blocks * target.images * target.cells, target.make_blocked()
    calls.add(o.AddDelta(a=source, c=goal, cells=cells, clear=not target.filled, alpha=alpha))
    target.filled = True


class _Ending:
    """What comes behind a layer's sums: normalization where there is one, biases, an activation.

    Attributes
    ----------
    given : Value
        The sums: `source` where there is one, the layer's output where the activation may overwrite them there.
    """

    def __init__(self, trainer: Trainer, normalized: bool = False, source: Value | None = None) -> None:
        context, layer, self.target = trainer.context, trainer.layer, trainer.target
        self.trainer, self.normalized = trainer, normalized
        self.of_input = ACTIVATIONS[layer.activation].of == "input"
        if source is not None:
            self.given = source
        elif normalized or self.of_input:
            self.given = Value(context.store, layer.shape, self.target.images)
        else:
            self.given = self.target
        self.slope = SLOPES.get(layer.activation, 1)
        self.curve = o.curve_of(layer.activation)
        target = self.target
        self.shares = address(context.store.take(2 * BLOCK * target.blocks * target.images))
        self.count = dict(blocks=target.blocks, images=target.images, cells=target.cells)
        mean, variance, factor, tilt, bias = (target.channels(context.store) for _ in range(5))
        self.statistics = {"means": mean, "variances": variance}
        self.mean, self.variance = address(mean), address(variance)
        self.factor, self.tilt, self.bias = address(factor), address(tilt), address(bias)
        self.biases = bias

    def add_forward(self, calls: Calls) -> None:
        trainer, target = self.trainer, self.target
        cells = dict(blocks=target.blocks, cells=target.images * target.cells)
        goal = target.make_blocked()
        if not self.normalized:
            if trainer.layer.activation != "linear" or self.given is not target:
                lie = dict(a=self.given.blocked(calls), cell=BLOCK, out_cell=BLOCK, factor=0, bias=0)
                calls.add(o.Scale(c=goal, **lie, **cells, curve=self.curve, slope=self.slope))
            return
        parameters, channels = trainer.parameters, target.shape.channels
        biases = parameters.get("biases")
        calls.then(lambda: np.copyto(self.biases[:channels], 0 if biases is None else biases))
        source = self.given.blocked(calls)
        calls.add(o.Measure(a=source, sums=self.shares, **self.count))
        scale = address(parameters["scales"])
        found = dict(mean=self.mean, variance=self.variance, factor=self.factor)
        dialect = trainer.layer.dialect
        calls.add(
            o.FoldMeasures(
                sums=self.shares,
                **self.count,
                channels=channels,
                scale=scale,
                **found,
                to_variance=dialect.to_variance,
                to_deviation=dialect.to_deviation,
            )
        )
        found = dict(mean=self.mean, factor=self.factor, bias=self.bias)
        calls.add(o.Normalize(a=source, c=goal, **cells, **found, curve=self.curve, slope=self.slope))
        if trainer.learns:
            calls.then(self._move_statistics)

    def _move_statistics(self) -> None:
        for name, measured in self.statistics.items():
            kept = self.trainer.parameters[name]
            self.trainer.parameters[name] = KEPT * kept + (1 - KEPT) * measured[: len(kept)]

    def add_backward(self, calls: Calls) -> None:
        """From the delta of the output to that of the sums, in place; gradients of biases and scales."""
        trainer, target, gradients = self.trainer, self.target, self.trainer.gradients
        delta = trainer._own_delta(calls)
        source = self.given.blocked(calls) if self.normalized else 0
        kept = self.given if self.of_input else target
        calls.add(
            o.BendDelta(
                a=source,
                other=0 if self.normalized and self.of_input else kept.blocked(calls),
                c=delta,
                sums=self.shares,
                mean=self.mean,
                factor=self.factor,
                bias=self.bias,
                **self.count,
                curve=self.curve,
                slope=self.slope,
            )
        )
        biases, scales = (
            address(gradients[name]) if trainer.learns and name in gradients else 0 for name in ("biases", "scales")
        )
        scale = address(trainer.parameters["scales"]) if self.normalized else 0
        dialect = trainer.layer.dialect
        changed = dict(variance=self.variance, factor=self.factor, tilt=self.tilt, bias=self.bias)
        calls.add(
            o.FoldDelta(
                sums=self.shares,
                **self.count,
                channels=target.shape.channels,
                scale=scale,
                **changed,
                bias_gradient=biases,
                scale_gradient=scales,
                to_variance=dialect.to_variance,
                to_deviation=dialect.to_deviation,
            )
        )
        if self.normalized:
            cells = dict(blocks=target.blocks, cells=target.images * target.cells)
            found = dict(mean=self.mean, factor=self.factor, tilt=self.tilt, bias=self.bias)
            calls.add(o.NormalizeDelta(a=source, c=delta, **cells, **found))


class Product(Trainer):
    """[convolutional] and [connected]."""

    def __init__(self, context: Context, layer: Layer) -> None:
        super().__init__(context, layer)
        self.ending = _Ending(self, normalized="scales" in self.parameters)

    def add_forward(self, calls: Calls) -> None:
        """See `Trainer`."""
        weights, biases = self.parameters["weights"], self.parameters["biases"]
        added = np.zeros_like(biases) if self.ending.normalized else biases
        self.context.products.forward(calls, self.layer, weights, added, self.sources[0], self.ending.given)
        self.ending.add_forward(calls)

    def add_backward(self, calls: Calls) -> None:
        """See `Trainer`."""
        self.ending.add_backward(calls)
        products, weights, (goal,) = self.context.products, self.parameters["weights"], self.source_deltas
        assert self.delta is not None
        if self.learns:
            products.add_weights(calls, self.layer, self.gradients["weights"], self.sources[0], self.delta)
        if goal is not None and isinstance(self.layer, Connected):
            products.multiply_back(calls, self.layer, weights, self.delta, goal)
        elif goal is not None and isinstance(self.layer, Convolutional):
            products.convolve_back(calls, self.layer, weights, self.delta, goal)


class Pointwise(Trainer):
    """[batchnorm] and [activation]."""

    def __init__(self, context: Context, layer: Layer) -> None:
        super().__init__(context, layer)
        self.ending = _Ending(self, isinstance(layer, BatchNorm), self.sources[0])

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
        place = dict(b=self._own_delta(calls), c=goal.make_blocked(), clear=not goal.filled)
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
        calls.add(o.AvgPool(a=source, c=target, cell=BLOCK, out_cell=BLOCK, **self._planes()))

    def add_backward(self, calls: Calls) -> None:
        """See `Trainer`."""
        (goal,) = self.source_deltas
        if goal is None:
            return
        place = dict(c=goal.make_blocked(), clear=not goal.filled)
        calls.add(o.AvgPoolDelta(a=self._own_delta(calls), **place, **self._planes()))
        goal.filled = True


class Sum(Trainer):
    """[shortcut]."""

    def __init__(self, context: Context, layer: Layer) -> None:
        super().__init__(context, layer)
        self.ending = _Ending(self)

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
                a=self._own_delta(calls),
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
    """[route]: its inputs are copied, whole blocks of channels."""

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
                add_delta(calls, self._own_delta(calls) + start, goal)


class Drop(Trainer):
    """[dropout]."""

    def add_forward(self, calls: Calls) -> None:
        """See `Trainer`."""
        layer, target, random = self.layer, self.target, self.context
        assert isinstance(layer, Dropout)
        factors = Value(self.context.store, layer.shape, target.images)
        drawn = factors.make_plain()
        calls.then(lambda: np.copyto(drawn, layer.factors(layer.draw(target.images, random.random))))
        self.cells = target.blocks * target.images * target.cells
        self.factors = factors.blocked(calls)
        source, goal = self.sources[0].blocked(calls), target.make_blocked()
        calls.add(o.MultiplyCells(a=source, other=self.factors, c=goal, cells=self.cells))

    def add_backward(self, calls: Calls) -> None:
        """See `Trainer`."""
        delta = self._own_delta(calls)
        calls.add(o.MultiplyCells(a=delta, other=self.factors, c=delta, cells=self.cells))
        self._pass_on(calls)


class Measured(Trainer):
    """[cost]: what it takes is what it gives."""

    def __init__(self, context: Context, layer: Layer) -> None:
        super().__init__(context, layer)
        context.values[layer.index] = self.sources[0]

    def add_forward(self, calls: Calls) -> None:
        """See `Trainer`."""

    def add_backward(self, calls: Calls) -> None:
        """See `Trainer`."""
        self._pass_on(calls)


class Definition(Trainer):
    """Any layer, as it is defined."""

    def add_forward(self, calls: Calls) -> None:
        """See `Trainer`."""
        inputs, target = [source.plain(calls) for source in self.sources], self.target.make_plain()
        calls.then(lambda: np.copyto(target, self._train(inputs)))

    def _train(self, inputs: list[Array]) -> Array:
        layer, parameters = self.layer, self.parameters
        output, self.saved = layer.train(inputs, parameters, layer.draw(len(inputs[0]), self.context.random))
        for name, parameter in layer.taken.items():
            if self.learns and parameter.role == "statistic":
                parameters[name] = KEPT * parameters[name] + (1 - KEPT) * self.saved[name]
        return output

    def add_backward(self, calls: Calls) -> None:
        """See `Trainer`."""
        assert self.delta is not None
        delta = self.delta.plain(calls)
        found = [Value(self.context.store, source.shape, source.images) for source in self.sources]
        plain = [value.make_plain() for value in found]
        calls.then(lambda: self._go_back(delta, plain))
        for value, goal in zip(found, self.source_deltas, strict=True):
            if goal is not None:
                add_delta(calls, value.blocked(calls), goal)

    def _go_back(self, delta: Array, found: list[Array]) -> None:
        gradients = self.layer.backward(delta, self.saved, self.parameters)
        for target, gradient in zip(found, gradients.inputs, strict=True):
            np.copyto(target, gradient)
        for name, gradient in gradients.parameters.items():
            if self.learns:
                self.gradients[name] += gradient

    saved: Saved


# What trains a layer, by its type; of some the definition is fast enough.
TRAINERS: dict[type[Layer], type[Trainer]] = {
    Activation: Pointwise,
    AvgPool: Average,
    BatchNorm: Pointwise,
    Connected: Product,
    Convolutional: Product,
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
    if layer.activation not in SLOPES and layer.activation not in o.CURVES:
        return f"the activation {layer.activation} has no kernel"
    if isinstance(layer, (Connected, Convolutional)):
        return no_product(layer)
    if isinstance(layer, Shortcut):
        channels = [shape.channels for shape in layer.input_shapes]
        if channels[0] != channels[1] and min(channels) % LANES:
            return f"sums of {min(channels)} channels of {max(channels)} end within a block"
        if layer.alpha != 1 and layer.input_shapes[0] != layer.input_shapes[1]:
            return "it scales a part of its input"
    if isinstance(layer, Route) and any(shape.channels % LANES for shape in layer.input_shapes[:-1]):
        return f"channels that it joins fill no whole blocks of {LANES}"
    return ""
