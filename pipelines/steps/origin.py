"""What made a model version: its days and their verdicts, code, configuration, environment, and Dag run."""

from __future__ import annotations

from collections.abc import Iterable

from pipelines.records import TrainingRecord, ValidationRecord
from pipelines.registry.challengers import training_record
from pipelines.registry.row_passport import ModelOrigin, TrainingDay
from pipelines.runtime import Runtime
from pipelines.steps.lineage import known_lineage
from pipelines.training.snapshot import Snapshot


def model_origin(dataset: str, model_version: str, *, runtime: Runtime) -> ModelOrigin:
    """Return what made a model version; what can't be had is said.

    Raises
    ------
    ConfigError
        If the ledger knows no such version.
    EngineError
        If the ledger fails.
    """
    record = first_record(training_record(dataset, model_version, ledger=runtime.ledger), runtime)
    lineage = known_lineage(record, runtime=runtime)
    missing = list(lineage.missing.values())
    if (run := dag_run_of(record)) is None:
        missing.append(
            f"the Dag run that registered v{model_version}: it was done outside Airflow, or before runs were "
            "kept on record"
        )
    days = None if lineage.snapshot is None else tuple(_days(lineage.snapshot, runtime))
    return ModelOrigin(
        model_version=model_version,
        trained=record.trained,
        registered_at=record.decided_at,
        dag_run=run,
        days=days,
        config=lineage.config,
        environment=lineage.environment,
        missing=tuple(missing),
    )


def first_record(record: TrainingRecord, runtime: Runtime) -> TrainingRecord:
    """Return the record with which the version came into being: later nights may have found it again."""
    records = runtime.ledger.history(TrainingRecord, record.dataset, subject=record.model_version)
    return min(records, key=lambda found: found.decided_at, default=record)


def dag_run_of(record: TrainingRecord) -> str | None:
    """Return the Airflow run of a registration; older records name MLflow's run in its place."""
    return None if record.run_id == record.trained.mlflow_run_id else record.run_id


def _days(snapshot: Snapshot, runtime: Runtime) -> Iterable[TrainingDay]:
    keys = [day.partition_key for day in snapshot.days]
    newest = runtime.ledger.history(
        ValidationRecord, snapshot.dataset, first=min(keys, default=None), last=max(keys, default=None)
    )
    verdicts = {record.partition_key: record for record in newest}
    for day in snapshot.days:
        verdict = verdicts.get(day.partition_key)
        if verdict is not None and verdict.validated_digest != day.events_digest:
            verdict = _publisher(snapshot.dataset, day.partition_key, day.events_digest, runtime)
        yield TrainingDay(
            partition_key=day.partition_key,
            events_digest=day.events_digest,
            labels_digest=day.labels_digest,
            n_rows=day.n_rows,
            is_training=day.is_training,
            outcome=verdict and verdict.outcome,
            suite_digest=verdict and verdict.suite_digest,
        )


def _publisher(dataset: str, key: str, digest: str, runtime: Runtime) -> ValidationRecord | None:
    """Return the verdict, superseded since, that published the rows of a digest."""
    found = runtime.ledger.revisions(ValidationRecord, dataset, key)
    return next((record for record in reversed(found) if record.validated_digest == digest), None)
