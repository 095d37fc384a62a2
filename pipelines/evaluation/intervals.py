"""How far a measure may be off for the luck of the days that it was taken on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipelines.evaluation.holdout import Floats
from pipelines.metrics import primary_metric
from pipelines.metrics.intervals import student_interval
from pipelines.metrics.resampling import metric_of_draws
from pipelines.records import Measured

CONFIDENCE = 0.9
METHOD = "jackknife over {unit}, Student's t"

# Every left-out unit costs one more measurement.
_MAX_UNITS, _MIN_UNITS, _MAX_MEASURED_ROWS = 64, 10, 10_000_000
_BETWEEN_0_AND_1 = frozenset({"auc", "average_precision", "accuracy", "balanced_accuracy", "prevalence"})
_FROM_0 = frozenset({"log_loss", "brier", "rmse", "mae"})

Measure = Callable[[npt.NDArray[np.bool_]], Mapping[str, float]]


def jackknife(
    measure: Measure, units: npt.ArrayLike, *, confidence: float = CONFIDENCE
) -> dict[str, Measured]:
    """Return measures of all rows, with bounds from leaving out one unit of rows at a time.

    Rows of one day go together, so that days, not rows, are what luck draws. With a holdout of two weeks
    the percentiles of a bootstrap over days are too narrow; Student's distribution allows for so few.

    Parameters
    ----------
    measure : callable
        Takes which rows to measure, shape (n,), gives each measure by its name; nan where not defined.
    units : array-like, shape (n,)
        The day of each row, or another unit of rows that belong together. Neighbours are put together
        where they are more than 64, or fewer, down to 10, of a very large table.

    Returns
    -------
    dict of str to Measured
        Bounds are None with fewer than two units, or where a measure is not defined without one of them.

    References
    ----------
    .. [1] Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 11.
    """
    names, unit = np.unique(np.asarray(units), return_inverse=True)
    n_bearable = max(_MIN_UNITS, _MAX_MEASURED_ROWS // max(unit.size, 1))
    n_units = min(names.size, _MAX_UNITS, n_bearable)
    unit = unit * n_units // max(names.size, 1)
    found = measure(np.ones(unit.size, dtype=np.bool_))
    without = [measure(unit != left_out) for left_out in range(n_units)] if n_units > 1 else []
    return {
        name: _measured(name, value, np.array([other[name] for other in without]), confidence)
        for name, value in found.items()
    }


def primary_interval(
    target: Floats,
    predictions: Sequence[Floats],
    unit: npt.NDArray[np.intp],
    task: str,
    *,
    confidence: float = CONFIDENCE,
) -> Measured:
    """Return the primary metric of a model, or how much better a first one is than a second.

    Parameters
    ----------
    target : ndarray of float64, shape (n,)
    predictions : sequence of ndarray
        Of one model: its metric is returned. Of two: by how much the first is better, whatever the metric.
    unit : ndarray of int, shape (n,)
        The number of each row's unit.
    """
    names, place = np.unique(unit, return_inverse=True)
    if not names.size or not all(np.isfinite(guess).all() for guess in predictions):
        return measured(math.nan)
    every = np.ones((1, names.size))
    values, influences = [], []
    for guess in predictions:
        metric = metric_of_draws(target, guess, place, names.size, task)
        values.append(float(metric.values(every)[0]))
        influences.append(
            metric.influences(every)[0] if math.isfinite(values[-1]) else np.full(names.size, math.nan)
        )
    if len(predictions) == 2:
        value, influence = values[0] - values[1], influences[0] - influences[1]
    else:
        sign = 1 if primary_metric(task).greater_is_better else -1
        value, influence = sign * values[0], influences[0]
    spread = math.sqrt(float((influence**2).sum()) * names.size / max(names.size - 1, 1))
    name = primary_metric(task).name if len(predictions) == 1 else ""
    return _bounded(name, value, spread, names.size, confidence)


def measured(value: float, lower: float = math.nan, upper: float = math.nan) -> Measured:
    """Return a number with its bounds as a record: what is not finite becomes None."""
    return Measured(value=finite(value), lower=finite(lower), upper=finite(upper))


def finite(value: float) -> float | None:
    """Return a number, or None where it is none."""
    return float(value) if math.isfinite(value) else None


def _measured(name: str, value: float, without: Floats, confidence: float) -> Measured:
    n = without.size
    if n < 2:
        return measured(value)
    spread = math.sqrt((n - 1) / n * float(((without - without.mean()) ** 2).sum()))
    return _bounded(name, value, spread, n, confidence)


def _bounded(name: str, value: float, spread: float, n_units: int, confidence: float) -> Measured:
    """Return Student's interval, within what the measure can be."""
    _, lower, upper = student_interval(value, spread, n_units=n_units, confidence=confidence)
    if name in _BETWEEN_0_AND_1 or name in _FROM_0:
        lower = max(lower, 0.0)
    if name in _BETWEEN_0_AND_1 or name == "r2":
        upper = min(upper, 1.0)
    return measured(value, lower, upper)
