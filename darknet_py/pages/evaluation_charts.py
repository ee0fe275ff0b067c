"""The charts of one or several evaluations: shares of right answers, and how sure the network was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..evaluation.findings import Bin, Point
from ..evaluation.totals import interval
from .charts import Chart, Column, Read, Tick, count_axis, draw_line, percent, share_axis, shorten_count


def draw_shares(points: Sequence[Point], top: int, unit: str = "image", span: tuple[int, int] | None = None) -> Chart:
    """Both figures over the number of images, or of another `unit`, at a scale that shows what they settle to.

    `span` is the first and the last number on the axis; where absent, 0 and that of the last point.
    """
    first, last = span or (0, points[-1].after)
    # The first few of many points say nothing, and would take up all the height.
    settled = [point for point in points if point.after - first >= (points[-1].after - first) / 50]
    lowest = min(point.low for point in settled)
    highest = max(max(point.high, point.accuracy_top) for point in settled)
    place, shares = share_axis(lowest, highest)
    along, counts = count_axis(last, first)
    across = [along(point.after) for point in points]
    one = list(zip(across, [place(point.accuracy) for point in points], strict=True))
    other = list(zip(across, [place(point.accuracy_top) for point in points], strict=True))
    high = list(zip(across, [place(point.high) for point in points], strict=True))
    low = list(zip(across, [place(point.low) for point in points], strict=True))
    paths = {"band": draw_line([*high, *reversed(low)]) + "Z", "first": draw_line(one)}
    reads = [
        Read(at, _tell_point(point, top, unit), [mark[1] for mark in marks])
        for at, point, *marks in zip(across, points, one, *([other] if top > 1 else []), strict=True)
    ]
    return Chart(
        x=counts,
        y=shares,
        paths=paths | ({"second": draw_line(other)} if top > 1 else {}),
        reads=reads,
    )


def _tell_point(point: Point, top: int, unit: str) -> str:
    count = f"{point.after:,} {unit}{'s' * (point.after > 1)}"
    bounds = f"{percent(point.low)}\N{EN DASH}{percent(point.high)}%"
    more = f", top-{top} {percent(point.accuracy_top)}%" if top > 1 else ""
    return f"After {count}: top-1 {percent(point.accuracy)}% ({bounds}){more}"


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
        Column(round(50 * (bin.lower + bin.upper), 2), round(100 * bin.images / most, 2), shorten_count(bin.images))
        for bin in bins
    ]
