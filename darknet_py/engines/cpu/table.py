"""What Python and compiled code agree on: the operations, calls, a team's mailbox."""

from __future__ import annotations

from ...layers.batchnorm import GRADIENT_EPSILON as GRADIENT_EPSILON
from . import isa
from .isa import BLOCK, LANES
from .operations import CURVES as CURVES
from .operations import INTEGERS, NUMBERS, OPERATIONS
from .toom import MOST_POINTS, PLANAR

FIELDS, FLOATS = len(INTEGERS), len(NUMBERS)  # of an operation's rows
# Opcodes, in the order of `OPERATIONS`.
(
    GEMM_OP, MULTIPLY_ROWS_OP, WINOGRAD_INPUT_OP, WINOGRAD_OUTPUT_OP, WINOGRAD_OP, PLANAR_WINOGRAD_OP, STRASSEN_OP,
    GROUPED_OP, PAD_OP, TO_PIXELS_OP, TO_PHASES_OP, TO_BLOCKS_OP, FLATTEN_OP, CROP_OP, MAX_POOL_OP, AVG_POOL_OP,
    ADD_OP, SCALE_OP, SCALE_CHANNELS_OP, SOFTMAX_OP, PACK_OP, PACK_WINOGRAD_OP, SUM_PRODUCTS_OP, ADD_GRADIENTS_OP,
    MEASURE_OP, FOLD_MEASURES_OP, NORMALIZE_OP, BEND_DELTA_OP, FOLD_DELTA_OP, NORMALIZE_DELTA_OP, ADD_DELTA_OP,
    MULTIPLY_CELLS_OP, MAX_POOL_DELTA_OP, AVG_POOL_DELTA_OP, SPREAD_OP, SHORTCUT_DELTA_OP, TO_PLAIN_OP, UPDATE_SGD_OP,
    UPDATE_ADAM_OP,
) = range(len(OPERATIONS))  # fmt: skip

# What a walk is given: the addresses of a table of so many rows, of its floats, and of a clock.
ROWS, TABLE, NUMBERS_AT, CLOCK, CALL_FIELDS = range(5)

# Bytes that a thread needs for itself: Winograd's largest tile, twice.
TILE = MOST_POINTS**2 * BLOCK
SCRATCH = 2 * TILE

# A team's mailbox: a line for the barriers; a line that says what is walked; then, for each thread, a line of its own
# and two counters of items, a line each, for every other operation. Thread 0's own line is the second.
# The barriers' line: how many have arrived, since the team began; the stretch of a walk that does better with fewer
# threads, as it was posted; how many had arrived where one ended before its time.
ARRIVED, LATE, END = 0, 1, 2
# The second: the number of the stretch that was posted last, and behind it how many threads walk it; its call, 0 where
# all are to leave; its first row; how many had arrived before it. Then what the caller alone looks at: how many threads
# work, 0 for all; until when, and for how long if that is too early; when they were last made more.
POSTED, CALL, FROM, BASE, WORKING, UNTIL, PAUSE, RAISED, POST_FIELDS = range(9)
MOST_THREADS = 1 << 16
# The others': whether it sleeps, the lock that wakes it, its number in the system, 0 where that is not known, and the
# core on which it looked for work last.
ASLEEP, ALARM, NUMBER, CORE = 0, 1, 2, 3
LINES = 3  # of each thread

# Registers that the micro-kernel of gradients goes through at a time, at most, and its function.
GROUP = 3
ACCUMULATE = "darknet_accumulate"

# The micro-kernel's functions, for pixels that lie side by side and others, in float32 and bfloat16.
MULTIPLY = tuple(
    f"darknet_multiply_{pixels}_{kind}" for kind in ("float32", "bfloat16") for pixels in ("adjacent", "strided")
)
# Kinds of positions of Winograd's tiles: that all have, not those of the last column, of the last row, of either.
KIND_COUNT = 4
# Winograd's transforms of lines: of inputs, from bfloat16, to bfloat16, of outputs.
TRANSFORMS = tuple(f"darknet_transform_{kind}" for kind in ("input", "input_widening", "input_narrowing", "output"))
# The last one of outputs, with what comes behind it, in float32 and bfloat16.
FINISH = "darknet_finish_float32", "darknet_finish_bfloat16"
# The same of which 2 x 2 outputs become one.
HALVE = "darknet_halve_float32", "darknet_halve_bfloat16"
# Of planar tiles: the last transform of inputs, and products with the first of outputs; and how many tiles these take
# at a time, whose columns of positions the accumulators of the micro-kernel's tile have room for.
PLANAR_TILES = "darknet_transform_planar", "darknet_multiply_planar"
PLANAR_COUNT = isa.ROWS * isa.COLUMNS // PLANAR.n
# Channels of groups that small convolutions know, and their micro-kernel's function.
SMALL_GROUPS = tuple(group for group in (1, 4, 8) if group == 1 or group < LANES)
SUM_WINDOWS = "darknet_sum_windows"
# What bends cells.
BEND = "darknet_bend"

# How many int64 the functions of `compiled.entry` take that Python calls; all return one.
COUNTS = {"work": 5, "interpolate": 13, "warp": 12}
# And those that are compiled apart from what calls them.
APART, APART_FIELDS = ("walk", "train"), 6
# What all of them are called in machine code.
SYMBOLS = {name: f"darknet_{name}" for name in (*COUNTS, *APART)}
