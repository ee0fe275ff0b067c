"""Connected layer: a matrix times the flattened input, then an activation."""

from __future__ import annotations

from collections.abc import Sequence

from ..cfg import choice, flag, integer
from .activations import ACTIVATIONS, activate, differentiate, keep
from .base import Array, Arrays, Drawn, Gradients, Layer, Saved, Shape
from .batchnorm import normalize, normalize_backward, normalize_batch, statistics
from .parameter import Parameter
from .product import multiply


class Connected(Layer):
    """`output` values, each a weighted sum over channel, row and column of the input."""

    kind = "connected"
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

    def forward(self, inputs: Sequence[Array], parameters: Arrays) -> Array:
        x = multiply(inputs[0].reshape(len(inputs[0]), -1), parameters["weights"].T)
        if self.batch_normalize:
            x = normalize(x, parameters, self.dialect)
        return activate(self.activation, x + parameters["biases"]).reshape(-1, self.output, 1, 1)

    def train(self, inputs: Sequence[Array], parameters: Arrays, drawn: Drawn) -> tuple[Array, Saved]:
        saved = {"inputs": inputs[0]}
        x = multiply(inputs[0].reshape(len(inputs[0]), -1), parameters["weights"].T)
        if self.batch_normalize:
            x, of_batch = normalize_batch(x, parameters, self.dialect, self.fixed)
            saved.update(of_batch)
        x = x + parameters["biases"]
        y = activate(self.activation, x)
        saved["activated"] = keep(self.activation, x, y)
        return y.reshape(-1, self.output, 1, 1), saved

    def backward(self, delta: Array, saved: Saved, parameters: Arrays) -> Gradients:
        delta = differentiate(self.activation, saved["activated"], delta.reshape(len(delta), -1))
        gradients = {"biases": delta.sum(axis=0)}
        if self.batch_normalize:
            delta, gradients["scales"] = normalize_backward(delta, saved, parameters, self.dialect)
        inputs = saved["inputs"]
        gradients["weights"] = multiply(delta.T, inputs.reshape(len(inputs), -1))
        return Gradients((multiply(delta, parameters["weights"]).reshape(inputs.shape),), gradients)
