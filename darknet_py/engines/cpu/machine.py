"""What work costs on a class of machines: the numbers by which algorithms are chosen and work is divided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Machine(NamedTuple):
    """A class of machines. A cycle is a core's for one fused multiply-add of a register; only ratios decide.

    Attributes
    ----------
    clock : float
        Cycles a second.
    streamed_bytes : float
        Of weights, a cycle and core, that come from memory.
    tile_cycles : float
        Of the micro-kernel's tile, outside its loop over depth.
    pad_cycles : float
        Of a register of a picture that gets edges.
    window_cycles, spread_cycles : float
        Of a register of a convolution in small groups besides its taps, and of a product in groups of some channels.
    split_cycles : float
        Of a number of a picture that is split into phases.
    transform_cycles : mapping of int to (float, float)
        Of a Winograd tile of n x n, of one block of channels, by n: of inputs, of outputs.
    planar_cycles : (float, float)
        Of planar Winograd tiles: of LANES tiles' inputs, of a channel; of a tile's outputs, of a block.
    sum_cycles : (float, float)
        Of Strassen's additions for a pair of pixels and a pair of blocks: of inputs, of outputs.
    strassen_pixels : int
        Of a picture, at least: with fewer, Strassen's products are too small for the weights they read.
    fused_bytes, fused_weights, fused_tiles : int
        Winograd's three steps are one where a thread's tiles and products have so many bytes at most, the weights so
        many at most, and an item so many tiles at least.
    chunk_bytes : int
        Of Winograd tiles that are worked on at a time, where the steps are three.
    streamed_weights, streamed_chunk : int
        The same where the weights have more bytes than this.
    claimed_weights : int
        Bytes of weights from which on an item's are fetched during the one before it.
    cached_weights : int
        Bytes of weights that are taken to lie in a cache already.
    items, item_tiles, item_bytes : int
        Of an operation at least; tiles in an item at most; and bytes of what one of a convolution in small groups
        gives.
    padded_bytes : int
        Of a block's padded picture, at most, that a convolution in small groups makes.
    cached_bytes : int
        Of a layer's input and output that its neighbours still find in a cache.
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


# Measured on 2 Zen 4 cores with AVX-512 that multiply at 114.5 GFLOP/s each and read memory at 32 GB/s together. Of
# transforms instructions are counted, no waiting; Strassen's sums were measured at 16 x 16 to 64 x 64 pixels. What is
# fused stays in a core's second cache, its weights, which all groups of tiles read anew, in the third. Many weights are
# better read once, from memory, than transformed tiles kept in a cache: layers of 512 channels at 28 x 28 take 4.8 ms
# for 5.2 on two cores. Fetching an item's weights ahead made 3 x 3 layers of 256 to 512 channels at 14 x 14 take
# 0.78 ms for 1.11. Tiles of an item share its weights; few items would leave threads without work.
# Few weights are in a cache: with AVX2 a 3 x 3 layer of 128 to 32 channels at 8 x 8 took 0.024 ms in tiles of 6 x 6, of
# 590 KB of weights, for 0.034 in those of 4 x 4.
# Those of planar tiles make up the ratio to `direct_pixels` that was measured of 1 to 15 channels and 16 to 128 filters
# at 13 x 13 to 224 x 224: 0.45 to 0.92 of its time.
# A depthwise 3 x 3 layer of 384 channels at 28 x 28 took 13 cycles a register, groups of 4 at 64 x 64 took 1.3 a
# product; what an item of either gives takes half of the first cache.
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
# in tiles of 4 x 4, whose weights are fewer, for 1.23 in those of 6 x 6; of 256 to 512 at 7 x 7 0.36 for 0.59. Planar
# tiles took 0.62 to all of the time of `direct_pixels`.
ZEN_4_AVX2 = ZEN_4._replace(clock=7.2e9, streamed_bytes=3.3, planar_cycles=(280, 160))
