"""How much models of one recipe differ, beyond what days make of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.metrics.quality import Floats, known_rows
from pipelines.metrics.resampling import metric_of_draws

# How sure it is to be that models differ by more than days make of it. What is less sure may be luck of the
# few models that were looked at; to allow for it too would cost power where days explain all.
_CONFIDENCE = 0.99

# Models that differ by less are the same, but for rounding.
_ALIKE = 1e-9


class ModelEffect(NamedTuple):
    """The primary metric of several models of one recipe on the same rows.

    ``values`` are in the metric's unit. ``ratio`` is their variance over what it would be if they differed
    only as they differ from day to day: about 1 then, above 1 where one is better than another on most days.
    nan where it is not defined.
    """

    values: tuple[float, ...]
    ratio: float

    @property
    def standard_deviation(self) -> float:
        """What the metric of one such model varies by, in the metric's unit."""
        return float(np.std(self.values, ddof=1))


def measure_model_effect(
    target: npt.ArrayLike, predictions: Sequence[Floats], units: npt.ArrayLike, task: str
) -> ModelEffect:
    """Hold the variance between models against that of models by days: a two-way analysis of variance.

    A test over days tells whether one model is better than another on these days and days like them. Two
    models of one recipe truly differ, by luck of their seeds and samples: on many days even that is beyond
    doubt, and it is no progress.

    Parameters
    ----------
    target : array-like of float, shape (n,)
        What happened; rows with an unknown target are left out.
    predictions : sequence of array-like of float, each of shape (n,) or (n, K)
        What each model says, as :func:`~pipelines.metrics.quality.evaluate_predictions` takes it.
    units : array-like, shape (n,)
        The day of each row, or another unit of rows that belong together.

    References
    ----------
    .. [1] Bouthillier et al., Accounting for Variance in Machine Learning Benchmarks, MLSys 2021.
    .. [2] Searle, Casella & McCulloch, Variance Components, 1992, section 4.
    """
    truth = np.asarray(target, dtype=np.float64)
    names, unit = np.unique(np.asarray(units)[np.isfinite(truth)], return_inverse=True)
    once = np.ones((1, names.size))
    values, influences = [], []
    with np.errstate(invalid="ignore", divide="ignore"):
        for guess in predictions:
            metric = metric_of_draws(*known_rows(truth, guess, task), unit, names.size, task)
            values.append(float(metric.values(once)[0]))
            influences.append(metric.influences(once)[0])
        by_days = float(np.var(influences, axis=0, ddof=1).sum())
    if len(values) < 2 or names.size < 2 or not math.isfinite(by_days):
        return ModelEffect(tuple(values), math.nan)
    if np.allclose(values, values[0], rtol=_ALIKE, atol=0.0):
        return ModelEffect(tuple(values), 1.0)
    explained = by_days * names.size / (names.size - 1)
    return ModelEffect(tuple(values), float(np.var(values, ddof=1)) / explained if explained else math.nan)


def sure_training_error(standard_deviation: float, ratio: float, *, n_models: int, n_units: int) -> float:
    """Return by how much two models of a recipe surely differ beyond what days explain: a standard error.

    That part of their variance, by the lower bound of :attr:`ModelEffect.ratio` (Fisher's distribution), for
    two models; in the metric's unit. 0 where nothing is sure, or the ratio is not defined.
    """
    from scipy.special import fdtri

    between = n_models - 1
    if not math.isfinite(ratio) or ratio <= 0 or between < 1 or n_units < 2:
        return 0.0
    surely = ratio / float(fdtri(between, between * (n_units - 1), _CONFIDENCE))
    return math.sqrt(2 * max(0.0, surely - 1) / ratio) * standard_deviation
