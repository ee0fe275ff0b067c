"""Activations as ONNX nodes, made of operators that opset 17 has.

Source of the operators' meaning: ONNX's ``docs/Operators.md``.
"""

from __future__ import annotations

from collections.abc import Callable

from .layers.activations import GELU_CUBIC, GELU_LINEAR, SELU_ALPHA, SELU_SCALE, SHARE_EPSILON
from .onnx_graph import Graph


def _simple(operator: str, **attributes: float) -> Callable[[Graph, str], str]:
    return lambda graph, x: graph.add(operator, x, **attributes)


def _clipped(graph: Graph, x: str, low: float, high: float) -> str:
    return graph.add("Clip", x, graph.constant("low", low), graph.constant("high", high))


def _bent(low: float, high: float, slope: float, outside: float, offset: float) -> Callable[[Graph, str], str]:
    """slope * x + offset between `low` and `high`, continued with the slope `outside`."""

    def add(graph: Graph, x: str) -> str:
        inside = _clipped(graph, x, low, high)
        rest = graph.scaled(graph.add("Sub", x, inside), outside)
        y = graph.add("Add", graph.scaled(inside, slope), rest)
        return graph.add("Add", y, graph.constant("offset", offset)) if offset else y

    return add


def _stair(graph: Graph, x: str) -> str:
    """Flat between even and odd numbers, rising between odd and even ones."""
    floor = graph.add("Floor", x)
    half = graph.add("Floor", graph.scaled(x, 0.5))
    odd = graph.add("Sub", floor, graph.scaled(half, 2))
    return graph.add("Add", half, graph.add("Mul", graph.add("Sub", x, floor), odd))


def _mish(graph: Graph, x: str) -> str:
    return graph.add("Mul", x, graph.add("Tanh", graph.add("Softplus", x)))


def _hard_mish(graph: Graph, x: str) -> str:
    bend = _clipped(graph, x, -2, 0)
    half = graph.add("Add", graph.scaled(bend, 0.5), graph.constant("one", 1))
    return graph.add("Add", graph.add("Relu", x), graph.add("Mul", bend, half))


def _gelu(graph: Graph, x: str) -> str:
    cubic = graph.scaled(graph.add("Mul", x, x), 2 * GELU_CUBIC)
    exponent = graph.add("Mul", x, graph.add("Add", cubic, graph.constant("linear", 2 * GELU_LINEAR)))
    return graph.add("Mul", x, graph.add("Sigmoid", exponent))


def _shared_out(graph: Graph, x: str, more: str) -> str:
    """`x` divided by the sum of `more` and its own sum over channels."""
    total = graph.add("ReduceSum", x, graph.integers("axes", [1]), keepdims=1)
    return graph.add("Div", x, graph.add("Add", total, more))


def _share(graph: Graph, x: str) -> str:
    return _shared_out(graph, graph.add("Relu", x), graph.constant("epsilon", SHARE_EPSILON))


def _softmax(graph: Graph, x: str) -> str:
    most = graph.add("Relu", graph.add("ReduceMax", x, axes=[1], keepdims=1))
    more = graph.scaled(graph.add("Exp", graph.add("Neg", most)), SHARE_EPSILON)
    return _shared_out(graph, graph.add("Exp", graph.add("Sub", x, most)), more)


def _softmax_maximum(graph: Graph, x: str) -> str:
    most = graph.add("ReduceMax", x, axes=[1], keepdims=1)
    x = graph.add("Exp", graph.add("Sub", x, most))
    return _shared_out(graph, x, graph.constant("epsilon", SHARE_EPSILON))


ACTIVATIONS: dict[str, Callable[[Graph, str], str]] = {
    "linear": lambda graph, x: x,
    "leaky": _simple("LeakyRelu", alpha=0.1),
    "relu": _simple("Relu"),
    "logistic": _simple("Sigmoid"),
    "loggy": lambda graph, x: graph.add("Tanh", graph.scaled(x, 0.5)),  # 2 / (1 + exp(-x)) - 1 = tanh(x / 2)
    "elu": _simple("Elu", alpha=1.0),
    "selu": _simple("Selu", alpha=SELU_ALPHA, gamma=SELU_SCALE),
    "relie": _simple("LeakyRelu", alpha=0.01),
    "ramp": lambda graph, x: graph.add("Add", graph.add("Relu", x), graph.scaled(x, 0.1)),
    "tanh": _simple("Tanh"),
    "plse": _bent(-4, 4, 0.125, 0.01, 0.5),
    "lhtan": _bent(0, 1, 1, 0.001, 0),
    "hardtan": lambda graph, x: _clipped(graph, x, -1, 1),
    "stair": _stair,
    "relu6": lambda graph, x: _clipped(graph, x, 0, 6),
    "revleaky": _simple("LeakyRelu", alpha=0.1),
    "swish": lambda graph, x: graph.add("Mul", x, graph.add("Sigmoid", x)),
    "mish": _mish,
    "hard_mish": _hard_mish,
    "gelu": _gelu,
    "normalize_channels": _share,
    "normalize_channels_softmax": _softmax,
    "normalize_channels_softmax_maxval": _softmax_maximum,
}


def activated(graph: Graph, x: str, activation: str) -> str:
    """`x` through an activation, in the same form."""
    y = ACTIVATIONS[activation](graph, x)
    if x in graph.flat_values:
        graph.flat_values.add(y)
    return y
