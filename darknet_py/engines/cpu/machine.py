"""What work costs on a class of machines: the numbers by which algorithms are chosen and work is divided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Machine(NamedTuple):
    """A class of machines. A cycle is what a core takes for a fused multiply-add of a register; only ratios decide.

    Attributes
    ----------
    clock : float
        Cycles a second.
    streamed_bytes : float
        Bytes of weights that a core reads from memory in a cycle.
    tile_cycles : float
        Per tile of the micro-kernel, outside its loop over depth.
    pad_cycles : float
        Per register of a picture that is padded.
    window_cycles, spread_cycles : float
        Per register of a convolution in small groups, besides its taps; and per product in groups of several channels.
    split_cycles : float
        Per number of a picture that is split into phases.
    transform_cycles : mapping of int to (float, float)
        Per Winograd tile of n x n and block of channels, by n: of inputs, of outputs.
    planar_cycles : (float, float)
        Of planar Winograd tiles: per channel of LANES tiles' inputs; per block of a tile's outputs.
    sum_cycles : (float, float)
        Of Strassen's additions, per pair of pixels and pair of blocks: of inputs, of outputs.
    strassen_pixels : int
        The fewest pixels of a picture: with fewer, Strassen's products are too small for the weights they read.
    fused_bytes, fused_weights, fused_tiles : int
        Winograd's three steps are fused where a thread's tiles and products have at most this many bytes, the weights
        at most this many, and an item at least this many tiles.
    chunk_bytes : int
        Of Winograd tiles and products that are worked on at a time, where the steps are not fused.
    streamed_weights, streamed_chunk : int
        Bytes of weights beyond which the second number replaces `chunk_bytes`.
    claimed_weights : int
        Bytes of weights from which on an item's are fetched during the item before it.
    cached_weights : int
        The most bytes of weights that are assumed to be in a cache already.
    items, item_tiles, item_bytes : int
        The fewest items of an operation; the most tiles in an item; and the most bytes of output of an item of a
        convolution in small groups.
    padded_bytes : int
        The most bytes of a block's padded picture that a convolution in small groups makes.
    cached_bytes : int
        The most bytes of a layer's input and output that stay in a cache from layer to layer.
    """

    clock: float
    streamed_bytes: float
    tile_cycles: float
    pad_cycles: float
    window_cycles: float
    spread_cycles: float
    split_cycles: float
    transform_cycles: Mapping[int, tuple[float, float]]
    planar_cycles: tuple[float, float]
    sum_cycles: tuple[float, float]
    strassen_pixels: int
    fused_bytes: int
    fused_weights: int
    fused_tiles: int
    chunk_bytes: int
    streamed_weights: int
    streamed_chunk: int
    claimed_weights: int
    cached_weights: int
    items: int
    item_tiles: int
    item_bytes: int
    padded_bytes: int
    cached_bytes: int


# Measured on 2 Zen 4 cores with AVX-512 that multiply at 114.5 GFLOP/s each and read memory at 32 GB/s together. The
# cycles of transforms count instructions, no waiting; Strassen's sums were measured at 16 x 16 to 64 x 64 pixels. What
# is fused stays in a core's L2 cache, its weights, which every group of tiles reads again, in the L3. Reading many
# weights only once, from memory, is better than keeping transformed tiles in a cache: layers of 512 channels at 28 x 28
# take 4.8 ms instead of 5.2 on two cores. Fetching an item's weights ahead made 3 x 3 layers of 256 to 512 channels at
# 14 x 14 take 0.78 ms instead of 1.11. Tiles of an item share its weights; few items would leave threads without work.
# Few weights stay in a cache: with AVX2 a 3 x 3 layer of 128 to 32 channels at 8 x 8 took 0.024 ms in tiles of 6 x 6,
# with 590 KB of weights, and 0.034 in tiles of 4 x 4.
# The cycles of planar tiles are fitted to the ratio to `direct_pixels` measured for 1 to 15 channels and 16 to 128
# filters at 13 x 13 to 224 x 224: 0.45 to 0.92 of its time.
# A depthwise 3 x 3 layer of 384 channels at 28 x 28 took 13 cycles a register, groups of 4 at 64 x 64 took 1.3 a
# product; the output of an item of either takes half of the L1 cache.
ZEN_4 = Machine(
    clock=3.6e9,
    streamed_bytes=4.4,
    tile_cycles=60,
    pad_cycles=3,
    window_cycles=4,
    spread_cycles=1.3,
    split_cycles=2,
    transform_cycles={3: (40, 30), 4: (60, 50), 6: (190, 170), 8: (380, 330)},
    planar_cycles=(290, 90),
    sum_cycles=(25, 55),
    strassen_pixels=128,
    fused_bytes=512 << 10,
    fused_weights=4 << 20,
    fused_tiles=6,
    chunk_bytes=4 << 20,
    streamed_weights=24 << 20,
    streamed_chunk=16 << 20,
    claimed_weights=1 << 20,
    cached_weights=1 << 20,
    items=16,
    item_tiles=24,
    item_bytes=16 << 10,
    padded_bytes=24 << 10,
    cached_bytes=16 << 20,
)
# The same with AVX2: registers of half the size are multiplied twice as fast. One core alone read the 33 MB of weights
# of a 3 x 3 layer of 512 to 1024 channels at 4 x 4 in 1.4 ms. On two cores layers of 512 channels at 8 x 8 took 0.79 ms
# in tiles of 4 x 4, whose weights are fewer, and 1.23 in tiles of 6 x 6; those of 256 to 512 channels at 7 x 7 took
# 0.36 and 0.59. Planar tiles took 0.62 to 1 of the time of `direct_pixels`.
ZEN_4_AVX2 = ZEN_4._replace(clock=7.2e9, streamed_bytes=3.3, planar_cycles=(280, 160))
