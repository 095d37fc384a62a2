"""Performance estimated without labels, against the truth, on real flights of April to December.

A model is trained on January to March, as the project trains one, and frozen. Each night's estimate, of the
night alone and of the week that ends with it, knows that model's holdout and the predictions; the truth is
what the labels showed later. Beside it: the guess that nothing changes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import PROJECT_ROOT, DatasetConfig
from pipelines.evaluation.reference import sample_reference
from pipelines.features.encoding import fit_encoding
from pipelines.features.query import compute_features, read_query
from pipelines.features.target import encode_target
from pipelines.metrics import evaluate_predictions
from pipelines.monitoring.performance.estimation import Estimator, fit_estimator
from pipelines.records import partition_range
from pipelines.runtime import Runtime
from pipelines.steps.ingest import ingest_range
from pipelines.training.candidates import fit_candidate
from pipelines.training.examples import split_days

DATASET = "flights"
FIRST, LAST, LATEST = "2013-01-01", "2013-03-31", "2013-12-31"
# The labels of the last day of all never come.
NIGHTS = ("2013-04-01", "2013-12-30")
LENGTHS = (1, 7)


class Night(NamedTuple):
    """What was estimated of some days, and what the labels showed."""

    actual: float
    value: float
    lower: float
    upper: float
    reference: float


def main() -> None:
    """Print the coverage of the intervals and the errors, for each kind of model."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        runtime = Runtime.load({"HOLDFAST_HOME": folder, "HOLDFAST_DEVICE": "cpu"})
        config = runtime.dataset(DATASET)
        table = examples_of_the_year(runtime, config)
    print(
        f"{'90 % intervals':48}{'nights':>8}{'covered':>9}{'width':>8}{'error':>8}{'of no change':>14}   "
        "by month, April to December"
    )
    for name in config.training.candidates:
        estimator, later = _fitted(name, table, config)
        for length in LENGTHS:
            _print(f"  {name}, {'the night alone' if length == 1 else 'its week'}", estimator, later, length)


def examples_of_the_year(runtime: Runtime, config: DatasetConfig, last: str = LATEST) -> pa.Table:
    """Return the year's flights, up to a day, with their features and whether they were late."""
    days = partition_range(FIRST, last)
    ingest_range(DATASET, FIRST, last, runtime=runtime)
    events = runtime.lake.read(DATASET, "raw", partitions=days)
    labels = runtime.lake.read(DATASET, "labels", partitions=days)
    sql = read_query(config, PROJECT_ROOT)
    features = compute_features(events, labels, config=config, sql=sql, partitions=days)
    happened = encode_target(labels[config.target], config).values
    happened = happened.take(pc.index_in(features["row_id"], labels["row_id"].combine_chunks()))
    return features.append_column(config.target, happened).filter(pc.is_valid(happened))


def _fitted(name: str, table: pa.Table, config: DatasetConfig) -> tuple[Estimator, list[pa.Table]]:
    """Return the estimator of a model of the first quarter, and its predictions of each later day."""
    split = split_days(partition_range(FIRST, LAST), config.training.holdout_days)
    train, valid = _of(table, split.train), _of(table, split.valid)
    encoding = fit_encoding(train, config.features)
    model = fit_candidate(name, train, valid, config=config, encoding=encoding, seed=1)

    def scored(rows: pa.Table) -> pa.Table:
        return rows.append_column("prediction", pa.array(model.predict(rows)))

    # As many rows of the holdout as a reference keeps of it.
    seen = _of(table, [*split.train, *split.valid])
    sample = sample_reference(seen, _of(table, split.holdout), n_rows=config.monitoring.reference_rows)
    estimator = fit_estimator(scored(sample.filter(sample["is_holdout"])), config)
    return estimator, [scored(_of(table, [day])) for day in partition_range(*NIGHTS)]


def _print(title: str, estimator: Estimator, later: Sequence[pa.Table], length: int) -> None:
    nights: dict[str, list[Night]] = {}
    for last in range(length - 1, len(later)):
        month = later[last]["partition_key"][0].as_py()[5:7]
        nights.setdefault(month, []).append(_night(estimator, later[last + 1 - length : last + 1]))
    rows = np.array([night for month in nights.values() for night in month])
    actual, value, lower, upper, reference = rows.T
    by_month = " ".join(f"{_coverage(np.array(month)):.2f}" for month in nights.values())
    print(
        f"{title:48}{len(rows):8}{_coverage(rows):9.3f}{(upper - lower).mean():8.3f}"
        f"{np.abs(actual - value).mean():8.4f}{np.abs(actual - reference).mean():14.4f}   {by_month}"
    )
    assert ((lower <= value) & (value <= upper)).all()


def _coverage(rows: np.ndarray) -> float:  # type: ignore[type-arg]
    return float(((rows[:, 0] >= rows[:, 2]) & (rows[:, 0] <= rows[:, 3])).mean())


def _night(estimator: Estimator, days: Sequence[pa.Table]) -> Night:
    rows = pa.concat_tables(days)
    found = estimator.estimate(rows)
    assert found is not None
    target = estimator.config.target
    measured = evaluate_predictions(rows[target].to_numpy(), rows["prediction"].to_numpy(), "binary")
    return Night(measured["auc"], found.value, found.lower, found.upper, found.reference_value)


def _of(rows: pa.Table, days: Sequence[str]) -> pa.Table:
    return rows.filter(pc.is_in(rows["partition_key"], pa.array(list(days))))
