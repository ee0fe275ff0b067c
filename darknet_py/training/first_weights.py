"""A network's parameters before it has learned anything.

Source: darknet's ``convolutional_layer.c``, ``connected_layer.c`` and ``local_layer.c`` of 2018, and
``shortcut_layer.c`` of AlexeyAB's fork. There, the rolling variance is 0 at first, so that a network which is used
before it was trained divides by next to nothing; here it is 1.
"""

from __future__ import annotations

import math

import numpy as np

from ..layers import Array, Layer, Parameter
from ..layers.convolutional import Convolutional
from ..parameters import Parameters
from .generators import Purpose, generator


def set_first(parameters: Parameters, seed: int, first: int = 0) -> None:
    """Set the parameters of the layers from `first` on.

    Each layer's weights depend only on `seed` and on the layer's index.
    """
    for entry in parameters.entries:
        if entry.layer.index >= first:
            place = entry.find(parameters.values)
            place[...] = (
                _first_weights(entry.layer, seed, entry.parameter)
                if entry.parameter.role == "weight"
                else (entry.parameter.role == "scale" or entry.parameter.positive)
            )


def _first_weights(layer: Layer, seed: int, parameter: Parameter) -> Array | float:
    """Weights that preserve the magnitude of what passes through: normal for convolutions, else uniform."""
    random, shape = generator(seed, Purpose.WEIGHTS, layer.index), parameter.shape
    fan_in = math.prod(shape[1:]) if parameter.fan_in is None else parameter.fan_in
    if not fan_in:
        return 1.0
    scale = np.float32(math.sqrt(2 / fan_in))
    if isinstance(layer, Convolutional):
        return scale * random.standard_normal(shape, np.float32)
    return scale * (2 * random.random(shape, np.float32) - 1)
