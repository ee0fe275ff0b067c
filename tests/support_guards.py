"""Memory for kernels, between guards that show where they read or write outside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt

from darknet_py.engines.cpu import prepared, team
from darknet_py.engines.cpu.arena import LINE, Store, address
from darknet_py.engines.cpu.training import buffers
from darknet_py.parameters import Parameters

GUARD = 1024  # bytes
NAN = 0xFF


@contextmanager
def guards() -> Iterator[None]:
    """Put all memory that is allocated for kernels between guards; assert at the end that these are intact."""
    allocated: list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]] = []

    def guarded(size: int) -> npt.NDArray[np.uint8]:
        raw = np.full(GUARD + LINE + size + GUARD, NAN, np.uint8)
        start = GUARD + -(address(raw) + GUARD) % LINE
        raw[start : start + size] = 0
        allocated.append((raw[:start], raw[start + size :]))
        return raw[start : start + size]

    def zeros(layers: Any) -> Parameters:
        size = sum(layer.parameter_count for layer in layers)
        return Parameters(layers, guarded(4 * size).view(np.float32))

    with (
        mock.patch.multiple(prepared, huge=guarded),
        mock.patch.multiple(buffers, huge=guarded),
        mock.patch.multiple(team, aligned=guarded),
        mock.patch.multiple(Store, take=staticmethod(guarded)),
        mock.patch.object(Parameters, "zeros", staticmethod(zeros)),
    ):
        yield
    assert allocated
    for before, after in allocated:
        assert (before == NAN).all()
        assert (after == NAN).all()
