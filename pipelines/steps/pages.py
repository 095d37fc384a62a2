"""Read what the pages show of a dataset: from the record, and the files that were drawn of its nights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pipelines.ledger.figures import episode_figures
from pipelines.ledger.ledger import Ledger
from pipelines.metrics import primary_metric
from pipelines.monitoring.pages.facts import DatasetHealth
from pipelines.monitoring.pages.nights import NightLine
from pipelines.records import (
    Decision,
    DriftRecord,
    Episode,
    IngestionRecord,
    PerformanceRecord,
    ScoringRecord,
    Trigger,
    ValidationRecord,
    shift_partition,
)
from pipelines.runtime import Runtime

DecisionT = TypeVar("DecisionT", bound=Decision)
# What libraries drew of a night, by the text of its link, in the order in which it is shown.
DRAWN_PAGES = {
    "Data Docs: validation": "validation.html",
    "Evidently: drift": "drift.html",
    "Evidently: performance": "performance.html",
}
_RECENT_NIGHTS = 14
_LOOK_BACK_DAYS = (45, 400, 10_000)
_LABEL_DAYS = 90


def dataset_health(dataset: str, *, runtime: Runtime) -> DatasetHealth:
    """Return how a dataset fares as of its newest night.

    Raises
    ------
    ConfigError
        If there is no such dataset.
    EngineError
        If the ledger fails.
    """
    ledger, config = runtime.ledger, runtime.dataset(dataset)
    night = next(iter(recorded_nights(dataset, runtime=runtime, limit=1)), None)
    champion = ledger.champions.present(dataset)
    if night is None:
        return DatasetHealth(dataset, config.description, champion=champion)
    recent = by_night(
        ledger.history(DriftRecord, dataset, first=shift_partition(night, 1 - _RECENT_NIGHTS), last=night)
    )
    nights = [shift_partition(night, back) for back in range(1 - _RECENT_NIGHTS, 1)]
    return DatasetHealth(
        dataset=dataset,
        description=config.description,
        night=night,
        ingestion=ledger.latest(IngestionRecord, dataset, night),
        validation=ledger.latest(ValidationRecord, dataset, night),
        scoring=ledger.latest(ScoringRecord, dataset, night),
        drift=recent.get(night),
        champion=champion,
        performance=_newest_performance(ledger, dataset, night),
        metric=primary_metric(config.task).name,
        figures=episode_figures(ledger, dataset, today=night, config=config.retraining),
        episode=ledger.episodes.current(dataset),
        retraining=ledger.retraining_in_flight(dataset),
        recent={each: recent.get(each) for each in nights},
        pages=drawn_pages(dataset, night, runtime=runtime),
    )


def night_lines(
    dataset: str, *, runtime: Runtime, before: str | None = None, limit: int = 30
) -> tuple[Sequence[NightLine], str | None]:
    """Return the nights of a dataset, newest first, and the night before which there are more, if any.

    Raises
    ------
    EngineError
        If the ledger fails.
    """
    ledger = runtime.ledger
    nights = recorded_nights(dataset, runtime=runtime, before=before, limit=limit + 1)
    chosen = nights[:limit]
    if not chosen:
        return [], None
    span = {"first": chosen[-1], "last": chosen[0]}
    validations = by_night(ledger.history(ValidationRecord, dataset, **span))
    scorings = by_night(ledger.history(ScoringRecord, dataset, **span))
    drifts = by_night(ledger.history(DriftRecord, dataset, **span))
    lines = [
        NightLine(
            night,
            validations.get(night),
            scorings.get(night),
            drifts.get(night),
            drawn_pages(dataset, night, runtime=runtime),
        )
        for night in chosen
    ]
    return lines, chosen[-1] if len(nights) > limit else None


def recorded_nights(dataset: str, *, runtime: Runtime, before: str | None = None, limit: int) -> list[str]:
    """Return the nights that were landed, before one if asked, newest first, whichever was landed last.

    Looks back as far as it takes, in steps: most tables have a night a day, and a long history costs nothing.
    """
    newest = runtime.ledger.latest(IngestionRecord, dataset)
    if newest is None:
        return []
    last = None if before is None else shift_partition(before, -1)
    found: set[str] = set()
    for days in _LOOK_BACK_DAYS:
        first = shift_partition(last or newest.partition_key, -days)
        records = runtime.ledger.history(IngestionRecord, dataset, first=first, last=last)
        found = {record.partition_key for record in records}
        if len(found) >= limit:
            break
    return sorted(found, reverse=True)[:limit]


def drawn_pages(dataset: str, night: str, *, runtime: Runtime) -> dict[str, str]:
    """Return what libraries drew of a night: the text of each link, and the name of the file."""
    folder = runtime.settings.reports / dataset / night
    return {text: name for text, name in DRAWN_PAGES.items() if (folder / name).is_file()}


def by_night(records: Sequence[DecisionT]) -> dict[str, DecisionT]:
    """Return the newest record of each night: a night may have been judged for two champions."""
    return {record.partition_key: record for record in sorted(records, key=lambda r: r.decided_at)}


def episode_of(ledger: Ledger, dataset: str, night: str) -> Episode | None:
    """Return the episode that a night is part of; None where it is part of none."""
    for episode in ledger.episodes.list(dataset):
        if episode.first_alarm <= night and (episode.closed_for is None or night <= episode.closed_for):
            return episode
    return None


def triggers_of(ledger: Ledger, dataset: str, first: str, last: str) -> tuple[Trigger, ...]:
    """Return what was decided about retraining as of the nights from ``first`` to ``last``, newest first."""
    found = ledger.triggers.list(dataset, first=first)
    return tuple(t for t in found if t.partition_key <= last and t.verdict != "calm")


def _newest_performance(ledger: Ledger, dataset: str, night: str) -> PerformanceRecord | None:
    first = shift_partition(night, -_LABEL_DAYS)
    records = ledger.history(PerformanceRecord, dataset, first=first, last=night)
    mature = by_night([record for record in records if record.is_mature])
    return mature[max(mature)] if mature else None
