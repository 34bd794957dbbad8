"""Charts of findings: one sentence for every reader, and a curve where curves can be shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from quub_audit.model.finding import Chart

WIDTH, HEIGHT = 1000.0, 200.0
HEADROOM = 1.08
"""How much higher than the highest value the drawing is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartView:
    """A curve as HTML places it, in a box of `WIDTH` to `HEIGHT`; labels stand outside, so that they never shrink."""

    title: str
    said: str
    curve: str
    """Points of a polyline."""
    trend: str
    limit: str
    """The same for straight lines; empty without one."""
    top: str
    bottom: str
    """What the upper and the lower edge stand for."""
    start: str
    end: str
    """The same for the left and the right edge."""
    legend: tuple[tuple[str, str], ...]
    """Class of a line, and what it is."""


def say_chart(chart: Chart) -> str:
    """The curve in one sentence, without its title."""
    values = [y for _, y in chart.points]
    unit = f" {chart.y_unit}" if chart.y_unit else ""
    parts = [
        f"{_short(values[0])}{unit} at first, {_short(values[-1])}{unit} at last, at most {_short(max(values))}{unit}",
        f"trend from {_short(chart.trend[0])} to {_short(chart.trend[1])}{unit}" if chart.trend else "",
        f"limit {_short(chart.limit)}{unit}" if chart.limit is not None else "",
    ]
    return "; ".join(filter(None, parts))


def chart_view(chart: Chart) -> ChartView:
    """The curve, its trend and its limit, scaled to the box; y begins at 0 unless something is below."""
    first, last = chart.points[0][0], chart.points[-1][0]
    beside = (*(chart.trend or ()), *(() if chart.limit is None else (chart.limit,)))
    values = [*(y for _, y in chart.points), *beside]
    low, high = min(0.0, *values), max(values)
    high = low + ((high - low) or 1.0) * HEADROOM

    def drawn(points: Iterable[tuple[float, float]]) -> str:
        width = (last - first) or 1.0
        return " ".join(
            f"{(x - first) / width * WIDTH:.1f},{(high - y) / (high - low) * HEIGHT:.1f}" for x, y in points
        )

    ends = (first, last)
    legend = [("values", "measured")]
    if chart.trend:
        legend.append(("trend", "trend"))
    if chart.limit is not None:
        legend.append(("limit", "limit"))
    unit = f" {chart.y_unit}" if chart.y_unit else ""
    return ChartView(
        title=chart.title,
        said=say_chart(chart),
        curve=drawn(chart.points),
        trend=drawn(zip(ends, chart.trend, strict=True)) if chart.trend else "",
        limit=drawn((x, chart.limit) for x in ends) if chart.limit is not None else "",
        top=f"{_short(high)}{unit}",
        bottom=f"{_short(low)}{unit}",
        start=f"{_short(first)} {chart.x_unit}".rstrip(),
        end=f"{_short(last)} {chart.x_unit}".rstrip(),
        legend=tuple(legend),
    )


def _short(number: float) -> str:
    return f"{number:.4g}" if abs(number) < 10_000 else f"{number:,.0f}"
