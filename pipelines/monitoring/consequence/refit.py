"""Whether a retraining would pay: a quick model that knows the latest days, beside the champion.

A champion whose own figures hold can still be far behind: in a season that it has never seen, a model that
has seen some of it may do much better. That can't be told from the champion's performance, nor from how far
the data moved. So it is tried: a small model of boosted trees learns from the reference and from the days
since, up to a fortnight ago, and both predict that fortnight. It is less carefully made than a challenger
would be, which makes its gain an understatement.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.features.encoding import Encoding, encode, fit_encoding
from pipelines.metrics import evaluate_predictions, paired_day_bootstrap, primary_metric
from pipelines.monitoring.consequence.importance import Predict
from pipelines.monitoring.performance.concept import matters
from pipelines.monitoring.reference import numeric_values
from pipelines.records import RefitProbe

Floats = npt.NDArray[np.float64]

_TEST_DAYS, _MIN_TEST_DAYS = 14, 5
_MIN_ROWS = 300
_MAX_TRAINING_ROWS = 80_000
_N_TREES = 100
_MAX_CODES = 254
_CONFIDENCE = 0.95
_SEED = 0


def probe_refit(
    reference: pa.Table, recent: pa.Table, predict: Predict, config: DatasetConfig
) -> RefitProbe | None:
    """Compare a quick refit with the champion on the latest labelled days.

    Parameters
    ----------
    reference : pyarrow.Table, shape (n, any)
        Features and target of the rows that the champion was made and judged on.
    recent : pyarrow.Table, shape (m, any)
        Of the mature days since, none of which the champion has learned: ``partition_key``, features, target.
    predict : callable
        The champion: from a table of features to its predictions, shape (n,) or (n, K).

    Returns
    -------
    RefitProbe or None
        Its interval is of whole days drawn with replacement. None of fewer than ten days or 300 rows to
        compare on, and where the metric is not defined.
    """
    keys = recent["partition_key"].to_numpy(zero_copy_only=False).astype(str)
    days = np.unique(keys)
    n_test = min(_TEST_DAYS, days.size // 2)
    if n_test < _MIN_TEST_DAYS:
        return None
    is_test = keys >= days[-n_test]
    learned = _learnable(reference, recent.filter(pa.array(~is_test)), config)
    test = recent.filter(pa.array(is_test))
    truth = numeric_values(test, config.target)
    if test.num_rows < _MIN_ROWS or learned.num_rows < _MIN_ROWS:
        return None
    refit = _fit_and_predict(learned, test, config)
    if refit is None:
        return None
    champion = predict(test.select(list(config.features.columns)))
    gain = paired_day_bootstrap(truth, refit, champion, keys[is_test], config.task, confidence=_CONFIDENCE)
    metric = primary_metric(config.task).name
    before, after = (evaluate_predictions(truth, guess, config.task)[metric] for guess in (champion, refit))
    if not all(map(math.isfinite, (before, after, gain.mean, gain.lower, gain.upper))):
        return None
    return RefitProbe(
        metric=metric,
        champion_value=before,
        refit_value=after,
        gain=gain.mean,
        lower=gain.lower,
        upper=gain.upper,
        confidence=_CONFIDENCE,
        n_rows=test.num_rows,
        n_days=n_test,
        first_partition=str(days[-n_test]),
        last_partition=str(days[-1]),
        is_worth_it=gain.lower > 0 and gain.mean >= matters(config, before),
    )


def _learnable(reference: pa.Table, recent: pa.Table, config: DatasetConfig) -> pa.Table:
    """Return the rows to learn from, the latest ones first to stay where there are too many."""
    columns = [*config.features.columns, config.target]
    schema = recent.select(columns).schema
    both = pa.concat_tables([reference.select(columns).cast(schema), recent.select(columns)])
    known = both.filter(pa.array(np.isfinite(numeric_values(both, config.target))))
    return known.slice(max(0, known.num_rows - _MAX_TRAINING_ROWS))


def _fit_and_predict(learned: pa.Table, test: pa.Table, config: DatasetConfig) -> Floats | None:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    encoding = fit_encoding(learned, config.features)
    is_code = np.array(
        [False] * len(encoding.numeric)
        + [len(column.levels) <= _MAX_CODES for column in encoding.categorical]
    )
    inputs, target = _inputs(learned, encoding), numeric_values(learned, config.target)
    # scikit-learn can't bin a column that is all null.
    is_known = np.isfinite(inputs).any(axis=0)
    kind = HistGradientBoostingRegressor if config.task == "regression" else HistGradientBoostingClassifier
    model = kind(
        max_iter=_N_TREES,
        categorical_features=is_code[is_known],
        early_stopping=False,
        random_state=_SEED,
    )
    seen = _inputs(test, encoding)[:, is_known]
    if config.task == "regression":
        return np.asarray(model.fit(inputs[:, is_known], target).predict(seen), dtype=np.float64)
    if np.unique(target).size < 2:
        return None
    chances = model.fit(inputs[:, is_known], target).predict_proba(seen)
    if config.task == "binary":
        return np.asarray(chances[:, 1], dtype=np.float64)
    every = np.zeros((test.num_rows, len(config.classes)))
    every[:, model.classes_.astype(np.int64)] = chances
    return every


def _inputs(table: pa.Table, encoding: Encoding) -> Floats:
    encoded = encode(table, encoding)
    return np.column_stack([encoded.numeric, encoded.codes]).astype(np.float64)
