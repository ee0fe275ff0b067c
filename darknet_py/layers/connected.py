"""Connected layer: a matrix times the flattened input, then an activation."""

from __future__ import annotations

from collections.abc import Sequence

from ..cfg import choice, flag, integer
from .activations import ACTIVATIONS, activate
from .base import Array, Layer, Parameter, Parameters, Shape
from .batchnorm import normalize, statistics


class Connected(Layer):
    """`output` values, each a weighted sum over channel, row and column of the input."""

    kind = "connected"
    aliases = ("conn",)
    resizable = False
    options = {
        "output": integer(1, least=1),
        "activation": choice(ACTIVATIONS, "logistic"),
        "batch_normalize": flag(),
    }
    output: int
    activation: str
    batch_normalize: bool

    def _set_up(self, source: Shape) -> Shape:
        return Shape(self.output, 1, 1)

    @property
    def parameters(self) -> dict[str, Parameter]:
        return {
            "biases": Parameter((self.output,), "bias"),
            "weights": Parameter((self.output, self.input_shapes[0].size), "weight"),
            **(statistics(self.output) if self.batch_normalize else {}),
        }

    @property
    def operations(self) -> int:
        return 2 * self.input_shapes[0].size * self.output

    def listing(self) -> str:
        return f"Connected Layer: {self.input_shapes[0].size} inputs, {self.output} outputs"

    def table_row(self) -> str:
        return f"connected                            {self.input_shapes[0].size:4d}  ->  {self.output:4d}"

    def forward(self, inputs: Sequence[Array], parameters: Parameters) -> Array:
        x = inputs[0].reshape(len(inputs[0]), -1) @ parameters["weights"].T
        if self.batch_normalize:
            x = normalize(x, parameters)
        return activate(self.activation, x + parameters["biases"]).reshape(-1, self.output, 1, 1)
