"""Where a network looked: Grad-CAM, by the layers' own definitions, forward and backward.

Source: Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, 2017.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from .errors import UsageError, WeightsError
from .layers import Array, Arrays, Layer
from .parameters import share
from .prediction import Prediction

if TYPE_CHECKING:
    import numpy.typing as npt

Area = tuple[float, float, float, float]  # of a picture: left, top, right, bottom; 0, 0, 1, 1 is all of it

Places: TypeAlias = "npt.NDArray[np.int64]"


@dataclass(frozen=True)
class Heatmap:
    """Which parts of a picture speak for a class.

    Attributes
    ----------
    prediction : Prediction
        The class.
    layer : int
        Index of the layer whose plane it is.
    cells : array
        float32 (rows, columns): how much each cell of the plane speaks for the class, in 0..1; all 0 where none does.
    area : (left, top, right, bottom)
        The area of the picture that the plane shows; the whole picture is 0, 0, 1, 1. It is a part of the picture
        where that was cropped, and more than the picture where that was letterboxed.
    width, height : int
        Pixels of the picture.
    """

    prediction: Prediction
    layer: int
    cells: Array
    area: Area
    width: int
    height: int

    def spread(self, width: int | None = None, height: int | None = None) -> Array:
        """The cells laid over the picture at this size, by default its own: float32 (height, width), in 0..1.

        It is 0 where the network did not look; UsageError where a side is below 1.
        """
        width, height = (
            self.width if width is None else index(width),
            self.height if height is None else index(height),
        )
        if width < 1 or height < 1:
            raise UsageError(f"a heat map of {width} x {height}: at least 1 x 1 is expected")
        left, top, right, bottom = self.area
        upper, lower, below, rows = _sample(self.cells.shape[0], height, top, bottom)
        before, after, beside, columns = _sample(self.cells.shape[1], width, left, right)
        lines = self.cells[upper] * (1 - below)[:, None] + self.cells[lower] * below[:, None]
        laid = lines[:, before] * (1 - beside) + lines[:, after] * beside
        return (laid * rows[:, None] * columns).astype(np.float32, copy=False)


def _sample(cells: int, pixels: int, start: float, end: float) -> tuple[Places, Places, Array, Array]:
    """For each of `pixels`, where `cells` show the part from `start` to `end`: the two nearest cells, the weight of the
    second one, and 1 where a cell shows the pixel, else 0."""
    place = ((np.arange(pixels) + 0.5) / pixels - start) / (end - start)
    position = np.clip(place * cells - 0.5, 0, cells - 1)
    first = position.astype(np.int64)
    shown = (place >= 0) & (place <= 1)
    return first, np.minimum(first + 1, cells - 1), (position - first).astype(np.float32), shown.astype(np.float32)


def find_layer(layers: Sequence[Layer], layer: int | None = None, growing: Collection[int] = ()) -> Layer:
    """The layer to look at, by default the last convolution whose output has more than one cell: the usual place.

    Parameters
    ----------
    layers : sequence of Layer
        The network's, up to its answer.
    layer : int, optional
        Its index.
    growing : collection of int
        Layers whose output may have more cells for another picture.

    Raises
    ------
    UsageError, CfgError
        Where there is none, it has one cell, or the answer does not depend on it in a way that has a gradient.
    """
    file = layers[0].section.file

    def has_plane(one: Layer) -> bool:
        return one.index in growing or one.shape.height * one.shape.width > 1

    if layer is None:
        convolutions = (one for one in reversed(layers) if "weight" in {each.role for each in one.taken.values()})
        found = next(filter(has_plane, convolutions), None)
        if found is None:
            raise UsageError("no convolution has a plane to look at", file=file)
        layer = found.index
    needed = {layers[-1].index}
    for one in reversed(layers[layer + 1 :]):
        needed.update(one.inputs if one.index in needed else ())
    if layer not in needed:
        raise UsageError(f"layer {layer}: no answer depends on it", file=file)
    if not has_plane(layers[layer]):
        raise UsageError(f"layer {layer} has a plane of one cell: nothing to look at", file=file)
    for one in layers[layer + 1 :]:
        if not one.idle and (one.untrainable or type(one).draw is not Layer.draw):
            reason = one.untrainable or "it takes another part of its input in training"
            raise one.section.error(f"no gradient comes through it to layer {layer}: {reason}")
    return layers[layer]


def weigh_cells(layers: Sequence[Layer], parameters: Iterable[Arrays], image: Array, layer: int, index: int) -> Array:
    """How much each cell of a layer's output speaks for a class.

    That is the sum over its channels, each weighted by the mean over its plane of the gradient of the class's score;
    what speaks against it counts as 0. The score is the input of a softmax or logistic that comes last.

    Parameters
    ----------
    layers : sequence of Layer
        The network's, up to its answer, for the image's size.
    parameters : iterable of mapping
        Each layer's own.
    image : array
        (channels, height, width).
    layer, index : int
        Index of the layer, as `find_layer` takes it, and of the class.

    Returns
    -------
    array
        float32 (height, width) of the layer's output, in 0..1: the largest becomes 1.

    Raises
    ------
    WeightsError
        Where the result is beyond float32.
    """
    fixed, output, saved = _run_forward(layers, parameters, image[None], layer)
    shape = layers[-1].shape
    deltas = {layers[-1].index: (np.arange(shape.size) == index).astype(np.float32).reshape(1, *shape)}
    for current, arrays in reversed(fixed):
        delta = deltas.pop(current.index, None)
        if delta is None:
            continue
        # An idle layer may still change something in training.
        gradients = (delta,) if current.idle else current.backward(delta, saved[current.index], arrays).inputs
        for source, gradient in zip(current.inputs, gradients, strict=True):
            if source >= layer:
                deltas[source] = deltas[source] + gradient if source in deltas else gradient
    weights = deltas[layer].mean(axis=(2, 3), keepdims=True)
    cells: Array = np.maximum((weights * output).sum(axis=1)[0], 0)
    if not np.isfinite(cells).all():
        reason = f"layer {layer}: what speaks for class {index} there is beyond float32"
        raise WeightsError(reason, file=layers[0].section.file)
    return cells / cells.max() if cells.max() > 0 else cells


def _run_forward(
    layers: Sequence[Layer], parameters: Iterable[Arrays], batch: Array, layer: int
) -> tuple[list[tuple[Layer, Arrays]], Array, dict[int, dict[str, Array]]]:
    """The layers after `layer` with their parameters, its output, and what they saved for their backward pass."""
    values, fixed, saved = {-1: batch}, list[tuple[Layer, Arrays]](), dict[int, dict[str, Array]]()
    last_use = {source: current.index for current in layers for source in current.inputs}
    answering = layers[-1]
    while answering.idle and answering.index > layer:
        answering = layers[answering.inputs[0]]
    for current, arrays in zip(layers, share(layers, parameters), strict=False):
        inputs = [values[source] for source in current.inputs]
        if current.index <= layer or current.idle:
            values[current.index] = current.forward(inputs, arrays)
        else:
            current = copy(current)
            current.fixed, current.inner = True, current.index != answering.index
            values[current.index], saved[current.index] = current.train(inputs, arrays, {})
        if current.index > layer:
            fixed.append((current, arrays))
        for source in set(current.inputs) - {layer}:
            if last_use[source] == current.index:
                del values[source]
    return fixed, values[layer], saved
