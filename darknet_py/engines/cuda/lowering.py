"""From a program's steps to launches of kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple, cast

from ...layers import Layer
from ...layers.activation import Activation
from ...layers.avgpool import AvgPool
from ...layers.batchnorm import BatchNorm
from ...layers.connected import Connected
from ...layers.convolutional import Convolutional
from ...layers.crop import Crop
from ...layers.maxpool import MaxPool
from ...layers.route import Route
from ...layers.scale_channels import ScaleChannels
from ...layers.shortcut import Shortcut
from ...layers.softmax import Softmax
from ..passes import INPUT, Program, Step, decline
from .algorithms import Implementation, PackedWeights
from .convolution import WINDOWS, Convolution, Operands
from .cudnn import GraphLaunch
from .device import Memory
from .kernels import ACTIVATION_CODES, THREADS, TYPES, Launch, activation_arguments, arguments_of, kernel_of
from .layout import Layout, Value, describe
from .packing import PACK, QUAD, round_up

VECTOR = 16  # bytes that a thread loads or stores at once, where values allow it
AVERAGING_THREADS = 512  # in a thread block that averages: as many loads in flight as one multiprocessor needs
AVERAGING_BLOCKS = 2  # on a multiprocessor: with more there are too few registers to have many loads in flight


@dataclass(frozen=True)
class HostCall:
    """A step that its layers' definitions compute on the host, between launches.

    Attributes
    ----------
    step : Step
    inputs : mapping of int to Memory
        For each value that it reads, float32 in the caller's layout.
    output : Memory
        Its result, in that layout.
    packed : Memory
        The same in the engine's layout.
    """

    step: Step
    inputs: Mapping[int, Memory]
    output: Memory
    packed: Memory


class Lowering:
    """Makes the launches of a program for one number of pictures.

    Parameters
    ----------
    layout : Layout
    memory : int
        Address of `layout.size` bytes.
    packed : mapping of int to PackedWeights
        For convolutions and connected layers.
    factors : mapping of (int, str) to (int, int)
        Addresses of factors and biases, by the layer and the task of the step that scales.
    choices : mapping of Convolution to Implementation
    host_calls : mapping of Step to HostCall
        For the steps that have no kernel.
    arrived : int
        As in `Operands`.

    Attributes
    ----------
    workspace : int
        As in `Operands`; to be set where implementations need some.
    """

    def __init__(
        self,
        layout: Layout,
        memory: int,
        packed: Mapping[int, PackedWeights],
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
        """All work, from the caller's pictures at the address `images` to its answers at `outputs`."""
        launches: list[Work] = [self._enter(images, self._value(INPUT), self.layout.rest)]
        program = self.layout.program
        *steps, last = program.steps
        for step in steps:
            launches += self._lower(step)
        answer = self.layers[last.layer]
        own = last.task == "layer" and last not in self.host_calls
        if own and isinstance(answer, Softmax) and last.target == program.output:
            plane = answer.shape.height * answer.shape.width
            strides = {"target_image": answer.shape.size, "target_pixel": 1, "target_channel": plane}
            return [*launches, self._softmax(last, "float", target=outputs, **strides)]
        return [*launches, *self._lower(last), self._leave(self._value(program.output), outputs)]

    def _enter(self, plain: int, target: Value, rest: bool = False) -> Launch:
        """Convert from float32 in the caller's layout at the address `plain`; each pixel's whole stride is written.

        With `rest`, the channels are followed by the remainders that rounding leaves of them.
        """
        channels, height, width = target.shape
        return self._per_number(
            "enter", target, target.stride // QUAD, int(rest), source=plain, target=target.address,
            target_stride=target.stride, channels=channels, height=height, width=width,
        )  # fmt: skip

    def _leave(self, source: Value, plain: int) -> Launch:
        """Convert to float32 in the caller's layout at the address `plain`."""
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
        stride = round_up(target.shape.channels)
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
        return KERNELS[type(self.layers[step.layer])].lower(self, step)

    def convolution(self, step: Step, implementation: Implementation) -> Sequence[Launch | GraphLaunch]:
        """A convolution or connected layer by `implementation`."""
        packed, problem = self.packed[step.layer], describe(step, self.layout)
        operands = Operands(
            source=self._value(step.source).address,
            target=self._value(step.target).address,
            residual=0 if step.sum is None else self._value(step.sum.other).address,
            weights=packed.addresses[implementation.algorithm.order(problem)],
            biases=packed.biases,
            workspace=self.workspace,
            arrived=self.arrived,
        )
        return implementation.lower(problem, operands)

    def _value(self, value: int) -> Value:
        return self.layout.value(value, self.memory)

    def _chosen(self, step: Step) -> Iterator[Launch | GraphLaunch]:
        yield from self.convolution(step, self.choices[describe(step, self.layout)])

    def _vector(self, *values: Value) -> int:
        """How many channels of `values` a thread takes at once: `VECTOR` bytes if all are aligned so, else a quad."""
        most = VECTOR // self.layout.item
        wide = all(value.stride % most == 0 and value.address % VECTOR == 0 for value in values)
        return most if wide else QUAD

    def _per_vector(
        self, function: str, values: Sequence[Value], activation: str | None = None, **fields: float
    ) -> Launch:
        """A thread for each vector of channels of a pixel; `values` are the source, the target and what else is read.

        With an `activation`, the kernel is compiled for it.
        """
        source, target, *_ = values
        vector = self._vector(*values)
        code = []
        if activation is not None:
            text, fields["slope"] = activation_arguments(activation)
            code = [text]
        pixels = self.pictures * target.shape.height * target.shape.width
        kernel = kernel_of(function, TYPES[self.precision], vector, *code)
        arguments = arguments_of(
            kernel.structure, source=source.address, source_stride=source.stride, target=target.address,
            target_stride=target.stride, channels=target.channels, pixels=pixels, **fields,
        )  # fmt: skip
        return Launch(kernel, (ceil(pixels * (target.channels // vector) / THREADS), 1), arguments)

    def _per_number(self, function: str, over: Value, numbers: int, *template: int, **fields: float) -> Launch:
        """A thread for each of `numbers` of each pixel of `over`; `template` are more arguments for the kernel's."""
        pixels = self.pictures * over.shape.height * over.shape.width
        kernel = kernel_of(function, TYPES[self.precision], *template)
        grid = ceil(pixels * numbers / THREADS), 1
        return Launch(kernel, grid, arguments_of(kernel.structure, pixels=pixels, **fields))

    def _max_pool(self, step: Step) -> Iterator[Launch]:
        layer = cast(MaxPool, self.layers[step.layer])
        source, target = self._value(step.source), self._value(step.target)
        yield self._per_vector(
            "max_pool", (source, target), height=source.shape.height, width=source.shape.width,
            out_height=target.shape.height, out_width=target.shape.width, size=layer.size, stride=layer.stride,
            padding=layer.padding // 2,
        )  # fmt: skip

    def _average_pool(self, step: Step) -> Iterator[Launch]:
        source, target = self._value(step.source), self._value(step.target)
        vector = self._vector(source, target)
        vectors, pixels = target.channels // vector, source.shape.height * source.shape.width
        # Threads have four pixels at least, and two of them take a sector of memory together.
        rows = min(1 << max(0, (pixels // 4).bit_length() - 1), AVERAGING_THREADS // 2)
        lanes = AVERAGING_THREADS // rows
        launch = {"threads": AVERAGING_THREADS, "shared": 4 * vector * AVERAGING_THREADS, "resident": AVERAGING_BLOCKS}
        kernel = kernel_of("average_pool", TYPES[self.precision], vector, **launch)
        arguments = arguments_of(
            kernel.structure, source=source.address, source_stride=source.stride, target=target.address,
            target_stride=target.stride, channels=target.channels, height=source.shape.height,
            width=source.shape.width, lanes=lanes,
        )  # fmt: skip
        yield Launch(kernel, (ceil(vectors / lanes), self.pictures), arguments)

    def _scale(self, step: Step) -> Iterator[Launch]:
        source, target = self._value(step.source), self._value(step.target)
        factors, biases = self.factors.get((step.layer, step.task), (0, 0))
        yield self._per_vector("scale", (source, target), step.activation, factors=factors, biases=biases)

    def _crop(self, step: Step) -> Iterator[Launch]:
        layer = cast(Crop, self.layers[step.layer])
        source, target = self._value(step.source), self._value(step.target)
        alpha, beta = (1, 0) if layer.noadjust else (2, -1)
        yield self._per_vector(
            "crop", (source, target), height=source.shape.height, width=source.shape.width,
            out_height=target.shape.height, out_width=target.shape.width, top=layer.top, left=layer.left,
            alpha=alpha, beta=beta,
        )  # fmt: skip

    def _shortcut(self, step: Step) -> Iterator[Launch]:
        layer = cast(Shortcut, self.layers[step.layer])
        source, other, target = map(self._value, (*step.sources, step.target))
        yield self._per_vector(
            "add", (source, target, other), step.activation, height=target.shape.height, width=target.shape.width,
            other=other.address, other_stride=other.stride, other_channels=other.shape.channels,
            other_height=other.shape.height, other_width=other.shape.width, stride=layer.stride, spread=layer.spread,
            alpha=layer.alpha, beta=layer.beta,
        )  # fmt: skip

    def _scale_channels(self, step: Step) -> Iterator[Launch]:
        factors, other, target = map(self._value, (*step.sources, step.target))
        yield self._per_vector(
            "scale_channels", (factors, target, other), step.activation, other=other.address, other_stride=other.stride,
            factor_channels=factors.shape.channels, height=target.shape.height // factors.shape.height,
            width=target.shape.width // factors.shape.width,
        )  # fmt: skip

    def _copy(self, step: Step) -> Iterator[Launch]:
        """Copy the sources side by side, and zeros after the last one up to a whole pack."""
        target = self._value(step.target)
        channel = 0
        for number, source in enumerate(map(self._value, step.sources), 1):
            channels = source.shape.channels
            filled = channels if number < len(step.sources) else target.channels - channel
            yield self._copy_channels(source, channels, target, filled, channel)
            channel += channels

    def _copy_channels(self, source: Value, channels: int, target: Value, filled: int, first: int = 0) -> Launch:
        """Copy the first `channels` of `source` to `target`, from `first` on, and then zeros: `filled` in all."""
        return self._per_number(
            "copy", target, filled, source=source.address, source_stride=source.stride,
            target=target.address + first * self.layout.item, target_stride=target.stride,
            channels=channels, filled=filled,
        )  # fmt: skip

    def _softmax(self, step: Step, to: str, **target: int) -> Launch:
        """Softmax to numbers of the type `to`; `target` are the fields that say where and how they are stored."""
        layer, source = cast(Softmax, self.layers[step.layer]), self._value(step.source)
        kernel = kernel_of("softmax", TYPES[self.precision], to)
        arguments = arguments_of(
            "Softmax", source=source.address, source_stride=source.stride,
            plane=source.shape.height * source.shape.width, size=layer.shape.size // layer.groups,
            temperature=layer.temperature, **target,
        )  # fmt: skip
        return Launch(kernel, (layer.groups, self.pictures), arguments)

    def _inner_softmax(self, step: Step) -> Iterator[Launch]:
        target = self._value(step.target)
        plane = target.shape.height * target.shape.width
        yield self._softmax(
            step, TYPES[self.precision], target=target.address, target_image=plane * target.stride,
            target_pixel=target.stride, target_channel=1, channels=target.shape.channels,
            fill=target.channels - target.shape.channels,
        )  # fmt: skip


Work = Launch | GraphLaunch | HostCall


class LayerKernel(NamedTuple):
    """What runs a type of layer.

    Attributes
    ----------
    lower : callable
        A step's launches.
    by_channel : bool
        Whether it reads only channels that exist; otherwise it reads whole packs.
    """

    lower: Callable[[Lowering, Step], Iterator[Launch | GraphLaunch]]
    by_channel: bool = False


KERNELS: dict[type[Layer], LayerKernel] = {
    Activation: LayerKernel(Lowering._scale),
    AvgPool: LayerKernel(Lowering._average_pool),
    BatchNorm: LayerKernel(Lowering._scale),
    Connected: LayerKernel(Lowering._chosen),
    Convolutional: LayerKernel(Lowering._chosen),
    Crop: LayerKernel(Lowering._crop),
    MaxPool: LayerKernel(Lowering._max_pool),
    Route: LayerKernel(Lowering._copy, by_channel=True),
    ScaleChannels: LayerKernel(Lowering._scale_channels),
    Shortcut: LayerKernel(Lowering._shortcut),
    Softmax: LayerKernel(Lowering._inner_softmax, by_channel=True),
}


def no_kernel(layer: Layer) -> str:
    """Why no kernel runs `layer`; empty where one does."""
    declined = decline(layer, KERNELS)
    if declined:
        return declined
    if layer.activation not in ACTIVATION_CODES:
        return f"the activation {layer.activation} has no kernel"
    return ""


def lay_out(program: Program, layers: Sequence[Layer], precision: str, pictures: int) -> Layout:
    """The layout of `program` that its kernels read, by the parameters of `Layout`."""
    rest = precision == "bfloat16" and any(takes_rest(step, layers) for step in program.steps)
    quads = find_quads(program, layers)
    if rest and 2 * program.shape(INPUT, layers).channels > QUAD:
        quads.discard(INPUT)
    return Layout(program, layers, precision, pictures, quads, rest)


def takes_rest(step: Step, layers: Sequence[Layer]) -> bool:
    """Whether a step's weights can multiply the network's input and, after it in a pack, what rounding leaves of it.

    Rounding photographs to bfloat16 made 13 to 15 % of the error of tiny's answers (of their logarithms, simulated).
    """
    layer = layers[step.layer]
    if step.task != "layer" or step.source != INPUT or type(layer) not in WINDOWS or no_kernel(layer):
        return False
    groups, _ = WINDOWS[type(layer)](layer)
    channels, filters = layer.input_shapes[0].channels, layer.shape.channels
    is_depthwise = channels == filters == 1
    return groups == 1 and channels <= PACK // 2 and not is_depthwise


def find_quads(program: Program, layers: Sequence[Layer]) -> set[int]:
    """The root values whose pixels are `QUAD` apart: those of so few channels that no step reads in whole packs."""

    def root(value: int) -> int:
        return INPUT if value == INPUT else program.places[value].root

    roots = map(root, [INPUT, *program.places])
    quads = {value for value in roots if program.shape(value, layers).channels <= QUAD}
    before: set[int] = set()
    while quads != before:  # a value that is overwritten shares its root with a later one, which may change this
        before = {*quads}
        for step in reversed(program.steps):  # the readers of a step's target are known already
            if step.task == "layer" and type(layers[step.layer]) in WINDOWS:
                quads.discard(root(step.target))
            elif not _by_channel(step, layers) and root(step.target) not in quads:
                quads.difference_update(map(root, step.sources))
            if step.sum is not None:
                quads.discard(root(step.sum.other))
    return quads


def _by_channel(step: Step, layers: Sequence[Layer]) -> bool:
    layer = layers[step.layer]
    reads_channels = bool(no_kernel(layer)) or KERNELS[type(layer)].by_channel
    return step.task == "copy" or (step.task == "layer" and reads_channels)
