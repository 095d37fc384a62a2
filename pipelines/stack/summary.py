"""What the nights of a demo came to: a line a night, the champions, the stages, and whether it was enough.

All of it is read from the ledger, so that it says the same however often a night was run.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pipelines.ledger.ledger import Ledger
from pipelines.records import (
    ChampionMove,
    Decision,
    DriftRecord,
    GateRecord,
    IngestionRecord,
    PerformanceRecord,
    Retraining,
    ScoringRecord,
    Trigger,
    ValidationRecord,
)
from pipelines.stack.table import aligned

DecisionT = TypeVar("DecisionT", bound=Decision)
NOTHING = "–"
_ACTIONS = {"none": "watch", "record": "on record", "retrain": "retrain", "investigate": "look at the data"}
_STAGES = ("ingest", "arrive", "score", "monitor", "retrain", "train", "promote", "rollback")


@dataclass(frozen=True)
class Night:
    """All that the ledger holds of one night; lists are oldest first."""

    partition_key: str
    ingestion: IngestionRecord | None
    validation: ValidationRecord | None
    scorings: tuple[ScoringRecord, ...]
    performances: tuple[PerformanceRecord, ...]
    drifts: tuple[DriftRecord, ...]
    retraining: Retraining | None
    # The newest decision about a retraining, where none came of it.
    trigger: Trigger | None
    gates: tuple[GateRecord, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the night was taken in, published, scored and monitored."""
        is_published = self.validation is not None and self.validation.outcome != "refused"
        return self.ingestion is not None and is_published and bool(self.scorings) and bool(self.drifts)

    @property
    def drift(self) -> DriftRecord | None:
        """The verdict that says most: a night can be monitored for two champions."""
        return max(self.drifts, key=lambda record: (record.is_confirmed, record.is_alarm), default=None)


def read_nights(ledger: Ledger, dataset: str, keys: Sequence[str]) -> list[Night]:
    """Read what is on record of each night."""

    def by_night(kind: type[DecisionT]) -> dict[str, tuple[DecisionT, ...]]:
        found: dict[str, list[DecisionT]] = defaultdict(list)
        for record in ledger.history(kind, dataset, first=keys[0], last=keys[-1]):
            found[record.partition_key].append(record)
        return {
            key: tuple(sorted(records, key=lambda record: record.decided_at))
            for key, records in found.items()
        }

    ingestions, validations = by_night(IngestionRecord), by_night(ValidationRecord)
    scorings, performances = by_night(ScoringRecord), by_night(PerformanceRecord)
    drifts, gates = by_night(DriftRecord), by_night(GateRecord)
    retrainings = {retraining.partition_key: retraining for retraining in ledger.retrainings(dataset)}
    # Newest first: of a night that was decided about again the last decision stays.
    triggers = {t.partition_key: t for t in reversed(ledger.triggers.list(dataset, first=keys[0]))}
    return [
        Night(
            partition_key=key,
            ingestion=next(iter(ingestions.get(key, ())), None),
            validation=next(iter(validations.get(key, ())), None),
            scorings=scorings.get(key, ()),
            performances=performances.get(key, ()),
            drifts=drifts.get(key, ()),
            retraining=retrainings.get(key),
            trigger=triggers.get(key),
            gates=gates.get(key, ()),
        )
        for key in keys
    ]


def missing_evidence(nights: Sequence[Night]) -> list[str]:
    """Return, a sentence each, what the demo was to show and did not; nothing if it showed all of it."""
    missing = []
    if partial := [night.partition_key for night in nights if not night.is_whole]:
        missing.append(
            f"Not every night was ingested, published, scored and monitored: {', '.join(partial)}."
        )
    confirmed = [night for night in nights if night.drift is not None and night.drift.is_confirmed]
    if not confirmed:
        missing.append("No night confirmed a drift alarm.")
    retrained = [night for night in confirmed if _is_retrained(night)]
    if confirmed and not retrained:
        missing.append("No confirmed drift led to a retraining.")
    decided = [
        night
        for night in retrained
        if night.gates and night.retraining and night.retraining.status in ("promoted", "refused")
    ]
    if retrained and not decided:
        missing.append("No challenger of a retraining was decided on by the gates.")
    return missing


def _is_retrained(night: Night) -> bool:
    return night.retraining is not None and night.retraining.status not in ("suppressed", "failed")


def night_table(nights: Sequence[Night], metric: str) -> list[str]:
    """Return the lines of the table of nights.

    Parameters
    ----------
    metric : str
        The metric of a :class:`~pipelines.records.PerformanceRecord` to show.
    """
    rows: list[tuple[str, ...]] = [
        ("night", "rows", "quarantined", "scored", "by", metric, "drift", "action")
    ]
    rows += [_night_row(night, metric) for night in nights]
    return aligned(rows, right={1, 2, 3, 5})


def _night_row(night: Night, metric: str) -> tuple[str, ...]:
    # The first that was measured: a repeat of the night may be by a champion that learned from it.
    values = [record.metrics[metric] for record in night.performances if metric in record.metrics]
    return (
        night.partition_key,
        NOTHING if night.ingestion is None else str(night.ingestion.n_rows),
        NOTHING if night.validation is None else str(night.validation.n_quarantined),
        str(night.scorings[-1].n_rows) if night.scorings else NOTHING,
        ", ".join(f"v{record.model_version}" for record in night.scorings) or NOTHING,
        f"{values[0]:.3f}" if values else NOTHING,
        drift_words(night.drift),
        action_words(night),
    )


def drift_words(drift: DriftRecord | None) -> str:
    """Return a drift verdict in a few words."""
    if drift is None:
        return NOTHING
    if not drift.is_alarm:
        return "calm"
    state = "confirmed" if drift.is_confirmed else "alarm"
    return f"{state}: {', '.join(drift.kinds)} ({_ACTIONS[drift.action]})"


def action_words(night: Night) -> str:
    """Return what was done about a night's drift, in a few words."""
    retraining, trigger = night.retraining, night.trigger
    if retraining is None or retraining.status == "suppressed":
        decided = retraining or (trigger if trigger is not None and trigger.verdict == "suppressed" else None)
        return NOTHING if decided is None else f"none: {decided.reason.partition(':')[0]}"
    model = "" if retraining.model_version is None else f" v{retraining.model_version}"
    return f"retrained:{model} {retraining.status}"


def champion_table(moves: Sequence[ChampionMove]) -> list[str]:
    """Return the lines of the champion's history."""
    rows = [("champion", "since night", "after", "by", "why")]
    rows += [
        (
            f"v{move.model_version}",
            move.partition_key,
            NOTHING if move.previous_version is None else f"v{move.previous_version}",
            f"{move.action} by {move.actor}",
            move.reason,
        )
        for move in moves
    ]
    return aligned(rows)


def stage_table(tasks: Iterable[dict[str, Any]]) -> list[str]:
    """Return the lines that say how long each stage took.

    Parameters
    ----------
    tasks : iterable of dict
        Task instances as Airflow's API gives them; those that did not run to success are left out.
    """
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    for task in tasks:
        if task["state"] == "success" and task["duration"]:
            seconds[(task["dag_id"].partition("_")[0], task["task_id"])].append(task["duration"])
    order = {stage: place for place, stage in enumerate(_STAGES)}
    rows: list[tuple[str, ...]] = [("stage", "runs", "median s", "longest s", "total s")]
    for (verb, task_id), taken in sorted(
        seconds.items(), key=lambda item: (order.get(item[0][0], len(order)), item[0][1])
    ):
        figures = (statistics.median(taken), max(taken), sum(taken))
        rows.append((f"{verb}.{task_id}", str(len(taken)), *(f"{figure:.1f}" for figure in figures)))
    return aligned(rows, right={1, 2, 3, 4})
