"""Draw a chart of a document: axes with round figures and labels, a legend, and lines or marks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pipelines.pages.document import Chart, Series, Style
from pipelines.pages.drawing import Axis, drawing, round_ticks, tick
from pipelines.pages.markup import shown

_WIDTH, _PLOT_HEIGHT = 480.0, 230.0
_LEFT, _RIGHT, _BELOW = 50.0, 14.0, 42.0
_LINE, _SAMPLE, _CHAR = 17.0, 20.0, 5.7
_MAX_POINTS, _FEW_POINTS, _MAX_NAME_CHARS = 500, 60, 60

Point = tuple[float, float]


def draw(chart: Chart) -> str:
    """Return a chart as SVG; nothing where no point of it is finite."""
    kept = [(series, _finite(series.points)) for series in chart.series]
    points = [point for _, found in kept for point in found]
    if not points:
        return ""
    legend, top = _legend([series for series, found in kept if found])
    base = top + _PLOT_HEIGHT
    x = Axis.around([point[0] for point in points], _LEFT, _WIDTH - _RIGHT)
    y = Axis.around([*(point[1] for point in points), *chart.y_shown], base, top)
    parts = [
        f'<text class="label" x="0" y="11">{shown(chart.y, 120)}</text>{legend}',
        *_rungs(y),
        *(_steps(chart.steps, x, base) if chart.steps else _figures(x, base)),
        f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>',
        f'<text class="label" x="{_WIDTH - _RIGHT}" y="{base + 36:.0f}" text-anchor="end">'
        f"{shown(chart.x, 120)}</text>",
        *(_marks(series.style, [(x.at(a), y.at(b)) for a, b in found]) for series, found in kept),
    ]
    name = f"{chart.title}: {chart.y} by {chart.x}"
    return drawing("".join(parts), width=_WIDTH, height=base + _BELOW, name=name)


def _finite(points: Sequence[Point]) -> list[Point]:
    """Return the points that can be drawn, at most so many, evenly spread."""
    found = [point for point in points if math.isfinite(point[0]) and math.isfinite(point[1])]
    if len(found) <= _MAX_POINTS:
        return found
    step = (len(found) - 1) / (_MAX_POINTS - 1)
    return [found[round(number * step)] for number in range(_MAX_POINTS)]


def _legend(shown_series: Sequence[Series]) -> tuple[str, float]:
    """Return a sample and the name of each series, below the label of the y-axis, and where they end."""
    parts, left, row = [], _LEFT, 1
    for series in shown_series:
        name = series.name[:_MAX_NAME_CHARS]
        width = _SAMPLE + 6 + _CHAR * len(name) + 16
        if left > _LEFT and left + width > _WIDTH:
            left, row = _LEFT, row + 1
        y = 11 + _LINE * row
        ends = [(left, y - 4), (left + _SAMPLE, y - 4)]
        sample = ends if series.style in ("line", "naive") else [(left + _SAMPLE / 2, y - 4)]
        parts.append(_marks(series.style, sample))
        parts.append(f'<text x="{left + _SAMPLE + 6:.0f}" y="{y:.0f}">{shown(name, 200)}</text>')
        left += width
    return "".join(parts), 11 + _LINE * row + 12


def _rungs(y: Axis) -> Iterator[str]:
    for value in round_ticks(y.low, y.high):
        at = y.at(value)
        yield (
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
            f'<text x="{_LEFT - 7}" y="{at + 4:.1f}" text-anchor="end">{tick(value)}</text>'
        )


def _figures(x: Axis, base: float) -> Iterator[str]:
    for value in round_ticks(x.low, x.high, about=6):
        yield _below(x.at(value), base, tick(value))


def _steps(names: Sequence[str], x: Axis, base: float) -> Iterator[str]:
    """Yield the first, the middle and the last name."""
    last = len(names) - 1
    anchors = {0: "start", last: "end"} if last else {}
    for number in sorted({0, last // 2, last}):
        yield _below(x.at(number), base, names[number], anchors.get(number, "middle"))


def _below(at: float, base: float, text: str, anchor: str = "middle") -> str:
    return (
        f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="{base}" y2="{base + 4}"/>'
        f'<text x="{at:.1f}" y="{base + 18:.0f}" text-anchor="{anchor}">{shown(text, 40)}</text>'
    )


def _marks(style: Style, places: Sequence[Point]) -> str:
    if style in ("line", "naive"):
        way = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        return f'<path class="{"cur" if style == "line" else "naive"}" d="M{way}"/>' if places else ""
    if style == "rings":
        return "".join(f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places)
    if style == "crosses":
        arms = "".join(f"M{x - 3.5:.1f} {y - 3.5:.1f}l7 7m0 -7l-7 7" for x, y in places)
        return f'<path class="cross" d="{arms}"/>'
    # A line without length that ends round is a dot: hundreds of them take little room.
    crowd = " many" if len(places) > _FEW_POINTS else ""
    return f'<path class="points{crowd}" d="{"".join(f"M{x:.1f} {y:.1f}h0" for x, y in places)}"/>'
