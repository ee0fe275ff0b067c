"""The matrices of Winograd's algorithm are those that docs/winograd.md derives, and the compiled sums are theirs."""

from __future__ import annotations

import re
from unittest import mock

import numpy as np
import pytest
from conftest import ROOT

from darknet_py.engines.cpu.algorithms import FORWARD
from darknet_py.engines.cpu.algorithms.winograd import Winograd
from darknet_py.engines.cpu.compiled import transforms
from darknet_py.engines.cpu.toom import POINTS, TILES, input_matrix, output_matrix, weight_matrix
from darknet_py.layers.convolutional import Convolutional

(CHECK,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/winograd.md").read_text(), re.MULTILINE | re.DOTALL)
SIZES = sorted(
    {(algorithm.m, algorithm.r) for algorithm in FORWARD["float32"][Convolutional] if isinstance(algorithm, Winograd)}
)
# A line's points, how many of them a tile has, and a window: each as at an edge, and the whole.
LINES = [(tile.n, count, tile.r) for tile in TILES for count in range(tile.r, tile.n + 1)]


@pytest.fixture(scope="module")
def derived():
    """The names that the page's check defines, once it has run."""
    names = {}
    exec(CHECK, names)
    return names


def test_the_pages_sizes_and_points_are_those_of_the_code(derived):
    for n, points in derived["POINTS"].items():
        assert [float(derived["F"](point)) for point in points.split()] == list(POINTS[n])
    assert derived["POINTS"].keys() == POINTS.keys()
    assert {*SIZES} == {*TILES}


@pytest.mark.parametrize(("m", "r"), SIZES)
def test_the_codes_matrices_are_the_pages_with_infinity_first(derived, m, r):
    n = m + r - 1
    points = [derived["F"](point) for point in derived["POINTS"][n].split()]
    a, g, b = (matrix.astype(float) for matrix in derived["transforms"](m, r, points))
    first = np.roll(np.arange(n), 1)
    np.testing.assert_allclose(output_matrix(n, n, m), a[:, first], rtol=1e-12)
    np.testing.assert_allclose(weight_matrix(n, r), g[first], rtol=1e-12)
    np.testing.assert_allclose(input_matrix(n, n), b[first], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("n", "count", "r"), LINES)
def test_a_lines_first_points_give_its_first_outputs(n, count, r):
    m = count - r + 1
    random = np.random.default_rng(n * count * r)
    weights, inputs = random.random(r), random.random(count)
    values = (np.array(weight_matrix(n, r)) @ weights)[:count] * (np.array(input_matrix(n, count)) @ inputs)
    expected = [weights @ inputs[i : i + r] for i in range(m)]
    np.testing.assert_allclose(np.array(output_matrix(n, count, m)) @ values, expected, rtol=1e-9)


class Numbers:
    """An LLVM builder that computes."""

    fadd = staticmethod(lambda a, b: a + b)
    fsub = staticmethod(lambda a, b: a - b)
    fmul = staticmethod(lambda a, b: a * b)


@pytest.mark.parametrize(("n", "count", "r"), LINES)
def test_the_compiled_sums_are_those_of_the_matrices(n, count, r):
    matrices = input_matrix(n, count), output_matrix(n, count, count - r + 1)
    with mock.patch.multiple(
        transforms, F32=float, splat=lambda build, x: x, multiply_add=lambda build, a, b, c: a * b + c
    ):
        for matrix in matrices:
            values = np.random.default_rng(count).random((count, 5))
            found = transforms.emit_product(Numbers, matrix, list(values))
            np.testing.assert_allclose(found, np.array(matrix) @ values, rtol=1e-9, atol=1e-9)
