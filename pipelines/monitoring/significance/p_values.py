"""How surprising a window is, were its days like the reference's.

The variance that days add is known by a few stretches only, so a p-value is the mean over all that it may
be (a generalised p-value): nearly Student's where days matter, nearly normal where rows do. Shares are
judged by the exact tail of two counts, each as large as the rows that its variance is worth: a normal
tail would see drift in every rare level.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from pipelines.monitoring.significance.noise import LogOdds, Noise, log_odds
from pipelines.monitoring.significance.watched import Watched
from pipelines.monitoring.sketch.cells import Floats, Integers

# The distribution of the unknown variance in slices, fine where it is small and surprises are made.
_EDGES = np.concatenate(
    [[0.0], 10.0 ** np.arange(-12, -2), [0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]]
)
_MIDDLES = np.concatenate([[_EDGES[1] / 3], np.sqrt(_EDGES[1:-1] * _EDGES[2:])])
_WIDTHS = np.diff(_EDGES)
# What is no surprise to begin with needs no exact answer.
_NO_SURPRISE = 0.05
# Where days matter, shares of which a window holds fewer rows (as far as variance goes) are too skewed.
_MIN_EXPECTED = 2.0
# What a test of all levels together gets of a column's error; the levels get the rest.
_TOGETHER = 0.25
_MIN_CELL = 5.0


def statistic_p_values(watched: Watched, noise: Noise, n_rows: float, sums: Floats) -> Floats:
    """Return the two-sided p-value of each statistic, shape (j,).

    Parameters
    ----------
    n_rows : float
        Values of the window, 1 or more.
    sums : ndarray of float, shape (j,)
        Its sums of the statistics.

    References
    ----------
    .. [1] Tsui & Weerahandi, J. American Statistical Association 84(406), 1989 (generalised p-values).
    .. [2] Przyborowski & Wilenski, Biometrika 31, 1940 (two counts, given their sum).
    """
    ratio = np.broadcast_to(noise.ratio, watched.means.shape)
    dof = np.broadcast_to(noise.dof, watched.means.shape)
    of_rows = watched.variances * (1 / n_rows + 1 / watched.n_rows)
    unit = noise.scale * watched.variances * noise.inverse_rows
    distance = np.abs(sums / n_rows - watched.means)
    plain = 2 * special.ndtr(-distance / np.sqrt(of_rows + unit * np.maximum(0.0, ratio - 1)))
    surprising = plain < _NO_SURPRISE
    if not noise.is_pooled and watched.kind != "share":
        share = np.minimum(watched.means, 1 - watched.means)
        effect = 1 + n_rows * noise.scale * noise.inverse_rows * np.maximum(0.0, ratio - 1)
        too_few = watched.is_count & (n_rows * share / (1 - share) / effect < _MIN_EXPECTED)
        plain[too_few] = 1.0
        surprising &= ~too_few
    if not surprising.any():
        return np.asarray(plain)
    chosen = np.flatnonzero(surprising)
    of_days = unit[chosen, None] * np.maximum(0.0, ratio[chosen, None] * _inflation(dof[chosen]) - 1)
    tails = 2 * special.ndtr(-distance[chosen, None] / np.sqrt(of_rows[chosen, None] + of_days))
    counts = watched.is_count[chosen]
    if counts.any():
        which = chosen[counts]
        effects = 1 + of_days[counts] * (n_rows / watched.variances[which])[:, None]
        tails[counts] = _count_tails(watched, which, n_rows, sums, effects)
    plain[chosen] = np.minimum(1.0, tails @ _WIDTHS)
    if noise.log_odds is not None and noise.log_odds.spread > 0:
        plain = np.maximum(plain, _burst_p_value(noise.log_odds, n_rows, sums))
    return np.asarray(plain)


def _burst_p_value(calm: LogOdds, n_rows: float, sums: Floats) -> Floats:
    """Return how surprising a share is among shares that come in bursts, shape (1,)."""
    distance = np.abs(log_odds(sums, np.array([n_rows])) - calm.mean)
    return np.asarray(2 * special.stdtr(calm.dof, -distance / calm.spread))


def _inflation(dof: Floats) -> Floats:
    """Return by what a variance of some degrees of freedom may have to be multiplied, shape (j, slices)."""
    quantiles = 2 * special.gammaincinv(dof[:, None] / 2, _MIDDLES) / dof[:, None]
    return np.asarray(1 / np.maximum(quantiles, 1e-300))


def _count_tails(watched: Watched, which: Integers, n_rows: float, sums: Floats, effects: Floats) -> Floats:
    """Return two-sided tails of counts of a window, given their sum with the reference's; (j, slices)."""
    now, before = sums[which], watched.means[which] * watched.n_rows
    is_many = before > watched.n_rows / 2
    now = np.where(is_many, n_rows - now, now)
    before = np.where(is_many, watched.n_rows - before, before)
    left = 1 - (before + 0.5) / (watched.n_rows + 1)
    now, before = (now / left)[:, None] / effects, np.broadcast_to((before / left)[:, None], effects.shape)
    rows = n_rows / effects
    chance = rows / (rows + watched.n_rows)
    many = np.where(now > 0, special.betainc(np.maximum(now, 1e-9), before + 1, chance), 1.0)
    few = np.where(before > 0, special.betaincc(now + 1, np.maximum(before, 1e-9), chance), 1.0)
    return np.asarray(np.minimum(1.0, 2 * np.minimum(many, few)))


def column_p_value(watched: Watched, noise: Noise, n_rows: float, sums: Floats, p_values: Floats) -> float:
    """Return one p-value of all statistics of a column, corrected for their number."""
    least = min(1.0, float((p_values / watched.weights).min()))
    if watched.kind != "levels" or not noise.is_pooled:
        return least
    return min(1.0, least / (1 - _TOGETHER), _together(watched, noise, n_rows, sums) / _TOGETHER)


def _together(watched: Watched, noise: Noise, n_rows: float, sums: Floats) -> float:
    """Return the p-value of all levels by chi-square; rare ones are one cell."""
    shares, found = watched.means[:-1], sums[:-1]
    is_common = n_rows * shares >= _MIN_CELL
    expected = np.append(shares[is_common], shares[~is_common].sum()) * n_rows
    observed = np.append(found[is_common], found[~is_common].sum())
    if expected[-1] < _MIN_CELL:
        if len(expected) < 3:
            return 1.0
        # Too few even together: they go to the smallest of the common ones.
        smallest = int(np.argmin(expected[:-1]))
        expected[smallest] += expected[-1]
        observed[smallest] += observed[-1]
        expected, observed = expected[:-1], observed[:-1]
    statistic = float(((observed - expected) ** 2 / expected).sum())
    inflation = _inflation(np.array(noise.dof))[0]
    of_days = noise.scale * noise.inverse_rows * n_rows * np.maximum(0.0, noise.ratio[0] * inflation - 1)
    spread = 1 + n_rows / watched.n_rows + of_days
    return float(special.chdtrc(len(expected) - 1, statistic / spread) @ _WIDTHS)


def benjamini_hochberg(p_values: Floats) -> Floats:
    """Return q-values: the least false-discovery rate at which each is a discovery.

    Examples
    --------
    >>> benjamini_hochberg(np.array([0.01, 0.5, 0.02])).tolist()
    [0.03, 0.5, 0.03]

    References
    ----------
    .. [1] Benjamini & Hochberg, J. Royal Statistical Society B 57(1), 1995.
    """
    order = np.argsort(p_values)
    raised = p_values[order] * len(p_values) / np.arange(1, len(p_values) + 1)
    found = np.empty_like(p_values)
    found[order] = np.minimum(1.0, np.minimum.accumulate(raised[::-1])[::-1])
    return found
