"""The charts of drift and performance, as inline SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite

from pipelines.pages.drawing import drawing, tick
from pipelines.pages.markup import share, shown
from pipelines.records import ColumnDrift, PerformanceEstimate

_WIDTH, _LEFT, _RIGHT, _TOP = 720.0, 46.0, 10.0, 12.0
_INNER = _WIDTH - _LEFT - _RIGHT
_MAX_LEVELS = 16


def densities(edges: Sequence[float], reference: Sequence[float], current: Sequence[float]) -> str:
    """Return two distributions of a numeric column: the reference filled, the window as a line.

    Parameters
    ----------
    edges : sequence of float, length n + 1
        Ascending; bins may differ in width, so that heights are shares by width.
    reference, current : sequence of float, length n
        Shares of each bin.

    Returns
    -------
    str
        Nothing where there is nothing to draw.
    """
    n = min(len(edges) - 1, len(reference), len(current))
    if n < 1 or not all(map(isfinite, edges)) or edges[n] <= edges[0]:
        return ""
    span, height = edges[n] - edges[0], 190.0
    widths = [max((edges[i + 1] - edges[i]) / span, 1e-6) for i in range(n)]
    heights = [[_finite(side[i]) / widths[i] for i in range(n)] for side in (reference, current)]
    top = max(*heights[0], *heights[1], 1e-12)
    xs = [_LEFT + _INNER * (edge - edges[0]) / span for edge in edges[: n + 1]]
    base = _TOP + height
    lines = [_steps(xs, [base - height * value / top for value in side], base) for side in heights]
    ticks = "".join(
        f'<text x="{xs[0] + _INNER * part / 4:.0f}" y="{base + 17:.0f}" '
        f'text-anchor="{"start" if part == 0 else "end" if part == 4 else "middle"}">'
        f"{tick(edges[0] + span * part / 4)}</text>"
        for part in range(5)
    )
    body = (
        f'<path class="ref" d="{lines[0]} Z"/><path class="cur" d="{lines[1]}"/>'
        f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>{ticks}'
    )
    return _svg(body, base + 24, "Distribution of the column in the reference and on this night")


def shares(labels: Sequence[str], reference: Sequence[float], current: Sequence[float]) -> str:
    """Return the share of each category in the reference and in the window, as pairs of bars."""
    rows = list(zip(labels, reference, current, strict=False))[:_MAX_LEVELS]
    if not rows:
        return ""
    top = max(max(_finite(before), _finite(now)) for _, before, now in rows) or 1.0
    left, room, parts = 190.0, _WIDTH - 190.0 - 110.0, []
    for index, (label, before, now) in enumerate(rows):
        y = _TOP + index * 30
        for offset, value, style in ((0, before, "ref-bar"), (11, now, "cur-bar")):
            width = max(room * _finite(value) / top, 1.0)
            parts.append(
                f'<rect class="{style}" x="{left:.0f}" y="{y + offset:.0f}" width="{width:.1f}" '
                'height="9" rx="2"/>'
            )
        at = left + room * max(_finite(before), _finite(now)) / top + 8
        text = label if len(label) <= 28 else f"{label[:27]}…"
        parts.append(
            f'<text x="{left - 10:.0f}" y="{y + 14:.0f}" text-anchor="end">{shown(text, 120)}</text>'
            f'<text x="{at:.0f}" y="{y + 14:.0f}">{share(_finite(before))} → {share(_finite(now))}</text>'
        )
    name = "Share of each category in the reference and on this night"
    return _svg("".join(parts), _TOP + 30 * len(rows), name)


def distances(history: Mapping[str, ColumnDrift | None]) -> str:
    """Return how far a column moved, night by night, beside the floor under which nothing matters."""
    judged = [drift for drift in history.values() if drift is not None]
    if not judged:
        return ""
    height, step = 110.0, _INNER / len(history)
    floor = judged[-1].threshold
    top = max(*(_finite(drift.distance) for drift in judged), floor * 1.6, 1e-9)
    base, parts = _TOP + height, []
    for index, drift in enumerate(history.values()):
        if drift is None:
            continue
        size, x = height * _finite(drift.distance) / top, _LEFT + step * index
        style = "alarm" if drift.is_drifted else "ref-bar"
        parts.append(
            f'<rect class="{style}" x="{x + step * 0.15:.1f}" y="{base - max(size, 1):.1f}" '
            f'width="{step * 0.7:.1f}" height="{max(size, 1):.1f}" rx="1.5"/>'
        )
        if drift.is_drifted:
            parts.append(
                f'<text x="{x + step / 2:.1f}" y="{base - size - 3:.1f}" text-anchor="middle">▲</text>'
            )
    level = base - height * floor / top
    parts.append(
        f"{_across('floor', level)}"
        f'<text x="{_LEFT - 6}" y="{level + 4:.1f}" text-anchor="end">{tick(floor)}</text>'
        f"{_nights(list(history), base)}"
    )
    return _svg("".join(parts), base + 24, "Distance from the reference, night by night")


def performance(
    nights: Sequence[str], measured: Mapping[str, float], estimates: Mapping[str, PerformanceEstimate]
) -> str:
    """Return the primary metric by night: dots as measured, bars as expected with their intervals."""
    dots = {night: measured[night] for night in nights if isfinite(measured.get(night, inf))}
    bars = {night: estimates[night] for night in nights if night in estimates and _is_whole(estimates[night])}
    values = [*dots.values(), *(side for bar in bars.values() for side in (bar.lower, bar.upper))]
    promised = [bar.reference_value for bar in bars.values()][-1:]
    if not values:
        return ""
    scale = _Scale.around([*values, *promised])
    step, parts = _INNER / len(nights), [scale.grid()]
    for index, night in enumerate(nights):
        x = _LEFT + step * (index + 0.5)
        if night in bars:
            parts.append(_bar(bars[night], x, step * 0.72, scale))
        if night in dots:
            parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{scale.y(dots[night]):.1f}" r="3.5"/>')
    parts += [_across("promise", scale.y(value)) for value in promised]
    return _svg("".join(parts) + _nights(nights, scale.base), scale.base + 24, "Performance by night")


@dataclass(frozen=True)
class _Scale:
    """Where values are drawn: ``low`` and ``high`` are the lower and the upper end of the values."""

    low: float
    high: float
    base: float = _TOP + 150.0

    @classmethod
    def around(cls, values: Sequence[float]) -> _Scale:
        low, high = min(values), max(values)
        return (
            cls(low, high)
            if high > low
            else cls(low - (abs(low) or 1.0) / 10, high + (abs(high) or 1.0) / 10)
        )

    def y(self, value: float) -> float:
        # A tenth is left free above and below.
        part = (value - self.low) / (self.high - self.low)
        return self.base - (self.base - _TOP) * (0.1 + 0.8 * part)

    def grid(self) -> str:
        return "".join(
            f'{_across("axis", self.y(at))}<text x="{_LEFT - 6}" y="{self.y(at) + 4:.1f}" '
            f'text-anchor="end">{tick(at)}</text>'
            for at in (self.low, (self.low + self.high) / 2, self.high)
        )


def _bar(estimate: PerformanceEstimate, x: float, width: float, scale: _Scale) -> str:
    top, bottom = scale.y(estimate.upper), scale.y(estimate.lower)
    left = x - width / 2
    return (
        f'<rect class="band" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" rx="2" '
        f'height="{max(bottom - top, 1):.1f}"/>'
        f'<rect class="cur-bar" x="{left:.1f}" y="{scale.y(estimate.value) - 1:.1f}" width="{width:.1f}" '
        'height="2"/>'
    )


def _is_whole(estimate: PerformanceEstimate) -> bool:
    return all(map(isfinite, (estimate.value, estimate.lower, estimate.upper, estimate.reference_value)))


def _across(style: str, y: float) -> str:
    return f'<line class="{style}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _svg(body: str, height: float, name: str) -> str:
    return drawing(body, width=_WIDTH, height=height, name=name)


def _steps(xs: Sequence[float], ys: Sequence[float], base: float) -> str:
    parts = [f"M{xs[0]:.1f} {base:.1f}"]
    for index, y in enumerate(ys):
        parts.append(f"V{y:.1f}H{xs[index + 1]:.1f}")
    return "".join([*parts, f"V{base:.1f}"])


def _nights(nights: Sequence[str], base: float) -> str:
    """Return the first, the middle and the last night below an axis."""
    step = _INNER / len(nights)
    chosen = sorted({0, len(nights) // 2, len(nights) - 1})
    anchors = {0: "start", len(nights) - 1: "end"} if len(nights) > 1 else {}
    places = {"start": 0.0, "end": 1.0, "middle": 0.5}
    return "".join(
        f'<text x="{_LEFT + step * (index + places[anchors.get(index, "middle")]):.1f}" y="{base + 17:.0f}" '
        f'text-anchor="{anchors.get(index, "middle")}">{shown(nights[index], 20)}</text>'
        for index in chosen
    )


def _finite(value: float) -> float:
    return value if isfinite(value) and value > 0 else 0.0
