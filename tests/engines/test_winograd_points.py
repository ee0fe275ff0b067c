"""The matrices of Winograd's algorithm, in the compiled code, are those that docs/winograd.md derives."""

from __future__ import annotations

import re
from types import CellType, FunctionType

import numpy as np
import pytest
from conftest import ROOT

from darknet_py.engines.cpu.algorithms import FORWARD
from darknet_py.engines.cpu.algorithms.winograd import POINTS, Winograd, weight_transform
from darknet_py.engines.cpu.compiled import winograd as compiled
from darknet_py.layers.convolutional import Convolutional

(CHECK,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/winograd.md").read_text(), re.MULTILINE | re.DOTALL)
SIZES = sorted(
    {(algorithm.m, algorithm.r) for algorithm in FORWARD["float32"][Convolutional] if isinstance(algorithm, Winograd)}
)


def as_matrix(function, n, *given):
    """What a compiled transform of a line of `n` registers does, as a matrix."""
    rows = {}
    names = {
        "load": lambda place: np.eye(n)[place],
        "store": rows.__setitem__,
        "_plus": lambda x, factor, y: x + factor * y,
        "_times": lambda x, factor: x * factor,
    }
    code = function.py_func.__code__
    free = tuple(CellType(names[name]) for name in code.co_freevars)
    FunctionType(code, names, closure=free)(*given, 0, 1, 0, 1)
    return np.array([rows[place] for place in sorted(rows)])


@pytest.fixture(scope="module")
def derived():
    """What the page's check defines, once it has run."""
    names = {}
    exec(CHECK, names)
    return names


def test_the_pages_sizes_and_points_are_those_of_the_code(derived):
    for n, points in derived["POINTS"].items():
        assert [float(derived["F"](point)) for point in points.split()] == [point for point, _ in POINTS[n]]
    assert derived["POINTS"].keys() == POINTS.keys()


@pytest.mark.parametrize(("m", "r"), SIZES)
def test_the_codes_matrices_are_the_pages_but_for_factors_that_cancel(derived, m, r):
    n = m + r - 1
    points = [derived["F"](point) for point in derived["POINTS"][n].split()]
    a, g, b = (matrix.astype(float) for matrix in derived["transforms"](m, r, points))
    transforms = dict(zip((4, 6, 8), compiled._make_steps(compiled.load, compiled.store), strict=True))
    outputs = {4: compiled._output_4, 6: compiled._output_6, 8: compiled._output_8}
    codes = as_matrix(outputs[n], n, m).T, weight_transform(m, r), as_matrix(transforms[n], n)
    cancelled = np.ones(n)
    for ours, code in zip((a.T, g, b), codes, strict=True):  # a point's entries are a row of each
        assert ours.shape == code.shape
        factors = (ours * code).sum(1) / (ours * ours).sum(1)
        np.testing.assert_allclose(code, factors[:, None] * ours, rtol=1e-6, atol=1e-7)
        cancelled *= factors
    np.testing.assert_allclose(cancelled, 1, rtol=1e-6)
