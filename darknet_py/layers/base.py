"""What every layer is: options, output shape, parameters, listing line, operations, forward."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ..cfg import Option, Section

if TYPE_CHECKING:
    from typing_extensions import Self

Array = npt.NDArray[np.float32]
Parameters = Mapping[str, Array]
Role = Literal["weight", "bias", "scale", "statistic"]

MAX_SIDE = 1 << 16  # of a window or a border; pictures are no longer
# Keys of training, debugging or another build of darknet, which say nothing about inference.
COMMON_IGNORED = (
    "learning_rate", "dontload", "dontloadscales", "dontsave", "stopbackward", "onlyforward", "clip",
    "truth", "smooth", "l2norm", "name", "param", "dont_update", "burnin_update", "train_only_bn",
    "dynamic_minibatch", "stream", "wait_stream",
)  # fmt: skip


class Shape(NamedTuple):
    """One picture's activations: channels x height x width."""

    channels: int
    height: int
    width: int

    @property
    def size(self) -> int:
        """How many values that is."""
        return self.channels * self.height * self.width


def count_windows(room: int, size: int, stride: int) -> int:
    """How many windows of `size` lie `stride` apart in `room` cells; 0 where none does.

    One may be up to `stride` - 1 larger than the room, as in C, whose division rounds towards zero.
    """
    return 0 if room - size <= -stride else max(0, room - size) // stride + 1


@dataclass(frozen=True)
class Parameter:
    """What a layer learns, or is told by its training.

    Attributes
    ----------
    shape : tuple of int
    role : str
        ``weight``: what inputs are multiplied by; ``bias``: what is added; ``scale``: what normalized sums are
        multiplied by; ``statistic``: measured in training, not learned.
    positive : bool
        Whether no value is below 0.
    """

    shape: tuple[int, ...]
    role: Role
    positive: bool = False

    @property
    def size(self) -> int:
        """How many values that is."""
        return math.prod(self.shape)


class Layer:
    """One section of a cfg, with its shapes.

    Subclasses declare `kind`, `aliases` and their keys, find `shape` in `_set_up`, and define the rest.

    Attributes
    ----------
    options : mapping of str to Option
        Keys of the section that become attributes.
    ignored : tuple of str
        Keys that say nothing about inference.
    unsupported : mapping of str to Option
        Keys that change the answer in a way that is not known here; only their default is taken.
    resizable : bool
        Whether it takes pictures of any height and width.
    pools_all : bool
        Whether its output has one size, whatever the input's.
    answers : bool
        Whether its output may be the network's answer.
    elementwise : bool
        Whether each value of its output depends on the values at the same place alone: it may then be written over
        its first input.
    sums : bool
        Whether a fast engine may add a shortcut as it stores the output.
    concatenates : bool
        Whether its output is its inputs, one after another along the channels.
    adds : bool
        Whether its output is the activation of the sum of two inputs of one shape.
    idle : bool
        Whether it computes nothing: its output is its only input.
    activation : str
        What it applies last to all that it computes.
    index : int
        Counted from 0 after ``[net]``.
    inputs : tuple of int
        The layers whose outputs it takes; -1 is the network's input.
    input_shapes : tuple of Shape
        Their shapes.
    shape : Shape
        Of its output.
    """

    kind: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    options: ClassVar[Mapping[str, Option]] = {}
    ignored: ClassVar[tuple[str, ...]] = ()
    unsupported: ClassVar[Mapping[str, Option]] = {}
    resizable: ClassVar[bool] = True
    pools_all: ClassVar[bool] = False
    answers: ClassVar[bool] = True
    elementwise: ClassVar[bool] = False
    sums: ClassVar[bool] = False
    concatenates: ClassVar[bool] = False
    adds: bool = False
    idle: bool = False
    activation: str = "linear"

    index: int
    inputs: tuple[int, ...]
    input_shapes: tuple[Shape, ...]
    shape: Shape

    def __init__(self, section: Section, index: int, shapes: Sequence[Shape]) -> None:
        """`shapes` holds the network's input and the outputs of all layers before: `index` + 1 of them."""
        self.section = section
        self.index = index
        values = section.read(self.options, (*self.ignored, *COMMON_IGNORED), self.unsupported)
        for key, value in values.items():
            setattr(self, key, value)
        self.inputs = self._find_inputs()
        self._take(shapes)

    def shaped(self, shapes: Sequence[Shape]) -> Self:
        """The same layer where the network's input and the outputs of all layers before have other `shapes`."""
        layer = copy(self)
        layer._take(shapes)
        return layer

    def _take(self, shapes: Sequence[Shape]) -> None:
        self.input_shapes = tuple(shapes[i + 1] for i in self.inputs)
        self.shape = self._set_up(self.input_shapes[0])

    def _find_inputs(self) -> tuple[int, ...]:
        return (self.index - 1,)

    def _set_up(self, source: Shape) -> Shape:
        """The shape of the output; `source` is the first input's. Called again where that changes."""
        raise NotImplementedError

    def _earlier(self, key: str, value: int) -> int:
        """The absolute index of the layer that option `key` names by `value`."""
        absolute = value if value >= 0 else self.index + value
        if not 0 <= absolute < self.index:
            before = "no layer comes" if self.index == 0 else f"only {self.index} layers come"
            raise self.section.error(f"{value}: {before} before this one", key)
        return absolute

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Its parameters by name, in the order in which a weights file holds them."""
        return {}

    @property
    def parameter_count(self) -> int:
        """How many values they have."""
        return sum(parameter.size for parameter in self.parameters.values())

    @property
    def operations(self) -> int:
        """Floating-point operations for one picture, as darknet's ``ops`` counts them."""
        return 0

    def listing(self) -> str:
        """The line that the 2016 program prints, without its index."""
        raise NotImplementedError

    def table_row(self) -> str:
        """The row that the 2018 program prints, without its index."""
        raise NotImplementedError

    def forward(self, inputs: Sequence[Array], parameters: Parameters) -> Array:
        """The layer's definition in plain NumPy.

        Parameters
        ----------
        inputs : sequence of array
            For each of `self.inputs`, float32 of shape (n, channels, height, width).
        parameters : mapping of str to array
            As in `self.parameters`.

        Returns
        -------
        array
            float32 of shape (n, *self.shape).
        """
        raise NotImplementedError

    def __repr__(self) -> str:
        options = " ".join(f"{key}={entry.value}" for key, entry in self.section.entries.items())
        return f"<{self.index} [{self.kind}] {options} -> {'x'.join(map(str, self.shape))}>"
