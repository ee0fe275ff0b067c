"""Nodes and constants of an ONNX graph, as layers add them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ExportError
from .layers import Layer, Shape
from .version import __version__

if TYPE_CHECKING:
    import numpy.typing as npt

try:
    from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
except ImportError as reason:
    raise ExportError(f"the package onnx is missing ({reason}); pip install onnx") from None

INPUT, OUTPUT = "images", "output0"
# Old enough for every runtime, new enough for all that is written here.
OPSET, IR_VERSION = 17, 8


class Graph:
    """Nodes and constants in the order in which layers add them.

    A layer's output has one of two forms: planes (batch, channels, height, width) or flat (batch, size).

    Attributes
    ----------
    growing : collection of int
        Where pictures may have any height and width: the layers, and -1 for the input, whose outputs grow with them,
        so that no node may name the cfg's height and width; empty where all pictures have these.
    values : dict of int to str
        For each layer so far, and -1 for the network's input, the name of its output.
    flat_values : set of str
        Those that are flat.
    """

    def __init__(self, growing: Collection[int]) -> None:
        self.growing = growing
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.values = {-1: INPUT}
        self.flat_values: set[str] = set()
        self.layer = ""
        self._names: Counter[str] = Counter()

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; return the name of its output."""
        name = self._name(operator)
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def constant(self, name: str, values: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """Add a constant; return its name."""
        name = self._name(name)
        self.constants.append(
            numpy_helper.from_array(np.ascontiguousarray(values, dtype).reshape(np.shape(values)), name)
        )
        return name

    def padded(self, x: str, name: str, after: Sequence[int]) -> str:
        """`x` with zeros after its last cells, axis by axis."""
        pads = self.integers(name, [0] * len(after) + [*after])
        return self.add("Pad", x, pads, mode="constant")  # the default, but pnnx needs it spelled out

    def integers(self, name: str, values: Sequence[int]) -> str:
        """Add a constant of integers: positions or lengths."""
        return self.constant(name, values, np.int64)

    def split(self, x: str, sizes: str, count: int, axis: int) -> list[str]:
        """`x` in `count` parts, of the sizes in the constant `sizes`."""
        names = [self._name("Split") for _ in range(count)]
        self.nodes.append(helper.make_node("Split", [x, sizes], names, names[0], axis=axis))
        return names

    def planes(self, layer: Layer, which: int = 0) -> str:
        """An input of `layer` as planes."""
        value = self.values[layer.inputs[which]]
        if value not in self.flat_values:
            return value
        return self.add("Reshape", value, self.integers("shape", [0, *layer.input_shapes[which]]))

    def flat(self, index: int) -> str:
        """The output of layer `index`, flat."""
        value = self.values[index]
        if value not in self.flat_values:
            value = self.add("Flatten", value)
            self.flat_values.add(value)
        return value

    def scaled(self, x: str, factor: float) -> str:
        """`x` times a number."""
        return x if factor == 1 else self.add("Mul", x, self.constant("factor", factor))

    def model(self, output: str, shape: Shape, outputs: int, metadata: Mapping[str, str]) -> ModelProto:
        """The model, from the network's input of `shape` to the value `output` of `outputs` numbers; any batch."""
        for node in self.nodes:
            for names in (node.input, node.output):
                names[:] = [OUTPUT if name == output else name for name in names]
        sides = ("height", "width") if self.growing else shape[1:]
        given = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", shape.channels, *sides])
        wanted = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", outputs])
        model = helper.make_model(
            helper.make_graph(self.nodes, "darknet", [given], [wanted], self.constants),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="darknet_py",
            producer_version=__version__,
        )
        helper.set_model_props(model, dict(metadata))
        return model

    def _name(self, part: str) -> str:
        name = f"{self.layer}/{part}"
        self._names[name] += 1
        return name if self._names[name] == 1 else f"{name}_{self._names[name]}"
