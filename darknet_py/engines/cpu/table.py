"""What Python and compiled code agree on: the columns of operations, calls, a team's mailbox."""

from __future__ import annotations

import re

from ...layers.batchnorm import GRADIENT_EPSILON as GRADIENT_EPSILON
from .isa import BLOCK, LANES
from .operations import CURVES as CURVES
from .operations import INTEGERS, NUMBERS, OPERATIONS

_WORDS = re.compile("[A-Z][a-z]*")
# The columns of rows, by their names in capitals: A, A_BATCH, ...; floats apart.
globals().update({name.upper(): column for column, name in enumerate(INTEGERS)})
globals().update({name.upper(): column for column, name in enumerate(NUMBERS)})
FIELDS, FLOATS = len(INTEGERS), len(NUMBERS)
# Opcodes: GEMM_OP, TO_PIXELS_OP, ...
globals().update({f"{'_'.join(_WORDS.findall(o.__name__)).upper()}_OP": o.opcode for o in OPERATIONS})

# What a walk is given: the addresses of a table of so many rows, of its floats, and of a clock.
ROWS, TABLE, NUMBERS_AT, CLOCK, CALL_FIELDS = range(5)

# Bytes that a thread needs for itself: Winograd's largest tile, twice.
SCRATCH = 2 * 8 * 8 * BLOCK

# A team's mailbox: a line that counts arrivals at the barriers of a walk; then, for each thread, a line of its own and
# two counters of items, a line each, for every other operation. Thread 0's line: how many calls were posted; the last
# one's address, or 0 where all threads are to leave; how many threads walk it. The others': whether it sleeps, the lock
# that wakes it, and its number in the system, 0 where that is not known.
POSTED, CALL, THREADS = 0, 1, 2
ASLEEP, ALARM, NUMBER = 0, 1, 2
LINES = 3  # of each thread

# Registers that the micro-kernel of gradients goes through at a time, at most, and its function.
GROUP = 3
ACCUMULATE = "darknet_accumulate"

# The micro-kernel's functions, for pixels that lie side by side and others, in float32 and bfloat16.
MULTIPLY = tuple(
    f"darknet_multiply_{pixels}_{kind}" for kind in ("float32", "bfloat16") for pixels in ("adjacent", "strided")
)
# Channels of groups that small convolutions know, and their micro-kernel's function.
SMALL_GROUPS = tuple(group for group in (1, 4, 8) if group == 1 or group < LANES)
SUM_WINDOWS = "darknet_sum_windows"
