"""The parts that the charts of all pages are made of; places are in percent of the plot, from its upper left corner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, floor, log10
from typing import NamedTuple

_STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


class Tick(NamedTuple):
    """A mark on an axis."""

    at: float
    label: str


class Read(NamedTuple):
    """The text that is shown for a place on the horizontal axis, and the heights that are marked there."""

    at: float
    text: str
    marks: list[float]


class Chart(NamedTuple):
    """Ticks from left to right and from the bottom up, SVG paths by name, and what is shown under a pointer."""

    x: list[Tick]
    y: list[Tick]
    paths: dict[str, str]
    reads: list[Read]


class Column(NamedTuple):
    """A bin of the histogram: its middle, its height and its label."""

    at: float
    height: float
    label: str


def percent(share: float, digits: int = 2) -> str:
    """`share`, a part of 1, in percent, without the sign."""
    return f"{100 * share:.{digits}f}"


def share_axis(lowest: float, highest: float) -> tuple[Callable[[float], float], list[Tick]]:
    """A function that places shares on an axis from `lowest` to `highest`, both parts of 1, and the axis' ticks."""
    step = next(step for step in _STEPS if highest - lowest <= 5 * step or step == _STEPS[-1])
    bottom, ceiling = floor(lowest / step), min(ceil(highest / step), round(1 / step))

    def place(share: float) -> float:
        return round(100 - 100 * (share / step - bottom) / (ceiling - bottom), 2)

    digits = 0 if step >= 0.01 else 1
    ticks = [Tick(place(n * step), f"{percent(n * step, digits)}%") for n in range(bottom, ceiling + 1)]
    return place, ticks


def value_axis(highest: float) -> tuple[Callable[[float], float], list[Tick]]:
    """A function that places values on an axis from 0 to `highest` or a little more, and the axis' ticks."""
    power = floor(log10(highest / 5)) if highest > 0 else 0
    step = next(step for step in (n * 10.0**power for n in (1, 2, 5, 10)) if highest <= 5 * step * (1 + 1e-9))
    last = max(ceil(highest / step - 1e-9), 1)

    def place(value: float) -> float:
        return round(100 - 100 * value / (last * step), 2)

    return place, [Tick(place(n * step), f"{n * step:g}") for n in range(last + 1)]


def count_axis(last: int, first: int) -> tuple[Callable[[int], float], list[Tick]]:
    """A function that places counts on an axis from `first` to `last` or a little more, and the axis' ticks."""
    counts = _round_counts(first, last)
    width = max(last, counts[-1]) - first or 1

    def place(count: int) -> float:
        return round(100 * (count - first) / width, 2)

    return place, [Tick(place(count), f"{count:,}") for count in counts]


def _round_counts(first: int, last: int) -> list[int]:
    """Round numbers from `first` to `last`, or to the next one where that is close; at most six."""
    step = next(n * 10**power for power in range(12) for n in (1, 2, 5) if last - first <= 5 * n * 10**power)
    return list(range(ceil(first / step) * step, last + step // 20 + 1, step))


def draw_line(places: Sequence[tuple[float, float]]) -> str:
    """The SVG path through `places`."""
    # The last point is repeated, as a path of one point is drawn, as a dot, only where a line leads somewhere.
    return "M" + "L".join(f"{x:g},{y:g}" for x, y in [*places, places[-1]])


def shorten_count(count: int) -> str:
    """`count` in at most five characters."""
    if count < 1000:
        return str(count)
    for unit, size in (("k", 1000), ("M", 1_000_000)):
        if count < 999.5 * size:
            return f"{count / size:.1f}{unit}" if count < 99.95 * size else f"{count / size:.0f}{unit}"
    return f"{count:.0e}"
