"""Where a program's values are stored, for some number of images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...layers import Array, Layer, Shape
from ...layers.softmax import Softmax
from ...limits import has_memory
from ..passes import INPUT
from .algorithms.weights import blocks, round_to_bfloat16
from .arena import LINE, address, round_up
from .isa import BLOCK, LANES
from .prepared import Prepared

if TYPE_CHECKING:
    import numpy.typing as npt


class Values:
    """Blocked values, slot by slot in the engine's memory, and those in plain layout.

    On cores that are `far` apart (`Distance`) only values of one height and width take turns in a slot: a thread writes
    the same rows of each, and finds their memory in its own core's caches. On other cores, and where memory is short,
    all values take turns, which takes less of a cache.

    Attributes
    ----------
    addresses : dict of int to int
        Of values in blocked layout.
    workspace : int
        The address of the algorithms' workspace.
    plain : dict of int to array
        Values in plain layout: the input, during a run, and those that their steps write in it.
    memory : array of uint8
        All of it.
    gaps : list of slice
        The unused line of `memory` after each buffer.
    """

    def __init__(self, engine: Prepared, layers: Sequence[Layer], images: int, far: bool) -> None:
        self.engine, self.layers, self.images = engine, layers, images
        self.program = engine.program
        self.plain: dict[int, Array] = {INPUT: np.empty(0, np.float32)}
        self._precise = self._find_precise()
        self._lay_out(far)

    def _find_precise(self) -> set[int]:
        """Values that stay in float32, whatever the others are in: outputs, and what only a softmax reads.

        Those that share their memory with another value, and sums with a residual, do not.
        """
        steps, places = self.program.steps, self.program.places
        softmax = {step.layer for step in steps if isinstance(self.layers[step.layer], Softmax)}
        read = {value for step in steps if step.layer not in softmax for value in step.reads}
        inside = Counter(place.root for place in places.values())
        return {
            step.target
            for step in steps
            if step.task == "layer" and step.sum is None and step.target not in read and inside[step.target] == 1
        }

    def _lay_out(self, far: bool) -> None:
        """Give every value its address: slots one after another, then the workspace of algorithms."""
        places = self.program.places
        slots = {value: place.slot for value, place in places.items()}
        sizes = self._slot_sizes(slots)
        if far:
            sized_slots = {value: place.sized_slot for value, place in places.items()}
            sized = self._slot_sizes(sized_slots)
            if has_memory(sum(sized)):
                slots, sizes = sized_slots, sized
        spaces = [0]
        for step in self.program.steps:
            choice = self.engine.choices.get(step.layer)
            if choice is not None and choice.algorithm is not None:
                layer, threads = self.layers[step.layer], self.engine.team.threads
                spaces.append(choice.algorithm.workspace(layer, self.images, threads))
        # The input's blocked form, for layers that need it, comes last. An unused line follows each buffer.
        sizes += [max(spaces), self._size(INPUT)]
        starts = np.cumsum([0, *(round_up(size, LINE) + LINE for size in sizes)]).tolist()
        self.memory = self.engine.memory(starts[-1])
        self.gaps = [slice(end - LINE, end) for end in starts[1:]]
        starts = [address(self.memory) + start for start in starts]
        self.workspace = starts[-3]
        self.addresses = {INPUT: starts[-2]}
        for value, place in places.items():
            shape = self.shape(place.root)
            plane = self.images * shape.height * shape.width * self.cell(value)
            self.addresses[value] = starts[slots[value]] + place.channel // LANES * plane

    def _slot_sizes(self, slots: Mapping[int, int]) -> list[int]:
        """Bytes of each slot, given the slot of each value."""
        sizes = [0] * (1 + max(slots.values()))
        for value, slot in slots.items():
            sizes[slot] = max(sizes[slot], self._size(self.program.places[value].root))
        return sizes

    def cell(self, value: int) -> int:
        """Bytes of LANES channels of a pixel of a value in blocked layout."""
        return BLOCK if value in self._precise else self.engine.cell

    def shape(self, value: int) -> Shape:
        """The shape of a value, for one picture."""
        return self.program.shape(value, self.layers)

    def _size(self, value: int) -> int:
        shape = self.shape(value)
        return self.images * blocks(shape.channels) * shape.height * shape.width * self.cell(value)

    def view(self, value: int) -> npt.NDArray[np.float32 | np.uint16]:
        """A blocked value as (blocks, images, height, width, LANES), of float32 or the bits of bfloat16."""
        shape = self.shape(value)
        start = self.addresses[value] - address(self.memory)
        cells = self.memory[start : start + self._size(value)]
        cells = cells.reshape(blocks(shape.channels), self.images, shape.height, shape.width, self.cell(value))
        return cells.view(np.float32) if self.cell(value) == BLOCK else cells.view(np.uint16)

    def read(self, value: int) -> Array:
        """A value in plain layout."""
        if value in self.plain:
            return self.plain[value]
        shape = self.shape(value)
        plain = to_float32(self.view(value)).transpose(1, 0, 4, 2, 3).reshape(self.images, -1, *shape[1:])
        return plain[:, : shape.channels]

    def write(self, value: int, plain: Array) -> None:
        """Write an array in plain layout to a blocked value."""
        shape, view = self.shape(value), self.view(value)
        padded = np.zeros((self.images, len(view) * LANES, *shape[1:]), np.float32)
        padded[:, : shape.channels] = plain
        cells = padded.reshape(self.images, len(view), LANES, *shape[1:]).transpose(1, 0, 3, 4, 2)
        view[...] = cells if view.dtype == np.float32 else round_to_bfloat16(cells.view(np.uint32)) >> 16


def to_float32(values: npt.NDArray[np.float32 | np.uint16]) -> Array:
    """Values of float32 as they are, or converted from the bits of bfloat16."""
    bits = values if values.dtype == np.float32 else values.astype(np.uint32) << 16
    return bits.view(np.float32)
