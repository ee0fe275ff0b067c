"""The arguments of convolutions' kernels, whatever their algorithm."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from ..convolution import Convolution, Operands
from ..kernels import activation_arguments, arguments_of

# Fields that a problem and its arguments have in common.
SAME = (
    "pixels", "height", "width", "out_height", "out_width", "size_y", "size_x", "stride", "padding",
    "source_stride", "target_stride", "residual_stride",
)  # fmt: skip


def activation_codes(problem: Convolution) -> tuple[str, str]:
    """The activations in a kernel's template: before and after a residual is added."""
    return activation_arguments(problem.activation)[0], activation_arguments(problem.final_activation)[0]


def convolution_arguments(
    problem: Convolution, operands: Operands, **fields: float
) -> np.ndarray[Any, np.dtype[np.void]]:
    """The arguments of a kernel that computes `problem`; `fields` are those that depend on its algorithm."""
    return arguments_of(
        "Convolution",
        **{name: getattr(problem, name) for name in SAME},
        **asdict(operands),
        slope=activation_arguments(problem.activation)[1],
        final_slope=activation_arguments(problem.final_activation)[1],
        **fields,
    )
