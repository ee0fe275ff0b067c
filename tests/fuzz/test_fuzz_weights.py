"""Weights files, from their bytes to each layer's parameters."""

from __future__ import annotations

import functools
import random
import struct
from pathlib import Path

import numpy as np
import pytest
from fuzzing import Seeds, fuzz, memory_folder
from mutations import BINARY, damage
from support import make_network, random_parameters

from darknet_py.network import Network
from darknet_py.weights import load_weights

pytestmark = pytest.mark.slow

CONV = ("convolutional", {"filters": 4, "size": 3, "pad": 1, "batch_normalize": 1})
NETWORKS = [
    make_network((3, 4, 4), CONV, ("maxpool", {"size": 2}), ("connected", {"output": 3}), ("softmax", {})),
    make_network((1, 2, 2), ("connected", {"output": 2, "batch_normalize": 1})),
    make_network((4, 8, 8), ("batchnorm", {}), ("convolutional", {"filters": 6, "groups": 2}), ("avgpool", {})),
    make_network((1, 3, 3), ("avgpool", {}), ("softmax", {})),  # nothing to read
    make_network((2, 5, 5), CONV, CONV, ("shortcut", {"from": -2}), ("route", {"layers": "-1,0"}), CONV),
]
# Of 0.2 with a count of 64 bits, of 0.1 with one of 32, and of 2013, without a version.
HEADERS = [
    struct.pack("<iiiq", 0, 2, 0, 32_013_312),
    struct.pack("<iiiI", 0, 1, 0, 7),
    struct.pack("<fffI", 0.1, 0.9, 5e-4, 7),
]
OTHER = [b"<!DOCTYPE html>\n<html></html>", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", b""]


@functools.lru_cache(None)
def whole(base: int) -> tuple[Network, bytes]:
    rng = random.Random(base)
    network = NETWORKS[base % len(NETWORKS)]
    if base % 50 == 49:
        return network, rng.choice(OTHER)
    header = HEADERS[base // len(NETWORKS) % len(HEADERS)]
    return network, header + random_parameters(network.layers, base).values.tobytes()


def test_weights_are_parameters_or_refused():
    path = Path("x.weights")

    def make(base: int, seeds: Seeds) -> tuple[int, bytes]:
        return base % len(NETWORKS), damage(whole(base)[1], seeds, BINARY, [])

    def use(case: tuple[int, bytes]) -> None:
        which, content = case
        network = NETWORKS[which]
        path.write_bytes(content)
        weights = load_weights(path, network)
        optional = sum(p.size for layer in network.layers for p in layer.parameters.values() if p.optional)
        assert len(content) == weights.header.size + 4 * weights.mapped.size
        assert weights.mapped.size == network.parameter_count - (0 if weights.complete else optional)
        read = list(weights.read())
        for layer, arrays, mapped in zip(network.layers, read, weights.parameters, strict=True):
            assert {name: array.shape for name, array in arrays.items()} == {
                name: parameter.shape for name, parameter in layer.parameters.items()
            }
            assert all(np.array_equal(arrays[name], mapped[name]) for name in arrays)
            assert all(np.isfinite(array).all() for array in arrays.values())
            assert "variances" not in arrays or arrays["variances"].min() >= 0
        weights.check_unchanged()

    with memory_folder():
        fuzz("weights", make, use)
