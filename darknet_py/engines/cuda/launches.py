"""From a program's steps to launches of kernels: which memory each reads and writes, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import cast

from ...layers import Layer, Shape
from ...layers.activation import Activation
from ...layers.avgpool import AvgPool
from ...layers.batchnorm import BatchNorm
from ...layers.connected import Connected
from ...layers.convolutional import Convolutional
from ...layers.crop import Crop
from ...layers.maxpool import MaxPool
from ...layers.route import Route
from ...layers.shortcut import Shortcut
from ...layers.softmax import Softmax
from ..passes import INPUT, Program, Step
from .convolution import Convolution, Operands
from .cudnn import GraphLaunch
from .device import Memory
from .implementation import Implementation
from .kernels import ACTIVATION_CODES, THREADS, TYPES, Kernel, Launch, arguments_of
from .packing import ITEM_SIZES, NARROW, merge_groups, padded

ALIGNMENT = 256  # bytes, of what is allocated


@dataclass(frozen=True)
class Packed:
    """A convolution's or connected layer's kernels on the GPU.

    Attributes
    ----------
    kernels, biases : int
        Addresses.
    filters : int
        The kernels again, in rows that are not padded; only cuDNN reads them.
    """

    kernels: int
    filters: int
    biases: int


@dataclass(frozen=True)
class Value:
    """Where a value lies.

    Attributes
    ----------
    address : int
        Of its first number.
    shape : Shape
        A picture's.
    stride : int
        Numbers from one pixel to the next.
    channels : int
        With the padding that belongs to it.
    """

    address: int
    shape: Shape
    stride: int
    channels: int


@dataclass(frozen=True)
class HostCall:
    """A step that its layers' definitions compute on the host, between launches.

    Attributes
    ----------
    step : Step
    inputs : mapping of int to Memory
        For each value that it reads, float32 in the caller's layout.
    output : Memory
        What comes of it, in that layout.
    packed : Memory
        The same in the engine's layout.
    """

    step: Step
    inputs: Mapping[int, Memory]
    output: Memory
    packed: Memory


class Layout:
    """Where the values of a program lie in memory, for some number of pictures.

    Parameters
    ----------
    program : Program
        Compiled for blocks of `packing.PACK` channels.
    layers : sequence of Layer
        Shaped for the pictures.
    precision : str
    pictures : int

    Attributes
    ----------
    size : int
        Bytes that all take, the network's input in the engine's layout included.
    """

    def __init__(self, program: Program, layers: Sequence[Layer], precision: str, pictures: int) -> None:
        self.program, self.layers, self.precision, self.pictures = program, layers, precision, pictures
        self.item = ITEM_SIZES[precision]
        self._narrow = narrow_values(program, layers)
        sizes: dict[int, int] = {}  # by slot; the input's is INPUT
        for value in (INPUT, *program.places):
            root, _, slot = self._place(value)
            _, height, width = self._shape(root)
            numbers = pictures * height * width * self.stride(value)
            sizes[slot] = max(sizes.get(slot, 0), padded(numbers * self.item, ALIGNMENT))
        self.offsets: dict[int, int] = {}
        self.size = 0
        for slot, size in sizes.items():
            self.offsets[slot] = self.size
            self.size += size

    def _place(self, value: int) -> tuple[int, int, int]:
        if value == INPUT:
            return INPUT, 0, INPUT
        place = self.program.places[value]
        return place.root, place.channel, place.slot

    def _shape(self, value: int) -> Shape:
        return self.program.shape(value, self.layers)

    def stride(self, value: int) -> int:
        """Numbers from one pixel of `value` to the next."""
        root = self._place(value)[0]
        return NARROW if root in self._narrow else padded(self._shape(root).channels)

    def value(self, value: int, memory: int) -> Value:
        """Where `value` lies, in memory that begins at the address `memory`."""
        _, channel, slot = self._place(value)
        shape, stride = self._shape(value), self.stride(value)
        address = memory + self.offsets[slot] + channel * self.item
        return Value(address, shape, stride, min(stride, padded(shape.channels)))


def narrow_values(program: Program, layers: Sequence[Layer]) -> set[int]:
    """The root values whose pixels are `NARROW` apart: of so few channels, where no step takes whole packs of them."""

    def root(value: int) -> int:
        return INPUT if value == INPUT else program.places[value].root

    roots = map(root, [INPUT, *program.places])
    narrow = {value for value in roots if program.shape(value, layers).channels <= NARROW}
    for step in reversed(program.steps):  # a step's target knows already who reads it
        if step.task == "layer" and isinstance(layers[step.layer], (Convolutional, Connected)):
            narrow.discard(root(step.target))
        elif not _by_channel(step, layers) and root(step.target) not in narrow:
            narrow.discard(root(step.source))
        if step.sum is not None:
            narrow.discard(root(step.sum.other))
    return narrow


def _by_channel(step: Step, layers: Sequence[Layer]) -> bool:
    """Whether a step reads only channels that are there."""
    layer = layers[step.layer]
    reads_channels = isinstance(layer, (Route, Softmax)) or bool(no_kernel(layer))
    return step.task == "copy" or (step.task == "layer" and reads_channels)


def describe(step: Step, layout: Layout) -> Convolution:
    """The convolution or connected layer of `step`, for what implements it."""
    layer, source, target = layout.layers[step.layer], layout.value(step.source, 0), layout.value(step.target, 0)
    groups = merge_groups(
        getattr(layer, "groups", 1), layer.input_shapes[0].channels, layer.shape.channels, source.channels
    )
    _, height, width = source.shape
    window = height, width, 1, 0
    if isinstance(layer, Convolutional):
        window = layer.size, layer.size, layer.stride, layer.padding
    return Convolution(
        layout.precision, layout.pictures, height, width, layer.shape.height, layer.shape.width, *window, groups,
        source.stride, target.stride, 0 if step.sum is None else layout.stride(step.sum.other),
        step.activation, step.final_activation,
    )  # fmt: skip


class Lowering:
    """Makes the launches of a program for one number of pictures.

    Parameters
    ----------
    layout : Layout
    memory : int
        Address of `layout.size` bytes.
    packed : mapping of int to Packed
        For convolutions and connected layers.
    factors : mapping of (int, str) to (int, int)
        For layers, and the tasks of their steps that scale, the addresses of factors and biases.
    choices : mapping of Convolution to Implementation
    host_calls : mapping of Step to HostCall
        For the steps that have no kernel.
    arrived : int
        As `Operands` says.

    Attributes
    ----------
    workspace : int
        As `Operands` says; to be set where implementations need some.
    """

    def __init__(
        self,
        layout: Layout,
        memory: int,
        packed: Mapping[int, Packed],
        factors: Mapping[tuple[int, str], tuple[int, int]],
        choices: Mapping[Convolution, Implementation],
        host_calls: Mapping[Step, HostCall],
        arrived: int,
    ) -> None:
        self.layout, self.precision, self.memory = layout, layout.precision, memory
        self.packed, self.factors, self.choices, self.host_calls = packed, factors, choices, host_calls
        self.workspace, self.arrived = 0, arrived
        self.layers, self.pictures = layout.layers, layout.pictures

    def launches(self, images: int, outputs: int) -> list[Work]:
        """All that is to be done: from the caller's pictures at the address `images` to its answers at `outputs`."""
        launches: list[Work] = [self._enter(images, self._value(INPUT))]
        program = self.layout.program
        *steps, last = program.steps
        for step in steps:
            launches += self._lower(step)
        answer = self.layers[last.layer]
        if last.task == "layer" and isinstance(answer, Softmax) and last.target == program.output:
            plane = answer.shape.height * answer.shape.width
            strides = {"target_image": answer.shape.size, "target_pixel": 1, "target_channel": plane}
            return [*launches, self._softmax(last, "float", outputs, strides)]
        return [*launches, *self._lower(last), self._leave(self._value(program.output), outputs)]

    def _enter(self, plain: int, target: Value) -> Launch:
        """From float32 in the caller's layout at the address `plain`; up to a pixel's stride all is written."""
        channels, height, width = target.shape
        return self._per_number(
            "enter", target, target.stride // 4, source=plain, target=target.address, target_stride=target.stride,
            channels=channels, height=height, width=width,
        )  # fmt: skip

    def _leave(self, source: Value, plain: int) -> Launch:
        """To float32 in the caller's layout at the address `plain`."""
        channels, height, width = source.shape
        return self._per_number(
            "leave", source, channels, source=source.address, target=plain, source_stride=source.stride,
            channels=channels, height=height, width=width,
        )  # fmt: skip

    def _call_host(self, call: HostCall) -> Iterator[Work]:
        for value, memory in call.inputs.items():
            yield self._leave(self._value(value), memory.address)
        yield call
        target = self._value(call.step.target)
        stride = padded(target.shape.channels)
        packed = Value(call.packed.address, target.shape, stride, stride)
        yield self._enter(call.output.address, packed)
        yield self._copy_channels(packed, target.shape.channels, target, target.channels)

    def _lower(self, step: Step) -> Iterator[Work]:
        if step in self.host_calls:
            return self._call_host(self.host_calls[step])
        if step.task == "copy":
            return self._copy(step)
        if step.task == "scale":
            return self._scale(step)
        return KERNELS[type(self.layers[step.layer])](self, step)

    def convolution(self, step: Step, choice: Implementation) -> Launch | GraphLaunch:
        """A convolution or connected layer by `choice`."""
        packed = self.packed[step.layer]
        operands = Operands(
            self._value(step.source).address,
            self._value(step.target).address,
            0 if step.sum is None else self._value(step.sum.other).address,
            packed.kernels,
            packed.filters,
            packed.biases,
            self.workspace,
            self.arrived,
        )
        return choice.launch(describe(step, self.layout), operands)

    def _value(self, value: int) -> Value:
        return self.layout.value(value, self.memory)

    def _chosen(self, step: Step) -> Iterator[Launch | GraphLaunch]:
        yield self.convolution(step, self.choices[describe(step, self.layout)])

    def _per_number(
        self, function: str, over: Value, numbers: int, structure: str = "Elements", **fields: float
    ) -> Launch:
        """A thread for each of `numbers` of each pixel of `over`."""
        pixels = self.pictures * over.shape.height * over.shape.width
        file = "pooling" if structure == "Pooling" else "elementwise"
        kernel = Kernel(file, f"{function}<{TYPES[self.precision]}>", structure)
        grid = ceil(pixels * numbers / THREADS), 1
        return Launch(kernel, grid, arguments_of(structure, pixels=pixels, **fields))

    def _pool(self, step: Step) -> Iterator[Launch]:
        layer, source, target = self.layers[step.layer], self._value(step.source), self._value(step.target)
        _, height, width = source.shape
        _, out_height, out_width = target.shape
        window = {}
        if isinstance(layer, MaxPool):
            window = {"size": layer.size, "step": layer.stride, "padding": layer.padding // 2}
        yield self._per_number(
            "max_pool" if window else "average_pool", target, target.channels // 4, "Pooling",
            source=source.address, source_stride=source.stride, target=target.address, target_stride=target.stride,
            channels=target.channels, height=height, width=width, out_height=out_height, out_width=out_width, **window,
        )  # fmt: skip

    def _scale(self, step: Step) -> Iterator[Launch]:
        source, target = self._value(step.source), self._value(step.target)
        factors, biases = self.factors.get((step.layer, step.task), (0, 0))
        yield self._per_number(
            "scale", target, target.channels // 4,
            source=source.address, source_stride=source.stride, target=target.address, target_stride=target.stride,
            channels=target.channels, factors=factors, biases=biases, activation=ACTIVATION_CODES[step.activation],
        )  # fmt: skip

    def _crop(self, step: Step) -> Iterator[Launch]:
        layer = cast(Crop, self.layers[step.layer])
        source, target = self._value(step.source), self._value(step.target)
        alpha, beta = (1, 0) if layer.noadjust else (2, -1)
        yield self._per_number(
            "crop", target, target.channels // 4,
            source=source.address, source_stride=source.stride, target=target.address, target_stride=target.stride,
            channels=target.channels, height=source.shape.height, width=source.shape.width,
            out_height=target.shape.height, out_width=target.shape.width, top=layer.top, left=layer.left,
            alpha=alpha, beta=beta,
        )  # fmt: skip

    def _shortcut(self, step: Step) -> Iterator[Launch]:
        layer = cast(Shortcut, self.layers[step.layer])
        source, target = self._value(step.source), self._value(step.target)
        other = self._value(step.sources[1])
        yield self._per_number(
            "add", target, target.channels // 4,
            source=source.address, source_stride=source.stride, target=target.address, target_stride=target.stride,
            channels=target.channels, height=target.shape.height, width=target.shape.width,
            other=other.address, other_stride=other.stride, other_channels=other.shape.channels,
            other_height=other.shape.height, other_width=other.shape.width, step=layer.step, spread=layer.spread,
            activation=ACTIVATION_CODES[step.activation], alpha=layer.alpha, beta=layer.beta,
        )  # fmt: skip

    def _copy(self, step: Step) -> Iterator[Launch]:
        """The sources side by side; the last one's padding is filled up."""
        target = self._value(step.target)
        channel = 0
        for number, source in enumerate(map(self._value, step.sources), 1):
            channels = source.shape.channels
            filled = channels if number < len(step.sources) else target.channels - channel
            yield self._copy_channels(source, channels, target, filled, channel)
            channel += channels

    def _copy_channels(self, source: Value, channels: int, target: Value, filled: int, first: int = 0) -> Launch:
        """The first `channels` of `source` to those of `target` from `first` on, and zeros, `filled` in all."""
        return self._per_number(
            "copy", target, filled, source=source.address, source_stride=source.stride,
            target=target.address + first * self.layout.item, target_stride=target.stride,
            channels=channels, filled=filled,
        )  # fmt: skip

    def _softmax(self, step: Step, to: str, address: int, strides: Mapping[str, int]) -> Launch:
        """Softmax to numbers of the type `to`."""
        layer, source = cast(Softmax, self.layers[step.layer]), self._value(step.source)
        kernel = Kernel("softmax", f"softmax<{TYPES[self.precision]}, {to}>", "Softmax")
        arguments = arguments_of(
            "Softmax", source=source.address, source_stride=source.stride, target=address,
            plane=source.shape.height * source.shape.width, size=layer.shape.size // layer.groups,
            temperature=layer.temperature, **strides,
        )  # fmt: skip
        return Launch(kernel, (layer.groups, self.pictures), arguments)

    def _inner_softmax(self, step: Step) -> Iterator[Launch]:
        target = self._value(step.target)
        plane = target.shape.height * target.shape.width
        strides = {"target_image": plane * target.stride, "target_pixel": target.stride, "target_channel": 1}
        strides |= {"channels": target.shape.channels, "padding": target.channels - target.shape.channels}
        yield self._softmax(step, TYPES[self.precision], target.address, strides)


Work = Launch | GraphLaunch | HostCall
# What runs a layer's steps, by its type.
KERNELS: dict[type[Layer], Callable[[Lowering, Step], Iterator[Launch | GraphLaunch]]] = {
    Activation: Lowering._scale,
    AvgPool: Lowering._pool,
    BatchNorm: Lowering._scale,
    Connected: Lowering._chosen,
    Convolutional: Lowering._chosen,
    Crop: Lowering._crop,
    MaxPool: Lowering._pool,
    Route: Lowering._copy,
    Shortcut: Lowering._shortcut,
    Softmax: Lowering._inner_softmax,
}


def no_kernel(layer: Layer) -> str:
    """Why no kernel runs `layer`; empty where one does."""
    if type(layer) not in KERNELS:
        return f"[{layer.kind}] has no kernel"
    if layer.activation not in ACTIVATION_CODES:
        return f"the activation {layer.activation} has no kernel"
    return ""
