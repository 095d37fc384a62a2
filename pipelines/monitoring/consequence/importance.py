"""How much of a model's skill rests on each of its columns."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.metrics import evaluate_predictions, primary_metric
from pipelines.metrics.quality import Floats
from pipelines.monitoring.reference import numeric_values

Predict = Callable[[pa.Table], Floats]

_MAX_ROWS, _MIN_ROWS, _MAX_REPEATS = 2_000, 200, 3
# Of all columns together: a table of a thousand columns is looked at on fewer rows.
_MAX_PREDICTED_ROWS = 500_000


def permutation_importance(
    predict: Predict, table: pa.Table, config: DatasetConfig, *, seed: int = 0
) -> dict[str, float]:
    """Return the share of the model's skill that is lost with each column.

    A column is lost by shuffling it between the rows: its values stay plausible, and tell nothing. What the
    primary metric loses so, if anything, is the column's, and all columns together have 1. Of columns that
    say much the same each has little.

    Parameters
    ----------
    predict : callable
        Takes a table of feature columns, gives the predictions, shape (n,) or (n, K).
    table : pyarrow.Table, shape (n, any)
        Features and target; best rows that the model has not been trained on. At most 2,000 of those whose
        target is known are looked at, evenly spread.
    seed : int
        The same rows and the same seed give the same shares.

    Returns
    -------
    dict of str to float
        Of each feature, 0 to 1. All 0 where no column is worth anything, or the metric is not defined.

    References
    ----------
    .. [1] Breiman, Random Forests, Machine Learning 45, 2001.
    .. [2] Fisher, Rudin & Dominici, JMLR 20(177), 2019.
    """
    names = config.features.columns
    rows = _chosen(table, config, len(names))
    truth = numeric_values(rows, config.target)
    features = rows.select(list(names))
    random = np.random.default_rng(seed)
    whole = _skill(truth, predict(features), config.task) if rows.num_rows else math.nan
    if not math.isfinite(whole):
        return dict.fromkeys(names, 0.0)
    n_repeats = max(1, min(_MAX_REPEATS, _MAX_PREDICTED_ROWS // (rows.num_rows * len(names))))
    lost = {}
    for name in names:
        orders = [random.permutation(rows.num_rows) for _ in range(n_repeats)]
        without = [_skill(truth, predict(_shuffled(features, name, order)), config.task) for order in orders]
        lost[name] = max(0.0, whole - float(np.mean(without)))
    total = sum(lost.values())
    return {name: loss / total if total > 0 else 0.0 for name, loss in lost.items()}


def _chosen(table: pa.Table, config: DatasetConfig, n_columns: int) -> pa.Table:
    known = table.filter(pa.array(np.isfinite(numeric_values(table, config.target))))
    n = min(known.num_rows, _MAX_ROWS, max(_MIN_ROWS, _MAX_PREDICTED_ROWS // n_columns))
    places = np.unique(np.linspace(0, max(known.num_rows - 1, 0), n).astype(np.int64))
    return known.take(pa.array(places))


def _shuffled(features: pa.Table, name: str, order: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pa.Table:
    place = features.column_names.index(name)
    return features.set_column(place, features.schema.field(place), features[name].take(pa.array(order)))


def _skill(truth: Floats, predicted: Floats, task: str) -> float:
    """Return the primary metric such that greater is better."""
    metric = primary_metric(task)
    value = evaluate_predictions(truth, predicted, task)[metric.name]
    return value if metric.greater_is_better else -value
