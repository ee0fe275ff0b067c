"""Running a network, for some number of images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from ...layers import Array, Layer
from ..passes import INPUT
from . import operations as o
from .arena import address
from .builder import Function, Table
from .lowering import Lowering
from .prepared import Prepared
from .values import Values


class Run:
    """The tables for some number of images, on cores near or far, with what runs between them in NumPy."""

    def __init__(self, engine: Prepared, layers: Sequence[Layer], images: int, far: bool) -> None:
        self.images, self.team, self.output = images, engine.team, engine.program.output
        self.values = Values(engine, layers, images, far)
        lowering = Lowering(engine, layers, self.values)
        self.calls, self.input_rows = lowering.calls, lowering.input_rows

    def run(self, batch: Array) -> Array:
        """The outputs (images, outputs) for `batch`."""
        self._go_through(batch, lambda call: call.run(self.team))
        return self.values.read(self.output).reshape(self.images, -1)

    def measure(self, batch: Array) -> dict[int, float]:
        """The seconds that each layer takes for `batch`."""
        seconds: dict[int, float] = defaultdict(float)

        def measure(call: Table | Function) -> None:
            for layer, took in call.measure(self.team):
                seconds[layer] += took

        self._go_through(batch, measure)
        return seconds

    def _go_through(self, batch: Array, run: Callable[[Table | Function], None]) -> None:
        """Make all calls by `run`; the batch, which may be a part of a larger one, is not held afterwards."""
        none = self.values.plain[INPUT]
        self.values.plain[INPUT] = batch
        start = address(batch)
        for table, row in self.input_rows:
            table.table[row, o.INTEGERS.index("a")] = start
        try:
            for call in self.calls:
                run(call)
        finally:
            self.values.plain[INPUT] = none
