"""How well the model does on rows whose labels are not in yet, with an interval that a calm past has earned.

What the metric is expected to be follows from what is believed of each row
(:mod:`~pipelines.monitoring.performance.beliefs`). How far such an expectation lies from the truth is seen
on the holdout's own days (:mod:`~pipelines.monitoring.performance.calm_days`): its mean is set right, and
its spread makes the interval. A change of the world that leaves features and predictions as they were can't
be seen so: that takes labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import DatasetConfig
from pipelines.metrics import primary_metric
from pipelines.monitoring.performance.beliefs import Beliefs, fit_beliefs
from pipelines.monitoring.performance.calm_days import Block, CalmDays, off_scale, on_scale
from pipelines.monitoring.performance.concept import matters
from pipelines.monitoring.performance.expected_metrics import Expected
from pipelines.monitoring.reference import MIN_ROWS, day_numbers, numeric_values, predicted_values
from pipelines.monitoring.reference_sketch import PREDICTION
from pipelines.records import PerformanceEstimate

# How wrong an expectation may be about a change that it tells of itself: it was learned before the change.
_CHANGE_DOUBT = 0.25
_N_FOLDS = 5
_MIN_HOLDOUT_ROWS = 60
_MAX_ROWS = 200_000


@dataclass(frozen=True)
class Estimator:
    """Estimates the primary metric of one model on rows whose labels are not known.

    Parameters
    ----------
    calm : CalmDays or None
        What the holdout taught; None where it says too little.
    reason : str
        Why nothing can be estimated; empty if it can.
    """

    config: DatasetConfig
    calm: CalmDays | None
    reason: str = ""

    def estimate(self, predictions: pa.Table, *, confidence: float = 0.9) -> PerformanceEstimate | None:
        """Return what the primary metric of some rows is expected to be.

        Parameters
        ----------
        predictions : pyarrow.Table, shape (n, any)
            ``partition_key``, ``prediction``, of a multiclass task the probabilities, of a regression also
            the features (:func:`with_features`). Of more than 200,000 rows as many are taken, evenly spread.
        confidence : float
            How often the interval is to hold the truth.

        Returns
        -------
        PerformanceEstimate or None
            None of fewer than 30 rows, of a metric that is not defined, and where the holdout is of no use.
            ``reference_value`` is what the holdout shows over as many days.
        """
        from scipy.stats import t as student

        rows, calm = _known(predictions, self.config), self.calm
        if calm is None or rows.num_rows < MIN_ROWS:
            return None
        n_days = day_numbers(rows)[1]
        rows = _spread(rows)
        task = self.config.task
        found = calm.beliefs.expect(predicted_values(rows, task), calm.beliefs.of(rows))
        blocks = calm.blocks(n_days)
        if not found.value > 0 or not blocks:
            return None
        found = on_scale(found, task)
        spread = math.sqrt(_variance(found, calm, blocks, n_days))
        half = float(student.ppf((1 + confidence) / 2, calm.freedom)) * spread
        return self._record(found, blocks, half, confidence)

    def _record(
        self, found: Expected, blocks: list[Block], half: float, confidence: float
    ) -> PerformanceEstimate:
        task, metric = self.config.task, primary_metric(self.config.task)
        centre = found.value + float(np.mean([block.actual - block.expected for block in blocks]))
        value, lower, upper = (off_scale(point, task) for point in (centre, centre - half, centre + half))
        reference = off_scale(float(np.mean([block.actual for block in blocks])), task)
        loss = loss_of(value, reference, task)
        at_best = loss_of(upper if metric.greater_is_better else lower, reference, task)
        return PerformanceEstimate(
            metric=metric.name,
            value=value,
            lower=lower,
            upper=upper,
            confidence=confidence,
            reference_value=reference,
            expected_loss=loss,
            is_worse=at_best > 0 and loss >= matters(self.config, reference),
            method="direct_loss" if task == "regression" else "confidence",
        )


def fit_estimator(holdout: pa.Table, config: DatasetConfig) -> Estimator:
    """Learn from a model's holdout how to tell its performance without labels.

    Parameters
    ----------
    holdout : pyarrow.Table, shape (n, any)
        The rows of the reference that the model has not been trained on
        (:class:`~pipelines.monitoring.reference.Reference`).

    Returns
    -------
    Estimator
        One that estimates nothing, and says why, where the holdout has fewer than 60 labelled rows, or rows
        of one class only.
    """
    rows = _known(holdout, config)
    rows = rows.filter(pa.array(np.isfinite(numeric_values(rows, config.target))))
    if rows.num_rows < _MIN_HOLDOUT_ROWS:
        reason = f"{rows.num_rows} labelled rows of the holdout are too few to estimate performance by."
        return Estimator(config, None, reason)
    truth = numeric_values(rows, config.target)
    if config.task != "regression" and np.unique(truth).size < 2:
        return Estimator(config, None, "The holdout has one class only: no performance to estimate.")
    if config.task == "regression" and not _is_wrong_somewhere(rows, truth):
        reason = "The model's errors on its holdout are 0, or beyond all numbers: there is nothing to learn."
        return Estimator(config, None, reason)
    beliefs = fit_beliefs(rows, config)
    calm = CalmDays(
        task=config.task,
        beliefs=beliefs,
        truth=truth,
        predicted=predicted_values(rows, config.task),
        believed=_believed_by_others(rows, config, beliefs),
        days=day_numbers(rows)[0],
    )
    return Estimator(config, calm)


def _is_wrong_somewhere(rows: pa.Table, truth: npt.NDArray[np.float64]) -> bool:
    with np.errstate(over="ignore"):
        squared = (numeric_values(rows, PREDICTION) - truth) ** 2
        return 0.0 < float(squared.sum()) < math.inf


def with_features(predictions: pa.Table, features: pa.Table, config: DatasetConfig) -> pa.Table:
    """Return the predictions with the features of their rows, by ``row_id``; null where there are none."""
    places = pc.index_in(predictions["row_id"], value_set=features["row_id"].combine_chunks())
    for name in config.features.columns:
        if name not in predictions.column_names:
            predictions = predictions.append_column(name, features[name].take(places))
    return predictions


def loss_of(value: float, reference: float, task: str) -> float:
    """Return by how much a value of the primary metric is worse than another; never negative."""
    worse = reference - value if primary_metric(task).greater_is_better else value - reference
    return max(0.0, worse)


def _variance(found: Expected, calm: CalmDays, blocks: list[Block], n_days: int) -> float:
    change = found.value - float(np.mean([block.expected for block in blocks]))
    return found.variance + calm.day_variance(n_days) + calm.bias_variance + (_CHANGE_DOUBT * change) ** 2


def _known(rows: pa.Table, config: DatasetConfig) -> pa.Table:
    predicted = predicted_values(rows, config.task)
    return rows.filter(pa.array(np.isfinite(predicted.reshape(rows.num_rows, -1)).all(axis=1)))


def _spread(rows: pa.Table) -> pa.Table:
    if rows.num_rows <= _MAX_ROWS:
        return rows
    return rows.take(pa.array(np.linspace(0, rows.num_rows - 1, _MAX_ROWS).astype(np.int64)))


def _believed_by_others(rows: pa.Table, config: DatasetConfig, beliefs: Beliefs) -> npt.NDArray[np.float64]:
    """Return what is believed of each row by those of other days; of a single day, by other rows."""
    days, n_days = day_numbers(rows)
    units = days * _N_FOLDS // n_days if n_days > 1 else np.arange(rows.num_rows) % _N_FOLDS
    believed = beliefs.of(rows)
    for fold in np.unique(units):
        others = rows.filter(pa.array(units != fold))
        if others.num_rows >= _MIN_HOLDOUT_ROWS // 2:
            own = units == fold
            believed[own] = fit_beliefs(others, config).of(rows.filter(pa.array(own)))
    return believed
