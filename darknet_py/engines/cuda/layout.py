"""Where the values of a program are stored in a GPU's memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ...layers import Layer, Shape
from ..passes import INPUT, Program, Step
from .convolution import WINDOWS, Convolution
from .packing import ITEM_SIZES, QUAD, merge_groups, round_up

ALIGNMENT = 256  # bytes, of each buffer


@dataclass(frozen=True)
class Value:
    """Where a value is stored.

    Attributes
    ----------
    address : int
        That of its first number.
    shape : Shape
        A picture's.
    stride : int
        Numbers from one pixel to the next.
    channels : int
        How many it has, with those that fill up its last pack.
    """

    address: int
    shape: Shape
    stride: int
    channels: int


class Layout:
    """Where the values of a program are stored, for some number of pictures.

    Parameters
    ----------
    program : Program
        Compiled for blocks of `packing.PACK` channels.
    layers : sequence of Layer
        Shaped for the pictures.
    precision : str
    pictures : int
    quads : collection of int
        The root values whose pixels are `packing.QUAD` channels apart.
    rest : bool
        Whether the network's input has, after its channels, the remainders that rounding leaves of them.

    Attributes
    ----------
    size : int
        Bytes that all values take, including the network's input in the engine's layout.
    """

    def __init__(
        self,
        program: Program,
        layers: Sequence[Layer],
        precision: str,
        pictures: int,
        quads: Collection[int],
        rest: bool,
    ) -> None:
        self.program, self.layers, self.precision, self.pictures = program, layers, precision, pictures
        self.rest = rest
        self.item = ITEM_SIZES[precision]
        self._quads = quads
        sizes: dict[int, int] = {}  # by slot; the input's is INPUT
        for value in (INPUT, *program.places):
            root, _, slot = self._place(value)
            _, height, width = self._shape(root)
            numbers = pictures * height * width * self.stride(value)
            sizes[slot] = max(sizes.get(slot, 0), round_up(numbers * self.item, ALIGNMENT))
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
        return QUAD if root in self._quads else round_up(self._shape(root).channels)

    def value(self, value: int, memory: int) -> Value:
        """Where `value` is stored, in memory that begins at the address `memory`."""
        _, channel, slot = self._place(value)
        shape, stride = self._shape(value), self.stride(value)
        address = memory + self.offsets[slot] + channel * self.item
        return Value(address, shape, stride, min(stride, round_up(shape.channels)))


def describe(step: Step, layout: Layout) -> Convolution:
    """The convolution or connected layer of `step`, as algorithms see it."""
    layer, source = layout.layers[step.layer], layout.value(step.source, 0)
    groups, window = WINDOWS[type(layer)](layer)
    channels, filters = layer.input_shapes[0].channels, layer.shape.channels
    merged = merge_groups(groups, channels, filters, source.channels)
    return Convolution(
        precision=layout.precision,
        pictures=layout.pictures,
        height=source.shape.height,
        width=source.shape.width,
        out_height=layer.shape.height,
        out_width=layer.shape.width,
        **window._asdict(),
        groups=merged,
        source_stride=source.stride,
        target_stride=layout.stride(step.target),
        residual_stride=0 if step.sum is None else layout.stride(step.sum.other),
        activation=step.activation,
        final_activation=step.final_activation,
        depthwise=groups == channels == filters,
    )
