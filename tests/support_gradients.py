"""Gradients by central differences, for the tests of layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from darknet_py.layers import Layer

STEP = 1e-6


def random_doubles(shape: Sequence[int], seed: int = 0) -> Any:
    """Values of order one, of either sign, in double precision."""
    return np.random.default_rng(seed).standard_normal(shape)


def double_parameters(layer: Layer) -> dict[str, Any]:
    """Parameters in double precision; scales and variances are above 0."""
    arrays = {name: random_doubles(p.shape, i) for i, (name, p) in enumerate(layer.parameters.items())}
    return {name: 0.5 + np.abs(a) if name in ("scales", "variances") else a for name, a in arrays.items()}


def difference(objective: Callable[[], float], array: Any) -> Any:
    """The gradient of `objective` by each value of `array`, on which it depends."""
    gradient = np.empty_like(array)
    for place in np.ndindex(*array.shape):
        middle = array[place]
        array[place] = middle + STEP
        above = objective()
        array[place] = middle - STEP
        gradient[place] = (above - objective()) / (2 * STEP)
        array[place] = middle
    return gradient


def check_gradients(
    layer: Layer,
    inputs: Sequence[Any],
    parameters: Mapping[str, Any],
    drawn: Mapping[str, Any] | None = None,
    loose: Mapping[str, float] | None = None,
) -> None:
    """Compare `backward` with central differences of `train`, for each input and each parameter that is learned.

    `loose` names parameters whose gradient may be off by more than rounding, relative to its largest value.
    """
    drawn, loose = drawn or {}, loose or {}
    output, saved = layer.train(inputs, parameters, drawn)
    assert output.dtype == np.float64
    assert output.shape == (len(inputs[0]), *layer.shape)
    kept = any(np.may_share_memory(array, given) for array in saved.values() for given in inputs)
    assert not (layer.frees_inputs and kept)
    delta = random_doubles(output.shape, 99)

    def objective() -> float:
        return float((layer.train(inputs, parameters, drawn)[0] * delta).sum())

    gradients = layer.backward(delta, saved, parameters)
    learned = {name for name, parameter in layer.parameters.items() if parameter.role != "statistic"}
    assert gradients.parameters.keys() == learned
    checked = [(None, x, gradient) for x, gradient in zip(inputs, gradients.inputs, strict=True)]
    checked += [(name, parameters[name], gradients.parameters[name]) for name in sorted(learned)]
    for name, array, gradient in checked:
        assert gradient.dtype == np.float64
        assert gradient.shape == array.shape
        expected = difference(objective, array)
        bound = loose.get(name or "", 1e-7) * max(1, np.abs(expected).max())
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=bound, err_msg=name or "inputs")
