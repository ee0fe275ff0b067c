"""Which algorithm computes a layer: of those for its type and precision, the one that is predicted to be fastest.

The choice is by model, never by timing, so that a network's answers are the same in every run.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....layers import Layer
from ....layers.connected import Connected
from ....layers.convolutional import Convolutional
from ...passes import decline
from ..table import SMALL_GROUPS
from .base import Algorithm, AnyAlgorithm, Choice
from .connected import MatrixProduct
from .gemm import Direct, Gemm
from .grouped import Grouped
from .grouped_winograd import GroupedWinograd
from .phases import PhasesWinograd, StridedWinograd
from .pixels import Pixels
from .planar_winograd import PlanarWinograd
from .products import Operands
from .strassen import Strassen
from .weights import PackedWeights
from .winograd import Winograd

__all__ = ["FORWARD", "Algorithm", "Choice", "Operands", "PackedWeights", "choose"]

_WINOGRAD = (6, 3), (4, 3), (2, 3), (4, 5), (2, 5)
_STRIDED = (5, 2), (3, 2), (2, 2)
_PHASES = tuple(PhasesWinograd(*sizes) for sizes in ((5, 4), (3, 4), (6, 3), (4, 3)))
_GROUPED_WINOGRAD = (6, 3), (4, 3), (2, 3)
_GROUPED = tuple(Grouped(group) for group in SMALL_GROUPS)
_CONVOLUTIONS: dict[str, Sequence[Algorithm[Convolutional]]] = {
    "float32": (
        *(Winograd(*sizes) for sizes in _WINOGRAD), *(StridedWinograd(*sizes) for sizes in _STRIDED), *_PHASES,
        *(GroupedWinograd(*sizes) for sizes in _GROUPED_WINOGRAD), Strassen(), Direct(), Gemm(), Pixels(),
        PlanarWinograd(), *_GROUPED,
    ),
    # With the picture itself in bfloat16, too, one more photograph of 50 was misclassified: the algorithms for few
    # channels multiply in float32.
    "bfloat16": (
        *(Winograd(*sizes, narrow=True) for sizes in _WINOGRAD),
        *(StridedWinograd(*sizes, narrow=True) for sizes in _STRIDED), *_PHASES,
        *(GroupedWinograd(*sizes, narrow=True) for sizes in _GROUPED_WINOGRAD), Direct(True), Gemm(True), Pixels(),
        PlanarWinograd(), *_GROUPED,
    ),
}  # fmt: skip
_CONNECTED: dict[str, Sequence[Algorithm[Connected]]] = {
    "float32": (MatrixProduct(),),
    "bfloat16": (MatrixProduct(True),),
}
FORWARD: dict[str, dict[type[Layer], Sequence[AnyAlgorithm]]] = {
    precision: {Convolutional: _CONVOLUTIONS[precision], Connected: _CONNECTED[precision]}
    for precision in ("float32", "bfloat16")
}


def choose(layer: Layer, precision: str = "float32") -> list[Choice]:
    """All choices for `layer`, the one to take first, those that decline last; none for layers without algorithms.

    The choice without an algorithm is the layer's definition; it comes after all those that do not decline.
    """
    algorithms = () if decline(layer, FORWARD[precision]) else FORWARD[precision][type(layer)]
    choices = [_consider(algorithm, layer) for algorithm in algorithms]
    definition = [Choice(None, 1e15)] * bool(choices)
    return sorted(choices + definition, key=lambda choice: (bool(choice.reason), choice.cycles))


def _consider(algorithm: AnyAlgorithm, layer: Layer) -> Choice:
    reason = algorithm.declines(layer)
    return Choice(algorithm, reason=reason) if reason else Choice(algorithm, algorithm.cycles(layer))
