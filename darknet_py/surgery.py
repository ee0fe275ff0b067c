"""Parameters -> other parameters: what darknet's commands on weights files do.

Source: darknet's ``darknet.c``, ``convolutional_layer.c``, ``connected_layer.c``. Each function says where it differs.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np

from .engines.folding import fold
from .errors import CfgError, DarknetWarning
from .layers import Array, Layer
from .layers.convolutional import Convolutional
from .network import Network
from .parameters import Entry, Parameters, find_entries

CHUNK = 1 << 20  # values that are measured at a time
KEY = "batch_normalize"
# Layers that pass on cells of each channel of a picture, or their means or maxima.
PASSING = ("avgpool", "crop", "dropout", "empty", "local_avgpool", "maxpool")


@dataclass(frozen=True)
class Numbers:
    """Statistics of a parameter's values.

    Attributes
    ----------
    entry : Entry
        Which parameter.
    mean, deviation, least, most : float
        The mean, the standard deviation from it, the smallest and the largest value.
    """

    entry: Entry
    mean: float
    deviation: float
    least: float
    most: float


def measure(layers: Sequence[Layer], parameters: Iterable[Mapping[str, Array]]) -> Iterator[Numbers]:
    """The statistics of each parameter; `parameters` are those of `layers`, one layer after another."""
    for layer, arrays in zip(layers, parameters, strict=True):
        for entry in find_entries([layer]):
            values = arrays[entry.name].ravel()
            mean = float(values.mean(dtype=np.float64))
            chunks = (values[start : start + CHUNK] for start in range(0, values.size, CHUNK))
            squares = sum(float(np.square(np.subtract(chunk, mean, dtype=np.float64)).sum()) for chunk in chunks)
            deviation = (squares / values.size) ** 0.5
            yield Numbers(entry, mean, deviation, float(values.min()), float(values.max()))


def average(layers: Sequence[Layer], sources: Sequence[Iterable[Mapping[str, Array]]]) -> Parameters:
    """The mean of several networks' parameters; each of `sources` yields those of `layers`, one after another.

    The C program leaves the statistics and scales of connected layers as the first network has them.
    """
    means = (
        {name: np.float32(np.mean([arrays[name] for arrays in several], 0, np.float64)) for name in several[0]}
        for several in zip(*sources, strict=True)
    )
    return Parameters.gather(layers, means)


def rescale(parameters: Parameters) -> Parameters:
    """Convert a network that took pictures in -1..1 so that it takes them in 0..1: 2 x - 1 is folded into the weights.

    Zeros round a picture, which meant middle grey, now mean black. For a normalized layer the C program changes the
    biases, too, where the means must change.

    Raises
    ------
    CfgError
        Where there is no convolution, the first one does not take the picture or takes only its signs, or another layer
        takes the same input or shares its parameters.
    """
    changed, layer = parameters.copy(), _first_convolution(parameters)
    if layer.xnor:
        raise layer.section.error("takes the signs of its input alone, which then change", "xnor")
    arrays = changed.views[layer.index]
    sums = arrays["weights"].sum(axis=(1, 2, 3), dtype=np.float64)  # of the old weights, before they are doubled
    arrays["weights"] *= 2
    if "means" in arrays:
        arrays["means"] += sums.astype(np.float32)
    else:
        arrays["biases"] -= sums.astype(np.float32)
    return changed


def swap_red_and_blue(parameters: Parameters) -> Parameters:
    """Swap the first convolution's first and third input channels: RGB for BGR.

    Raises
    ------
    CfgError
        Where there is no convolution, or the first one does not take the picture, or not alone, shares its parameters,
        or has filters of other than 3 channels.
    """
    layer = _first_convolution(parameters)
    changed = parameters.copy()
    weights = changed.views[layer.index]["weights"]
    if weights.shape[1] != 3:
        raise layer.section.error(f"its filters have {weights.shape[1]} channels; red, green and blue are expected")
    weights[...] = weights[:, ::-1].copy()
    return changed


def denormalize(parameters: Parameters) -> Parameters:
    """The parameters with which the same layers give the same answers without `batch_normalize`.

    Scales, means and variances are folded into weights and biases. A warning names layers whose biases are then so
    large that float32 loses what they are added to.
    """
    return _fit(parameters, _switch(parameters.layers, False))


def normalize(parameters: Parameters) -> Parameters:
    """The parameters with which the same layers give the same answers with `batch_normalize`, wherever it is an option.

    Layers that had none get scales, means and variances that change nothing. The C program gives them variances of 0.
    """
    return _fit(parameters, _switch(parameters.layers, True))


def reset(parameters: Parameters) -> Parameters:
    """The parameters with which the same layers give the same answers, and whose normalization changes nothing."""
    return _fit(denormalize(parameters), parameters.layers)


def set_normalization(text: str, network: Network, normalized: bool) -> str:
    """The `text` of a network's cfg with `batch_normalize` on or off in each layer that has the option."""
    lines = text.split("\n")
    for layer in reversed(network.layers):
        if KEY not in layer.options or getattr(layer, KEY) == normalized:
            continue
        line, entry, cross = f"{KEY}={int(normalized)}", *map(layer.section.entries.get, (KEY, "cbn"))
        if cross is not None:  # which would turn it on
            lines[cross.line - 1] = f"cbn={int(normalized)}"
        if entry is None:
            lines.insert(layer.section.line, line)  # right after the section's own
        else:
            lines[entry.line - 1] = line
    return "\n".join(lines)


def _switch(layers: Sequence[Layer], normalized: bool) -> list[Layer]:
    """`layers`, with normalization on or off in each that has the option."""
    switched = [copy(layer) for layer in layers]
    for layer in switched:
        if KEY in layer.options:
            setattr(layer, KEY, normalized)
    return switched


def _fit(parameters: Parameters, layers: Sequence[Layer]) -> Parameters:
    """The parameters with which `layers`, the same but for `batch_normalize`, give the same answers."""
    return Parameters.gather(layers, map(_fit_layer, parameters.layers, parameters, layers))


def _fit_layer(old: Layer, arrays: Mapping[str, Array], new: Layer) -> Mapping[str, Array]:
    if old.parameters.keys() == new.parameters.keys():
        return arrays
    weights = arrays["weights"]
    if "scales" in new.parameters:
        ones = np.ones_like(arrays["biases"])
        return {**arrays, "scales": new.dialect.divisor(ones), "means": 0 * ones, "variances": ones}
    factor, bias, after = fold(old, arrays)
    if after is not None:
        reason = "hardly vary beside their means; without normalization float32 loses digits of them"
        reason = f"{np.count_nonzero((after[0] != 1) | (after[1] != 0))} of {len(factor)} filters {reason}"
        warnings.warn(DarknetWarning(str(old.section.error(reason))), stacklevel=2)
        factor, bias = factor * after[0], np.float32(bias.astype(np.float64) * after[0] + after[1])
    return {"biases": bias, "weights": weights * factor.reshape(-1, *[1] * (weights.ndim - 1))}


def _first_convolution(parameters: Parameters) -> Convolutional:
    found = next((layer for layer in parameters.layers if isinstance(layer, Convolutional)), None)
    if found is None:
        raise CfgError("no [convolutional] layer, whose weights would change", file=parameters.layers[0].section.file)
    for layer in parameters.layers[: found.index]:
        if layer.kind not in PASSING or layer.shape.channels != layer.input_shapes[0].channels:
            raise layer.section.error(f"layer {found.index}, the first convolution, does not take the picture but this")
    for layer in parameters.layers[found.index + 1 :]:
        if min(layer.inputs) < found.index:
            raise layer.section.error(f"takes of the picture what layer {found.index} takes, which alone would change")
        if layer.shares == found.index:
            raise layer.section.error(f"takes the parameters of layer {found.index}, which would change", "share_index")
    return found
