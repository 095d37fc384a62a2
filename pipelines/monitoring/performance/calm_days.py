"""How far an expected metric lies from the truth on the holdout's own days."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.metrics import evaluate_predictions, primary_metric
from pipelines.metrics.quality import Floats
from pipelines.monitoring.performance.beliefs import Beliefs
from pipelines.monitoring.performance.expected_metrics import Expected

# What a single day's error is believed to be before any day is seen, and how many days that belief is worth.
_PRIOR_DEVIATION, _PRIOR_DAYS = {"binary": 0.02, "multiclass": 0.05, "regression": 0.05}, 2.0
# Of the variance between days, how much lasts for months: a holdout of weeks can't show it.
_LASTING_SHARE = 0.2
# How surely the variance between days is no larger than it is taken for: few days show it badly.
_SURE = 0.75


class Block(NamedTuple):
    """Successive days of the holdout: their metric, what it was expected to be, and the luck in between.

    On the scale that errors are compared on: the metric itself for AUC, its logarithm for errors.
    """

    actual: float
    expected: float
    variance: float


@dataclass(frozen=True)
class CalmDays:
    """The holdout's rows, with what was believed of each before its label was known.

    Parameters
    ----------
    truth : ndarray of float64, shape (n,)
        What happened.
    predicted, believed : ndarray of float64, shape (n,) or (n, K)
        The predictions, and the beliefs that the other days of the holdout lead to.
    days : ndarray of int64, shape (n,)
        The number of each row's day, from 0.
    """

    task: str
    beliefs: Beliefs
    truth: Floats
    predicted: Floats
    believed: Floats
    days: npt.NDArray[np.int64]

    def blocks(self, n_days: int) -> list[Block]:
        """Return all stretches of ``n_days`` days with a metric; of half the days if they are few."""
        n_all = int(self.days.max()) + 1
        length = max(1, min(n_days, n_all // 2))
        found = (
            self._block((self.days >= first) & (self.days < first + length))
            for first in range(n_all - length + 1)
        )
        return [block for block in found if block is not None]

    @cached_property
    def freedom(self) -> float:
        """How many degrees of freedom the variance between days has."""
        return _PRIOR_DAYS + max(len(self._single) - 1, 1)

    @cached_property
    def bias_variance(self) -> float:
        """How uncertain the mean error of all days is."""
        if not self._single:
            return 0.0
        luck = float(np.mean([block.variance for block in self._single])) / len(self._single)
        return luck + self._variance_between / len(self._single)

    def day_variance(self, n_days: int) -> float:
        """Return how much the errors of stretches of ``n_days`` days differ, beyond the luck of few rows."""
        return self._variance_between * ((1 - _LASTING_SHARE) / max(1, n_days) + _LASTING_SHARE)

    @cached_property
    def _single(self) -> list[Block]:
        return self.blocks(1)

    @cached_property
    def _variance_between(self) -> float:
        """The variance of single days beyond luck, held towards what is believed of any dataset."""
        from scipy.stats import chi2

        prior, n = _PRIOR_DEVIATION[self.task] ** 2, len(self._single) - 1
        if n < 1:
            return prior
        errors = np.array([block.actual - block.expected for block in self._single])
        at_most = float(errors.var(ddof=1)) * n / float(chi2.ppf(1 - _SURE, n))
        beyond = at_most - float(np.mean([block.variance for block in self._single]))
        return (_PRIOR_DAYS * prior + n * max(0.0, beyond)) / (_PRIOR_DAYS + n)

    def _block(self, chosen: npt.NDArray[np.bool_]) -> Block | None:
        truth, predicted = self.truth[chosen], self.predicted[chosen]
        if truth.size < 2:
            return None
        actual = evaluate_predictions(truth, predicted, self.task)[primary_metric(self.task).name]
        expected = self.beliefs.expect(predicted, self.believed[chosen])
        if not (actual > 0 and expected.value > 0):  # also false for nan
            return None
        value, variance = on_scale(expected, self.task)
        return Block(on_scale(Expected(actual, 0.0), self.task).value, value, variance)


def on_scale(found: Expected, task: str) -> Expected:
    """Return a metric on the scale that errors are compared on; its variance by the first order."""
    if primary_metric(task).greater_is_better:
        return found
    return Expected(math.log(found.value), found.variance / found.value**2)


def off_scale(value: float, task: str) -> float:
    """Return the metric of a point on that scale, within what it can be."""
    return min(1.0, max(0.0, value)) if primary_metric(task).greater_is_better else math.exp(value)
