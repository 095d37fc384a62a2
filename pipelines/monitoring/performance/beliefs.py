"""What is believed of each row's outcome before its label is in, learned on rows whose label is.

Of classes: how likely each is, by the model's own probabilities, set right. Of a regression: how large the
row's squared error is, by a second model that learns it from the features and the prediction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.features.encoding import Encoding, encode, fit_encoding
from pipelines.metrics.quality import Floats
from pipelines.monitoring.performance.expected_metrics import (
    Expected,
    expected_auc,
    expected_log_loss,
    expected_rmse,
)
from pipelines.monitoring.performance.probability_calibration import ProbabilityCalibration, fit_calibration
from pipelines.monitoring.reference import numeric_values, predicted_values
from pipelines.monitoring.reference_sketch import PREDICTION

_SMALLEST_SHARE = 1e-3
_MAX_RELATIVE_VARIANCE = 50.0
_MIN_LEAF_ROWS = 40


class Beliefs(Protocol):
    """A way to know something of rows without their labels."""

    def of(self, rows: pa.Table) -> Floats:
        """Return what is believed of each row, shape (n,) or (n, K)."""

    def expect(self, prediction: Floats, beliefs: Floats) -> Expected:
        """Return the primary metric to expect of rows that are predicted and believed of so."""


@dataclass(frozen=True)
class ChanceBeliefs:
    """How likely each class is, shape (n, K)."""

    task: str
    calibration: ProbabilityCalibration

    def of(self, rows: pa.Table) -> Floats:
        return self.calibration.apply(_probabilities(rows, self.task))

    def expect(self, prediction: Floats, beliefs: Floats) -> Expected:
        if self.task == "binary":
            return expected_auc(prediction, beliefs[:, 1])
        return expected_log_loss(prediction, beliefs)


@dataclass(frozen=True)
class ErrorBeliefs:
    """How large each squared error is, shape (n,), above 0."""

    encoding: Encoding
    model: Any
    mean: float
    relative_variance: float

    def of(self, rows: pa.Table) -> Floats:
        shares = self.model.predict(_inputs(rows, self.encoding))
        return np.asarray(np.maximum(shares, _SMALLEST_SHARE) * self.mean, dtype=np.float64)

    def expect(self, prediction: Floats, beliefs: Floats) -> Expected:  # noqa: ARG002 - the errors say it all
        return expected_rmse(beliefs, self.relative_variance)


def fit_beliefs(rows: pa.Table, config: DatasetConfig) -> ChanceBeliefs | ErrorBeliefs:
    """Learn from labelled rows what to believe of rows whose label is not known.

    Parameters
    ----------
    rows : pyarrow.Table, shape (n, any)
        Predictions and target, without nulls; of a regression also the features.
    """
    truth = numeric_values(rows, config.target)
    if config.task == "regression":
        return _fit_errors(rows, truth, config)
    calibration = fit_calibration(_probabilities(rows, config.task), truth)
    return ChanceBeliefs(task=config.task, calibration=calibration)


def _fit_errors(rows: pa.Table, truth: Floats, config: DatasetConfig) -> ErrorBeliefs:
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    squared = (numeric_values(rows, PREDICTION) - truth) ** 2
    mean = float(squared.mean()) or 1.0
    encoding = fit_encoding(rows, config.features)
    # Poisson's loss has a log link: no belief is below 0, and large errors do not rule the fit.
    model = HistGradientBoostingRegressor(
        loss="poisson",
        max_iter=50,
        max_leaf_nodes=8,
        min_samples_leaf=_MIN_LEAF_ROWS,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=0,
    )
    inputs = _inputs(rows, encoding)
    with threadpool_limits(limits=config.training.n_threads):
        model.fit(inputs, squared / mean)
        believed = np.maximum(model.predict(inputs), _SMALLEST_SHARE)
    relative = float(np.mean((squared / mean / believed - 1) ** 2))
    return ErrorBeliefs(encoding, model, mean, min(relative, _MAX_RELATIVE_VARIANCE))


def _inputs(rows: pa.Table, encoding: Encoding) -> Floats:
    encoded = encode(rows, encoding)
    numeric = np.where(np.isfinite(encoded.numeric), encoded.numeric, np.nan)
    # scikit-learn can't fit on a column without any value.
    numeric[:, np.isnan(numeric).all(axis=0)] = 0.0
    return np.column_stack([numeric_values(rows, PREDICTION), numeric, encoded.codes.astype(np.float64)])


def _probabilities(rows: pa.Table, task: str) -> Floats:
    predicted = predicted_values(rows, task)
    return np.column_stack([1 - predicted, predicted]) if task == "binary" else predicted
