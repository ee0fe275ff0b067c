"""What Python and compiled code agree on: the operations, calls, a team's mailbox."""

from __future__ import annotations

from ...layers.batchnorm import GRADIENT_EPSILON as GRADIENT_EPSILON
from . import isa
from .isa import BLOCK, LANES
from .operations import CURVES as CURVES
from .operations import INTEGERS, NUMBERS, OPERATIONS
from .toom import MOST_POINTS, PLANAR

FIELDS, FLOATS = len(INTEGERS), len(NUMBERS)  # columns of an operation's two rows
# Opcodes, in the order of `OPERATIONS`.
(
    GEMM_OP, MULTIPLY_ROWS_OP, WINOGRAD_INPUT_OP, WINOGRAD_OUTPUT_OP, WINOGRAD_OP, PLANAR_WINOGRAD_OP, STRASSEN_OP,
    GROUPED_OP, PAD_OP, TO_PIXELS_OP, TO_PHASES_OP, TO_BLOCKS_OP, FLATTEN_OP, CROP_OP, MAX_POOL_OP, AVG_POOL_OP,
    ADD_OP, SCALE_OP, SCALE_CHANNELS_OP, SOFTMAX_OP, PACK_OP, PACK_WINOGRAD_OP, SUM_PRODUCTS_OP, ADD_GRADIENTS_OP,
    MEASURE_OP, FOLD_MEASURES_OP, NORMALIZE_OP, BEND_DELTA_OP, FOLD_DELTA_OP, NORMALIZE_DELTA_OP, ADD_DELTA_OP,
    MULTIPLY_CELLS_OP, MAX_POOL_DELTA_OP, AVG_POOL_DELTA_OP, SPREAD_OP, SHORTCUT_DELTA_OP, TO_PLAIN_OP, UPDATE_SGD_OP,
    UPDATE_ADAM_OP,
) = range(len(OPERATIONS))  # fmt: skip

# The fields of a call: how many rows a table has, and the addresses of the table, of its floats and of a clock.
ROWS, TABLE, NUMBERS_AT, CLOCK, CALL_FIELDS = range(5)

# Bytes that a thread needs for itself: Winograd's largest tile, twice.
TILE = MOST_POINTS**2 * BLOCK
SCRATCH = 2 * TILE

# A team's mailbox: a line for the barriers; a line that says what is walked; then, for each thread, a line of its own
# and two counters of items, a line each, which operations use in turn. Thread 0's own line is the second.
# The barriers' line: the number of arrivals since the team began; the stretch of a walk that does better with fewer
# threads, as it was posted; the number of arrivals at which a stretch ended early.
ARRIVED, LATE, END = 0, 1, 2
# The second: the number of the stretch posted last, times `MOST_THREADS`, plus how many threads walk it; its call, 0
# where all are to leave; its first row; the number of arrivals before it. Then what only the caller reads: how many
# threads work, 0 for all; until when; how long such a pause is; when their number was last raised.
POSTED, CALL, FROM, BASE, WORKING, UNTIL, PAUSE, RAISED, POST_FIELDS = range(9)
MOST_THREADS = 1 << 16
# Another thread's: whether it sleeps, the lock that wakes it, its number in the system, 0 where that is not known, and
# the core on which it last looked for work.
ASLEEP, ALARM, NUMBER, CORE = 0, 1, 2, 3
LINES = 3  # of each thread

# The most registers that the micro-kernel of gradients goes through at a time, and its function.
GROUP = 3
ACCUMULATE = "darknet_accumulate"

# The micro-kernel's functions, for adjacent pixels and others, in float32 and bfloat16.
MULTIPLY = tuple(
    f"darknet_multiply_{pixels}_{kind}" for kind in ("float32", "bfloat16") for pixels in ("adjacent", "strided")
)
# Kinds of positions of Winograd's tiles: those of all tiles, of all but the last column's, the last row's, either's.
KIND_COUNT = 4
# Winograd's transforms of lines: of inputs, in float32, from bfloat16 and to bfloat16, and of outputs.
TRANSFORMS = tuple(f"darknet_transform_{kind}" for kind in ("input", "input_widening", "input_narrowing", "output"))
# The last transform of outputs, with bias, activations and residual, to float32 and bfloat16.
FINISH = "darknet_finish_float32", "darknet_finish_bfloat16"
# The same, where each 2 x 2 outputs become one.
HALVE = "darknet_halve_float32", "darknet_halve_bfloat16"
# Of planar tiles: the last transform of inputs, and products with the first transform of outputs. These take as many
# tiles at a time as the accumulators of the micro-kernel's tile have room for columns of positions.
PLANAR_TILES = "darknet_transform_planar", "darknet_multiply_planar"
PLANAR_COUNT = isa.ROWS * isa.COLUMNS // PLANAR.n
# The sizes of groups, in channels, for which convolutions in small groups are compiled, and their micro-kernel.
SMALL_GROUPS = tuple(group for group in (1, 4, 8) if group == 1 or group < LANES)
SUM_WINDOWS = "darknet_sum_windows"
# The function that applies curves to cells.
BEND = "darknet_bend"

# How many int64 each function of `compiled.entry` takes that Python calls; all return one.
COUNTS = {"work": 5, "interpolate": 13, "warp": 12}
# The functions that are compiled apart from their callers, and how many int64 they take.
APART, APART_FIELDS = ("walk", "train"), 6
# The names of all of these in machine code.
SYMBOLS = {name: f"darknet_{name}" for name in (*COUNTS, *APART)}
