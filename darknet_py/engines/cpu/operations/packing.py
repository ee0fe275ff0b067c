"""Weights in the order in which products read them."""

from __future__ import annotations

from .base import Operation


class Pack(Operation):
    """Weights, times a factor of each filter, in the micro-kernel's order."""

    weights: int
    filter_stride: int
    channel_stride: int
    tap_stride: int
    b: int
    b_panel: int
    panels: int
    last_columns: int
    channels: int
    out_channels: int
    tap_count: int
    factor: int


class PackWinograd(Operation):
    """The same, transformed."""

    weights: int
    filter_stride: int
    channel_stride: int
    row_stride: int
    tap_stride: int
    tap_rows: int  # of a window; the others are zero
    tap_columns: int
    b: int
    b_panel: int
    b_batch: int
    panels: int
    last_columns: int
    channels: int
    first_channel: int  # where the channels begin among those at B
    out_channels: int
    in_tile: int
    size: int  # the side of a window
    factor: int
    transform: int  # the matrix
