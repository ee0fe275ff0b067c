"""How much memory training takes, told before it is taken."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import UsageError
from ..layers import Layer
from ..limits import memory_limits, tell_size
from .options import TrainingOptions

# Of what is counted, measured on tiny, darknet19 and resnet50: rounding, blocks, workspaces, pictures ahead.
ROUNDED = 1.2
PACKED = 6  # copies of weights that the CPU engine packs for its algorithms, about


def training_memory(layers: Sequence[Layer], pass_size: int, engine: str, adam: bool) -> int:
    """About how many bytes training takes with passes of `pass_size` images.

    Each layer's output and its delta are kept, of a normalized one what is normalized, too. The definitions also spread
    out, twice, the windows of a whole pass; of one layer at a time.
    """
    parameters = (4 if adam else 2) + (PACKED if engine == "cpu" else 0)
    values, windows = layers[0].input_shapes[0].size, 0
    for layer in layers:
        roles = {parameter.role for parameter in layer.parameters.values()}
        values += layer.shape.size * (2 + ("statistic" in roles))
        if engine == "reference":
            windows = max(windows, _count_windows(layer))
    kept = parameters * sum(layer.parameter_count for layer in layers)
    return int(ROUNDED * 4 * (kept + pass_size * (values + 2 * windows)))


def _count_windows(layer: Layer) -> int:
    """The values of one picture that a layer's weights are multiplied by, each as often as it is."""
    taps = max((math.prod(p.shape[1:]) for p in layer.parameters.values() if p.role == "weight"), default=0)
    return taps * layer.shape.height * layer.shape.width


def check_memory(layers: Sequence[Layer], options: TrainingOptions, engine: str, file: str) -> None:
    """Raise UsageError, which says what to do, where training would take more memory than there is."""
    for limit in memory_limits():

        def fits(pass_size: int, room: int = limit.size - limit.used) -> bool:
            return training_memory(layers, pass_size, engine, options.adam) <= room

        if fits(options.pass_size):
            continue
        needed = tell_size(limit.used + training_memory(layers, options.pass_size, engine, options.adam))
        divisors = (n for n in range(options.subdivisions + 1, options.batch + 1) if options.batch % n == 0)
        enough = next((n for n in divisors if fits(options.batch // n)), None)
        help = f"take --subdivisions {enough}" if enough else "the network is too large for it"
        images = f"{options.pass_size} image{'s' * (options.pass_size != 1)}"
        raise UsageError(
            f"{needed} to train on {images} at a time, more than {limit.whose} {tell_size(limit.size)}; {help}",
            file=file,
        )
