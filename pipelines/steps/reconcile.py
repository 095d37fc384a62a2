"""Measure predictions once their labels are in."""

from __future__ import annotations

import logging
import time

import pyarrow.compute as pc

from pipelines.features.target import describe_strangers, encode_target
from pipelines.monitoring.performance import join_labels, measure
from pipelines.records import PerformanceRecord, partition_date, shift_partition
from pipelines.runtime import Runtime
from pipelines.storage.digest import table_digest
from pipelines.storage.lake import PARTITION_COLUMN

_log = logging.getLogger(__name__)


def reconcile(dataset: str, partition_key: str, *, runtime: Runtime) -> PerformanceRecord | None:
    """Measure the predictions whose labels a night brought, and write that down.

    Parameters
    ----------
    dataset, partition_key : str
        The night; its labels are those of the partition ``label_delay_days`` before.

    Returns
    -------
    PerformanceRecord or None
        About that earlier partition; its metrics are those that the rows define (no AUC of a
        single class). None where it has no predictions, or none of them has a label. The same
        labels and predictions give the same record, corrected ones a new revision.
    """
    started = time.monotonic()
    partition_date(partition_key)
    config = runtime.dataset(dataset)
    labelled_key = shift_partition(partition_key, -config.label_delay_days)
    lake = runtime.lake
    if not (lake.exists(dataset, "predictions") and lake.exists(dataset, "labels")):
        return None
    predictions = lake.read(dataset, "predictions", partitions=[labelled_key])
    labels = lake.read(dataset, "labels", partitions=[labelled_key])
    place = labels.column_names.index(config.target)
    encoded = encode_target(labels[config.target], config)
    if encoded.strangers:
        _log.warning("%s %s: %s", dataset, labelled_key, describe_strangers(encoded.strangers, config))
    known = labels.set_column(place, config.target, encoded.values)
    joined = join_labels(predictions, known, config.target)
    if not joined.num_rows:
        return None
    record = PerformanceRecord(
        dataset=dataset,
        partition_key=labelled_key,
        # A partition is written whole, by one model version.
        model_version=pc.max(predictions["model_version"]).as_py(),
        known_at=partition_key,
        labels_digest=table_digest(labels.drop_columns([PARTITION_COLUMN])),
        predictions_digest=table_digest(predictions.drop_columns([PARTITION_COLUMN])),
        n_rows=joined.num_rows,
        n_strange_labels=encoded.n_strangers,
        metrics=measure(joined, target=config.target, task=config.task),
        duration_seconds=time.monotonic() - started,
    )
    runtime.ledger.record(record)
    return record
