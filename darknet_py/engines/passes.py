"""From layers to the steps that an engine runs; shared by all fast engines.

No-ops disappear, activations, residual sums and pools that halve are fused into the layer before them, the inputs of a
route are written where the route wants them, and buffers are reused. None of it depends on the pictures' size, so one
program serves all sizes of a network.

A *value* is what a step writes: it carries the index of the layer whose output it is, -1 for the network's
input, or an index past the last layer for a copy that a route needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from ..layers import Array, Arrays, Layer, Shape
from .exchange import running_order
from .slots import Lifetime, assign_slots

INPUT = -1
# Activations of the form x > 0 ? x : slope * x, which a convolution can apply as it stores its output.
SLOPES = {"linear": 1.0, "leaky": 0.1, "relu": 0.0, "relie": 0.01, "revleaky": 0.1}


class Sum(NamedTuple):
    """A shortcut that is computed with the layer before it: y = activation(x + other).

    Attributes
    ----------
    layer : int
        The shortcut.
    other : int
        The value that it adds.
    activation : str
    """

    layer: int
    other: int
    activation: str


class Step(NamedTuple):
    """One operation: a layer, and perhaps a shortcut or a pool that halves, which takes its output.

    Attributes
    ----------
    task : str
        ``layer``: what the layer defines; ``copy``: the source is copied to another place; ``scale``: `Folded.after` is
        applied in place, then the layer's activation.
    layer : int
        The layer whose options and parameters apply.
    sources : tuple of int
        Values that the layer takes.
    target : int
        The value written.
    activation : str
        The layer's; linear where there is none.
    sum : Sum, optional
        What else is done before the value is written.
    pool : int, optional
        The layer that halves the step's result as it is written.
    """

    task: Literal["layer", "copy", "scale"]
    layer: int
    sources: tuple[int, ...]
    target: int
    activation: str = "linear"
    sum: Sum | None = None
    pool: int | None = None

    @property
    def reads(self) -> tuple[int, ...]:
        """The values that it reads."""
        return self.sources if self.sum is None else (*self.sources, self.sum.other)

    @property
    def source(self) -> int:
        """The first value that the layer takes."""
        return self.sources[0]

    @property
    def final_activation(self) -> str:
        """The shortcut's; linear where there is none."""
        return "linear" if self.sum is None else self.sum.activation

    def define(self, layers: Sequence[Layer], parameters: Mapping[int, Arrays], read: Callable[[int], Array]) -> Array:
        """The step's result by the definitions of all its layers.

        Images are computed one by one: how NumPy sums up depends on how many there are, and answers must not.

        Parameters
        ----------
        layers : sequence of Layer
        parameters : mapping of int to mapping
            By the layers' indices; layers without any may be missing.
        read : callable
            A value's array (n, channels, height, width).
        """
        batches = {value: read(value) for value in self.reads}
        images = range(len(batches[self.source]))
        return np.concatenate([self._define_one(layers, parameters, batches, image) for image in images])

    def _define_one(
        self, layers: Sequence[Layer], parameters: Mapping[int, Arrays], batches: Mapping[int, Array], image: int
    ) -> Array:
        """`define` for one image of the `batches` that are read."""
        values = {value: batch[image : image + 1] for value, batch in batches.items()}
        sources = [values[source] for source in self.sources]
        answer = layers[self.layer].forward(sources, parameters.get(self.layer, {}))
        if self.sum is not None:
            answer = layers[self.sum.layer].forward([answer, values[self.sum.other]], {})
        return answer if self.pool is None else layers[self.pool].forward([answer], {})


class Place(NamedTuple):
    """Where a value is stored: from channel `channel` of the root value `root` on, in a buffer.

    Attributes
    ----------
    root, channel : int
    slot : int
        The buffer, of as few as values of all sizes can share.
    sized_slot : int
        The buffer, where only values of one height and width share one.
    """

    root: int
    channel: int
    slot: int
    sized_slot: int


class Program(NamedTuple):
    """Steps in order, and where their values are stored.

    Attributes
    ----------
    steps : tuple of Step
    output : int
        The value that is the network's answer.
    places : dict of int to Place
        For every value but the input, which is the caller's.
    copies : dict of int to int
        For values past the last layer, the layer whose shape they have.
    """

    steps: tuple[Step, ...]
    output: int
    places: dict[int, Place]
    copies: dict[int, int]

    @property
    def running(self) -> list[int]:
        """The layers that are computed, by steps of their own or with the one before."""
        steps = [step for step in self.steps if step.task == "layer"]
        joined = [step.sum.layer for step in steps if step.sum is not None]
        joined += [step.pool for step in steps if step.pool is not None]
        return sorted({step.layer for step in steps}.union(joined))

    def shape(self, value: int, layers: Sequence[Layer]) -> Shape:
        """The shape of `value` for `layers`, which are shaped for some size of picture."""
        value = self.copies.get(value, value)
        return layers[0].input_shapes[0] if value == INPUT else layers[value].shape

    def slot_sizes(self, layers: Sequence[Layer]) -> list[int]:
        """How many float32 values each buffer holds for one picture."""
        sizes = [0] * (1 + max((place.slot for place in self.places.values()), default=-1))
        for place in self.places.values():
            sizes[place.slot] = max(sizes[place.slot], self.shape(place.root, layers).size)
        return sizes


class _Builder:
    def __init__(self, layers: Sequence[Layer], block: int) -> None:
        self.layers, self.block = layers, block
        self.steps: list[Step] = []
        self.alias = {INPUT: INPUT}
        self.parents: dict[int, tuple[int, int]] = {}
        self.copies: dict[int, int] = {}


def compile_steps(
    layers: Sequence[Layer], block: int = 1, halving: Container[int] = (), curves: Container[str] = ()
) -> Program:
    """The program of a network's layers, with steps in the order of `running_order`.

    `block` is how many channels an engine's layout keeps together: a route whose parts do not start at a
    multiple of it stays a step of its own. `halving` are the layers whose output it can halve as it stores it,
    `curves` the activations besides `SLOPES` that it can apply to a sum as it stores it.
    """
    builder = _Builder(layers, block)
    ordered = running_order(layers)
    for layer in ordered:
        _add(builder, layer)
    answering = next(layer.index for layer in reversed(ordered) if layer.answers or layer.index == 0)
    output = builder.alias[answering]
    if output == INPUT:
        output = _copy(builder, INPUT, answering)
    _fuse_shortcuts(builder, output, curves)
    _fuse_halving(builder, output, halving)
    _run_in_place(builder, output)
    places = _assign_slots(builder, output)
    return Program(tuple(builder.steps), output, places, builder.copies)


def decline(layer: Layer, kernels: Container[type[Layer]]) -> str:
    """Why none of `kernels`, given by the types of layers that they run, runs `layer`; empty where one does.

    Every engine asks this about a layer before anything else.
    """
    if type(layer) not in kernels:
        return f"[{layer.kind}] has no kernel"
    return layer.special and f"{layer.special} has no kernel"


def scale_after(program: Program, layers: Collection[int]) -> Program:
    """`program` with a step ``scale`` after those `layers` for which `fold` asks for it, before any fused sum."""
    steps: list[Step] = []
    for step in program.steps:
        if step.layer not in layers or step.task != "layer":
            steps.append(step)
            continue
        target = step.target
        steps.append(step._replace(activation="linear", sum=None))
        steps.append(Step("scale", step.layer, (target,), target, step.activation))
        if step.sum is not None:
            steps.append(Step("layer", step.sum.layer, (target, step.sum.other), target, step.sum.activation))
    return program._replace(steps=tuple(steps))


def _add(builder: _Builder, layer: Layer) -> None:
    inputs = [builder.alias[i] for i in layer.inputs]
    if layer.idle:
        builder.alias[layer.index] = inputs[0]
        return
    builder.alias[layer.index] = layer.index
    if layer.concatenates and all(shape.channels % builder.block == 0 for shape in layer.input_shapes[:-1]):
        channel = 0
        for value, shape in zip(inputs, layer.input_shapes, strict=True):
            # A value has one place only; a second route gets a copy.
            part = _copy(builder, value, layer.index) if value == INPUT or value in builder.parents else value
            builder.parents[part] = (layer.index, channel)
            channel += shape.channels
        return
    builder.steps.append(Step("layer", layer.index, tuple(inputs), layer.index, layer.activation))


def _copy(builder: _Builder, value: int, layer: int) -> int:
    """Add a step that copies a value for `layer`; return the copy."""
    copy = len(builder.layers) + len(builder.copies)
    builder.copies[copy] = builder.copies.get(value, value)
    builder.steps.append(Step("copy", layer, (value,), copy))
    return copy


def _readers(builder: _Builder, output: int) -> Counter[int]:
    """How often each value is read, also by a route that it is part of, and by the caller."""
    readers = Counter(value for step in builder.steps for value in step.reads)
    readers.update(builder.parents.keys())
    readers[output] += 1
    return readers


def _fuse_shortcuts(builder: _Builder, output: int, curves: Container[str]) -> None:
    """Let the convolution before a shortcut add the other value as it stores its own."""
    readers = _readers(builder, output)
    position = _completions(builder)
    fused = set()
    for number, step in enumerate(builder.steps):
        if step.task != "layer" or not builder.layers[step.layer].adds:
            continue
        before = position.get(step.source, -1)
        other = position.get(step.sources[1], -1)
        convolution = builder.steps[before]
        if (
            before >= 0
            and convolution.target == step.source  # and not the last part of a route
            and convolution.task == "layer"
            and builder.layers[convolution.layer].sums
            and not builder.layers[convolution.layer].special
            and convolution.sum is None
            and readers[step.source] == 1
            and other < before
            and convolution.activation in SLOPES
            and (step.activation in SLOPES or step.activation in curves)
        ):
            added = Sum(step.layer, step.sources[1], step.activation)
            builder.steps[before] = convolution._replace(target=step.target, sum=added)
            position[step.target] = before
            fused.add(number)
    builder.steps = [step for number, step in enumerate(builder.steps) if number not in fused]


def _fuse_halving(builder: _Builder, output: int, halving: Container[int]) -> None:
    """Let the layer before one that halves do so as it stores its values: rising activations commute with a maximum.

    Not relu: it turns minus infinity into NaN, which a maximum taken first would lose.
    """
    readers = _readers(builder, output)
    position = {step.target: number for number, step in enumerate(builder.steps)}
    fused = set()
    for number, step in enumerate(builder.steps):
        before = position.get(step.source, -1)
        if step.task != "layer" or not builder.layers[step.layer].halves or before < 0:
            continue
        first = builder.steps[before]
        alone = first.sum is None and first.pool is None and readers[step.source] == 1
        rises = SLOPES.get(first.activation, 0) > 0
        if alone and rises and first.task == "layer" and first.layer in halving:
            builder.steps[before] = first._replace(target=step.target, pool=step.layer)
            position[step.target] = before
            fused.add(number)
    builder.steps = [step for number, step in enumerate(builder.steps) if number not in fused]


def _completions(builder: _Builder) -> dict[int, int]:
    """The step after which each value is complete: a route's output after the last of its parts."""
    position = {step.target: number for number, step in enumerate(builder.steps)}
    for part, (route, _) in builder.parents.items():  # the parts of a part come before it
        position[route] = max(position.get(route, -1), position[part])
    return position


def _run_in_place(builder: _Builder, output: int) -> None:
    """Let layers that may overwrite an input do so where nothing reads that any more."""
    readers = _readers(builder, output)
    shared: set[int] = set()  # routes with a part that something else reads, too
    for part, (parent, _) in builder.parents.items():
        if readers[part] > 1 or part in shared:
            shared.add(parent)
    taken = {INPUT} | shared | builder.parents.keys()
    for step in builder.steps:
        readers.subtract(step.reads)  # later steps' reads are left
        over = builder.layers[step.layer].overwrites
        if step.task != "layer" or over is None:
            continue
        value = step.sources[over]
        if not readers[value] and value not in taken:
            builder.parents[value] = (step.target, 0)


def _find_roots(builder: _Builder) -> dict[int, tuple[int, int]]:
    """For each value, the outermost one that it is part of, and its first channel in that."""
    joined = [parent for parent, _ in builder.parents.values()]
    root: dict[int, tuple[int, int]] = {}
    for value in [*builder.parents, *joined, *(step.target for step in builder.steps)]:
        chain = [value]  # up to one whose root is known
        while chain[-1] not in root and chain[-1] in builder.parents:
            chain.append(builder.parents[chain[-1]][0])
        root.setdefault(chain[-1], (chain[-1], 0))
        for below in chain[-2::-1]:
            parent, offset = builder.parents[below]
            top, channel = root[parent]
            root[below] = top, channel + offset
    return root


def _assign_slots(builder: _Builder, output: int) -> dict[int, Place]:
    """Give each root value a buffer that holds nothing else that is still needed."""
    program = Program(tuple(builder.steps), output, {}, builder.copies)
    root = _find_roots(builder)
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for number, step in enumerate(builder.steps):
        first.setdefault(root[step.target][0], number)
        for value in (*step.reads, step.target):
            if value != INPUT:
                last[root[value][0]] = number
    last[root[output][0]] = len(builder.steps)
    shapes = {top: program.shape(top, builder.layers) for top in first}
    lifetimes = {top: Lifetime(first[top], last[top], shape.size) for top, shape in shapes.items()}
    slots = dict(zip(lifetimes, assign_slots([*lifetimes.values()])[0], strict=True))
    sized_slots: dict[int, int] = {}
    for size in {shape[1:] for shape in shapes.values()}:
        tops = [top for top, shape in shapes.items() if shape[1:] == size]
        free = 1 + max(sized_slots.values(), default=-1)
        found, _ = assign_slots([lifetimes[top] for top in tops])
        sized_slots |= {top: free + slot for top, slot in zip(tops, found, strict=True)}
    return {value: Place(top, channel, slots[top], sized_slots[top]) for value, (top, channel) in root.items()}
