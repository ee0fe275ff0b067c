"""Weights files whose size fits several layers, or either header: the version in the header decides."""

from __future__ import annotations

import numpy as np
import pytest
from support import make_network
from support_weights import NARROW, VERSIONLESS, WIDE

from darknet_py.weights import load_prefix

ONE = make_network((1, 2, 2), ("batchnorm", {}), ("softmax", {}))
THREE = make_network((3, 2, 2), ("batchnorm", {}), ("convolutional", {"filters": 1, "size": 1}), ("softmax", {}))


@pytest.mark.parametrize(
    ("network", "header", "count", "filled"),
    [(THREE, WIDE, 12, 1), (THREE, NARROW, 13, 3), (ONE, NARROW, 4, 2), (ONE, VERSIONLESS, 4, 2), (ONE, WIDE, 3, 2)],
)
def test_the_version_decides(tmp_path, network, header, count, filled):
    """The biases of a [batchnorm], which may be missing, are as many bytes as a header or a layer behind has more."""
    path, values = tmp_path / "x.weights", np.arange(count, dtype="<f4")
    path.write_bytes(header + values.tobytes())
    weights = load_prefix(path, network)
    assert weights.header.size == len(header)
    assert weights.layers == network.layers[:filled]
    assert (weights.mapped == values).all()
