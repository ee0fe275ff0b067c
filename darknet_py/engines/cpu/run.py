"""Running a network, for some number of images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ...layers import Array, Layer
from ..passes import INPUT
from . import operations as o
from .arena import address
from .builder import Table
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
        """Outputs (images, outputs)."""
        self._take(batch)
        for call in self.calls:
            if isinstance(call, Table):
                call.run(self.team)
            else:
                call()
        return self.values.read(self.output).reshape(self.images, -1)

    def measure(self, batch: Array) -> dict[int, float]:
        """Seconds by layer."""
        self._take(batch)
        seconds: dict[int, float] = defaultdict(float)
        for call in self.calls:
            if isinstance(call, Table):
                for layer, took in call.measure(self.team):
                    seconds[layer] += took
            else:
                call()
        return seconds

    def _take(self, batch: Array) -> None:
        self.values.plain[INPUT] = batch
        start = address(batch)
        for table, row in self.input_rows:
            table.table[row, o.INTEGERS.index("a")] = start
