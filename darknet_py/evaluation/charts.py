"""Where the lines and dots of the page's charts lie: in percent of the plot, from its upper left corner."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, floor
from typing import NamedTuple

from .findings import Bin, Point
from .totals import interval

_STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


class Tick(NamedTuple):
    """A mark on an axis."""

    at: float
    label: str


class Read(NamedTuple):
    """What is told of a place on the horizontal axis, and the heights that are marked there."""

    at: float
    text: str
    marks: list[float]


class Chart(NamedTuple):
    """Ticks from left to right and from the bottom up, SVG paths by name, and what is told under a pointer."""

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
    """`share` of 1 in percent, without the sign."""
    return f"{100 * share:.{digits}f}"


def draw_settling(points: Sequence[Point], top: int) -> Chart:
    """Both figures over the number of images, at a scale that shows what they settle to."""
    last = points[-1].images
    # Of many images the first few say nothing, and would take all the height.
    settled = [point for point in points if point.images >= last / 50]
    lowest = min(point.low for point in settled)
    highest = max(max(point.high, point.accuracy_top) for point in settled)
    step = next(step for step in _STEPS if highest - lowest <= 5 * step or step == _STEPS[-1])
    bottom, ceiling = floor(lowest / step), min(ceil(highest / step), round(1 / step))

    def place(share: float) -> float:
        return round(100 - 100 * (share / step - bottom) / (ceiling - bottom), 2)

    counts = _round_counts(last)
    width = max(last, counts[-1])
    across = [round(100 * point.images / width, 2) for point in points]
    first = list(zip(across, [place(point.accuracy) for point in points], strict=True))
    second = list(zip(across, [place(point.accuracy_top) for point in points], strict=True))
    high = list(zip(across, [place(point.high) for point in points], strict=True))
    low = list(zip(across, [place(point.low) for point in points], strict=True))
    paths = {"band": _line([*high, *reversed(low)]) + "Z", "first": _line(first)}
    reads = [
        Read(at, _tell_point(point, top), [mark[1] for mark in marks])
        for at, point, *marks in zip(across, points, first, *([second] if top > 1 else []), strict=True)
    ]
    digits = 0 if step >= 0.01 else 1
    return Chart(
        x=[Tick(round(100 * count / width, 2), f"{count:,}") for count in counts],
        y=[Tick(place(n * step), f"{percent(n * step, digits)}%") for n in range(bottom, ceiling + 1)],
        paths=paths | ({"second": _line(second)} if top > 1 else {}),
        reads=reads,
    )


def _tell_point(point: Point, top: int) -> str:
    images = f"{point.images:,} image{'s' * (point.images > 1)}"
    bounds = f"{percent(point.low)}\N{EN DASH}{percent(point.high)}%"
    more = f", top-{top} {percent(point.accuracy_top)}%" if top > 1 else ""
    return f"After {images}: top-1 {percent(point.accuracy)}% ({bounds}){more}"


def _round_counts(last: int) -> list[int]:
    """Round numbers from 0 to `last`, or to the next one where little is missing; at most six."""
    step = next(n * 10**power for power in range(12) for n in (1, 2, 5) if last <= 5 * n * 10**power)
    return list(range(0, last + step // 20 + 1, step))


def _line(places: Sequence[tuple[float, float]]) -> str:
    # A line of one point is drawn, as a dot, only where it leads somewhere.
    return "M" + "L".join(f"{x:g},{y:g}" for x, y in [*places, places[-1]])


def draw_calibration(bins: Iterable[Bin]) -> Chart:
    """Accuracy over confidence, a dot and its interval for each of the bins that have images."""
    filled = [bin for bin in bins if bin.images]
    fifths = [Tick(20.0 * n, f"{20 * n}%") for n in range(6)]
    places = [(round(100 * bin.confidence, 2), round(100 - 100 * bin.right / bin.images, 2)) for bin in filled]
    bounds = [[round(100 - 100 * end, 2) for end in interval(bin.right, bin.images)] for bin in filled]
    return Chart(
        x=fifths,
        y=[Tick(100 - tick.at, tick.label) for tick in fifths],
        paths={
            "dots": "".join(f"M{x:g},{y:g}h0" for x, y in places),
            "whiskers": "".join(f"M{x:g},{low:g}V{high:g}" for (x, _), (low, high) in zip(places, bounds, strict=True)),
        },
        reads=[Read(x, _tell_bin(bin), [y]) for (x, y), bin in zip(places, filled, strict=True)],
    )


def _tell_bin(bin: Bin) -> str:
    low, high = interval(bin.right, bin.images)
    return (
        f"{percent(bin.lower, 1)}\N{EN DASH}{percent(bin.upper, 1)}%: {bin.images:,} image{'s' * (bin.images > 1)}, "
        f"mean probability {percent(bin.confidence, 1)}%, accuracy {percent(bin.right / bin.images, 1)}% "
        f"({percent(low, 1)}\N{EN DASH}{percent(high, 1)}%)"
    )


def draw_histogram(bins: Sequence[Bin]) -> list[Column]:
    """How many images each of the bins has."""
    most = max(max(bin.images for bin in bins), 1)
    return [
        Column(round(50 * (bin.lower + bin.upper), 2), round(100 * bin.images / most, 2), _shorten(bin.images))
        for bin in bins
    ]


def _shorten(count: int) -> str:
    if count < 1000:
        return str(count)
    for unit, size in (("k", 1000), ("M", 1_000_000)):
        if count < 999.5 * size:
            return f"{count / size:.1f}{unit}" if count < 99.95 * size else f"{count / size:.0f}{unit}"
    return f"{count:.0e}"
