"""What Python and compiled code agree on: operations, calls, a team's mailbox.

An operation is a row of int64 that says all about one call of a kernel. A plan is a table of such rows; compiled code
walks it without coming back to Python. Addresses and strides are in bytes. Not every kernel uses every column, and
some mean something of their own to a kernel, as said there.
"""

from __future__ import annotations

(
    OPCODE,
    BATCHES,  # products that share nothing: the positions of a Winograd tile, the blocks of a grouped convolution
    PANELS,  # panels of COLUMNS registers of output channels
    LAST_COLUMNS,  # registers in the last of them
    ROW_COUNT,  # rows of output pixels
    PIXELS,  # output pixels in a row
    CHUNK,  # tiles that a thread takes at a time
    CLAIM,  # whether threads take their next item early, to fetch its weights meanwhile
    CELL,  # bytes of a pixel's LANES channels in A, and in Winograd's tiles: BLOCK, or HALF where they are bfloat16
    OUT_CELL,  # the same in C, and in RESIDUAL
    PIXEL,  # from one pixel of a tile to the next in A
    A, A_BATCH, A_ROW,
    B, B_BATCH, B_PANEL,
    C, C_BATCH, C_ROW, C_PLANE,
    TAPS, TAP_COUNT, DEPTH,
    BIAS, BIAS_BATCH, RESIDUAL,
    # Of kernels that move, transform or pool pictures:
    IMAGES, CHANNELS, OUT_CHANNELS, BLOCKS, SUMMED_BLOCKS, HEIGHT, WIDTH, OUT_HEIGHT, OUT_WIDTH, SIZE, STRIDE,
    PADDING, SPREAD, A_PLANE,
    # Of Winograd's convolution: tiles in a column and a row of a picture, cells in a side of an input and output tile.
    TILE_ROWS, TILE_COLUMNS, FIRST_ROW, IN_TILE, OUT_TILE, OUT_BLOCKS, GROUP_SIZE, GROUPS, TILES, TILES_PLANE, PRODUCTS,
    PRODUCTS_PLANE, THREAD_BYTES, NO_BIAS, SUM_TAPS,
    FACTOR,
    CURVE,  # an activation's place in CURVES, from 1; 0 for x > 0 ? x : slope * x
    TOP, LEFT, A_BLOCK,  # of a crop: its first row and column; from LANES channels to the next in A
    FIELDS,
) = range(62)  # fmt: skip

# Opcodes.
(
    GEMM,
    WINOGRAD_INPUT,
    WINOGRAD_OUTPUT,
    WINOGRAD,
    PAD,
    TO_PIXELS,
    TO_BLOCKS,
    MAXPOOL,
    AVGPOOL,
    ADD,
    PACK,
    PACK_WINOGRAD,
    FLATTEN,
    SOFTMAX,
    STRASSEN,
    TO_PHASES,
    SCALE,
    CROP,
) = range(18)

# Activations that are compiled besides x > 0 ? x : slope * x.
CURVES = "logistic", "loggy", "elu", "selu", "ramp", "tanh", "plse", "lhtan", "hardtan", "stair"

# Floats that go with a row.
SLOPE, FINAL, ALPHA, BETA, NUMBERS = range(5)

# What a walk is given: the addresses of a table of so many rows, of its floats, of its counters, and of a clock.
ROWS, TABLE, NUMBERS_AT, SYNC, CLOCK, CALL_FIELDS = range(6)

# Bytes that a thread needs for itself: Winograd's largest tile, twice.
SCRATCH = 2 * 8 * 8 * 64

# A team's mailbox: how many calls were posted; the last one's address, or 0 where all threads are to leave; how many
# threads walk it. Then, a line for each thread: whether it sleeps, the lock that wakes it, and its number in the
# system, 0 where that is not known.
POSTED, CALL, THREADS = 0, 1, 2
ASLEEP, ALARM, NUMBER = 0, 1, 2

# The micro-kernel's functions, for pixels that lie side by side and others, in float32 and bfloat16.
MULTIPLY = tuple(
    f"darknet_multiply_{pixels}_{kind}" for kind in ("float32", "bfloat16") for pixels in ("adjacent", "strided")
)
