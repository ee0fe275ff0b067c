"""The operations that compiled code walks through: the fields of each, by the same names on both sides.

An operation is a record here, and a row of int64 and one of float32 there, where each name is a column
(`compiled.record`). A name means the same in all operations that have it. Addresses and strides are in bytes.
"""

from __future__ import annotations

from ...passes import SLOPES
from .base import Operation
from .layers import Add, AvgPool, Crop, MaxPool, Scale, ScaleChannels, Softmax
from .moves import Flatten, Pad, ToBlocks, ToPhases, ToPixels
from .packing import Pack, PackWinograd
from .products import (
    Gemm,
    Grouped,
    MultiplyRows,
    PlanarWinograd,
    Strassen,
    Winograd,
    WinogradInput,
    WinogradOutput,
)
from .training import (
    AddDelta,
    AddGradients,
    AvgPoolDelta,
    BendDelta,
    FoldDelta,
    FoldMeasures,
    MaxPoolDelta,
    Measure,
    MultiplyCells,
    Normalize,
    NormalizeDelta,
    ShortcutDelta,
    Spread,
    SumProducts,
    ToPlain,
)
from .updates import UpdateAdam, UpdateSgd

OPERATIONS: tuple[type[Operation], ...] = (
    Gemm, MultiplyRows, WinogradInput, WinogradOutput, Winograd, PlanarWinograd, Strassen, Grouped, Pad,
    ToPixels, ToPhases, ToBlocks, Flatten, Crop, MaxPool, AvgPool, Add, Scale, ScaleChannels, Softmax, Pack,
    PackWinograd, SumProducts, AddGradients, Measure, FoldMeasures, Normalize, BendDelta, FoldDelta, NormalizeDelta,
    AddDelta, MultiplyCells, MaxPoolDelta, AvgPoolDelta, Spread, ShortcutDelta, ToPlain, UpdateSgd, UpdateAdam,
)  # fmt: skip
for _number, _operation in enumerate(OPERATIONS):
    _operation.opcode = _number


def _names(kind: str) -> tuple[str, ...]:
    found = (name for operation in OPERATIONS for name, type in operation.fields.items() if type == kind)
    return tuple(dict.fromkeys(found))


INTEGERS = ("opcode", *_names("int"))  # columns of the rows of int64
NUMBERS = _names("float")  # and of those of float32

# Activations that are compiled besides x > 0 ? x : slope * x.
CURVES = (
    "logistic", "loggy", "elu", "selu", "ramp", "tanh", "plse", "lhtan", "hardtan", "stair", "relu6", "swish", "mish",
    "hard_mish", "gelu",
)  # fmt: skip


def is_compiled(activation: str) -> bool:
    """Whether an activation is one of `SLOPES` or `CURVES`."""
    return activation in SLOPES or activation in CURVES


def curve_of(activation: str) -> int:
    """An activation's place in `CURVES`, from 1; 0 where it is none of them."""
    return 1 + CURVES.index(activation) if activation in CURVES else 0
