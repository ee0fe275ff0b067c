"""Connected layers in training: products with a matrix that stays where the parameters are.

A mini-batch has few pictures, so that each number of the matrix serves few products: the time depends on how often
memory is read and written.
"""

from __future__ import annotations

import numpy as np

from ....layers import Layer
from ....layers.connected import Connected
from .. import operations as o
from ..algorithms.weights import blocks
from ..arena import address
from ..isa import BLOCK, COLUMNS, LANES
from .calls import Calls
from .ending import Ending
from .products import name_implementation
from .trainer import Context, Trainer, add_delta
from .values import Value

# How much of a matrix a thread goes through at a time: adjacent groups of columns, and rows.
GROUPS, ROWS = 16, 16


def no_kernel(layer: Connected) -> str:
    """Why no compiled code trains `layer`; empty where some does."""
    inputs = layer.input_shapes[0].size
    return f"{inputs} inputs fill no blocks" if inputs % LANES else ""


class Matrix(Trainer):
    """[connected]."""

    def __init__(self, context: Context, layer: Layer) -> None:
        super().__init__(context, layer)
        self.ending = Ending(self, normalized="scales" in self.parameters)
        self.images, self.inputs = self.target.images, self.sources[0].shape.size
        self.outputs = self.target.shape.channels

    def add_forward(self, calls: Calls) -> None:
        """See `Trainer`."""
        weights, given = self.parameters["weights"], self.ending.given
        source = self.sources[0].flat(calls)
        bias = given.channels(self.context.store)
        if not self.ending.normalized:
            self.context.copied.append((bias, self.parameters["biases"]))
        keep = calls.table.keep
        calls.add(
            o.MultiplyRows(
                a=source.blocked(calls),
                a_plane=source.plane,
                weights=address(weights),
                filter_stride=weights.strides[0],
                channels=self.inputs,
                out_channels=self.outputs,
                pixels=self.images,
                taps=keep(np.arange(source.blocks, dtype=np.int64) * source.plane),
                bias=address(bias),
                no_bias=keep(np.zeros(COLUMNS * LANES, np.float32)),
                c=given.make_blocked(),
                c_plane=given.plane,
            )
        )
        self.ending.add_forward(calls)

    def add_backward(self, calls: Calls) -> None:
        """See `Trainer`."""
        self.ending.add_backward(calls)
        if self.learns:
            self._add_gradient(calls)
            self.implementations["weights"] = name_implementation("sum_rows")
        (goal,) = self.source_deltas
        if goal is not None:
            self._go_back(calls, goal)

    def _add_gradient(self, calls: Calls) -> None:
        """Add the weights' gradient: a row for each output, with images in place of pixels."""
        source, delta = self.sources[0].flat(calls), self.delta
        assert delta is not None
        calls.add(
            o.SumProducts(
                blocks=delta.blocks,
                row_count=self.outputs,
                out_height=1,
                out_width=self.images,
                chunk=1,
                a=delta.blocked(calls),
                a_plane=delta.plane,
                a_row=0,
                pixel=BLOCK,
                b=source.blocked(calls),
                b_plane=source.plane,
                b_row=0,
                b_pixel=BLOCK,
                c=address(self.gradients["weights"]),
                clear=0,
                **self._sums(calls),
            )
        )

    def _go_back(self, calls: Calls, goal: Value) -> None:
        """Add the input's delta: a row for each image, with outputs in place of pixels."""
        weights, delta, buffers = self.parameters["weights"], self.delta, self.context.buffers
        assert delta is not None
        turned = address(buffers.take(4 * self.outputs * self.images))  # an output's deltas of all images side by side
        size = dict(blocks=delta.blocks, channels=self.outputs, images=1, height=1, width=self.images)
        calls.add(o.ToPlain(a=delta.blocked(calls), c=turned, **size))
        found = Value(buffers, "delta", goal.shape, self.images)
        calls.add(
            o.SumProducts(
                blocks=blocks(self.images),
                row_count=self.images,
                out_height=self.outputs,
                out_width=1,
                chunk=ROWS,
                a=turned,
                a_plane=BLOCK,
                a_row=4 * self.images,
                pixel=0,
                b=address(weights),
                b_plane=BLOCK,
                b_row=weights.strides[0],
                b_pixel=0,
                c=address(found.make_plain()),
                clear=1,
                **self._sums(calls),
            )
        )
        add_delta(calls, found.blocked(calls), goal)

    def _sums(self, calls: Calls) -> dict[str, int]:
        """The fields that both sums share: their columns are the inputs, which are adjacent in a row."""
        return dict(
            images=1,
            parts=1,
            part_bytes=0,
            depth=LANES,
            out_blocks=self.inputs // LANES,
            groups=GROUPS,
            taps=calls.table.keep(np.zeros(1, np.int64)),
            tap_count=1,
            a_batch=0,
            b_batch=0,
            c_batch=0,
            c_row=4 * self.inputs,
        )
