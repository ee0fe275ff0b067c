"""The matrices of Winograd's algorithm, after Toom and Cook, for lines of some number of points.

docs/winograd.md derives them. A line may have only the first few points of a larger line, and then uses that line's
weights at these points.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple


class Tile(NamedTuple):
    """F(m x m, r x r): m x m outputs of windows of r x r."""

    m: int
    r: int

    @property
    def n(self) -> int:
        """The points of a line, and the side of a tile of inputs."""
        return self.m + self.r - 1

    @property
    def halves(self) -> bool:
        """Whether each 2 x 2 outputs lie within one tile."""
        return self.m % 2 == 0


# The points after infinity, which comes first, by how many a line has in all. The error of F(4, 3) in bfloat16 is 0.011
# of an output's spread with 2/3 and 3/2, and 0.029 with 1 and 2.
POINTS: dict[int, tuple[float, ...]] = {
    3: (0, 1),
    4: (0, 1, -1),
    6: (0, 2 / 3, -2 / 3, 3 / 2, -3 / 2),
    8: (0, 1, -1, 2, -2, 1 / 2, -1 / 2),
}
MOST_POINTS = max(POINTS)
# The tiles that have transforms.
TILES = tuple(Tile(m, r) for m, r in ((6, 3), (4, 3), (2, 3), (4, 5), (2, 5), (5, 4), (3, 4), (5, 2), (3, 2), (2, 2)))
PLANAR = Tile(4, 3)  # the tile of `planar_wino`

Matrix = list[list[float]]


def weight_matrix(n: int, r: int) -> Matrix:
    """G, n x r: the values of a window's polynomial at the points, divided by what `input_matrix` leaves out."""
    points = POINTS[n]
    rows = []
    for p in points:
        distances = prod(p - other for other in points if other != p)
        rows.append([p**power / distances for power in range(r)])
    return [[0.0] * (r - 1) + [1.0], *rows]


def input_matrix(n: int, count: int) -> Matrix:
    """B^T for the first `count` of `n` points, count x count, for weights that were made for all of them."""
    points, left_out = POINTS[n][: count - 1], POINTS[n][count - 1 :]
    rows = []
    for p in points:
        others = [q for q in points if q != p]
        factor = prod(p - q for q in left_out)
        rows.append([factor * x for x in _coefficients(others)] + [0.0])
    return [_coefficients(points), *rows]


def output_matrix(n: int, count: int, m: int) -> Matrix:
    """A^T for the first `count` of `n` points, m x count."""
    return [[float(i == m - 1), *(p**i for p in POINTS[n][: count - 1])] for i in range(m)]


def _coefficients(roots: Sequence[float]) -> list[float]:
    """The coefficients of the product of all (x - root), lowest power first."""
    poly = [1.0]
    for root in roots:
        poly = [high - root * low for high, low in zip([0.0, *poly], [*poly, 0.0], strict=True)]
    return poly
