"""The base of all layers: options, output shape, parameters, listing line, operations, forward and backward."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeAlias

import numpy as np

from ..cfg import Option, Section, flag, number
from .dialect import DARKNET, Dialect
from .parameter import Parameter

if TYPE_CHECKING:
    import numpy.typing as npt
    from typing_extensions import Self

    from .tree import Tree

# Quoted here and in all of layers/: a program that counts operations does not load NumPy.
Array: TypeAlias = "npt.NDArray[np.float32]"
Arrays = Mapping[str, Array]
Drawn = Mapping[str, Array]  # what training draws at random for one mini-batch
Saved = dict[str, Array]  # what `backward` needs of a forward pass, by names of the layer's own

MAX_SIDE = 1 << 16  # of a window or a border; pictures are no larger
# Keys of every layer: for its training; for training in ways that are not supported; for debugging or another build of
# darknet.
COMMON_TRAINING = {"learning_rate": number(1, least=0), "stopbackward": flag()}
_UNTRAINED_FLAGS = (
    "dontload", "dontloadscales", "dontsave", "onlyforward", "truth", "dont_update", "burnin_update", "train_only_bn",
    "dynamic_minibatch",
)  # fmt: skip
COMMON_UNTRAINED = {**dict.fromkeys(_UNTRAINED_FLAGS, flag()), "clip": number(0), "smooth": number(0)}
COMMON_IGNORED = ("l2norm", "name", "param", "stream", "wait_stream")


class Shape(NamedTuple):
    """One picture's activations: channels x height x width."""

    channels: int
    height: int
    width: int

    @property
    def size(self) -> int:
        """How many values that is."""
        return self.channels * self.height * self.width


class Gradients(NamedTuple):
    """What a layer's `backward` returns: directions in which the loss falls.

    Attributes
    ----------
    inputs : tuple of array
        For each input of the layer, of its shape.
    parameters : dict of str to array
        For each parameter that is learned, of its shape: the sum over the mini-batch.
    """

    inputs: tuple[Array, ...]
    parameters: dict[str, Array]


class Layer:
    """One section of a cfg, with its shapes.

    Subclasses declare `kind` and their keys, find `shape` in `_set_up`, and define the rest.

    Attributes
    ----------
    options : mapping of str to Option
        Keys of the section that become attributes.
    extras : mapping of str to Option
        The same, for keys that kernels do not support: where one is not at its default, the layer runs by its
        definition.
    ignored : tuple of str
        Keys that do not affect inference.
    without_effect : mapping of str to str
        Flags that change nothing, though their names suggest it, and what a warning says about one that is on.
    unsupported : mapping of str to Option
        Keys that change the answer in a way that is not supported; only their default is accepted.
    training : mapping of str to Option
        Keys that matter only in training, and become attributes.
    untrained : mapping of str to Option
        Keys that change training in a way that is not supported; in training only their default is accepted.
    resizable : bool
        Whether it takes pictures of any height and width.
    pools_all : bool
        Whether its output has one size, whatever the input's.
    answers : bool
        Whether its output may be the network's answer.
    overwrites : int, optional
        Which of its inputs its output may overwrite: each value depends only on that input's value at the same place.
    sums : bool
        Whether a fast engine may add a shortcut as it stores the output.
    concatenates : bool
        Whether its output is its inputs, one after another along the channels.
    adds : bool
        Whether its output is the activation of the sum of two inputs of one shape.
    halves : bool
        Whether its output is the maximum of each 2 x 2 cells of its input, or of fewer at the last row and column.
    averages : bool
        Whether its output is the mean of its input's cells.
    affine : bool
        Whether each cell of its output is an affine function of the same cell of its input: means of cells may be taken
        before it.
    idle : bool
        Whether it computes nothing: its output is its only input.
    special : str
        What it does that kernels do not support, so that its definition runs on every engine; empty where nothing.
    activation : str
        The activation that it applies to what it computes.
    hierarchy : Tree, optional
        That of the classes whose probabilities it returns, each given that its parent is true.
    unnamed : str
        Why no later layer may name it as an input; empty where one may.
    shares : int, optional
        The layer whose parameters it uses instead of its own.
    measures : bool
        Whether it compares its output with the truth.
    frees_inputs : bool
        Whether nothing that `train` saves is an input or a part of one: they may then change before `backward`.
    untrainable : str
        Why it cannot be trained; empty where it can.
    rate : float
        What the learning rate of its parameters is multiplied by; 0 leaves them, and its statistics, as they are.
    stops : bool
        Whether training ends before it: neither it nor a layer before it learns.
    fixed : bool
        Whether `train` and `backward` use its statistics as they are, as `forward` does, and not the mini-batch's.
    inner : bool
        Whether `backward` computes its own gradient, in a layer that otherwise passes on the delta of its loss.
    shown : (left, top, right, bottom)
        The area of its first input that its output shows; the whole input is 0, 0, 1, 1.
    index : int
        Counted from 0 after ``[net]``.
    inputs : tuple of int
        The layers whose outputs it takes; -1 is the network's input.
    input_shapes : tuple of Shape
        Their shapes.
    shape : Shape
        Its output's.
    dialect : Dialect
        The arithmetic of its network.
    """

    kind: ClassVar[str]
    options: ClassVar[Mapping[str, Option]] = {}
    extras: ClassVar[Mapping[str, Option]] = {}
    ignored: ClassVar[tuple[str, ...]] = ()
    without_effect: ClassVar[Mapping[str, str]] = {}
    unsupported: ClassVar[Mapping[str, Option]] = {}
    training: ClassVar[Mapping[str, Option]] = {}
    untrained: ClassVar[Mapping[str, Option]] = {}
    resizable: ClassVar[bool] = True
    pools_all: ClassVar[bool] = False
    answers: ClassVar[bool] = True
    overwrites: ClassVar[int | None] = None
    sums: ClassVar[bool] = False
    concatenates: bool = False
    adds: bool = False
    halves: bool = False
    averages: ClassVar[bool] = False
    affine: bool = False
    idle: bool = False
    measures: bool = False
    activation: str = "linear"
    hierarchy: Tree | None = None
    unnamed: str = ""
    fixed: bool = False
    inner: bool = False
    shown: tuple[float, float, float, float] = (0, 0, 1, 1)
    shares: int | None = None

    rate: float
    stops: bool
    index: int
    inputs: tuple[int, ...]
    input_shapes: tuple[Shape, ...]
    shape: Shape
    dialect: Dialect

    def __init__(self, section: Section, index: int, shapes: Sequence[Shape], dialect: Dialect = DARKNET) -> None:
        """`shapes` holds the network's input and the outputs of all layers before: `index` + 1 of them."""
        self.section = section
        self.index = index
        self.dialect = dialect
        of_training = (*self.training, *self.untrained, *COMMON_TRAINING, *COMMON_UNTRAINED)
        ignored = (*self.ignored, *self.without_effect, *COMMON_IGNORED, *of_training)
        values = section.read({**self.options, **self.extras}, ignored, self.unsupported)
        for key, value in {**values, **section.read_quietly(self.training)}.items():
            setattr(self, key, value)
        self.rate, self.stops = section.read_quietly(COMMON_TRAINING).values()
        self._tell_without_effect()
        self._named: list[tuple[str, int]] = []
        self.inputs = self._find_inputs()
        self._take(shapes[i + 1] for i in self.inputs)

    def shaped(self, shapes: Sequence[Shape]) -> Self:
        """The same layer where the network's input and the outputs of all layers before have other `shapes`."""
        layer = copy(self)
        layer._take(shapes[i + 1] for i in self.inputs)
        return layer

    def moved(self, inputs: tuple[int, ...], shapes: Sequence[Shape]) -> Self:
        """The same layer where it takes other `inputs`, of `shapes`."""
        layer = copy(self)
        layer.inputs = inputs
        layer._take(shapes)
        return layer

    def _take(self, shapes: Iterable[Shape]) -> None:
        self.input_shapes = tuple(shapes)
        self.shape = self._set_up(self.input_shapes[0])

    def _find_inputs(self) -> tuple[int, ...]:
        return (self.index - 1,)

    def _find_pair(self) -> tuple[int, ...]:
        """The layer before, and the one that the option ``from`` names."""
        source = getattr(self, "from")
        if source is None:
            raise self.section.error("from= is missing: the layer to multiply")
        if self.index == 0:
            raise self.section.error("no layer comes before this one", "from")
        return (self.index - 1, self._earlier("from", source))

    def _set_up(self, source: Shape) -> Shape:
        """The shape of the output; `source` is the first input's, which the output has by default.

        Called again when that changes.
        """
        return source

    def _earlier(self, key: str, value: int) -> int:
        """The absolute index of the layer that option `key` names by `value` as an input."""
        absolute = self._absolute(key, value)
        self._named.append((key, absolute))
        return absolute

    def _absolute(self, key: str, value: int) -> int:
        """The absolute index of the layer that option `key` names by `value`."""
        absolute = value if value >= 0 else self.index + value
        if not 0 <= absolute < self.index:
            before = "no layer comes" if self.index == 0 else f"only {self.index} layers come"
            raise self.section.error(f"{value}: {before} before this one", key)
        return absolute

    def check_earlier(self, layers: Sequence[Layer]) -> None:
        """Raise CfgError where it does not fit `layers`, those before it, in other ways than by shape."""
        for key, index in self._named:
            if layers[index].unnamed:
                raise self.section.error(f"layer {index}: {layers[index].unnamed}", key)

    def grows(self, growing: Sequence[bool]) -> bool | None:
        """Whether its output grows with the pictures; `growing` says which of its inputs do.

        None where these inputs then no longer fit together.
        """
        return any(growing) and not self.pools_all if any(growing) == all(growing) else None

    @property
    def special(self) -> str:
        """See `Layer`: the first of `extras` in use."""
        return next((f"{key}={self.section.entries[key].value}" for key in self.extras_used), "")

    @property
    def extras_used(self) -> list[str]:
        """The keys of `extras` that are not at their defaults."""
        defaults = {key: getattr(self, o.follows) if o.follows else o.default for key, o in self.extras.items()}
        return [key for key, default in defaults.items() if getattr(self, key) != default]

    def _tell_without_effect(self) -> None:
        on = self.section.read_quietly({key: flag() for key in self.without_effect})
        for key, reason in self.without_effect.items():
            if on[key]:
                self.section.tell_once(reason, key)

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Its parameters by name, in the order in which a weights file holds them."""
        return {}

    @property
    def taken(self) -> dict[str, Parameter]:
        """The parameters that it computes with, by name: its own, or those of the layer that it `shares` with."""
        return self.parameters

    @property
    def parameter_count(self) -> int:
        """How many values its parameters have."""
        return sum(parameter.size for parameter in self.parameters.values())

    @property
    def operations(self) -> int:
        """Floating-point operations for one picture, as darknet's ``ops`` counts them."""
        return 0

    def listing(self) -> str:
        """The line that the 2016 program prints, without its index."""
        raise NotImplementedError

    def table_row(self) -> str:
        """The row that the 2018 program prints, without its index; by default `listing`, where both print the same."""
        return self.listing()

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        """The layer's definition in plain NumPy.

        Parameters
        ----------
        inputs : sequence of array
            For each of `self.inputs`, float32 of shape (n, channels, height, width).
        parameters : mapping of str to array
            As in `self.taken`.

        Returns
        -------
        array
            float32 of shape (n, *self.shape).
        """
        raise NotImplementedError

    @property
    def frees_inputs(self) -> bool:
        """See `Layer`: where it saves nothing."""
        return type(self).train is Layer.train

    @property
    def untrainable(self) -> str:
        """Why it cannot be trained; empty where it can."""
        return "no gradient is written for it" if type(self).backward is Layer.backward else ""

    def check_trainable(self) -> None:
        """Raise CfgError where it cannot be trained, or not as its section says."""
        options = {**self.options, **self.extras, **self.unsupported, **self.training, **COMMON_TRAINING}
        ignored = (*self.ignored, *self.without_effect, *COMMON_IGNORED)
        self.section.check_training(options, ignored, {**self.untrained, **COMMON_UNTRAINED})
        if self.untrainable:
            raise self.section.error(f"cannot be trained: {self.untrainable}")

    def draw(self, count: int, random: np.random.Generator) -> Drawn:
        """What training draws at random for a mini-batch of `count` pictures."""
        return {}

    def train(self, inputs: Sequence[Array], parameters: Arrays, drawn: Drawn) -> tuple[Array, Saved]:
        """The forward pass in training.

        Parameters
        ----------
        inputs, parameters
            As `forward` takes them. Their type, float32 or float64, is that of all results.
        drawn : mapping of str to array
            As `draw` returns it.

        Returns
        -------
        array
            As `forward` returns it.
        dict of str to array
            What `backward` needs; for a layer with statistics, also the mini-batch's, by their parameters' names.
        """
        return self.forward(inputs, parameters), {}

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        """The gradients that result from `delta`, of the output's shape; they are added to those already there."""
        raise NotImplementedError

    def measure(self, inputs: Sequence[Array], output: Array, truths: Array) -> tuple[float, Array]:
        """The loss of a layer that `measures`.

        Parameters
        ----------
        inputs, output
            The layer's inputs and its output.
        truths : array
            Of shape (n, self.shape.size).

        Returns
        -------
        float
            The loss, summed over the mini-batch.
        array
            The delta to be added to that of its first input.
        """
        raise NotImplementedError

    def __repr__(self) -> str:
        options = " ".join(f"{key}={entry.value}" for key, entry in self.section.entries.items())
        return f"<{self.index} [{self.kind}] {options} -> {'x'.join(map(str, self.shape))}>"
