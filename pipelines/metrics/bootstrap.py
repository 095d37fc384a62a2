"""Whether a difference between two models is more than luck: a bootstrap over whole units of rows."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.metrics.quality import Floats, known_rows
from pipelines.metrics.resampling import draw_days, metric_of_draws


class BootstrapGain(NamedTuple):
    """How much better a challenger is than a champion; positive is better, whatever the metric.

    ``mean``, ``lower`` and ``upper`` are over the resamples, in the metric's unit; ``probability``
    is the share of resamples in which the challenger is strictly better.
    """

    mean: float
    lower: float
    upper: float
    probability: float


def paired_day_bootstrap(
    target: npt.ArrayLike,
    challenger: npt.ArrayLike,
    champion: npt.ArrayLike,
    days: npt.ArrayLike,
    task: str,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.9,
) -> BootstrapGain:
    """Resample whole days and compare two models' primary metric on the same rows each time.

    Rows of one day share weather and congestion, so days, not rows, are what is drawn with
    replacement. Both models see the same draw, so that a hard day weighs on both.

    Parameters
    ----------
    target : array-like of float, shape (n,)
        What happened; rows with an unknown target are left out.
    challenger, champion : array-like of float, shape (n,) or (n, K)
        The two predictions, as :func:`~pipelines.metrics.quality.evaluate_predictions` takes them.
    days : array-like of str, shape (n,)
        The partition key of each row, or another unit of rows that belong together.
    confidence : float
        The share of resamples between ``lower`` and ``upper``.

    Returns
    -------
    BootstrapGain
        All nan, with probability 0, where a comparison is not defined: no rows, one class only, or
        a prediction that is not finite. A resample without both classes is no win, and is left out
        of mean and bounds.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    .. [1] Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (percentiles).
    """
    truth = np.asarray(target, dtype=np.float64)
    known = np.isfinite(truth)
    labels = np.asarray(days)
    if labels.shape != truth.shape:
        raise ValueError(f"{labels.shape} days do not belong to {truth.shape} targets.")
    names, day = np.unique(labels[known], return_inverse=True)
    pairs = [known_rows(truth, guess, task) for guess in (challenger, champion)]
    if not names.size or not all(np.isfinite(guess).all() for _, guess in pairs):
        return BootstrapGain(math.nan, math.nan, math.nan, 0.0)
    draws = draw_days(names.size, n_resamples, seed)
    first, second = (metric_of_draws(*pair, day, names.size, task).values(draws) for pair in pairs)
    return _summarise(first - second, confidence)


def _summarise(gains: Floats, confidence: float) -> BootstrapGain:
    defined = gains[np.isfinite(gains)]
    if not defined.size:
        return BootstrapGain(math.nan, math.nan, math.nan, 0.0)
    tail = (1 - confidence) / 2
    lower, upper = np.quantile(defined, [tail, 1 - tail])
    return BootstrapGain(
        mean=float(defined.mean()),
        lower=float(lower),
        upper=float(upper),
        probability=float((gains > 0).mean()),
    )
