"""A measured number with what luck in the days may have made of it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pipelines.metrics.quality import Floats


class Estimate(NamedTuple):
    """A value and the bounds of its interval, in one unit; all nan where it is not defined."""

    value: float
    lower: float
    upper: float


UNDEFINED = Estimate(math.nan, math.nan, math.nan)


def student_interval(value: float, standard_error: float, *, n_units: int, confidence: float) -> Estimate:
    """Return Student's two-sided interval of an estimate from ``n_units`` independent units."""
    if n_units < 2 or not math.isfinite(value + standard_error):
        return Estimate(value, math.nan, math.nan)
    reach = student_quantile((1 + confidence) / 2, n_units - 1) * standard_error
    return Estimate(value, value - reach, value + reach)


def basic_interval(value: float, resampled: Floats, *, n_units: int, confidence: float) -> Estimate:
    """Return the basic bootstrap's interval of a distance: a value that is never below zero.

    What resampling adds to a distance, sampling has added before: the interval lies as far below the value
    as the resamples lie above it. They are stretched as Student's distribution asks for so few units.

    Parameters
    ----------
    resampled : ndarray of float64, shape (n_resamples,)
        The value of each resample; those that are not defined are left out.

    References
    ----------
    .. [1] Davison & Hinkley, Bootstrap Methods and their Application, 1997, section 5.2.
    """
    defined = resampled[np.isfinite(resampled)]
    if n_units < 2 or not defined.size or not math.isfinite(value):
        return Estimate(value, math.nan, math.nan)
    tail = (1 - confidence) / 2
    normal = student_quantile(1 - tail, 1_000_000)
    stretch = student_quantile(1 - tail, n_units - 1) / normal * math.sqrt(n_units / (n_units - 1))
    low, high = (np.quantile(defined, [tail, 1 - tail]) - value) * stretch
    return Estimate(value, max(0.0, value - float(high)), max(value, value - float(low)))


def student_quantile(probability: float, n_free: int) -> float:
    """Return the quantile of Student's distribution with ``n_free`` degrees of freedom."""
    # Imported where it is needed: it is heavy, and most of what measures has no use for it.
    from scipy.special import stdtrit

    return float(stdtrit(n_free, probability))


def student_tail(statistic: float, n_free: int) -> float:
    """Return the chance that Student's variable is at least ``statistic``."""
    from scipy.special import stdtr

    return float(stdtr(n_free, -statistic))
