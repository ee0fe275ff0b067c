"""How much memory training takes, told before it is taken."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import UsageError
from ..layers import Layer
from ..limits import memory_limits, tell_size
from .options import TrainingOptions


def training_memory(layers: Sequence[Layer], pass_size: int, adam: bool) -> int:
    """About how many bytes training takes with passes of `pass_size` images.

    Each layer's output and its delta are kept, of a normalized one what is normalized, too; of the layer whose windows
    are the most numbers, these twice.
    """
    parameters = (4 if adam else 2) * sum(layer.parameter_count for layer in layers)
    values = layers[0].input_shapes[0].size
    windows = 0
    for layer in layers:
        roles = {parameter.role for parameter in layer.parameters.values()}
        values += layer.shape.size * (2 + ("statistic" in roles))
        fan_in = max((math.prod(p.shape[1:]) for p in layer.parameters.values() if p.role == "weight"), default=0)
        windows = max(windows, fan_in * layer.shape.height * layer.shape.width)
    return 4 * (parameters + pass_size * (values + 2 * windows))


def check_memory(layers: Sequence[Layer], options: TrainingOptions, file: str) -> None:
    """Raise UsageError, which says what to do, where training would take more memory than there is."""
    for limit in memory_limits():

        def fits(pass_size: int, room: int = limit.size - limit.used) -> bool:
            return training_memory(layers, pass_size, options.adam) <= room

        if fits(options.pass_size):
            continue
        needed = tell_size(limit.used + training_memory(layers, options.pass_size, options.adam))
        divisors = (n for n in range(options.subdivisions + 1, options.batch + 1) if options.batch % n == 0)
        enough = next((n for n in divisors if fits(options.batch // n)), None)
        help = f"take --subdivisions {enough}" if enough else "the network is too large for it"
        images = f"{options.pass_size} image{'s' * (options.pass_size != 1)}"
        raise UsageError(
            f"{needed} to train on {images} at a time, more than {limit.whose} {tell_size(limit.size)}; {help}",
            file=file,
        )
