"""Steps -> operations: the compiled code for each layer, and the layers that run by their definitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from ...layers import Array, Layer
from ...layers.activation import Activation
from ...layers.activations import activate
from ...layers.avgpool import AvgPool
from ...layers.batchnorm import BatchNorm
from ...layers.connected import Connected
from ...layers.convolutional import Convolutional
from ...layers.crop import Crop
from ...layers.maxpool import MaxPool
from ...layers.scale_channels import ScaleChannels
from ...layers.shortcut import Shortcut
from ...layers.softmax import Softmax
from ..passes import INPUT, SLOPES, Step, decline
from . import operations as o
from .algorithms import Choice, Operands
from .algorithms.products import channel_strides, fetch_early
from .algorithms.weights import blocks
from .builder import Function, Table
from .isa import BLOCK, LANES
from .prepared import Prepared
from .values import Values


class Lowering:
    """Turns a program's steps into tables of operations, with calls of NumPy in between.

    Attributes
    ----------
    calls : list of Table or Function
        In order.
    input_rows : list of (Table, int)
        Tables' rows that are given the batch's address at each run.
    averaged : dict of int to int
        For each value whose rows' sums are put at the start of the workspace, for the next step to take their mean:
        the value that this step gives.
    """

    def __init__(self, engine: Prepared, layers: Sequence[Layer], values: Values) -> None:
        self.engine, self.layers, self.values = engine, layers, values
        self.images = values.images
        self.input_rows: list[tuple[Table, int]] = []
        self.calls: list[Table | Function] = []
        pairs = pairwise(engine.program.steps)
        self.averaged = {step.target: after.target for step, after in pairs if self._averages(step, after)}
        for step in engine.program.steps:
            self.layer = step.layer
            self._add(step)
        for call in self.calls:
            if isinstance(call, Table):
                fetch_early(call)
                call.freeze()

    def _table(self) -> Table:
        if not self.calls or not isinstance(self.calls[-1], Table):
            self.calls.append(Table())
        table = self.calls[-1]
        assert isinstance(table, Table)
        table.layer = self.layer
        return table

    def _call(self, call: Callable[[], None]) -> None:
        """Add a function for the current layer."""
        self.calls.append(Function(call, self.layer))

    def _blocked(self, value: int) -> int:
        """The address of a value in blocked layout; add the operation that blocks it, if it is in plain layout."""
        if value in self.values.plain:
            shape = self.values.shape(value)
            self._table().add(
                o.ToBlocks(
                    a=self._plain_address(value),
                    c=self.values.addresses[value],
                    out_cell=self.values.cell(value),
                    blocks=blocks(shape.channels),
                    channels=shape.channels,
                    images=self.images,
                    height=shape.height,
                    width=shape.width,
                )
            )
            if value != INPUT:
                del self.values.plain[value]
        return self.values.addresses[value]

    def _plain_address(self, value: int) -> int:
        """The address of a value in plain layout, for the operation that is added next."""
        if value == INPUT:
            self.input_rows.append((self._table(), len(self._table().operations)))
            return 0
        return self._table().keep(self.values.plain[value])

    def _add(self, step: Step) -> None:
        layer = self.layers[step.layer]
        if step.task == "copy":
            self._blocked(step.source)
            self._call(lambda: np.copyto(self.values.view(step.target), self.values.view(step.source)))
        elif step.task == "scale":
            self._add_scale(step)
        elif no_kernel(layer) or self.engine.is_defined(layer):
            self._add_definition(step)
        else:
            KERNELS[type(layer)](self, step)

    def _add_product(self, step: Step) -> None:
        layer, algorithm = self.layers[step.layer], self.engine.choices[step.layer].algorithm
        assert algorithm is not None
        residual = 0 if step.sum is None else self._blocked(step.sum.other)  # which may be the source, too
        plain = algorithm.plain and step.source in self.values.plain
        source = self._plain_address(step.source) if plain else self._blocked(step.source)
        operands = Operands(
            images=self.images,
            source=source,
            target=self.values.addresses[step.target],
            residual=residual,
            workspace=self.values.workspace,
            source_shape=layer.input_shapes[0],
            shape=layer.shape,
            slope=SLOPES.get(step.activation, 1),
            final=SLOPES.get(step.final_activation, 1),
            curve=o.curve_of(step.activation if step.sum is None else step.final_activation),
            threads=self.engine.team.threads,
            plain=plain,
            stored=None if step.pool is None else self.layers[step.pool].shape,
            source_cell=self.values.cell(step.source),
            cell=self.values.cell(step.target),
            averaged=step.target in self.averaged,
        )
        algorithm.lower(self._table(), layer, self.engine.weights[step.layer], operands)
        self._add_activation(step)

    def _add_activation(self, step: Step) -> None:
        """Add a call that applies a step's activation to the stored value, where no kernel does."""
        if not o.is_compiled(step.activation):
            self._call(lambda: self._activate(step))

    def _add_scale(self, step: Step) -> None:
        """Apply a step's activation to its source, times factors plus biases by channel, where it has some."""
        shape, given = self.values.shape(step.target), dict(factor=0, bias=0)
        factors = self.engine.factors.get((step.layer, step.task))
        if factors is not None:
            factor, bias = (self._table().keep(_pad_channels(numbers)) for numbers in factors)
            given = dict(factor=factor, bias=bias)
        self._table().add(
            o.Scale(
                a=self._blocked(step.source),
                c=self.values.addresses[step.target],
                cell=self.values.cell(step.source),
                out_cell=self.values.cell(step.target),
                blocks=blocks(shape.channels),
                cells=self.images * shape.height * shape.width,
                slope=SLOPES.get(step.activation, 1),
                curve=o.curve_of(step.activation),
                **given,
            )
        )
        self._add_activation(step)

    def _activate(self, step: Step) -> None:
        self.values.write(step.target, activate(step.activation, self.values.read(step.target)))

    def _add_maximum(self, step: Step) -> None:
        layer = self.layers[step.layer]
        assert isinstance(layer, MaxPool)
        shape = layer.shape
        self._table().add(
            o.MaxPool(
                **self._pooled(step),
                out_height=shape.height,
                out_width=shape.width,
                size=layer.size,
                stride=layer.stride,
                padding=layer.padding // 2,
            )
        )

    def _add_crop(self, step: Step) -> None:
        layer = self.layers[step.layer]
        assert isinstance(layer, Crop)
        shape, plain = self.values.shape(step.source), step.source in self.values.plain
        start = self._plain_address(step.source) if plain else self._blocked(step.source)
        strides = channel_strides(shape, self.values.cell(step.source), plain)
        target = np.empty((self.images, *layer.shape), np.float32)
        self._table().add(
            o.Crop(
                a=start,
                a_block=LANES * strides["a_plane"] if plain else self.images * strides["a_batch"],
                **strides,
                c=self._table().keep(target),
                images=self.images,
                channels=shape.channels,
                top=layer.top,
                left=layer.left,
                out_height=layer.crop_height,
                out_width=layer.crop_width,
                alpha=1 if layer.noadjust else 2,
                beta=0 if layer.noadjust else -1,
            )
        )
        self._define(step, target)

    def _averages(self, step: Step, after: Step) -> bool:
        """Whether `after` takes the mean of what `step` stores, and the kernel of `step` can sum up its rows."""
        layers = self.layers[step.layer], self.layers[after.layer]
        pooled = isinstance(layers[1], AvgPool) and (after.task, after.source) == ("layer", step.target)
        if not pooled or step.task != "layer" or any(map(no_kernel, layers)) or not o.is_compiled(step.activation):
            return False
        choice = self.engine.choices.get(step.layer)
        return choice is not None and choice.sums_rows

    def _add_average(self, step: Step) -> None:
        pooled = self._pooled(step)
        cells = pooled["height"] * pooled["width"]
        if self.averaged.get(step.source) == step.target:  # not for a later mean of this value: the workspace is reused
            pooled |= dict(a=self.values.workspace, cell=BLOCK, width=1)
        self._table().add(o.AvgPool(**pooled, cells=cells))

    def _pooled(self, step: Step) -> dict[str, int]:
        """The fields that describe its source to an operation that pools."""
        source = self.values.shape(step.source)
        return dict(
            a=self._blocked(step.source),
            c=self.values.addresses[step.target],
            cell=self.values.cell(step.source),
            out_cell=self.values.cell(step.target),
            blocks=blocks(source.channels),
            images=self.images,
            height=source.height,
            width=source.width,
        )

    def _add_scaled_channels(self, step: Step) -> None:
        layer = self.layers[step.layer]
        assert isinstance(layer, ScaleChannels)
        factors, source = step.sources
        self._table().add(
            o.ScaleChannels(
                a=self._blocked(source),
                factors=self._blocked(factors),
                c=self.values.addresses[step.target],
                cell=self.values.cell(source),
                out_cell=self.values.cell(step.target),
                blocks=blocks(layer.shape.channels),
                images=self.images,
                height=layer.shape.height,
                width=layer.shape.width,
                by_cell=layer.scale_wh,
                slope=SLOPES.get(step.activation, 1),
                curve=o.curve_of(step.activation),
            )
        )
        self._add_activation(step)

    def _add_shortcut(self, step: Step) -> None:
        layer = self.layers[step.layer]
        assert isinstance(layer, Shortcut)
        shape, other = layer.input_shapes
        self._table().add(
            o.Add(
                a=self._blocked(step.sources[0]),
                other=self._blocked(step.sources[1]),
                c=self.values.addresses[step.target],
                cell=self.values.cell(step.sources[0]),
                out_cell=self.values.cell(step.target),
                blocks=blocks(shape.channels),
                images=self.images,
                height=shape.height,
                width=shape.width,
                other_height=other.height,
                other_width=other.width,
                other_step=layer.stride,
                spread=layer.spread,
                summed_blocks=blocks(min(shape.channels, other.channels)),
                slope=SLOPES.get(step.activation, 1),
                curve=o.curve_of(step.activation),
                alpha=layer.alpha,
                beta=layer.beta,
            )
        )
        self._add_activation(step)

    def _add_softmax(self, step: Step) -> None:
        layer = self.layers[step.layer]
        assert isinstance(layer, Softmax)
        shape = layer.shape
        source, target = self._blocked(step.source), np.empty((self.images, *shape), np.float32)
        self._table().add(
            o.Softmax(
                a=source,
                cell=self.values.cell(step.source),
                c=self._table().keep(target),
                images=self.images,
                channels=shape.channels,
                groups=layer.groups,
                inverse_temperature=1 / layer.temperature,
            )
        )
        self._define(step, target)

    def _add_definition(self, step: Step) -> None:
        """Run a step that has no kernel as its layers define it."""
        target = np.empty((self.images, *self.values.shape(step.target)), np.float32)
        # The arrays as of now: a later step that blocks one removes it from `values.plain` before the call is made.
        inputs = {value: None if value == INPUT else self.values.plain.get(value) for value in step.reads}

        def read(value: int) -> Array:
            plain = inputs[value]
            return self.values.read(value) if plain is None else plain

        self._call(lambda: np.copyto(target, step.define(self.layers, self.engine.parameters, read)))
        self._define(step, target)

    def _define(self, step: Step, target: Array) -> None:
        """Let `target`, in plain layout, be the output of a step."""
        self.values.plain[step.target] = target
        if self.engine.program.places[step.target].root != step.target:
            self._blocked(step.target)


def _pad_channels(values: Array) -> Array:
    """A number for each channel, padded to whole registers."""
    padded = np.zeros(blocks(len(values)) * LANES, np.float32)
    padded[: len(values)] = values
    return padded


# What runs a layer's steps, by its type.
KERNELS: dict[type[Layer], Callable[[Lowering, Step], None]] = {
    Activation: Lowering._add_scale,
    AvgPool: Lowering._add_average,
    BatchNorm: Lowering._add_scale,
    Connected: Lowering._add_product,
    Convolutional: Lowering._add_product,
    Crop: Lowering._add_crop,
    MaxPool: Lowering._add_maximum,
    ScaleChannels: Lowering._add_scaled_channels,
    Shortcut: Lowering._add_shortcut,
    Softmax: Lowering._add_softmax,
}


def no_kernel(layer: Layer) -> str:
    """Why no compiled code runs `layer`, whatever its parameters; empty where some does."""
    declined = decline(layer, KERNELS)
    if declined:
        return declined
    if isinstance(layer, Shortcut):
        return decline_sum(layer)
    if isinstance(layer, Softmax) and layer.shape.height * layer.shape.width > 1:
        return "softmax of more than one pixel has no kernel"
    return ""


def decline_sum(layer: Shortcut) -> str:
    """Why no kernel adds up the inputs of a shortcut; empty where one does."""
    channels = [shape.channels for shape in layer.input_shapes]
    ends_within = channels[0] != channels[1] and min(channels) % LANES
    return f"sums of {min(channels)} channels of {max(channels)} end within a block" if ends_within else ""


def explain_definition(layer: Layer, choice: Choice | None) -> str:
    """Why `layer`, or its activation, runs by its definition; empty where neither does. `choice` is the layer's."""
    if choice is not None and choice.algorithm is None:
        return f"its groups make up no whole blocks of {LANES} channels"
    known = o.is_compiled(layer.activation)
    return no_kernel(layer) or ("" if known else f"the activation {layer.activation} has no kernel")
