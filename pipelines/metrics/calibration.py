"""Whether predictions mean what they say: how often it happens where a model says 0.3.

Of a binary task the probability of 1 is compared with whether it happened; of a multiclass one the
probability of the likeliest class with whether that class came; of a regression the value with the target.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.metrics.intervals import UNDEFINED, Estimate, basic_interval, student_interval
from pipelines.metrics.quality import Floats, known_rows
from pipelines.metrics.resampling import draw_days

_SMALLEST = 1e-6
_MAX_STEPS = 50
_N_RESAMPLES = 1000


class Calibration(NamedTuple):
    """How well predictions are calibrated, on some rows.

    ``error`` is the expected calibration error: the distance between mean prediction and mean target, over
    bins of equally many rows; ``luck`` is what a calibrated model would show of it on days as different as
    these. ``bias`` is the mean prediction minus the mean target. These three are probabilities, or in the
    target's unit. ``slope`` and ``intercept`` are those of what happened on what was predicted (in log odds,
    but for a regression): 1 and 0 of a calibrated model, a slope below 1 of one that is too sure.
    """

    error: Estimate
    luck: float
    bias: Estimate
    slope: Estimate
    intercept: Estimate
    n_rows: int
    n_units: int


def measure_calibration(
    target: npt.ArrayLike,
    prediction: npt.ArrayLike,
    units: npt.ArrayLike,
    task: str,
    *,
    confidence: float = 0.9,
    n_bins: int = 10,
    seed: int = 0,
) -> Calibration:
    """Measure how well predictions are calibrated, with what luck in the days may have made of it.

    Parameters
    ----------
    target, prediction : array-like of float, shape (n,), and (n,) or (n, K)
        As :func:`~pipelines.metrics.quality.evaluate_predictions` takes them; rows without a known target
        are left out.
    units : array-like, shape (n,)
        The day of each row, or another unit of rows that belong together.
    confidence : float
        Of every interval; each is two-sided.

    Returns
    -------
    Calibration
        What is not defined is nan: everything without rows or with a prediction that is not finite, the
        bounds with fewer than two units, slope and intercept where one class only occurs or predictions
        do not differ.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    .. [1] Guo et al., On Calibration of Modern Neural Networks, ICML 2017 (the error).
    .. [2] Van Calster et al., BMC Medicine 17:230, 2019 (slope and intercept).
    .. [3] Cameron & Miller, J. Human Resources 50(2), 2015 (errors of clustered rows).

    Examples
    --------
    >>> found = measure_calibration([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5], [1, 1, 2, 2], "binary")
    >>> found.error.value, found.bias.value
    (0.0, 0.0)
    """
    truth, guess = known_rows(target, prediction, task)
    labels = np.asarray(units)[np.isfinite(np.asarray(target, dtype=np.float64))]
    happened, said = _compared(truth, guess, task)
    if not happened.size or not np.isfinite(said).all():
        return Calibration(UNDEFINED, np.nan, UNDEFINED, UNDEFINED, UNDEFINED, int(happened.size), 0)
    names, unit = np.unique(labels, return_inverse=True)
    # As few rows as there are still fill the bins.
    bins = _bins(said, min(n_bins, max(1, happened.size // 5)))
    error, luck = _error(happened - said, unit, bins, confidence=confidence, seed=seed)
    slope, intercept = _line(happened, said, unit, task, confidence=confidence)
    return Calibration(
        error=error,
        luck=luck,
        bias=_mean(said - happened, unit, confidence=confidence),
        slope=slope,
        intercept=intercept,
        n_rows=int(happened.size),
        n_units=int(names.size),
    )


def _compared(truth: Floats, guess: Floats, task: str) -> tuple[Floats, Floats]:
    """Return what happened and what was said of it."""
    if task != "multiclass":
        return truth, guess
    return (guess.argmax(axis=1) == truth).astype(np.float64), guess.max(axis=1, initial=0.0)


def _bins(said: Floats, n_bins: int) -> npt.NDArray[np.intp]:
    """Return the bin of each row; rows of one prediction are in one bin."""
    edges = np.quantile(said, np.arange(1, n_bins) / n_bins)
    return np.unique(np.searchsorted(edges, said, side="left"), return_inverse=True)[1]


def _error(
    gaps: Floats, unit: npt.NDArray[np.intp], bins: npt.NDArray[np.intp], *, confidence: float, seed: int
) -> tuple[Estimate, float]:
    n_units, n_bins = int(unit.max()) + 1, int(bins.max()) + 1
    totals = np.bincount(unit * n_bins + bins, weights=gaps, minlength=n_units * n_bins)
    totals = totals.reshape(n_units, n_bins)
    n_rows = np.bincount(unit, minlength=n_units).astype(np.float64)
    value = float(np.abs(totals.sum(axis=0)).sum() / gaps.size)
    draws = draw_days(n_units, _N_RESAMPLES, seed)
    resampled = np.abs(draws @ totals).sum(axis=1) / (draws @ n_rows)
    # The mean distance from zero of a normal total whose variance is that of the units' totals.
    spread = np.sqrt(((totals - totals.mean(axis=0)) ** 2).sum(axis=0) * n_units / max(n_units - 1, 1))
    luck = float(np.sqrt(2 / np.pi) * spread.sum() / gaps.size) if n_units > 1 else np.nan
    return basic_interval(value, resampled, n_units=n_units, confidence=confidence), luck


def _mean(values: Floats, unit: npt.NDArray[np.intp], *, confidence: float) -> Estimate:
    mean = float(values.mean())
    totals = np.bincount(unit, weights=values - mean)
    n_units = totals.size
    spread = float(np.sqrt((totals**2).sum() * n_units / max(n_units - 1, 1)) / values.size)
    return student_interval(mean, spread, n_units=n_units, confidence=confidence)


def _line(
    happened: Floats, said: Floats, unit: npt.NDArray[np.intp], task: str, *, confidence: float
) -> tuple[Estimate, Estimate]:
    """Return slope and intercept, with errors that allow rows of one unit to go together."""
    is_odds = task != "regression"
    clipped = np.clip(said, _SMALLEST, 1 - _SMALLEST)
    x = np.log(clipped / (1 - clipped)) if is_odds else said
    if np.ptp(x) == 0 or (is_odds and np.ptp(happened) == 0):
        return UNDEFINED, UNDEFINED
    design = np.column_stack([np.ones_like(x), x])
    weights = _fit_odds(design, happened) if is_odds else np.linalg.lstsq(design, happened)[0]
    fitted = _logistic(design @ weights) if is_odds else design @ weights
    curvature = design.T @ (design * (fitted * (1 - fitted) if is_odds else np.ones_like(x))[:, None])
    if not np.isfinite(weights).all() or np.linalg.cond(curvature) > 1e14:
        return UNDEFINED, UNDEFINED
    scores = np.column_stack([np.bincount(unit, weights=column * (happened - fitted)) for column in design.T])
    n_units = len(scores)
    inverse = np.linalg.inv(curvature)
    variance = inverse @ (scores.T @ scores) @ inverse * n_units / max(n_units - 1, 1)
    spread = np.sqrt(np.diag(variance))
    intercept, slope = (
        student_interval(float(weights[i]), float(spread[i]), n_units=n_units, confidence=confidence)
        for i in range(2)
    )
    return slope, intercept


def _fit_odds(design: Floats, happened: Floats) -> Floats:
    """Return intercept and slope of a logistic line by Newton's steps; nan where there is none."""
    weights = np.array([0.0, 1.0])
    for _ in range(_MAX_STEPS):
        chance = _logistic(design @ weights)
        curvature = design.T @ (design * (chance * (1 - chance))[:, None])
        if np.linalg.cond(curvature) > 1e14:
            break
        step = np.linalg.solve(curvature, design.T @ (happened - chance))
        # Short of where the quadratic no longer resembles the likelihood.
        weights = weights + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-9:
            return np.asarray(weights)
    return np.full(2, np.nan)


def _logistic(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -500, 500))))
