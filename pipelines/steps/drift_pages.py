"""Read what the drift pages show: the verdicts on many nights, and all about one column on one night."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipelines.ledger.ledger import Ledger
from pipelines.metrics import primary_metric
from pipelines.monitoring.pages.facts import ColumnFacts, DriftHistory, Histogram
from pipelines.monitoring.pages.heat_map import column_rows
from pipelines.pages.places import column_id
from pipelines.records import (
    DriftRecord,
    PerformanceRecord,
    ValidationRecord,
    shift_partition,
)
from pipelines.runtime import Runtime
from pipelines.steps.pages import by_night, drawn_pages, episode_of, recorded_nights, triggers_of

NIGHTS = 30
COLUMNS_FILE = "columns.json"
_MAX_FILE_BYTES = 20_000_000
_MAX_BARS = 100


def drift_history(
    dataset: str, *, runtime: Runtime, last: str | None = None, first_column: int = 0
) -> DriftHistory:
    """Return the verdicts on the 30 days up to ``last``, which is the newest night by default.

    Raises
    ------
    ConfigError
        If there is no such dataset, or ``last`` is no partition key.
    EngineError
        If the ledger fails.
    """
    ledger, config = runtime.ledger, runtime.dataset(dataset)
    newest = next(iter(recorded_nights(dataset, runtime=runtime, limit=1)), None)
    until = last or newest
    if until is None:
        return DriftHistory(dataset, config.description)
    first = shift_partition(until, 1 - NIGHTS)
    records = by_night(ledger.history(DriftRecord, dataset, first=first, last=until))
    validated = ledger.history(ValidationRecord, dataset, first=first, last=until)
    metric = primary_metric(config.task).name
    older = recorded_nights(dataset, runtime=runtime, before=first, limit=1)
    return DriftHistory(
        dataset=dataset,
        description=config.description,
        nights=tuple(sorted({*records, *(record.partition_key for record in validated)})),
        records=records,
        measured=_measured(ledger, dataset, metric, (first, until)),
        metric=metric,
        episodes=tuple(
            episode
            for episode in ledger.episodes.list(dataset)
            if episode.first_alarm <= until and (episode.closed_for is None or episode.closed_for >= first)
        ),
        triggers=triggers_of(ledger, dataset, first, until),
        moves=tuple(ledger.champions.history(dataset)[-5:]),
        older=next(iter(older), None),
        newest=newest is None or until >= newest,
        first_column=first_column,
    )


def _measured(ledger: Ledger, dataset: str, metric: str, span: tuple[str, str]) -> dict[str, float]:
    """Return a metric of each cohort whose labels are complete."""
    found = by_night(ledger.history(PerformanceRecord, dataset, first=span[0], last=span[1]))
    return {
        night: record.metrics[metric]
        for night, record in found.items()
        if record.is_mature and metric in record.metrics
    }


def column_facts(dataset: str, night: str, address: str, *, runtime: Runtime) -> ColumnFacts | None:
    """Return all that is known of the column that an address names; None where there is none on that night.

    Raises
    ------
    ConfigError
        If there is no such dataset, or ``night`` is no partition key.
    EngineError
        If the ledger fails.
    """
    ledger, config = runtime.ledger, runtime.dataset(dataset)
    history = by_night(
        ledger.history(
            DriftRecord, dataset, first=shift_partition(night, 1 - NIGHTS), last=shift_partition(night, 1)
        )
    )
    record = history.get(night)
    if record is None:
        return None
    column = next((drift.column for drift in record.columns if column_id(drift.column) == address), None)
    if column is None:
        return None
    rows = column_rows(DriftHistory(dataset, "", records=history))
    worst = next(row.worst for row in rows if row.column == column)
    beside = sorted(other for other in worst if other != night)
    return ColumnFacts(
        dataset=dataset,
        night=night,
        column=column,
        record=record,
        drifts=tuple(drift for drift in record.columns if drift.column == column),
        histogram=_histogram(runtime.settings.reports / dataset / night / COLUMNS_FILE, column),
        history={other: worst.get(other) for other in sorted(history) if other <= night},
        rate=config.monitoring.false_discovery_rate,
        episode=episode_of(ledger, dataset, night),
        triggers=triggers_of(ledger, dataset, night, night),
        before=max((other for other in beside if other < night), default=None),
        after=min((other for other in beside if other > night), default=None),
        pages=drawn_pages(dataset, night, runtime=runtime),
    )


def _histogram(path: Path, column: str) -> Histogram | None:
    """Return the distribution that was kept of a column; None where there is none that can be read."""
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            return None
        found = json.loads(path.read_text(encoding="utf-8"))[column]
        return Histogram(
            edges=_numbers(found["edges"]),
            labels=tuple(str(label) for label in found["labels"][:_MAX_BARS]),
            reference=_numbers(found["reference"]),
            current=_numbers(found["current"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        # The pictures of a night illustrate what is on record: without them the page still says it all.
        return None


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values[: _MAX_BARS + 1])
