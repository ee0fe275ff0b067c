"""What computes a convolution on a GPU: a kernel of ours in tiles of some size, or a plan of cuDNN's."""

from __future__ import annotations

from typing import Protocol

from .convolution import Convolution, Operands
from .cudnn import GraphLaunch
from .kernels import Launch


class Implementation(Protocol):
    """A way to compute a convolution.

    Attributes
    ----------
    name : str
        By which it is found again.
    """

    @property
    def name(self) -> str: ...

    def workspace(self, convolution: Convolution) -> int:
        """Bytes that it needs."""

    def launch(self, convolution: Convolution, operands: Operands) -> Launch | GraphLaunch:
        """The work for a queue.

        Raises
        ------
        UnsupportedError
            Where it cannot compute this after all.
        """
