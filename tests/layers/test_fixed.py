"""Layers whose statistics are fixed: `train` gives what `forward` gives, and `backward` its true gradient."""

from __future__ import annotations

from copy import copy

import numpy as np
import pytest
from support import make_layer
from support_gradients import check_gradients, double_parameters, random_doubles

from darknet_py.layers import ALEXEYAB


@pytest.mark.parametrize("dialect", ["darknet", "alexeyab"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("convolutional", dict(batch_normalize=1, filters=4, size=3, pad=1, activation="leaky")),
        ("connected", dict(batch_normalize=1, output=4, activation="logistic")),
        ("batchnorm", {}),
    ],
)
def test_statistics_are_those_of_inference(kind, options, dialect):
    layer = copy(make_layer(kind, (2, 5, 4), **options))
    layer.fixed = True
    if dialect == "alexeyab":
        layer.dialect = ALEXEYAB
    inputs, parameters = [random_doubles((3, 2, 5, 4))], double_parameters(layer)
    output, saved = layer.train(inputs, parameters, {})
    np.testing.assert_allclose(output, layer.forward(inputs, parameters), rtol=1e-12)
    assert not saved.keys() & {"means", "variances"}
    check_gradients(layer, inputs, parameters)
