"""Steps -> tables of operations on buffers, for some number of images."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...layers import Array, Layer, Shape
from ...layers.activation import Activation
from ...layers.activations import activate
from ...layers.avgpool import AvgPool
from ...layers.batchnorm import BatchNorm
from ...layers.connected import Connected
from ...layers.convolutional import Convolutional
from ...layers.crop import Crop
from ...layers.maxpool import MaxPool
from ...layers.shortcut import Shortcut
from ...layers.softmax import Softmax
from ..passes import INPUT, SLOPES, Step
from . import operations as o
from . import table as t
from .algorithms import Call, Choice
from .algorithms.weights import blocks, round_to_bfloat16
from .arena import LINE, address, round_up
from .builder import Table
from .isa import BLOCK, LANES
from .prepared import Prepared


class Run:
    """The tables for some number of images, with what runs between them in NumPy."""

    def __init__(self, engine: Prepared, layers: Sequence[Layer], images: int) -> None:
        self.engine, self.layers, self.images = engine, layers, images
        self.program = engine.program
        self.plain: dict[int, Array] = {INPUT: np.empty(0, np.float32)}  # values that lie in plain layout
        self.input_rows: list[tuple[Table, int]] = []  # operations that are told at each run where the batch lies
        self.calls: list[Table | Callable[[], None]] = []
        self.precise = self._find_precise()
        self._lay_out()
        for step in self.program.steps:
            self.layer = step.layer
            self._add(step)
        for call in self.calls:
            if isinstance(call, Table):
                call.freeze()

    def run(self, batch: Array) -> Array:
        """Outputs (images, outputs)."""
        self._take(batch)
        for call in self.calls:
            if isinstance(call, Table):
                call.run(self.engine.team)
            else:
                call()
        return self._read(self.program.output).reshape(self.images, -1)

    def measure(self, batch: Array) -> dict[int, float]:
        """Seconds by layer."""
        self._take(batch)
        seconds: dict[int, float] = defaultdict(float)
        for call in self.calls:
            if isinstance(call, Table):
                for layer, took in call.measure(self.engine.team):
                    seconds[layer] += took
            else:
                call()
        return seconds

    def _take(self, batch: Array) -> None:
        self.plain[INPUT] = batch
        start = address(batch)
        for table, row in self.input_rows:
            table.table[row, o.INTEGERS.index("a")] = start

    def _find_precise(self) -> set[int]:
        """Values that stay in float32, whatever the others are in: answers, and what a softmax makes them of.

        Not those that share their memory with another value, nor sums with a residual.
        """
        steps, places = self.program.steps, self.program.places
        softmax = {step.layer for step in steps if isinstance(self.layers[step.layer], Softmax)}
        read = {value for step in steps if step.layer not in softmax for value in step.reads}
        inside = Counter(place.root for place in places.values())
        return {
            step.target
            for step in steps
            if step.task == "layer" and step.sum is None and step.target not in read and inside[step.target] == 1
        }

    def _cell(self, value: int) -> int:
        """Bytes of LANES channels of a pixel of a value in blocked layout."""
        return BLOCK if value in self.precise else self.engine.cell

    def _lay_out(self) -> None:
        """Give every value its address: slots one after another, then the workspace of convolutions."""
        places = self.program.places
        sizes = [0] * (1 + max(place.slot for place in places.values()))
        for place in places.values():
            sizes[place.slot] = max(sizes[place.slot], self._size(place.root))
        spaces = [0]
        for step in self.program.steps:
            choice = self.engine.choices.get(step.layer)
            if choice is not None and choice.algorithm is not None:
                layer, threads = self.layers[step.layer], self.engine.team.threads
                spaces.append(choice.algorithm.workspace(layer, self.images, threads))
        # The input's blocked form, where a layer wants it, lies last. A line that nothing uses follows each buffer.
        sizes += [max(spaces), self._size(INPUT)]
        starts = np.cumsum([0, *(round_up(size, LINE) + LINE for size in sizes)]).tolist()
        self.memory = self.engine.memory(starts[-1])
        self.gaps = [slice(end - LINE, end) for end in starts[1:]]
        starts = [address(self.memory) + start for start in starts]
        self.workspace = starts[-3]
        self.addresses = {INPUT: starts[-2]}
        for value, place in places.items():
            shape = self._shape(place.root)
            plane = self.images * shape.height * shape.width * self._cell(value)
            self.addresses[value] = starts[place.slot] + place.channel // LANES * plane

    def _shape(self, value: int) -> Shape:
        return self.program.shape(value, self.layers)

    def _size(self, value: int) -> int:
        shape = self._shape(value)
        return self.images * blocks(shape.channels) * shape.height * shape.width * self._cell(value)

    def _table(self) -> Table:
        if not self.calls or not isinstance(self.calls[-1], Table):
            self.calls.append(Table())
        table = self.calls[-1]
        assert isinstance(table, Table)
        table.layer = self.layer
        return table

    def _blocked(self, value: int) -> int:
        """The address of a value in blocked layout."""
        if value in self.plain:
            shape = self._shape(value)
            self._table().add(
                o.ToBlocks(
                    a=self._plain_address(value),
                    c=self.addresses[value],
                    out_cell=self._cell(value),
                    blocks=blocks(shape.channels),
                    channels=shape.channels,
                    images=self.images,
                    height=shape.height,
                    width=shape.width,
                )
            )
            if value != INPUT:
                del self.plain[value]
        return self.addresses[value]

    def _plain_address(self, value: int) -> int:
        """The address of a value in plain layout, for the operation that is added next."""
        if value == INPUT:
            self.input_rows.append((self._table(), len(self._table().operations)))
            return 0
        return self._table().keep(self.plain[value])

    def _view(self, value: int) -> npt.NDArray[Any]:
        """A blocked value as (blocks, images, height, width, LANES), of float32 or the bits of bfloat16."""
        shape = self._shape(value)
        start = self.addresses[value] - address(self.memory)
        kind = np.float32 if self._cell(value) == BLOCK else np.uint16
        flat = self.memory[start : start + self._size(value)].view(kind)
        return flat.reshape(blocks(shape.channels), self.images, shape.height, shape.width, LANES)

    def _read(self, value: int) -> Array:
        """A value in plain layout."""
        if value in self.plain:
            return self.plain[value]
        shape = self._shape(value)
        plain = _to_float32(self._view(value)).transpose(1, 0, 4, 2, 3).reshape(self.images, -1, *shape[1:])
        return plain[:, : shape.channels]

    def _add(self, step: Step) -> None:
        layer = self.layers[step.layer]
        if step.task == "copy":
            self._blocked(step.source)
            self.calls.append(lambda: np.copyto(self._view(step.target), self._view(step.source)))
        elif step.task == "scale":
            self._add_scale(step)
        elif no_kernel(layer) or self.engine.is_defined(layer):
            self._add_definition(step)
        else:
            KERNELS[type(layer)](self, step)

    def _add_product(self, step: Step) -> None:
        layer, algorithm = self.layers[step.layer], self.engine.choices[step.layer].algorithm
        assert algorithm is not None
        residual = 0 if step.sum is None else self._blocked(step.sum.other)  # which the source may be, too
        plain = algorithm.plain and step.source in self.plain
        source = self._plain_address(step.source) if plain else self._blocked(step.source)
        call = Call(
            self.images, source, self.addresses[step.target], residual, self.workspace,
            layer.input_shapes[0], layer.shape, SLOPES.get(step.activation, 1), SLOPES[step.final_activation],
            self.engine.team.threads, plain, self._cell(step.source), self._cell(step.target),
        )  # fmt: skip
        algorithm.lower(self._table(), layer, self.engine.weights[step.layer], call)
        self._add_curve(step)

    def _add_curve(self, step: Step) -> None:
        """The activation of a value that lies there without, where a store could not apply it."""
        if step.activation not in SLOPES:
            self._add_scaled(step, step.target, None)

    def _add_scale(self, step: Step) -> None:
        """The step's activation of its source's channels, times factors plus biases where it has some."""
        self._add_scaled(step, step.source, self.engine.factors.get((step.layer, step.task)))

    def _add_scaled(self, step: Step, source: int, factors: tuple[Array, Array] | None) -> None:
        start, shape, given = self._blocked(source), self._shape(step.target), dict(factor=0, bias=0)
        if factors is not None:
            factor, bias = (self._table().keep(_pad_channels(numbers)) for numbers in factors)
            given = dict(factor=factor, bias=bias)
        compiled = step.activation in t.CURVES
        self._table().add(
            o.Scale(
                a=start,
                c=self.addresses[step.target],
                cell=self._cell(source),
                out_cell=self._cell(step.target),
                blocks=blocks(shape.channels),
                cells=self.images * shape.height * shape.width,
                slope=SLOPES.get(step.activation, 1),
                curve=1 + t.CURVES.index(step.activation) if compiled else 0,
                **given,
            )
        )
        if not compiled and step.activation not in SLOPES:
            self.calls.append(lambda: self._activate(step))

    def _activate(self, step: Step) -> None:
        view = self._view(step.target)
        values = activate(step.activation, _to_float32(view))
        view[...] = values if view.dtype == np.float32 else round_to_bfloat16(values.view(np.uint32)) >> 16

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
        (channels, height, width), cell = self._shape(step.source), self._cell(step.source)
        if step.source in self.plain:
            plane, start = 4 * height * width, self._plain_address(step.source)
            strides = dict(a_batch=channels * plane, a_block=LANES * plane, a_plane=plane, pixel=4, cell=BLOCK)
        else:
            picture, start = height * width * cell, self._blocked(step.source)
            strides = dict(a_batch=picture, a_block=self.images * picture, a_plane=cell // LANES, pixel=cell, cell=cell)
        target = np.empty((self.images, *layer.shape), np.float32)
        self._table().add(
            o.Crop(
                a=start,
                a_row=width * strides["pixel"],
                **strides,
                c=self._table().keep(target),
                images=self.images,
                channels=channels,
                top=layer.top,
                left=layer.left,
                out_height=layer.crop_height,
                out_width=layer.crop_width,
                alpha=1 if layer.noadjust else 2,
                beta=0 if layer.noadjust else -1,
            )
        )
        self._define(step, target)

    def _add_average(self, step: Step) -> None:
        self._table().add(o.AvgPool(**self._pooled(step)))

    def _pooled(self, step: Step) -> dict[str, int]:
        """What an operation that pools a value is told of it."""
        source = self._shape(step.source)
        return dict(
            a=self._blocked(step.source),
            c=self.addresses[step.target],
            cell=self._cell(step.source),
            out_cell=self._cell(step.target),
            blocks=blocks(source.channels),
            images=self.images,
            height=source.height,
            width=source.width,
        )

    def _add_shortcut(self, step: Step) -> None:
        layer = self.layers[step.layer]
        assert isinstance(layer, Shortcut)
        shape, other = layer.input_shapes
        self._table().add(
            o.Add(
                a=self._blocked(step.sources[0]),
                other=self._blocked(step.sources[1]),
                c=self.addresses[step.target],
                cell=self._cell(step.sources[0]),
                out_cell=self._cell(step.target),
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
                alpha=layer.alpha,
                beta=layer.beta,
            )
        )
        self._add_curve(step)

    def _add_softmax(self, step: Step) -> None:
        layer = self.layers[step.layer]
        assert isinstance(layer, Softmax)
        shape = layer.shape
        source, target = self._blocked(step.source), np.empty((self.images, *shape), np.float32)
        self._table().add(
            o.Softmax(
                a=source,
                cell=self._cell(step.source),
                c=self._table().keep(target),
                images=self.images,
                channels=shape.channels,
                groups=layer.groups,
                inverse_temperature=1 / layer.temperature,
            )
        )
        self._define(step, target)

    def _add_definition(self, step: Step) -> None:
        """What has no kernel of its own runs as its layers define it."""
        target = np.empty((self.images, *self._shape(step.target)), np.float32)
        inputs = {value: None if value == INPUT else self.plain.get(value) for value in step.reads}

        def read(value: int) -> Array:
            plain = inputs[value]
            return self._read(value) if plain is None else plain

        self.calls.append(lambda: np.copyto(target, step.define(self.layers, self.engine.parameters, read)))
        self._define(step, target)

    def _define(self, step: Step, target: Array) -> None:
        """Let `target`, in plain layout, be what a step gives."""
        self.plain[step.target] = target
        if self.program.places[step.target].root != step.target:
            self._blocked(step.target)


def _pad_channels(values: Array) -> Array:
    """A number for each channel, in whole registers."""
    padded = np.zeros(blocks(len(values)) * LANES, np.float32)
    padded[: len(values)] = values
    return padded


def _to_float32(values: npt.NDArray[Any]) -> Array:
    """Values as they are, or from the bits of bfloat16."""
    return values if values.dtype == np.float32 else (values.astype(np.uint32) << 16).view(np.float32)


# What runs a layer's steps, by its type.
KERNELS: dict[type[Layer], Callable[[Run, Step], None]] = {
    Activation: Run._add_scale,
    AvgPool: Run._add_average,
    BatchNorm: Run._add_scale,
    Connected: Run._add_product,
    Convolutional: Run._add_product,
    Crop: Run._add_crop,
    MaxPool: Run._add_maximum,
    Shortcut: Run._add_shortcut,
    Softmax: Run._add_softmax,
}


def no_kernel(layer: Layer) -> str:
    """Why no compiled code runs `layer`, whatever its parameters; empty where some does."""
    if type(layer) not in KERNELS:
        return f"[{layer.kind}] has no kernel"
    channels = [shape.channels for shape in layer.input_shapes]
    if isinstance(layer, Shortcut) and channels[0] != channels[1] and min(channels) % LANES:
        return f"sums of {min(channels)} channels of {max(channels)} end within a block"
    if isinstance(layer, Softmax) and layer.shape.height * layer.shape.width > 1:
        return "softmax of more than one pixel has no kernel"
    return ""


def explain_definition(layer: Layer, choice: Choice | None = None) -> str:
    """Why `layer`, of a convolution the implementation `choice`, or its activation runs by its definition; or empty."""
    if choice is not None and choice.algorithm is None:
        return f"its groups make up no whole blocks of {LANES} channels"
    known = layer.activation in SLOPES or layer.activation in t.CURVES
    return no_kernel(layer) or ("" if known else f"the activation {layer.activation} has no kernel")
