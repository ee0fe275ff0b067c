"""Which implementation computes a convolution: a list, best first, by predicted time; each may decline.

The choice is by model, never by timing, so that a network's answers are the same in every run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...layers import Shape
from ...layers.convolutional import Convolutional
from .isa import BLOCK, COLUMNS, DOTS, HALF, ISA, LANES, ROWS

# Of a machine with 2 Zen 4 cores that multiplies at 114.5 GFLOP/s a core. Only ratios decide.
CLOCK = 3.6e9  # fused multiply-adds of a register a second, on one core
WEIGHT_BYTES_PER_CYCLE = 4.4  # per core, streamed from memory at 32 GB/s with both cores at it
TILE_OVERHEAD = 60  # cycles a tile outside its loop over depth
# Cycles to transform a tile of n x n, of one block of channels: input, output. Instructions are counted, no waiting.
TRANSFORM_CYCLES = {4: (60, 50), 6: (190, 170), 8: (380, 330)}
QUARTER_PIXELS = 128  # with fewer, Strassen's products are too small for the kernels they read
# Cycles of Strassen's additions for a pair of pixels and a pair of blocks: of inputs, of outputs. Measured at 16 x 16
# and 32 x 32 pixels.
SUM_CYCLES = 40, 100
SPLIT_CYCLES = 2.0  # a number of a picture that is split into phases
WINOGRAD = (6, 3), (4, 3), (2, 3), (4, 5), (2, 5)  # m and r of F(m x m, r x r)
PHASES = (5, 4), (3, 4), (6, 3), (4, 3)  # the same, of a strided kernel's phases


@dataclass(frozen=True)
class Choice:
    """An implementation of a convolution.

    Attributes
    ----------
    name : str
        Of the algorithm: ``wino_4x4_3x3``, ``strassen_1x1``, ``gemm_1x1``, ``direct``, ``direct_pixels``,
        ``phases_wino_5x5_4x4``, ``definition``.
    cycles : float
        Predicted, for one picture on one core.
    reason : str
        Why it declines; empty where it can.
    tile, side : int
        m and r of Winograd's F(m x m, r x r), else 0.
    plain : bool
        Whether it can read pictures in plain layout.
    narrow : bool
        Whether it multiplies in bfloat16.
    """

    name: str
    cycles: float = float("inf")
    reason: str = ""
    tile: int = 0
    side: int = 0
    plain: bool = False
    narrow: bool = False

    @property
    def cell(self) -> int:
        """Bytes of LANES channels of a pixel, where they are multiplied."""
        return HALF if self.narrow else BLOCK

    @property
    def implementation(self) -> str:
        """The id: algorithm and instruction set."""
        return self.name if self.name == "definition" else f"{self.name}{'_bfloat16' * self.narrow}:{ISA.name}"


def choose(layer: Convolutional, precision: str = "float32") -> list[Choice]:
    """All implementations, the one to take first, those that decline last."""
    if precision == "bfloat16":
        return _choose_narrow(layer)
    candidates = [
        *(_winograd(layer, m, r) for m, r in WINOGRAD),
        *(_phases(layer, m, r) for m, r in PHASES),
        _quarters(layer),
        _direct(layer),
        _pixels(layer),
    ]
    candidates.append(Choice("definition", 1e15))
    return _sorted(candidates)


def _choose_narrow(layer: Convolutional) -> list[Choice]:
    """Those that multiply in bfloat16, and for few channels, which are a picture's, those in float32.

    With the picture itself in bfloat16, too, one photograph of 50 more was taken for something else. Tiles of 8 x 8
    cells err by 0.046 of an output's spread, those of 6 x 6 by 0.011.
    """
    candidates = [
        replace(choice, reason="is not precise enough in bfloat16") if choice.tile + choice.side - 1 == 8 else choice
        for choice in (_winograd(layer, m, r, True) for m, r in WINOGRAD)
    ]
    candidates += [*(_phases(layer, m, r) for m, r in PHASES), _direct(layer, True), _pixels(layer)]
    return _sorted([*candidates, Choice("definition", 1e15)])


def _sorted(candidates: list[Choice]) -> list[Choice]:
    return sorted(candidates, key=lambda choice: (bool(choice.reason), choice.cycles))


def _blocks(channels: int) -> int:
    return -(-channels // LANES)


def _product_cycles(pixels: int, depth: int, channels: int, batches: int = 1, narrow: bool = False) -> float:
    """Of `batches` products pixels x depth x channels: arithmetic, or the kernels' way from memory."""
    columns = _blocks(channels)
    weights = batches * depth * columns * LANES * (2 if narrow else 4)
    if narrow and DOTS:
        depth = depth // 2
    tiles = -(-pixels // ROWS)
    # A tile of few pixels is bound by loading kernels: one load for each column, one broadcast a pixel.
    loads = tiles * columns + pixels * columns / COLUMNS
    arithmetic = batches * (max(pixels * columns, loads) * depth + tiles * columns * TILE_OVERHEAD / COLUMNS)
    return max(arithmetic, weights / WEIGHT_BYTES_PER_CYCLE)


def _winograd(layer: Convolutional, m: int, r: int, narrow: bool = False) -> Choice:
    name = f"wino_{m}x{m}_{r}x{r}"
    source, shape = layer.input_shapes[0], layer.shape
    if (layer.size, layer.stride, layer.groups) != (r, 1, 1):
        return Choice(name, reason=f"needs a {r} x {r} kernel, stride 1, one group")
    if source.channels < LANES:
        return Choice(name, reason=f"needs at least {LANES} channels")
    return Choice(name, _winograd_cycles(m, r, source.channels, shape, narrow), tile=m, side=r, narrow=narrow)


def _phases(layer: Convolutional, m: int, r: int) -> Choice:
    name = f"phases_wino_{m}x{m}_{r}x{r}"
    source, shape, s = layer.input_shapes[0], layer.shape, layer.stride
    if layer.groups != 1 or s == 1 or -(-layer.size // s) != r:
        return Choice(name, reason=f"needs a stride of which {r} make a kernel's side, one group")
    if source.channels >= LANES:
        return Choice(name, reason=f"needs fewer than {LANES} channels")
    split = source.size * SPLIT_CYCLES
    cycles = split + _winograd_cycles(m, r, source.channels * s * s, shape)
    return Choice(name, cycles, tile=m, side=r, plain=True)


def _winograd_cycles(m: int, r: int, channels: int, shape: Shape, narrow: bool = False) -> float:
    """Cycles for a picture of `channels`, by F(m x m, r x r), to `shape`."""
    n = m + r - 1
    tiles = -(-shape.height // m) * -(-shape.width // m)
    into, out = TRANSFORM_CYCLES[n]
    transforms = tiles * (into * _blocks(channels) + out * _blocks(shape.channels))
    return transforms + _product_cycles(tiles, _blocks(channels) * LANES, shape.channels, n**2, narrow)


def _quarters(layer: Convolutional) -> Choice:
    name = "strassen_1x1"
    source, shape = layer.input_shapes[0], layer.shape
    if (layer.size, layer.stride, layer.padding, layer.groups) != (1, 1, 0, 1):
        return Choice(name, reason="needs a 1 x 1 kernel, stride 1, no padding, one group")
    panels = 2 * COLUMNS * LANES
    if source.channels % (2 * LANES) or shape.channels % panels:
        return Choice(name, reason=f"needs channels in multiples of {2 * LANES}, and of {panels} out of it")
    pixels = shape.height * shape.width
    if pixels < QUARTER_PIXELS:
        return Choice(name, reason=f"needs at least {QUARTER_PIXELS} pixels")
    pairs = -(-pixels // 2)
    into, out = SUM_CYCLES
    sums = pairs * (into * source.channels + out * shape.channels) / (2 * LANES)
    return Choice(name, sums + _product_cycles(pairs, source.channels // 2, shape.channels // 2, 7))


def bundle(layer: Convolutional) -> int | None:
    """How many groups go together in one product, so that its channels fill whole blocks; None if none do.

    Kernels between channels of different groups are zeros there.
    """
    into, out = layer.input_shapes[0].channels // layer.groups, layer.filters // layer.groups
    together = max(1, LANES // into)
    fits = together * into % LANES == 0 and together * out % LANES == 0 and layer.groups % together == 0
    return 1 if layer.groups == 1 else together if fits else None


def _direct(layer: Convolutional, narrow: bool = False) -> Choice:
    name = "gemm_1x1" if (layer.size, layer.padding, layer.stride) == (1, 0, 1) else "direct"
    source, shape = layer.input_shapes[0], layer.shape
    together = bundle(layer)
    if together is None:
        return Choice(name, reason=f"needs groups that make up whole blocks of {LANES} channels")
    if narrow and source.channels < LANES:
        return Choice(name, reason=f"needs at least {LANES} channels in bfloat16")
    batches = layer.groups // together
    depth = _blocks(source.channels // batches) * LANES * layer.size**2
    padding = 3 * source.height * source.width * _blocks(source.channels) if layer.padding or narrow else 0
    cycles = _product_cycles(shape.height * shape.width, depth, layer.filters // batches, batches, narrow)
    return Choice(name, padding + cycles, narrow=narrow)


def _pixels(layer: Convolutional) -> Choice:
    name = "direct_pixels"
    source, shape = layer.input_shapes[0], layer.shape
    if layer.groups != 1:
        return Choice(name, reason="needs one group")
    if source.channels >= LANES:
        return Choice(name, reason=f"needs fewer than {LANES} channels")
    depth = layer.size * -(-layer.size * source.channels // 4) * 4
    return Choice(name, _product_cycles(shape.height * shape.width, depth, shape.channels), plain=True)
