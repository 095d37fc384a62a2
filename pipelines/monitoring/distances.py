"""Distances between two samples of one column, and between a sample's days and the rest of it.

The definitions are Evidently's (its methods ``wasserstein`` and ``jensenshannon``), so that its
page shows the very numbers that the verdict was made of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Evidently's own: keeps the norm of a column that is (almost) constant from blowing up.
_SMALLEST_NORM = 0.001
# The square of a larger number may overflow; in units of the largest one the distance is the same.
_LARGEST = 1e150


def normed_wasserstein(reference: Floats, current: Floats) -> float:
    """Return the Wasserstein-1 distance in standard deviations of the reference.

    Parameters
    ----------
    reference, current : ndarray of float, shape (n,) and (m,)
        Finite values in one unit.

    Returns
    -------
    float
        0 or more; nan if either sample is empty.

    Examples
    --------
    >>> normed_wasserstein(np.array([0.0, 2.0]), np.array([1.0, 3.0]))
    1.0
    """
    if not reference.size or not current.size:
        return math.nan
    unit = _unit(reference, current)
    reference, current = reference / unit, current / unit
    norm = max(float(np.std(reference)), _SMALLEST_NORM)
    return float(stats.wasserstein_distance(reference, current)) / norm


def jensen_shannon(reference: Floats, current: Floats) -> Floats:
    """Return the Jensen-Shannon distance of histograms: the root of the divergence, in nats.

    Parameters
    ----------
    reference, current : ndarray of float, shape (..., k)
        Counts of the same ``k`` categories.

    Returns
    -------
    ndarray of float, shape (...)
        0 for equal shares, ``sqrt(log 2)`` for disjoint ones; nan where a histogram is empty.

    References
    ----------
    .. [1] Endres & Schindelin, IEEE Trans. Information Theory 49(7), 2003.
    """
    p, q = _shares(reference), _shares(current)
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    # Rounding may leave a tiny negative where the shares are equal.
    return np.asarray(np.sqrt(np.maximum(divergence, 0.0)), dtype=np.float64)


def block_wasserstein(values: Floats, days: Integers, starts: Sequence[int], block_days: int) -> Floats:
    """Return the normed Wasserstein distance of each block of days to all other days.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        One column; nan where it is null.
    days : ndarray of int, shape (n,)
        The day of each row, counted from 0.
    starts : sequence of int, length b
        The first day of each block of ``block_days`` days.

    Returns
    -------
    ndarray of float, shape (b,)
        As :func:`normed_wasserstein` with the other days as reference; nan where the block, or
        all else, holds no value.
    """
    known = np.isfinite(values)
    order = np.argsort(values[known], kind="stable")
    ordered, day = values[known][order], days[known][order]
    distances = np.full(len(starts), math.nan)
    if ordered.size < 2:
        return distances
    ordered = ordered / _unit(ordered)
    steps = np.diff(ordered)
    ranks = np.arange(1, ordered.size + 1)
    centred = ordered - ordered.mean()
    for position, start in enumerate(starts):
        inside = (day >= start) & (day < start + block_days)
        n_inside = int(inside.sum())
        if not 0 < n_inside < ordered.size:
            continue
        below = np.cumsum(inside)
        gap = np.abs(below / n_inside - (ranks - below) / (ordered.size - n_inside))
        norm = max(float(np.std(centred[~inside])), _SMALLEST_NORM)
        distances[position] = float(gap[:-1] @ steps) / norm
    return distances


def block_jensen_shannon(codes: Integers, days: Integers, starts: Sequence[int], block_days: int) -> Floats:
    """Return the Jensen-Shannon distance of each block of days to all other days, shape (b,).

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        The category of each row, from 0; -1 where it is null.
    days, starts, block_days
        As for :func:`block_wasserstein`.
    """
    known = codes >= 0
    n_codes = int(codes.max(initial=0)) + 1
    n_days = int(days.max(initial=0)) + 1
    cells = np.bincount(days[known] * n_codes + codes[known], minlength=n_days * n_codes)
    per_day = cells.reshape(n_days, n_codes).astype(np.float64)
    inside = block_sums(per_day, starts, block_days)
    return jensen_shannon(per_day.sum(axis=0) - inside, inside)


def block_missing_share(
    missing: npt.NDArray[np.bool_], days: Integers, starts: Sequence[int], block_days: int
) -> Floats:
    """Return how far each block's share of nulls is from that of all other days, shape (b,)."""
    n_days = int(days.max(initial=0)) + 1
    rows = np.bincount(days, minlength=n_days).astype(np.float64)
    counts = np.stack([rows, np.bincount(days, weights=missing, minlength=n_days)], axis=1)
    inside = block_sums(counts, starts, block_days)
    outside = counts.sum(axis=0) - inside
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.abs(inside[:, 1] / inside[:, 0] - outside[:, 1] / outside[:, 0]))


def block_sums(per_day: Floats, starts: Sequence[int], block_days: int) -> Floats:
    """Return the sum over each block's days of ``per_day``, shape (n_days, k) to (b, k)."""
    running = np.concatenate([np.zeros((1, per_day.shape[1])), np.cumsum(per_day, axis=0)])
    first = np.asarray(starts, dtype=np.int64)
    last = np.minimum(first + block_days, per_day.shape[0])
    return np.asarray(running[last] - running[first], dtype=np.float64)


def _unit(*samples: Floats) -> float:
    """Return what to divide values by, so that their squares can be summed: 1 but for very large ones."""
    largest = max(float(np.abs(sample).max()) for sample in samples)
    return largest if largest > _LARGEST else 1.0


def _shares(counts: Floats) -> Floats:
    totals = counts.sum(axis=-1, keepdims=True)
    return np.asarray(np.divide(counts, totals, out=np.full(counts.shape, math.nan), where=totals > 0))


def _relative_entropy(p: Floats, q: Floats) -> Floats:
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    terms = p * np.log(ratio)
    return np.asarray(terms.sum(axis=-1), dtype=np.float64)
