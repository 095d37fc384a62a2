"""Distances between two sketches of one column.

Each takes the reference's sketch, the current one and the column's name; the grids may differ in other
columns. Each is nan where a side has no value.
"""

from __future__ import annotations

import math

import numpy as np

from pipelines.monitoring.sketch.cells import Floats, Integers
from pipelines.monitoring.sketch.grid import is_one_value
from pipelines.monitoring.sketch.table import TableSketch

# Shares below are taken for this: the logarithm of an empty cell is infinite.
_SMALLEST_SHARE = 1e-4
# Of a column (almost) without spread the unit is set by its size: no distance is infinite.
_SMALLEST_SD = 1e-3
# By how much a bin's inside is above its higher end, in standard deviations of the bin's counts: measured, on
# windows of 200 to 50,000 rows, as what leaves no bias.
_BRIDGE = 0.4


def kolmogorov_smirnov(reference: TableSketch, current: TableSketch, column: str) -> float:
    """Return the largest difference of the two cumulative shares of a numeric column, 0 to 1.

    It is known where bins end. Within a bin it may be larger, by at most the smaller share that the bin has
    on the two sides (0.001 of what the grid was learned from): what random order within the bin adds on
    average is added. Bins of one value add nothing.
    """
    before, now = _numeric_counts(reference, current, column)
    n_before, n_now = float(before.sum()), float(now.sum())
    if not n_before or not n_now:
        return math.nan
    gap = np.abs(_cumulative(before) - _cumulative(now))
    if not gap.max():
        return 0.0
    edges = reference.grid.numeric[column]
    shares = before / n_before, now / n_now
    # By chance alone, and never by more than half of what is possible.
    bridge = _BRIDGE * np.sqrt(shares[0] / n_before + shares[1] / n_now)
    excess = np.minimum(bridge, np.minimum(*shares) / 2)
    ends = np.maximum(gap, np.concatenate([[0.0], gap[:-1]]))
    return min(1.0, float(np.where(is_one_value(edges), ends, ends + excess).max()))


def population_stability_index(
    reference: TableSketch, current: TableSketch, column: str, n_bins: int = 10
) -> float:
    """Return the population stability index, in nats, 0 or more.

    Bins of numbers are the reference's quantiles, so that each holds about ``1 / n_bins`` of it (the bin of a
    value that is more frequent holds more); of categories they are the levels, all unknown ones as one. A
    share below 1e-4 is taken for 1e-4.

    References
    ----------
    .. [1] Yurdakul & Naranjo, J. Risk Model Validation 14(4), 2020.
    """
    before, now = (np.maximum(part, _SMALLEST_SHARE) for part in _shares(reference, current, column, n_bins))
    return float(((now - before) * np.log(now / before)).sum())


def jensen_shannon(reference: TableSketch, current: TableSketch, column: str, n_bins: int = 10) -> float:
    """Return the Jensen-Shannon distance: the root of the divergence in nats, 0 to ``sqrt(log 2)``.

    Bins are those of :func:`population_stability_index`; shares are taken as they are.

    References
    ----------
    .. [1] Endres & Schindelin, IEEE Trans. Information Theory 49(7), 2003.
    """
    before, now = _shares(reference, current, column, n_bins)
    middle = (before + now) / 2
    divergence = (_relative_entropy(before, middle) + _relative_entropy(now, middle)) / 2
    # Rounding may leave a tiny negative where the shares are equal.
    return math.sqrt(max(divergence, 0.0)) if np.isfinite(divergence) else math.nan


def wasserstein(reference: TableSketch, current: TableSketch, column: str) -> float:
    """Return the Wasserstein-1 distance of a numeric column, in standard deviations of the reference.

    Values are taken as spread evenly within their bin, and the means, which are kept exactly, correct that:
    where all moved one way the distance is that of the means, in whatever unit they came. Where the reference
    has no spread the unit is a thousandth of its size.
    """
    before, now = _numeric_counts(reference, current, column)
    if not before.sum() or not now.sum():
        return math.nan
    scale = reference.grid.unit(column)[1]
    edges = reference.grid.standardize(column, reference.grid.numeric[column])
    gap = _cumulative(before)[:-1] - _cumulative(now)[:-1]
    left, right = gap[:-1], gap[1:]
    # The area between two straight lines, on either side of where they cross.
    total = np.abs(left) + np.abs(right)
    crossing = np.divide(left**2 + right**2, total, out=np.zeros_like(total), where=total > 0)
    area = np.where(left * right < 0, crossing, total) / 2 * np.diff(edges)
    signed = (left + right) / 2 * np.diff(edges)
    outside = _outside(reference, current, column, edges)
    above = float((area + signed).sum() / 2 + np.maximum(outside, 0).sum())
    below = float((area - signed).sum() / 2 - np.minimum(outside, 0).sum())
    # Their difference is that of the means, which is known exactly: the larger side was estimated worse.
    difference = _z_mean(current, column) - _z_mean(reference, column)
    excess = difference - (above - below)
    distance = above + below + (excess if above >= below else -excess)
    return max(distance, abs(difference)) / max(reference.sd(column) / scale, _SMALLEST_SD)


def chi_square(
    reference: TableSketch, current: TableSketch, column: str, n_bins: int = 10
) -> tuple[float, int]:
    """Return Pearson's statistic of homogeneity of two samples, and its degrees of freedom.

    Cells are those of :func:`population_stability_index`; those that are empty on both sides do not count.
    """
    before, now = _cells(reference, current, column, n_bins)
    both = (before + now)[before + now > 0]
    n_before, n_now = float(before.sum()), float(now.sum())
    if not n_before or not n_now:
        return math.nan, 0
    expected = both * (n_now / (n_before + n_now))
    gap = now[before + now > 0] - expected
    # Both rows of the table in one term: their residuals are equal and opposite.
    return float((gap**2 / expected).sum() * (n_before + n_now) / n_before), both.size - 1


def missing_share_difference(reference: TableSketch, current: TableSketch, column: str) -> float:
    """Return by how much the share of rows without a value grew, -1 to 1."""
    return current.missing_share(column) - reference.missing_share(column)


def new_level_share(reference: TableSketch, current: TableSketch, column: str) -> float:
    """Return by how much the share of unknown levels among the values grew, -1 to 1.

    The reference itself has some where it has more levels than a grid keeps.
    """
    parts = reference.categorical[column], current.categorical[column]
    if not all(part.n_values for part in parts):
        return math.nan
    before, now = (part.n_strange / part.n_values for part in parts)
    return now - before


def _outside(reference: TableSketch, current: TableSketch, column: str, edges: Floats) -> Floats:
    """Return the signed areas between the cumulative shares below and above all edges, shape (2,)."""
    if not edges.size:
        return np.zeros(2)
    ends = edges[[0, -1]]
    areas = []
    for sketch in (reference, current):
        found = sketch.numeric[column]
        areas.append((found.tail_totals - ends * found.counts[[0, -1]]) / found.n_values)
    return np.asarray(areas[0] - areas[1])


def _z_mean(sketch: TableSketch, column: str) -> float:
    return sketch.numeric[column].total / sketch.numeric[column].n_values


def _numeric_counts(reference: TableSketch, current: TableSketch, column: str) -> tuple[Integers, Integers]:
    edges = reference.grid.numeric[column], current.grid.numeric[column]
    if edges[0] is not edges[1] and not np.array_equal(*edges):
        raise ValueError(f"The two sketches of {column} have different bins.")
    return reference.numeric[column].counts, current.numeric[column].counts


def _cells(
    reference: TableSketch, current: TableSketch, column: str, n_bins: int
) -> tuple[Integers, Integers]:
    """Return the counts of the two sides in few cells: quantile bins, or levels and all strangers."""
    if column in reference.numeric:
        before, now = _numeric_counts(reference, current, column)
        first = _first_bins(before, n_bins)
        return np.add.reduceat(before, first), np.add.reduceat(now, first)
    if reference.grid.categorical[column] != current.grid.categorical[column]:
        raise ValueError(f"The two sketches of {column} have different levels.")
    sides = reference.categorical[column], current.categorical[column]
    before, now = (np.append(side.counts, side.n_strange) for side in sides)
    return before, now


def _first_bins(reference: Integers, n_bins: int) -> Integers:
    """Return where the reference's quantile bins begin: after the first bins that fill each up."""
    filled = np.cumsum(reference)
    wanted = np.ceil(filled[-1] * np.arange(1, n_bins) / n_bins)
    first = np.unique(np.concatenate([[0], np.searchsorted(filled, np.maximum(wanted, 1)) + 1]))
    return first[first < reference.size]


def _shares(reference: TableSketch, current: TableSketch, column: str, n_bins: int) -> tuple[Floats, Floats]:
    before, now = _cells(reference, current, column, n_bins)
    if not before.sum() or not now.sum():
        return np.array([math.nan]), np.array([math.nan])
    return before / before.sum(), now / now.sum()


def _cumulative(counts: Integers) -> Floats:
    return np.asarray(np.cumsum(counts) / counts.sum())


def _relative_entropy(p: Floats, q: Floats) -> float:
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    return float((p * np.log(ratio)).sum())
