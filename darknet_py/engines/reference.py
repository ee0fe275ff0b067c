"""Runs the layers' own NumPy definitions: slow, obvious, what every other engine is held to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..layers import Array, Layer
from ..parameters import Parameters


class ReferenceEngine:
    """Layer by layer, every output kept until nothing needs it."""

    name = "reference"
    interpolate = None
    defined: Mapping[int, str] = {}  # nobody expects anything else of it

    def __init__(self, layers: Sequence[Layer], parameters: Iterable[Mapping[str, Array]]) -> None:
        self.parameters = Parameters.gather(layers, parameters)  # a copy: the caller's arrays may change later

    def plan(self, layers: Sequence[Layer]) -> ReferencePlan:
        """A plan for `layers`, shaped for some size of picture."""
        return ReferencePlan(layers, self.parameters)

    def fork(self, threads: int) -> ReferenceEngine:
        """Itself: plans share nothing that changes."""
        return self


class ReferencePlan:
    """The forward pass at one size of picture."""

    def __init__(self, layers: Sequence[Layer], parameters: Parameters) -> None:
        self.layers = layers
        self.parameters = parameters
        self.last_use = {source: layer.index for layer in layers for source in layer.inputs}

    def run(self, batch: Array) -> Array:
        """Outputs (n, outputs) for float32 `batch` (n, channels, height, width)."""
        for _, output in self.outputs(batch):
            answer = output
        return answer.reshape(len(batch), -1)

    def outputs(self, batch: Array) -> Iterator[tuple[Layer, Array]]:
        """Each layer and what it gives for `batch`, in order; none for one that comes last and does not answer."""
        values = {-1: batch}
        for layer, parameters in zip(self.layers, self.parameters, strict=True):
            if not layer.answers and layer.index == len(self.layers) - 1 and layer.index:
                return
            values[layer.index] = layer.forward([values[i] for i in layer.inputs], parameters)
            yield layer, values[layer.index]
            for source in set(layer.inputs):
                if self.last_use[source] == layer.index:
                    del values[source]
