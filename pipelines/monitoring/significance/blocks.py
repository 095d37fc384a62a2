"""Stretches of a reference's days, as long as the window: what days do by themselves.

Days, not rows, are the sample: rows of one day share their weather, and days that follow each other
are alike. How far stretches of calm days lie from the whole reference says how far a window of as many
days may, if that is put right for two things: a stretch is part of what it is compared with, and
stretches that overlap, or follow each other closely, repeat each other. Both are worked out for days
whose likeness falls off with their distance as that of an autoregressive process does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipelines.monitoring.sketch.cells import Floats

# Fewer days say nothing about how days differ.
MIN_DAYS = 3
# Of longer histories the factors are those of this many days: they change little, and cost the cube.
_MAX_DAYS = 730


@dataclass(frozen=True)
class Factors:
    """What a mean square of stretches around the reference is worth, for days of one autocorrelation.

    Parameters
    ----------
    scale : float
        The variance of a new window's mean less the reference's, over the expected mean square.
    shown : float
        The expected mean square, over the variance of a single day.
    dof : float
        Degrees of freedom of the mean square (Satterthwaite).
    """

    scale: float
    shown: float
    dof: float


@lru_cache(maxsize=4096)
def autoregressive_factors(n_days: int, length: int, tenths: int) -> Factors:
    """Return the factors for stretches of ``length`` of ``n_days`` days of autocorrelation ``tenths / 10``.

    Examples
    --------
    >>> autoregressive_factors(60, 1, 0).dof
    59.0
    """
    n_days = min(n_days, _MAX_DAYS)
    days = np.arange(n_days)
    likeness = (tenths / 10) ** np.abs(days[:, None] - days) if tenths else np.eye(n_days)
    starts = days[: n_days - length + 1, None]
    stretches = ((days >= starts) & (days < starts + length)) / length
    deviations = stretches - 1 / n_days
    covariance = deviations @ likeness @ deviations.T
    total = float(np.trace(covariance))
    shown = total / len(stretches)
    new = float(stretches[0] @ likeness @ stretches[0]) + float(likeness.sum()) / n_days**2
    return Factors(new / shown, shown, round(total**2 / float(np.sum(covariance**2)), 9))


@dataclass(frozen=True)
class Stretches:
    """How far the stretches of one length lie from the whole.

    Parameters
    ----------
    length : int
        Days of each stretch.
    mean_squares : ndarray of float, shape (j,)
        Of their distance from the reference's mean, by statistic.
    excess : ndarray of float, shape (j,)
        Kurtosis of that distance, less a normal one's; 0 or more.
    inverse_rows : float
        Mean of one over the rows of a stretch: what the variance of a row is multiplied with.
    """

    length: int
    mean_squares: Floats
    excess: Floats
    inverse_rows: float


def stretch(rows: Floats, sums: Floats, length: int) -> Stretches:
    """Compare all stretches of ``length`` successive days with the whole.

    Parameters
    ----------
    rows : ndarray of float, shape (n_days,)
        Values of each day.
    sums : ndarray of float, shape (n_days, j)
        Sums of each statistic over them.
    """
    running_rows = np.concatenate([[0.0], np.cumsum(rows)])
    running = np.vstack([np.zeros(sums.shape[1]), np.cumsum(sums, axis=0)])
    n_rows = running_rows[length:] - running_rows[:-length]
    found = n_rows > 0
    parts = (running[length:] - running[:-length])[found] / n_rows[found, None]
    squares = (parts - sums.sum(axis=0) / rows.sum()) ** 2
    mean = squares.mean(axis=0)
    fourth = (squares**2).mean(axis=0)
    excess = np.divide(fourth, mean**2, out=np.full(mean.shape, 3.0), where=mean > 0) - 3
    return Stretches(length, mean, np.maximum(excess, 0.0), float((1 / n_rows[found]).mean()))


def autocorrelation(rows: Floats, sums: Floats, variances: Floats) -> float:
    """Return how alike days are that follow each other, 0 to 0.9: a cautious estimate.

    The noise of a day's rows is taken out, the estimate's own downward bias too, and half a standard error
    added: to hold days for more alike than they are costs power, to hold them for less raises false alarms.
    """
    known = rows > 0
    n_days = int(known.sum())
    deviations = (sums[known] / rows[known, None] - sums.sum(axis=0) / rows.sum()) / np.sqrt(variances)
    total = float((deviations**2).mean(axis=0).sum())
    of_days = total - deviations.shape[1] * float((1 / rows[known]).mean())
    if n_days < MIN_DAYS or of_days <= 0:
        return 0.0
    share = max(of_days / total, 0.3)
    found = float((deviations[1:] * deviations[:-1]).mean(axis=0).sum()) / total / share
    if found <= 0:
        return 0.0
    return float(min(found + (1 + 3 * found) / n_days + 0.5 / np.sqrt(n_days) / share, 0.9))
