"""Measure predictions once their labels are in, and again when those change.

A cohort is the predictions of one partition. Its labels come in over days, and some are corrected long
after. A night looks at the cohorts that it can have news of: those whose labels or predictions have other
files than when the night before looked, those that have reached ``label_delay_days``, and those that
have just matured. What a night finds is known as of that night, and stays on record when later ones
know better.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import DatasetConfig
from pipelines.features.target import EncodedTarget, describe_strangers, encode_target
from pipelines.ledger.ledger import Ledger
from pipelines.monitoring.performance.labelled import join_labels, measure
from pipelines.records import (
    PerformanceRecord,
    ReconciliationRecord,
    digest_of,
    partition_date,
    partition_range,
    shift_partition,
)
from pipelines.runtime import Runtime
from pipelines.storage.digest import table_digest
from pipelines.storage.lake import PARTITION_COLUMN

_log = logging.getLogger(__name__)


def reconcile(dataset: str, partition_key: str, *, runtime: Runtime) -> PerformanceRecord | None:
    """Measure every cohort of which a night has news, and write that down.

    Parameters
    ----------
    dataset, partition_key : str
        The night; labels younger than ``label_delay_days`` are left alone.

    Returns
    -------
    PerformanceRecord or None
        What the night knows of the newest cohort, ``label_delay_days`` old; the ledger has what it knows
        of the others. The metrics are those that the rows define (no AUC of a single class). None where
        that cohort has no predictions, or none of them has a label. The same labels and predictions
        give the same record; a cohort whose labels have changed, or which has matured, a new revision.
    """
    partition_date(partition_key)
    config, lake = runtime.dataset(dataset), runtime.lake
    # Before anything is read: what changes meanwhile is the next night's news.
    state = ReconciliationRecord(
        dataset=dataset,
        partition_key=partition_key,
        labels_version=lake.version(dataset, "labels"),
        predictions_version=lake.version(dataset, "predictions"),
        rules_digest=_rules_digest(config),
    )
    if min(state.labels_version, state.predictions_version) < 0:
        return None
    before = runtime.ledger.latest(ReconciliationRecord, dataset)
    cohorts = _cohorts_with_news(before, state, runtime)
    for cohort in cohorts:
        _reconcile_cohort(dataset, cohort, partition_key, runtime=runtime)
    if before is None or before.partition_key <= partition_key:
        runtime.ledger.record(state.model_copy(update={"cohorts": tuple(cohorts)}))
    newest = shift_partition(partition_key, -config.label_delay_days)
    return performance_as_known_at(runtime.ledger, dataset, newest, partition_key)


def performance_as_known_at(
    ledger: Ledger, dataset: str, cohort: str, night: str, *, model_version: str | None = None
) -> PerformanceRecord | None:
    """Return how the predictions of a partition did, as far as was known on a night.

    Parameters
    ----------
    cohort : str
        The partition that was predicted.
    night : str
        What was measured later is left alone.
    model_version : str, optional
        Of predictions that were made anew by another model: whose; the newest ones' by default.

    Returns
    -------
    PerformanceRecord or None
        None if nothing was known by then.
    """
    known = [
        record
        for record in ledger.revisions(PerformanceRecord, dataset, cohort)
        if record.known_at <= night and model_version in (None, record.model_version)
    ]
    return known[-1] if known else None


def _cohorts_with_news(
    before: ReconciliationRecord | None, state: ReconciliationRecord, runtime: Runtime
) -> list[str]:
    """Return the keys of the predicted partitions that may have other figures than are on record.

    Without a state to start from (the first night, other rules, or an old night that is done again) they are
    those of the last ``maturity_days`` and ``window_days``.
    """
    dataset, night, lake = state.dataset, state.partition_key, runtime.lake
    config = runtime.dataset(dataset)
    newest = shift_partition(night, -config.label_delay_days)
    if before is None or before.partition_key > night or before.rules_digest != state.rules_digest:
        reach = config.maturity_days + config.monitoring.window_days
        found = set(partition_range(shift_partition(night, -reach), newest))
    else:
        found = lake.changed_since(dataset, "labels", before.labels_version)
        found |= lake.changed_since(dataset, "predictions", before.predictions_version)
        for age in {config.label_delay_days, config.maturity_days}:
            found |= set(_days_that_reached(age, before.partition_key, night))
    predicted = set(lake.partition_keys(dataset, "predictions"))
    return sorted(key for key in found & predicted if key <= newest)


def _days_that_reached(age: int, since: str, night: str) -> Iterator[str]:
    """Yield the days that became ``age`` days old after one night and up to another."""
    last = shift_partition(night, -age)
    first = shift_partition(since, 1 - age)
    yield from partition_range(first, last) if first <= last else ()


def _rules_digest(config: DatasetConfig) -> str:
    return digest_of(
        [config.task, config.target, config.classes, config.label_delay_days, config.maturity_days]
    )


class _Cohort(NamedTuple):
    predictions: pa.Table
    labels: pa.Table


def _reconcile_cohort(dataset: str, cohort: str, night: str, *, runtime: Runtime) -> None:
    """Measure one cohort, and write it down if it differs from what is on record."""
    read = runtime.lake.read
    rows = _Cohort(*(read(dataset, name, partitions=[cohort]) for name in ("predictions", "labels")))
    if not rows.predictions.num_rows:
        return
    # A partition is written whole, by one model version.
    version = str(pc.max(rows.predictions["model_version"]).as_py())
    on_record = runtime.ledger.latest(PerformanceRecord, dataset, cohort, version)
    if on_record is not None and on_record.known_at > night:
        # The lake holds what later nights brought: it can't say any more what this one knew.
        return
    newest = runtime.ledger.latest(PerformanceRecord, dataset, cohort)
    # A later night may have measured another version by these labels: that is when they were known.
    known_at = night if newest is None else max(night, newest.known_at)
    record = _measured(rows, cohort, known_at, runtime.dataset(dataset), (dataset, version))
    if on_record is None and not record.n_rows:
        return
    is_back = newest is not None and newest.model_version != version
    # Of two nights that know the same, the first one's record stays; unless another version's predictions
    # have been in force in between.
    if (
        is_back
        or on_record is None
        or record.model_copy(update=_known_at(on_record)).digest != on_record.digest
    ):
        runtime.ledger.record(record)


def _known_at(record: PerformanceRecord) -> dict[str, str]:
    return {"known_at": record.known_at}


def _measured(
    rows: _Cohort, cohort: str, night: str, config: DatasetConfig, subject: tuple[str, str]
) -> PerformanceRecord:
    started = time.monotonic()
    dataset, version = subject
    place = rows.labels.column_names.index(config.target)
    encoded = encode_target(rows.labels[config.target], config)
    _warn_of_strangers(encoded, f"{dataset} {cohort}", config)
    known = rows.labels.set_column(place, config.target, encoded.values)
    joined = join_labels(rows.predictions, known, config.target)
    age = (partition_date(night) - partition_date(cohort)).days
    return PerformanceRecord(
        dataset=dataset,
        partition_key=cohort,
        model_version=version,
        known_at=night,
        labels_digest=table_digest(rows.labels.drop_columns([PARTITION_COLUMN])),
        predictions_digest=table_digest(rows.predictions.drop_columns([PARTITION_COLUMN])),
        n_rows=joined.num_rows,
        n_predictions=rows.predictions.num_rows,
        is_mature=age >= config.maturity_days,
        n_strange_labels=encoded.n_strangers,
        metrics=measure(joined, target=config.target, task=config.task) if joined.num_rows else {},
        duration_seconds=time.monotonic() - started,
    )


def _warn_of_strangers(encoded: EncodedTarget, whose: str, config: DatasetConfig) -> None:
    if encoded.strangers:
        _log.warning("%s: %s", whose, describe_strangers(encoded.strangers, config))
