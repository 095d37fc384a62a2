"""What was trained, weighed, promoted, and asked for: the records of models."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import Field

from pipelines.records.base import Decision, Record


class TrainedModel(Record):
    """A model that was trained and logged as an MLflow run, with all that made it; not yet registered."""

    dataset: str
    partition_key: str
    training_key: str
    mlflow_run_id: str
    bundle_digest: str
    candidate: str
    first_partition: str
    last_partition: str
    holdout_first: str
    snapshot_digest: str
    n_partitions: int
    n_rows: int
    code_commit: str
    is_dirty: bool
    config_digest: str
    environment_digest: str
    metrics: dict[str, float]
    reason: str
    # Of the reference rows as a file; filled in, like the run, when the training is logged.
    reference_digest: str = ""
    # Of what the training saw of each column; empty for models from before it was kept.
    profile_digest: str = ""
    # Of the sketches of the reference's days; empty for models from before they were kept.
    sketch_digest: str = ""
    # Of what was measured of it on its holdout; empty for models from before it was kept.
    evaluation_digest: str = ""
    # Of how it was found among its candidates, and of its plots; empty for models from before they were held
    # to a digest.
    selection_digest: str = ""
    plots_digest: str = ""


class TrainingRecord(Decision):
    """A challenger: a trained model under its registered version."""

    kind: ClassVar[str] = "training"

    model_version: str
    trained: TrainedModel

    @property
    def subject(self) -> str:
        return self.model_version


class GateResult(Record):
    """One gate: what it asks, what was seen, and whether that is enough."""

    name: str
    is_passed: bool
    observed: str
    required: str
    details: dict[str, Any] = Field(default_factory=dict)


class GateRecord(Decision):
    """The evidence for and against one challenger; every gate is shown, also after one fails."""

    kind: ClassVar[str] = "gate"

    model_version: str
    bundle_digest: str
    champion_version: str | None
    champion_sequence: int
    metric: str
    challenger_value: float
    champion_value: float | None
    gates: tuple[GateResult, ...]
    is_passed: bool

    @property
    def subject(self) -> str:
        return self.model_version


class ChampionMove(Record):
    """One move of the champion: the commit point of a promotion or a rollback.

    Moves are a hash chain: ``digest`` is of all the rest, ``previous_digest`` among it. The ledger fills the
    three digests in when it takes a move; they are empty before, and for a move that an older program wrote.
    """

    dataset: str
    sequence: int
    model_version: str
    previous_version: str | None
    action: Literal["promote", "rollback"]
    actor: str
    reason: str
    evidence_digest: str
    # Of a promotion, the night whose challenger it is; of a rollback, the last night scored before it.
    partition_key: str
    moved_at: datetime
    # Of the gate evidence as it lies in the ledger, to the last byte; "" for a rollback.
    evidence_seal: str = ""
    previous_digest: str = ""
    digest: str = ""


class ApprovalRecord(Decision):
    """What a person said to a challenger that had passed its gates, or that nobody said anything in time.

    ``actor`` is empty where nobody answered, ``reason`` where none was given. ``evidence_digest`` is of the
    gates that the person was shown.
    """

    kind: ClassVar[str] = "approval"

    model_version: str
    answer: Literal["approved", "rejected", "unanswered"]
    actor: str = ""
    reason: str = ""
    evidence_digest: str
    answered_at: datetime | None = None

    @property
    def subject(self) -> str:
        return self.model_version

    @property
    def sentence(self) -> str:
        """What was said, in words."""
        if self.answer == "unanswered":
            return self.reason
        return f"{self.answer} by {self.actor}" + (f": {self.reason}" if self.reason else "")


class PromotionDecision(Record):
    """Whether a challenger became champion, and why (not)."""

    dataset: str
    partition_key: str
    model_version: str
    is_promoted: bool
    reason: str
    sequence: int | None = None
    previous_version: str | None = None


RetrainingStatus = Literal[
    "suppressed", "requested", "training", "registered", "promoted", "refused", "failed"
]
OPEN_RETRAINING: frozenset[str] = frozenset({"requested", "training", "registered"})


class Retraining(Record):
    """What was done about one confirmed drift (or a person's request)."""

    id: int
    dataset: str
    partition_key: str
    status: RetrainingStatus
    reason: str
    model_version: str | None = None
    requested_at: datetime
    updated_at: datetime


class RetrainingVerdict(Record):
    """What is to be done about the drift of one night.

    ``retraining`` is the one requested or suppressed for that night; for ``wait``, the one that
    is under way; None for ``calm``.
    """

    dataset: str
    partition_key: str
    verdict: Literal["calm", "suppressed", "wait", "go"]
    reason: str
    retraining: Retraining | None = None
