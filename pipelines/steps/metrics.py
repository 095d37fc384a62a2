"""Read the figures that a monitoring system watches from the ledger, anew at each scrape."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from pipelines.errors import HoldfastError
from pipelines.ledger.figures import episode_figures
from pipelines.metrics import primary_metric
from pipelines.monitoring.telling.gauges import (
    Sample,
    coverage_samples,
    drift_samples,
    episode_samples,
    performance_samples,
    scoring_samples,
    validation_samples,
)
from pipelines.records import (
    DriftRecord,
    EstimateScore,
    PerformanceRecord,
    ScoringRecord,
    ValidationRecord,
    shift_partition,
)
from pipelines.runtime import Runtime

_log = logging.getLogger(__name__)

_RECENT_DAYS = 30
_PERFORMANCE_DAYS = 90
# So many of the newest scored nights are looked at for one that has a verdict.
_N_VERDICTS = 3


def collect(runtime: Runtime) -> list[Sample]:
    """Return every figure of every dataset that is switched on.

    What is read is bounded: the last 30 days of validations and scorings, 90 of performance, and one verdict
    of each dataset. A ledger that can't be read is a figure too: ``holdfast_ledger_up`` is 0, and the rest of
    that scrape is missing.
    """
    samples: list[Sample] = []
    try:
        for dataset in runtime.params.enabled:
            found = _dataset_samples(dataset, runtime)
            samples += [Sample(s.name, s.value, {"dataset": dataset, **s.labels}) for s in found]
    except HoldfastError as error:
        _log.warning("This scrape is not whole: %s", error)
        return [*samples, Sample("holdfast_ledger_up", 0)]
    return [*samples, Sample("holdfast_ledger_up", 1)]


def _dataset_samples(dataset: str, runtime: Runtime) -> Iterator[Sample]:
    ledger = runtime.ledger
    champion = ledger.champions.present(dataset)
    if champion is not None:
        yield Sample("holdfast_champion_info", 1, {"version": champion.model_version})
    yield Sample("holdfast_messages_unsent", ledger.outbox.count_unsent(dataset))
    today = ledger.newest_partition(ValidationRecord, dataset)
    if today is None:
        return
    first = shift_partition(today, 1 - _RECENT_DAYS)
    yield from validation_samples(ledger.history(ValidationRecord, dataset, first=first))
    yield from _scored_samples(dataset, first, runtime)
    yield from _performance_samples(dataset, today, runtime)
    config = runtime.dataset(dataset).retraining
    yield from episode_samples(episode_figures(ledger, dataset, today=today, config=config))


def _scored_samples(dataset: str, first: str, runtime: Runtime) -> Iterator[Sample]:
    scored = runtime.ledger.history(ScoringRecord, dataset, first=first)
    if not scored:
        return
    # Of two versions that scored one night, the later one's predictions are what is published.
    yield from scoring_samples(max(scored, key=lambda record: (record.partition_key, record.decided_at)))
    nights = sorted({record.partition_key for record in scored}, reverse=True)
    for night in nights[:_N_VERDICTS]:
        verdict = runtime.ledger.latest(DriftRecord, dataset, night)
        if verdict is not None:
            yield from drift_samples(verdict)
            return


def _performance_samples(dataset: str, today: str, runtime: Runtime) -> Iterator[Sample]:
    first = shift_partition(today, 1 - _PERFORMANCE_DAYS)
    measured = runtime.ledger.history(PerformanceRecord, dataset, first=first)
    mature = [record for record in measured if record.is_mature]
    if mature:
        newest = max(mature, key=lambda record: (record.partition_key, record.decided_at))
        yield from performance_samples(newest, primary_metric(runtime.dataset(dataset).task).name)
    yield from coverage_samples(runtime.ledger.history(EstimateScore, dataset, first=first))
