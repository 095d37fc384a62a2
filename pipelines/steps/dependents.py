"""What rests on the former content of a partition that was published anew."""

from __future__ import annotations

from pipelines.records import PerformanceRecord, ScoringRecord, TrainingRecord, ValidationRecord
from pipelines.runtime import Runtime

_MAX_NAMED = 10


def dependents(verdict: ValidationRecord, runtime: Runtime) -> tuple[str, ...]:
    """Return what rests on former content of a partition, each with the command that brings it up to date."""
    dataset, night = verdict.dataset, verdict.partition_key
    is_published = verdict.validated_digest is not None
    if not is_published and not _was_published(verdict, runtime):
        return ()
    found: list[str] = []
    scoring = runtime.ledger.latest(ScoringRecord, dataset, night)
    if scoring is not None and scoring.validated_digest != verdict.validated_digest:
        command = f"`holdfast score {dataset} {night}`"
        found.append(
            f"the predictions of v{scoring.model_version} are of the former rows: run {command}"
            if is_published
            else f"the predictions of v{scoring.model_version} stay, of rows that are not published any "
            f"more: once the night is published again, run {command}"
        )
        performance = runtime.ledger.latest(PerformanceRecord, dataset, night)
        if performance is not None:
            found.append(
                f"the performance known at {performance.known_at} is of the former rows: after scoring, "
                f"run `holdfast monitor {dataset} {performance.known_at}`"
            )
    for training in runtime.ledger.history(TrainingRecord, dataset):
        trained = training.trained
        is_older = training.decided_at <= verdict.decided_at
        if is_older and trained.first_partition <= night <= trained.last_partition:
            found.append(
                f"v{training.model_version} was trained on {trained.first_partition} to "
                f"{trained.last_partition}, maybe with the former rows: if they matter, "
                f"run `holdfast train {dataset} {trained.partition_key}`"
            )
    return tuple(found[-_MAX_NAMED:])


def _was_published(verdict: ValidationRecord, runtime: Runtime) -> bool:
    revisions = runtime.ledger.revisions(ValidationRecord, verdict.dataset, verdict.partition_key)
    return any(record.validated_digest is not None for record in revisions)
