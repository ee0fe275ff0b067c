"""Moves: pictures in another layout, or padded."""

from __future__ import annotations

from .base import Operation


class Pad(Operation):
    """Blocked pictures, with zeros around them."""

    a: int
    c: int
    cell: int
    blocks: int
    images: int
    height: int
    width: int
    padding: int  # before the first row and column
    out_height: int
    out_width: int


class ToPixels(Operation):
    """Pictures of few channels as pixels, with zeros around them."""

    a: int
    a_batch: int
    a_plane: int
    a_row: int
    pixel: int
    cell: int
    c: int
    channels: int
    images: int
    height: int
    width: int
    padding: int
    out_height: int
    out_width: int


class ToPhases(Operation):
    """Pictures of few channels, split into phases as channels, blocked."""

    a: int
    a_batch: int
    a_plane: int
    a_row: int
    pixel: int
    cell: int
    c: int
    channels: int
    images: int
    height: int
    width: int
    padding: int
    stride: int
    blocks: int
    out_height: int
    out_width: int


class ToBlocks(Operation):
    """Plain pictures, blocked."""

    a: int
    c: int
    out_cell: int
    blocks: int
    channels: int
    images: int
    height: int
    width: int


class Flatten(Operation):
    """Blocked pictures as pictures of one cell."""

    a: int
    c: int
    cell: int
    blocks: int
    cells: int  # of a picture's block
    images: int
