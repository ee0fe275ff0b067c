"""Products: convolutions and connected layers, as their algorithms divide them."""

from __future__ import annotations

from .base import Operation


class Gemm(Operation):
    """Products of pixels and weights, for each batch, panel of output channels and row of pixels."""

    batches: int  # products that share nothing: the positions of a Winograd tile, the blocks of a grouped convolution
    panels: int  # panels of COLUMNS registers of output channels
    last_columns: int  # registers in the last of them
    row_count: int  # rows of output pixels
    pixels: int  # output pixels in a row
    spans: int  # as below, where rows are groups of Winograd's tiles; 0 where all batches have all pixels
    kinds: int  # of batches, where these are positions of Winograd's tiles
    chunk: int  # tiles that a thread takes at a time
    by_pixels: int  # whether all panels of a chunk of tiles come one after another
    claim: int  # whether threads take their next item early, to fetch its weights meanwhile
    early: int  # the weights of a later operation, fetched meanwhile; 0 where none are
    early_bytes: int  # of these, fetched by an item
    cell: int  # bytes of a pixel's LANES channels in A
    out_cell: int  # the same in C, and in the residual
    pixel: int  # from one pixel of a tile to the next in A
    a: int
    a_batch: int
    a_row: int
    b: int
    b_batch: int
    b_panel: int
    c: int
    c_batch: int
    c_row: int
    c_plane: int
    taps: int  # offsets in A
    tap_ranges: int  # of each batch, the first of its taps and how many there are; 0 where all batches have all
    tap_count: int
    depth: int
    bias: int  # 0 where sums are stored as they are
    bias_batch: int
    residual: int  # added before the last activation; 0 where there is none
    curve: int  # after that, an activation's place in CURVES, from 1; 0 for none
    slope: float
    final: float


class MultiplyRows(Operation):
    """Products of pictures of one cell and rows of weights, one for each output, as a weights file has them."""

    a: int
    a_plane: int
    weights: int
    filter_stride: int  # from one row to the next
    channels: int  # inputs
    out_channels: int
    pixels: int  # pictures
    taps: int  # offsets of the first blocks in A
    bias: int
    no_bias: int  # zeros
    c: int
    c_plane: int


class WinogradInput(Operation):
    """Tiles of pictures, transformed."""

    groups: int  # of tiles, which are stored together
    group_size: int  # tiles in a group, at most
    order: int  # the tiles' numbers, group by group, counted through all pictures
    spans: int  # of each group, by kinds of positions: the first of its tiles that has these, and how many do
    tile_rows: int  # tiles in a column and in a row of a picture
    tile_columns: int
    in_tile: int  # the side of an input and of an output tile
    out_tile: int
    tiles: int
    tiles_plane: int
    a: int
    origins: int  # of each block of tiles: from A to its plane, the row and column of the first tile's first input
    blocks: int
    height: int
    width: int
    out_height: int
    out_width: int
    stride: int  # from an input of a tile to the next
    cell: int  # of the tiles


class WinogradOutput(Operation):
    """Products of tiles, transformed back."""

    groups: int
    group_size: int
    order: int
    spans: int
    tile_rows: int
    tile_columns: int
    in_tile: int
    out_tile: int
    products: int
    products_plane: int
    out_blocks: int
    out_height: int
    out_width: int
    c: int
    c_plane: int
    bias: int
    residual: int
    halved_height: int  # of the pictures at C, where each 2 x 2 pixels become one; else 0
    halved_width: int
    out_cell: int
    curve: int
    slope: float
    final: float


class Winograd(Operation):
    """All of a convolution by Winograd's algorithm, group of tiles by group of tiles."""

    batches: int  # convolutions of their own blocks of channels; a batch of B is a position of one of them
    groups: int
    group_size: int
    order: int
    spans: int
    kinds: int  # of each position, by its number
    tile_rows: int
    tile_columns: int
    in_tile: int
    out_tile: int
    tiles: int
    tiles_plane: int
    products: int
    products_plane: int
    thread_bytes: int  # of a thread's tiles and products
    a: int
    origins: int
    blocks: int
    height: int
    width: int
    stride: int
    cell: int
    b: int
    b_batch: int
    b_panel: int
    panels: int
    last_columns: int
    taps: int
    tap_ranges: int
    tap_count: int
    depth: int
    out_blocks: int
    out_height: int
    out_width: int
    c: int
    c_plane: int
    bias: int
    residual: int
    halved_height: int
    halved_width: int
    out_cell: int
    curve: int
    slope: float
    final: float


class PlanarWinograd(Operation):
    """All of a convolution of few channels by Winograd's algorithm, some tiles of a row at a time."""

    images: int
    tile_rows: int
    tile_columns: int
    tiles: int
    products: int  # of some tiles; before these, the pixels that the tiles are made of
    thread_bytes: int
    a: int
    a_batch: int
    a_plane: int
    a_row: int
    pixel: int
    cell: int
    channels: int
    height: int
    width: int
    padding: int
    b: int
    b_panel: int
    out_blocks: int
    out_height: int
    out_width: int
    c: int
    c_plane: int
    bias: int
    residual: int
    halved_height: int
    halved_width: int
    out_cell: int
    curve: int
    slope: float
    final: float


class Strassen(Operation):
    """A 1 x 1 convolution by Strassen's algorithm."""

    a: int
    a_plane: int
    images: int
    pixels: int
    groups: int  # of pairs of pixels, each an item
    group_size: int  # pairs in one, at most
    blocks: int
    out_blocks: int
    b: int
    b_panel: int
    panels: int
    taps: int
    sum_taps: int  # the same in sums
    tiles: int  # where sums are stored
    products: int
    thread_bytes: int
    c: int
    c_plane: int
    bias: int
    residual: int
    curve: int
    slope: float
    final: float


class Grouped(Operation):
    """A convolution in groups of a few channels, as many out as in."""

    a: int
    c: int
    cell: int
    out_cell: int
    blocks: int
    images: int
    height: int
    width: int
    group_channels: int
    size: int
    stride: int
    padding: int
    out_height: int
    out_width: int
    item_rows: int  # rows of output in an item
    padded: int  # where its padded pixels are stored, in float32; 0 where they are read without a copy
    thread_bytes: int
    row_sums: int  # where the sums of its rows are stored, in float32; 0 where they are not wanted
    b: int
    bias: int
    residual: int
    curve: int
    slope: float
    final: float
