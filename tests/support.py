"""Layers and networks from a few words of cfg, with random parameters, for the tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from darknet_py.cfg import parse_cfg
from darknet_py.engines import open_engine
from darknet_py.layers import DARKNET, REGISTRY, Array, Dialect, Layer, Shape
from darknet_py.network import Network
from darknet_py.parameters import Parameters

Words = tuple[str, dict[str, Any]]  # a section's name and its options
FIFTEEN = (
    "tiny", "darknet", "resnet18", "alexnet", "vgg-16", "extraction", "darknet19", "darknet19_448", "resnet50",
    "resnet152", "densenet201", "darknet53", "resnet34", "resnet101", "resnext50",
)  # fmt: skip
# The others have connected or crop layers, or a shortcut that joins two resolutions.
RESIZABLE = ("tiny", "darknet", "extraction", "darknet19", "darknet19_448", "densenet201", "darknet53")


def cfg_text(sections: Iterable[Words]) -> str:
    """The text of a cfg with these sections."""
    return "".join(
        f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in options.items()) for name, options in sections
    )


def make_layer(kind: str, *shapes: tuple[int, int, int], **options: Any) -> Layer:
    """A layer by itself; `shapes` are those of the network's input and of every layer before this one."""
    (section,) = parse_cfg(cfg_text([(kind, options)]), "test.cfg")
    return REGISTRY[kind](section, len(shapes) - 1, [Shape(*shape) for shape in shapes])


def make_network(shape: tuple[int, int, int], *sections: Words, dialect: Dialect = DARKNET) -> Network:
    """A network for pictures of `shape`, channels x height x width."""
    net = dict(zip(("channels", "height", "width"), shape, strict=True))
    return Network(parse_cfg(cfg_text([("net", net), *sections]), "test.cfg"), "test.cfg", dialect)


def random_array(shape: Sequence[int], seed: int = 0) -> Array:
    """Values of order one, of either sign."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def random_parameters(layers: Sequence[Layer], seed: int = 0) -> Parameters:
    """Parameters that keep activations of order one."""
    rng = np.random.default_rng(seed)

    def draw(name: str, shape: tuple[int, ...]) -> Array:
        values = rng.standard_normal(shape, np.float32)
        if name in ("scales", "variances"):
            return np.float32(0.5) + np.abs(values)
        return values * np.float32((2 / np.prod(shape[1:])) ** 0.5) if len(shape) > 1 else values / 4

    parameters = Parameters.zeros(layers)
    for entry in parameters.entries:
        entry.find(parameters.values)[...] = draw(entry.name, entry.parameter.shape)
    return parameters


def run_engine(
    name: str,
    layers: Sequence[Layer],
    parameters: Iterable[Mapping[str, Array]],
    batch: Array,
    threads: int = 1,
    precision: str = "float32",
) -> Array:
    """The answers of the engine `name` to `batch`."""
    return open_engine(name, layers, parameters, threads, None, precision).plan(layers).run(batch)


def own_error(
    layers: Sequence[Layer],
    parameters: Iterable[Mapping[str, Array]],
    batch: Array,
    answers: Array,
    rounding: float = 3e-7,
) -> float:
    """How far the definitions' `answers` move, relative to their scale, where `batch` moves by about its `rounding`.

    A network that divides by almost 0 makes large errors of small ones.
    """
    noise = np.float32(1) + np.float32(rounding) * random_array(batch.shape, 1)
    return float(np.abs(run_engine("reference", layers, parameters, batch * noise) - answers).max() / scale_of(answers))


def scale_of(answers: Array) -> float:
    """Their largest magnitude, or 1 where all are smaller."""
    return max(float(np.abs(answers).max(initial=0)), 1)


def assert_close(actual: Array, expected: Array, bound: float) -> None:
    """Assert `actual` to be `expected` within `bound`, relative to the largest value, or to 1 where all are smaller."""
    assert actual.dtype == np.float32
    assert actual.shape == expected.shape
    scale = scale_of(expected)
    np.testing.assert_allclose(actual / scale, expected / scale, rtol=0, atol=bound)
