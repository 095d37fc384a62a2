"""How much days by themselves move what is watched: learned from the reference's own days.

The variance of a window's mean is that of its rows plus that of its days. The first is known; the second
is estimated from stretches of the reference as long as the window, and is as uncertain as they are few.

Where nothing speaks against it, rows are taken for the sample: all statistics of a column then have
one ratio of stretches' variance to rows' variance, near 1, which is far better known than that of
each, and better still with the columns like it (an empirical Bayes prior, as for gene expression).
A table of which too many columns contradict gets no such trust: each statistic answers for itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from pipelines.monitoring.significance.blocks import (
    MIN_DAYS,
    Factors,
    Stretches,
    autocorrelation,
    autoregressive_factors,
    stretch,
)
from pipelines.monitoring.significance.watched import Subject, Watched
from pipelines.monitoring.sketch.cells import Floats
from pipelines.records import Record

# A column whose days differ so much that rows alone would do so less often is not trusted ...
_DISTRUST = 0.01
# ... and none is, where so many have a p-value below this that a calm table would less often than that.
_SMALL = 0.1
# With fewer columns there is nothing to learn from the others.
_MIN_COLUMNS = 3
# The others count at most so many times as much as a column's own days.
_MAX_PRIOR = 3.0
_CERTAIN = 1e6
_DECIMALS = 9


class LogOdds(Record):
    """The log odds of a share in stretches of days: their mean, and the spread of a new window around it.

    Shares that come in bursts are skewed beyond what their variance tells; their logarithm is not.
    """

    mean: float
    spread: float
    dof: float


class Noise(Record):
    """The variance that days add to what is watched of one column.

    ``ratio`` is the variance of a stretch over that of its rows, and ``dof`` how well it is known: one of
    all statistics (``is_pooled``) or one of each. ``scale`` and ``inverse_rows`` make it a new window's.
    """

    is_pooled: bool
    ratio: tuple[float, ...]
    dof: tuple[float, ...]
    scale: float
    inverse_rows: float
    log_odds: LogOdds | None = None


@dataclass(frozen=True)
class DaySums:
    """What is watched of a column, and its sums by day: ``rows`` (n_days,) and ``sums`` (n_days, j)."""

    watched: Watched
    rows: Floats
    sums: Floats


@dataclass(frozen=True)
class _Look:
    """A column's days as they are: at the window's length, and one by one."""

    column: DaySums
    stretches: Stretches
    days: Stretches
    ratio: float
    dof: float
    p_value: float


def learn_noise(columns: Mapping[Subject, DaySums], *, length: int) -> dict[Subject, Noise]:
    """Return the noise of windows of ``length`` days, by column.

    Parameters
    ----------
    columns : mapping of Subject to DaySums
        All columns of a table, judged together.
    length : int
        Days, 1 or more. Of a reference that is shorter than three windows, stretches of a third are taken.
    """
    looks = {name: _look(column, length) for name, column in columns.items() if _n_days(column) >= MIN_DAYS}
    limit = _limit(looks.values())
    trusted = {name: look for name, look in looks.items() if look.p_value > limit}
    prior_ratio, prior_dof = _prior(list(trusted.values()))
    found = {}
    for name, column in columns.items():
        if name not in looks:
            found[name] = _of_rows_alone(column)
        elif name in trusted:
            found[name] = _pooled(looks[name], prior_ratio, prior_dof)
        else:
            found[name] = _by_statistic(looks[name])
    return found


def _n_days(column: DaySums) -> int:
    return int((column.rows > 0).sum())


def _of_rows_alone(column: DaySums) -> Noise:
    inverse = 1 / max(float(column.rows.sum()), 1.0)
    return Noise(is_pooled=True, ratio=(1.0,), dof=(_CERTAIN,), scale=1.0, inverse_rows=inverse)


def _look(column: DaySums, length: int) -> _Look:
    n_days = len(column.rows)
    length = max(1, min(length, n_days // 3))
    found, p_values = [], []
    for days in (length, 1):
        stretches = stretch(column.rows, column.sums, days)
        factors = autoregressive_factors(n_days, days, 0)
        unbiased = stretches.mean_squares / (factors.shown * days)
        ratio = float(unbiased / (column.watched.variances * stretches.inverse_rows) @ column.watched.pooling)
        dof = factors.dof * column.watched.n_apart / _rareness(column, days)
        p_values.append(float(stats.chi2.sf(ratio * dof, dof)))
        found.append((stretches, ratio, dof))
    (stretches, ratio, dof), (days_alone, _, _) = found
    return _Look(column, stretches, days_alone, ratio, dof, min(1.0, 2 * min(p_values)))


def _rareness(column: DaySums, days: int) -> float:
    """Return by how much few counts make a variance less certain than that of normal values: 1 or more."""
    watched = column.watched
    if watched.kind != "share":
        return 1.0
    expected = days * watched.n_rows / max(_n_days(column), 1) * min(watched.means[0], 1 - watched.means[0])
    return 1 + 1 / (2 * max(float(expected), 1e-3))


def _limit(looks: Iterable[_Look]) -> float:
    """Return the p-value below which a column is not trusted: above 1 where the table as a whole is not."""
    p_values = np.array([look.p_value for look in looks if look.column.watched.kind != "share"])
    if len(p_values) < _MIN_COLUMNS:
        return _DISTRUST
    n_small = int((p_values < _SMALL).sum())
    return _DISTRUST if stats.binom.sf(n_small - 1, len(p_values), _SMALL) > _DISTRUST else math.inf


def _prior(looks: list[_Look]) -> tuple[float, float]:
    """Return the ratio that trusted columns share, and its degrees of freedom (Smyth's moments).

    References
    ----------
    .. [1] Smyth, Statistical Applications in Genetics and Molecular Biology 3(1), 2004, section 6.2.
    """
    looks = [look for look in looks if look.column.watched.kind != "share" and look.ratio > 0]
    if len(looks) < _MIN_COLUMNS:
        return 1.0, 0.0
    halves = np.array([look.dof for look in looks]) / 2
    logs = np.log([look.ratio for look in looks]) - special.digamma(halves) + np.log(halves)
    excess = float(logs.var(ddof=1) - special.polygamma(1, halves).mean())
    if excess <= 0:
        return float(np.exp(logs.mean())), _CERTAIN
    half = _inverse_trigamma(excess)
    return float(np.exp(logs.mean() + special.digamma(half) - math.log(half))), 2 * half


def _inverse_trigamma(value: float) -> float:
    found = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(special.polygamma(1, found))
        step = trigamma * (1 - trigamma / value) / float(special.polygamma(2, found))
        found += step
        if abs(step) < 1e-8 * found:
            break
    return found


def _pooled(look: _Look, prior_ratio: float, prior_dof: float) -> Noise:
    prior = min(prior_dof, _MAX_PRIOR * look.dof)
    ratio = (look.dof * look.ratio + prior * prior_ratio) / (look.dof + prior)
    factors = autoregressive_factors(len(look.column.rows), look.stretches.length, 0)
    return Noise(
        is_pooled=True,
        ratio=(round(ratio, _DECIMALS),),
        dof=(round(look.dof + prior, _DECIMALS),),
        scale=factors.scale * factors.shown * look.stretches.length,
        inverse_rows=look.stretches.inverse_rows,
    )


def _by_statistic(look: _Look) -> Noise:
    column, stretches = look.column, look.stretches
    n_days, length = len(column.rows), stretches.length
    variances = column.watched.variances
    tenths = math.ceil(10 * autocorrelation(column.rows, column.sums, variances))
    factors = autoregressive_factors(n_days, length, tenths)
    squares = stretches.mean_squares
    if length > 1:
        squares = _with_model(look, squares, tenths)
    # Few stretches far from all others: their mean square is known worse than the count of days says.
    dof = 2 / (stretches.excess / (factors.dof + 1) + 2 / factors.dof)
    ratio = squares / (variances * stretches.inverse_rows)
    return Noise(
        is_pooled=False,
        ratio=tuple(np.round(ratio, _DECIMALS).tolist()),
        dof=tuple(np.round(dof, _DECIMALS).tolist()),
        scale=factors.scale,
        inverse_rows=stretches.inverse_rows,
        log_odds=_log_odds(column, length, factors) if column.watched.kind == "share" else None,
    )


def log_odds(found: Floats, n_rows: Floats) -> Floats:
    """Return the log odds of shares, with half a row on either side, so that none and all have some too."""
    return np.asarray(np.log((found + 0.5) / (n_rows - found + 0.5)))


def _log_odds(column: DaySums, length: int, factors: Factors) -> LogOdds:
    window = np.ones(length)
    rows, found = (np.convolve(days, window, mode="valid") for days in (column.rows, column.sums[:, 0]))
    odds = log_odds(found[rows > 0], rows[rows > 0])
    spread = math.sqrt(factors.scale * float(odds.var()))
    return LogOdds(
        mean=round(float(odds.mean()), _DECIMALS), spread=round(spread, _DECIMALS), dof=factors.dof
    )


def _with_model(look: _Look, squares: Floats, tenths: int) -> Floats:
    """Return mean squares that chance has not made too small.

    Single days are many, and with their autocorrelation say what stretches should show. Where stretches show
    less, the middle is taken; unless it is so much less that days must balance each other (a week's do).
    """
    column, n_days = look.column, len(look.column.rows)
    variances = column.watched.variances
    of_day = autoregressive_factors(n_days, 1, tenths)
    of_stretch = autoregressive_factors(n_days, look.stretches.length, tenths)
    days = np.maximum(0.0, look.days.mean_squares - variances * look.days.inverse_rows) / of_day.shown
    expected = days * of_stretch.shown + variances * look.stretches.inverse_rows
    least = expected * stats.chi2.ppf(_DISTRUST, of_stretch.dof) / of_stretch.dof
    return np.where(squares > least, np.maximum(squares, (squares + expected) / 2), squares)
