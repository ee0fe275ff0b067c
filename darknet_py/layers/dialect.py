"""What each program of darknet's family computes in its own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from ..errors import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

_Numbers = TypeVar("_Numbers", bound="npt.NDArray[np.floating]")


class Dialect(NamedTuple):
    """The arithmetic of one of these programs; all layers of a network have the same.

    Attributes
    ----------
    name : str
    program : str
        Which one it is.
    to_variance, to_deviation : float
        What batch normalization adds to a variance, and to its root.
    version : (int, int, int)
        The version in the header of the weights files that it writes.
    """

    name: str
    program: str
    to_variance: float
    to_deviation: float
    version: tuple[int, int, int]

    def divisor(self, variances: _Numbers) -> _Numbers:
        """What batch normalization divides by, in the numbers' own type."""
        number = variances.dtype.type
        return np.sqrt(variances + number(self.to_variance)) + number(self.to_deviation)

    @property
    def summary(self) -> str:
        """A line about it."""
        inside = f"variance + {self.to_variance:g}" if self.to_variance else "variance"
        outside = f" + {self.to_deviation:g}" if self.to_deviation else ""
        return f"dialect {self.name}, of {self.program}: batch normalization divides by sqrt({inside}){outside}"


# Source: darknet's `blas.c`, `normalize_cpu`, in pjreddie's repository and, at three times, in AlexeyAB's: until
# February 2020 as in pjreddie's, until April, and since.
DARKNET = Dialect("darknet", "pjreddie's program on a CPU", to_variance=0, to_deviation=1e-6, version=(0, 2, 0))
ALEXEYAB = Dialect("alexeyab", "AlexeyAB's program", to_variance=1e-5, to_deviation=0, version=(0, 2, 5))
ALEXEYAB_2020 = Dialect(
    "alexeyab-2020",
    "AlexeyAB's program on a CPU from February to April 2020",
    to_variance=1e-6,
    to_deviation=0,
    version=ALEXEYAB.version,
)
DIALECTS = {dialect.name: dialect for dialect in (DARKNET, ALEXEYAB, ALEXEYAB_2020)}


def find_dialect(name: str) -> Dialect:
    """The dialect of that name; UsageError where there is none."""
    if name not in DIALECTS:
        raise UsageError(f"dialect={name}: one of {', '.join(DIALECTS)} is expected")
    return DIALECTS[name]
