"""What every chart is drawn with: inline SVG, whose colours are the page's, in light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.pages.markup import shown


def drawing(body: str, *, width: float, height: float, name: str) -> str:
    """Return a whole SVG image of elements; ``name`` says what it shows to whoever can't see it."""
    return (
        f'<svg class="chart" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{shown(name, 300)}">{body}</svg>'
    )


def tick(value: float) -> str:
    """Return a figure at an axis, short.

    Examples
    --------
    >>> tick(0.30000000000000004), tick(12500.0)
    ('0.3', '12,500')
    """
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"


def round_ticks(low: float, high: float, *, about: int = 5) -> list[float]:
    """Return round figures from ``low`` to ``high``, about so many; one of the two ends if they are the same.

    Examples
    --------
    >>> round_ticks(0.13, 0.94)
    [0.2, 0.4, 0.6, 0.8]
    """
    span = high - low
    if not (span > 0 and math.isfinite(span)):
        return [low]
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, 1 - math.floor(math.log10(step)))
    return [round(number * step, digits) for number in range(first, last + 1)] or [low]


@dataclass(frozen=True)
class Axis:
    """From ``low`` to ``high`` of a value, between the places ``start`` and ``end`` of the drawing."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def around(cls, values: Sequence[float], start: float, end: float, *, free: float = 0.04) -> Axis:
        """Return an axis that shows all of some finite values, with a share of it left free at both ends."""
        low, high = min(values), max(values)
        spare = (high - low) * free or (abs(low) or 1.0) / 10
        return cls(low - spare, high + spare, start, end)

    def at(self, value: float) -> float:
        """Return the place of a value."""
        return self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low)
