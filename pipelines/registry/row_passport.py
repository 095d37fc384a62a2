"""The passport of one row: what was predicted for it, by which model, made of what, decided by whom."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pipelines.records import (
    AmendmentRecord,
    ChampionMove,
    GateRecord,
    IngestionRecord,
    Record,
    ScoringRecord,
    StageValidationRecord,
    TrainedModel,
    ValidationRecord,
)

# What became of the row, as far as it came.
RowOutcome = Literal["predicted", "withheld", "unscored", "quarantined", "landed"]


class TrainingDay(Record):
    """One day that a model was made of: the digests of its rows, and the verdict under which they came.

    ``outcome`` is None where no verdict on record published these very rows; ``labels_digest`` where the day
    is history only.
    """

    partition_key: str
    events_digest: str
    labels_digest: str | None
    n_rows: int
    is_training: bool
    outcome: Literal["passed", "warned", "refused"] | None = None
    suite_digest: str | None = None


class ModelOrigin(Record):
    """What made a model version, without a look at its bytes.

    ``days``, ``config`` and ``environment`` are what the training left beside the model, each held to the
    digest on record; None where it can't be had, and then ``missing`` says why. ``dag_run`` is the Airflow
    run that registered it, as ``dag_id/run_id``.
    """

    model_version: str
    trained: TrainedModel
    registered_at: datetime
    dag_run: str | None
    days: tuple[TrainingDay, ...] | None
    config: dict[str, Any] | None
    environment: str | None
    missing: tuple[str, ...] = ()


class SupersededScoring(Record):
    """A scoring of the row's partition whose predictions are not in force.

    ``prediction`` is what it said of the row, where that was kept; the rest says what took its place, who
    had that done, and why, where that is on record. ``scored_at`` is None where only the mark is.
    """

    model_version: str
    scored_at: datetime | None
    predictions_digest: str
    n_rows: int
    prediction: dict[str, Any] | None = None
    superseded_by: str | None = None
    superseded_at: datetime | None = None
    actor: str | None = None
    why: str | None = None


class RowPassport(Record):
    """All that is on record about one row.

    Parameters
    ----------
    outcome : {"predicted", "withheld", "unscored", "quarantined", "landed"}
        ``withheld``: published, and its features or its prediction are in quarantine; ``unscored``:
        published only; ``landed``: not validated yet.
    prediction : dict or None
        The row of ``predictions``, without what is said elsewhere.
    is_intact : bool or None
        Whether the partition's predictions have the digest on record; None: too many rows to look at
        unasked, or no predictions.
    ingestion, validation, stages
        What landed, and the verdicts under which it was published and scored: those that the prediction
        rests on; without a prediction, the newest.
    is_stale : bool
        Whether the night's published rows are others by now than those that were scored.
    promotion : ChampionMove or None
        The move by which the model was champion when it scored the row.
    was_champion : bool or None
        Whether it was; None without a prediction.
    gates : GateRecord or None
        The evidence of that promotion.
    reasons : tuple of str
        Why the row is in quarantine.
    missing : tuple of str
        What is not known, and why.
    """

    dataset: str
    row_id: str
    partition_key: str
    outcome: RowOutcome
    event_time: datetime | None = None
    source_file: str | None = None
    source_line: int | None = None
    prediction: dict[str, Any] | None = None
    is_intact: bool | None = None
    ingestion: IngestionRecord | None = None
    validation: ValidationRecord | None = None
    stages: tuple[StageValidationRecord, ...] = ()
    amendments: tuple[AmendmentRecord, ...] = ()
    is_stale: bool = False
    scoring: ScoringRecord | None = None
    model: ModelOrigin | None = None
    promotion: ChampionMove | None = None
    was_champion: bool | None = None
    gates: GateRecord | None = None
    superseded: tuple[SupersededScoring, ...] = ()
    reasons: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
