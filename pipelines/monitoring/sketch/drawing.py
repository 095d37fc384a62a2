"""What pages draw of two sketches: histograms and quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipelines.monitoring.sketch.cells import Floats
from pipelines.monitoring.sketch.columns import NumericSketch
from pipelines.monitoring.sketch.grid import is_one_value
from pipelines.monitoring.sketch.table import TableSketch

# What is left out of a picture at either end, so that one far value does not flatten it.
_OUTER_SHARE = 0.005
_MAX_BARS = 30
# Values beyond it are drawn there: the span of larger ones is no number.
_LARGEST = float(np.finfo(np.float64).max) / 4


@dataclass(frozen=True)
class Histogram:
    """The shares of two sides, ready to draw.

    ``edges`` (one more than bars; numeric only) or ``labels`` (categorical only) say what the bars stand for.
    The first and last numeric bar hold all that is beyond them. Shares are of the values, missing ones left
    out; all zero for a side without any.
    """

    kind: Literal["numeric", "categorical"]
    edges: tuple[float, ...]
    labels: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]


def histogram(
    reference: TableSketch, current: TableSketch, column: str, n_bins: int = _MAX_BARS
) -> Histogram:
    """Return the histogram of a column on both sides, of at most ``n_bins`` bars.

    Numeric bars are equally wide between the outer half percents of both sides; a column of few values has
    one for each. Categorical bars are the most frequent levels of both sides, then ``(other)``; unknown ones
    are marked ``(new)``.
    """
    if column in reference.numeric:
        return _numeric_histogram(reference, current, column, n_bins)
    return _categorical_histogram(reference, current, column, n_bins)


def quantiles(sketch: TableSketch, column: str, probabilities: Sequence[float]) -> Floats:
    """Return quantiles of a numeric column in its own unit, shape (q,); nan without values.

    Values are taken as spread evenly within their bin, and exact at its ends.
    """
    found = sketch.numeric[column]
    if not found.n_values:
        return np.full(len(probabilities), np.nan)
    ends, shares = _cumulative(found, sketch.grid.numeric[column])
    return np.asarray(np.interp(probabilities, shares, ends))


def _numeric_histogram(reference: TableSketch, current: TableSketch, column: str, n_bins: int) -> Histogram:
    sides = [side for side in (reference, current) if side.numeric[column].n_values]
    if not sides:
        return Histogram("numeric", (), (), (), ())
    edges = _edges_between_values(reference, current, column, n_bins)
    if edges is None:
        outer = np.array([quantiles(side, column, [_OUTER_SHARE, 1 - _OUTER_SHARE]) for side in sides])
        edges = np.linspace(*_widened(float(outer[:, 0].min()), float(outer[:, 1].max())), n_bins + 1)
    bars = []
    unit = float(np.abs(edges).max()) or 1.0
    for side in (reference, current):
        found = side.numeric[column]
        if not found.n_values:
            bars.append((0.0,) * (edges.size - 1))
            continue
        ends, shares = _cumulative(found, side.grid.numeric[column])
        # In units of the picture: between subnormal numbers a slope is none.
        below = np.interp(edges[1:-1] / unit, ends / unit, shares)
        bars.append(tuple(np.diff(below, prepend=0.0, append=1.0).tolist()))
    return Histogram("numeric", tuple(edges.tolist()), (), bars[0], bars[1])


def _edges_between_values(
    reference: TableSketch, current: TableSketch, column: str, n_bins: int
) -> Floats | None:
    """Return edges half-way between the values of a column that has few of them; None if it has many."""
    edges = reference.grid.numeric[column]
    is_held = (reference.numeric[column].counts + current.numeric[column].counts) > 0
    if is_held.sum() > n_bins or not is_one_value(edges)[is_held].all():
        return None
    values = np.clip(edges[is_held[:-1].nonzero()[0]], -_LARGEST, _LARGEST)
    if values.size == 1:
        return np.array(_widened(values[0], values[0]))
    between = values[:-1] + np.diff(values) / 2
    return np.concatenate([[2 * values[0] - between[0]], between, [2 * values[-1] - between[-1]]])


def _widened(low: float, high: float) -> tuple[float, float]:
    """Return a range that is not empty, around its only value where it would be."""
    return (low, high) if low < high else (low - (abs(low) / 2 or 0.5), high + (abs(high) / 2 or 0.5))


def _categorical_histogram(
    reference: TableSketch, current: TableSketch, column: str, n_bins: int
) -> Histogram:
    sides = reference.categorical[column], current.categorical[column]
    levels = reference.grid.categorical[column]
    shares: list[dict[str, float]] = []
    for side in sides:
        counts = dict(zip(levels, side.counts.tolist(), strict=True))
        counts |= {f"{name} (new)": count for name, count in side.strangers.items()}
        shares.append({name: count / max(side.n_values, 1) for name, count in counts.items()})
    names = dict.fromkeys([*shares[0], *shares[1]])
    ranked = sorted(names, key=lambda name: -max(part.get(name, 0.0) for part in shares))
    shown = ranked if len(ranked) <= n_bins else ranked[: n_bins - 1]
    bars = [[part.get(name, 0.0) for name in shown] for part in shares]
    rest = [max(0.0, 1.0 - sum(bar)) if side.n_values else 0.0 for bar, side in zip(bars, sides, strict=True)]
    if max(rest) > 1e-9:
        shown = [*shown, "(other)"]
        bars = [[*bar, share] for bar, share in zip(bars, rest, strict=True)]
    return Histogram("categorical", (), tuple(shown), tuple(bars[0]), tuple(bars[1]))


def _cumulative(found: NumericSketch, edges: Floats) -> tuple[Floats, Floats]:
    """Return the ends of the bins that hold values, and the share of values up to each."""
    least, most = (float(np.clip(end, -_LARGEST, _LARGEST)) for end in (found.minimum, found.maximum))
    ends = np.clip(np.concatenate([[least], edges, [most]]), least, most)
    shares = np.concatenate([[0.0], np.cumsum(found.counts) / found.n_values])
    return ends, shares
