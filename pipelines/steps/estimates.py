"""Score what nights expected of the model's performance, once the labels of their windows are mature."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import DatasetConfig
from pipelines.features.target import encode_target
from pipelines.ledger.ledger import Ledger
from pipelines.metrics import primary_metric
from pipelines.monitoring.performance.labelled import join_labels, measure
from pipelines.records import (
    DriftRecord,
    EstimateScore,
    ReconciliationRecord,
    partition_range,
    shift_partition,
)
from pipelines.runtime import Runtime
from pipelines.storage.lake import Lake


def score_estimates(
    dataset: str, partition_key: str, *, runtime: Runtime, again: Sequence[str] = ()
) -> tuple[EstimateScore, ...]:
    """Hold earlier nights' estimates against the truth, and write down how they did.

    Parameters
    ----------
    dataset, partition_key : str
        The night; estimates are scored once the whole of their window is ``maturity_days`` old by then.
    again : sequence of str
        Earlier nights to look at beside those that are due: they were judged again.

    Returns
    -------
    tuple of EstimateScore
        Those that are new, by the estimated night: of the last nights that have not been scored yet, and of
        nights whose windows hold cohorts with corrected labels. A repeat adds nothing.
    """
    config, ledger, lake = runtime.dataset(dataset), runtime.ledger, runtime.lake
    if not (lake.exists(dataset, "predictions") and lake.exists(dataset, "labels")):
        return ()
    newest = shift_partition(partition_key, -config.maturity_days)
    due = _nights_to_score(dataset, partition_key, config, ledger)
    scores = (
        _score(drift, config, lake)
        for night in sorted({*due, *(night for night in again if night <= newest)})
        if (drift := ledger.latest(DriftRecord, dataset, night)) is not None
    )
    return tuple(score for score in scores if score is not None and ledger.record(score))


def _nights_to_score(dataset: str, partition_key: str, config: DatasetConfig, ledger: Ledger) -> list[str]:
    window = config.monitoring.window_days
    newest = shift_partition(partition_key, -config.maturity_days)
    first = shift_partition(newest, 1 - window)
    scored = {score.partition_key for score in ledger.history(EstimateScore, dataset, first=first)}
    found = set(partition_range(first, newest)) - scored
    state = ledger.latest(ReconciliationRecord, dataset, partition_key)
    for cohort in state.cohorts if state is not None else ():
        found |= set(partition_range(cohort, shift_partition(cohort, window - 1)))
    return sorted(night for night in found if night <= newest)


def _score(drift: DriftRecord, config: DatasetConfig, lake: Lake) -> EstimateScore | None:
    """Return how one night's estimate compares with the labels of its window; None where it can't be said."""
    if drift.estimate is None:
        return None
    labelled = _labelled(drift, config, lake)
    if not labelled.num_rows:
        return None
    metrics = measure(labelled, target=config.target, task=config.task)
    actual = metrics.get(primary_metric(config.task).name)
    if actual is None:
        return None
    return EstimateScore(
        dataset=drift.dataset,
        partition_key=drift.partition_key,
        model_version=drift.model_version,
        estimate=drift.estimate,
        actual_value=actual,
        is_covered=drift.estimate.lower <= actual <= drift.estimate.upper,
        n_rows=labelled.num_rows,
    )


def _labelled(drift: DriftRecord, config: DatasetConfig, lake: Lake) -> pa.Table:
    """Return the model's own predictions of a night's window, beside their labels."""
    days = partition_range(*drift.window)
    predictions = lake.read(drift.dataset, "predictions", partitions=days)
    predictions = predictions.filter(pc.equal(predictions["model_version"], drift.model_version))
    labels = lake.read(drift.dataset, "labels", partitions=days, columns=["row_id", config.target])
    place = labels.column_names.index(config.target)
    known = labels.set_column(place, config.target, encode_target(labels[config.target], config).values)
    return join_labels(predictions, known, config.target)
