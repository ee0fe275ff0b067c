"""How much memory training takes, found out before it is taken."""

from __future__ import annotations

import math
import warnings
from bisect import bisect_left
from collections.abc import Callable, Sequence

from ..engines.base import TrainingPlan
from ..errors import DarknetWarning, UsageError
from ..limits import Limit, memory_limits, tell_size
from .options import TrainingOptions

Build = Callable[[int], TrainingPlan]


def build_within_limits(build: Build, options: TrainingOptions, file: str) -> TrainingPlan:
    """The plan that `build` makes for the options' passes.

    Raises
    ------
    UsageError
        Where training would take more memory than there is; it names subdivisions with which it would not, if any.
    """
    limits = memory_limits()  # before the plan takes any
    plan, needed = _build(build, options.pass_size, options)
    limit = _find_limit(limits, needed)
    if plan is not None and limit is None:
        return plan
    del plan
    batch, small = options.batch, [n for n in range(1, math.isqrt(options.batch) + 1) if options.batch % n == 0]
    divisors = [n for n in sorted({*small, *(batch // n for n in small)}) if n > options.subdivisions]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DarknetWarning)  # about layers, already given for the first plan
        enough = bisect_left(divisors, True, key=lambda n: _fits(build, batch // n, options, limits))
    help = f"take --subdivisions {divisors[enough]}" if divisors[enough:] else "the network is too large for it"
    images = f"{options.pass_size} image{'s' * (options.pass_size != 1)}"
    if limit is None:
        reason = f"not enough memory to train on {images} at a time"
    else:
        amount = tell_size(limit.used + needed)
        reason = f"{amount} to train on {images} at a time, more than {limit.whose} {tell_size(limit.size)}"
    raise UsageError(f"{reason}; {help}", file=file)


def _build(build: Build, pass_size: int, options: TrainingOptions) -> tuple[TrainingPlan | None, int]:
    """The plan, or None where there is too little memory for it; and how many bytes training by it will take."""
    try:
        plan = build(pass_size)
    except MemoryError:
        return None, 0
    return plan, plan.memory + 2 * options.adam * plan.parameters.values.nbytes


def _find_limit(limits: Sequence[Limit], needed: int) -> Limit | None:
    return next((limit for limit in limits if limit.used + needed > limit.size), None)


def _fits(build: Build, pass_size: int, options: TrainingOptions, limits: Sequence[Limit]) -> bool:
    plan, needed = _build(build, pass_size, options)
    return plan is not None and _find_limit(limits, needed) is None
