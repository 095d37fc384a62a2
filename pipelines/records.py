"""The small records that steps return, tasks hand on, and the ledger keeps.

A record is frozen, is plain JSON, and holds no rows: addresses, digests, counts and verdicts.
Its *identity* (dataset, partition, subject) and its *content* give :attr:`Decision.digest`;
two runs that decide the same thing give the same digest.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipelines.errors import ConfigError

PARTITION_FORMAT = "%Y-%m-%d"
_PARTITION_KEY = re.compile(r"\d{4}-\d{2}-\d{2}\Z")


def partition_date(partition_key: str) -> date:
    """Return the calendar date that a partition key names.

    Raises
    ------
    ConfigError
        If the key is not a real date written ``YYYY-MM-DD``.

    Examples
    --------
    >>> partition_date("2013-07-04")
    datetime.date(2013, 7, 4)
    """
    if _PARTITION_KEY.match(partition_key):
        try:
            return date.fromisoformat(partition_key)
        except ValueError:
            pass
    raise ConfigError(f"{partition_key[:40]!r} is no partition key: write a real date as YYYY-MM-DD.")


def shift_partition(partition_key: str, days: int) -> str:
    """Return the key of the partition ``days`` later (earlier, if negative).

    Examples
    --------
    >>> shift_partition("2013-03-01", -1)
    '2013-02-28'
    """
    return (partition_date(partition_key) + timedelta(days=days)).isoformat()


def partition_range(first: str, last: str) -> list[str]:
    """Return the keys of every day from ``first`` to ``last``, both included, in order.

    Raises
    ------
    ConfigError
        If ``last`` is before ``first``.

    Examples
    --------
    >>> partition_range("2013-01-31", "2013-02-01")
    ['2013-01-31', '2013-02-01']
    """
    start, stop = partition_date(first), partition_date(last)
    if stop < start:
        raise ConfigError(f"The range {first} to {last} is empty: its last day is before its first.")
    return [(start + timedelta(days=n)).isoformat() for n in range((stop - start).days + 1)]


def digest_of(content: Any) -> str:
    """Return the SHA-256 of ``content`` as canonical JSON (sorted keys, no spaces), in hex."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def now_utc() -> datetime:
    """Return the present as an aware UTC datetime; for stamps only, never to choose a partition."""
    return datetime.now(UTC)


class Record(BaseModel):
    """Base of all records: frozen, closed, plain JSON."""

    # JSON has no nan: without this one would be written as null, and could not be read back.
    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), ser_json_inf_nan="strings"
    )

    def to_json(self) -> dict[str, Any]:
        """Return the record as a JSON-ready dict, as it travels through XCom."""
        content: dict[str, Any] = json.loads(self.model_dump_json())
        return content


class Decision(Record):
    """Base of the records that the ledger keeps, one ``kind`` a class."""

    kind: ClassVar[str]
    # Facts about one run, not about what was decided: two runs that differ only here agree.
    volatile: ClassVar[frozenset[str]] = frozenset({"decided_at", "duration_seconds", "run_id"})

    dataset: str
    partition_key: str
    decided_at: datetime = Field(default_factory=now_utc)
    duration_seconds: float = 0.0
    run_id: str | None = None

    @property
    def subject(self) -> str:
        """What else the decision is about, beside the partition; a model version, for most."""
        return ""

    @property
    def digest(self) -> str:
        """The SHA-256 of what was decided, without the facts of the run, in hex."""
        return digest_of(json.loads(self.model_dump_json(exclude=set(self.volatile))))


class PartitionVersion(Record):
    """One version of one partition of one lake table."""

    table: str
    partition_key: str
    uri: str
    digest: str
    n_rows: int
    delta_version: int


class IngestionRecord(Decision):
    """What one ingestion landed for one partition: read = landed + replayed + superseded."""

    kind: ClassVar[str] = "ingestion"
    # The Delta version moves with every commit to the table, also of other partitions; what else was
    # landed on the way, and for whom, depends on what had been landed before.
    volatile: ClassVar[frozenset[str]] = Decision.volatile | {"delta_version", "restated", "restated_by"}

    source_uri: str
    raw_digest: str
    n_rows: int
    n_miscast: int = 0
    delta_version: int = -1
    # The partition whose labels this night brought, `label_delay_days` before; None at the first night.
    labels_partition_key: str | None = None
    labels_digest: str | None = None
    n_labels: int = 0
    # Events of the label partition whose target is null: they bring no label.
    n_unlabelled: int = 0
    # Rows of files in which no row has a readable time: no partition can claim them.
    n_undated: int = 0
    # Rows that the source has for the partition; those that an identical one of a later delivery
    # replaces; those that another of the same key replaces.
    n_read: int = 0
    n_replayed: int = 0
    n_superseded: int = 0
    # Records among the landed that are no rows: their text is in `miscast`.
    n_unreadable: int = 0
    # Earlier nights that this ingestion landed anew, as the source had changed.
    restated: tuple[str, ...] = ()
    # The night whose ingestion landed this one anew; None where it was asked for itself.
    restated_by: str | None = None


class DeliveryRecord(Decision):
    """What was new or changed in a source's files when a night was ingested."""

    kind: ClassVar[str] = "delivery"

    # Of all that says how the files are read.
    reading_digest: str
    # A file's name to the digest of its bytes.
    files: dict[str, str]
    # A file's name to the days that it has rows of (`""`: of none that can be read): how many, and their digest.
    days: dict[str, dict[str, tuple[int, str]]]


class ExpectationOutcome(Record):
    """How one expectation of a suite did on one partition."""

    name: str
    column: str | None = None
    severity: Literal["critical", "warning", "info"]
    is_met: bool
    n_unexpected: int = 0
    observed: str = ""
    # False where it compares with a training reference, and there is none yet.
    is_evaluated: bool = True


class ValidationRecord(Decision):
    """The verdict on one partition: published, published with warnings, or refused.

    Always ``n_in = n_published + n_quarantined``, but for ``refused``: of that nothing is published.
    ``amendments_digest`` is of what people decided about single rows (None: nothing), ``n_amended`` and
    ``n_released`` count the rows that those decisions found. ``engines`` says how many expectations each
    engine ran.
    """

    kind: ClassVar[str] = "validation"
    # Which engine ran an expectation changes nothing of what it finds.
    volatile: ClassVar[frozenset[str]] = Decision.volatile | {"delta_version", "docs_path", "engines"}

    raw_digest: str
    suite_digest: str
    outcome: Literal["passed", "warned", "refused"]
    n_in: int
    n_published: int
    n_quarantined: int
    validated_digest: str | None = None
    delta_version: int = -1
    reasons: tuple[str, ...] = ()
    expectations: tuple[ExpectationOutcome, ...] = ()
    amendments_digest: str | None = None
    n_amended: int = 0
    n_released: int = 0
    # The model whose training the expectations were held against, where one asks for that.
    reference_version: str | None = None
    engines: dict[str, int] = Field(default_factory=dict)
    docs_path: str | None = None


class AmendmentRecord(Decision):
    """What people decided about rows in quarantine, and what came of it.

    A function of what was asked for and of the state that it led to: a repeat gives the same digest.
    ``n_rows`` counts the rows that were named, ``n_rejoined`` those of them that are published now,
    ``n_staying`` those that are in quarantine. ``amendments_digest`` is of all that is in force on the
    partition. ``dependents`` names what still rests on the partition's former content, and what to run.
    """

    kind: ClassVar[str] = "amendment"
    volatile: ClassVar[frozenset[str]] = Decision.volatile | {"dependents"}

    action: Literal["release", "repair", "undo"]
    actor: str
    reason: str
    n_rows: int
    n_rejoined: int
    n_staying: int
    rows_digest: str
    amendments_digest: str | None
    outcome: Literal["passed", "warned", "refused"]
    validated_digest: str | None
    n_published: int
    n_quarantined: int
    # Rows that were chosen by a rule or altogether and can't be released, and why.
    not_released: tuple[str, ...] = ()
    still_broken: tuple[str, ...] = ()
    dependents: tuple[str, ...] = ()


class StageValidationRecord(Decision):
    """The verdict on the features of a partition, or on its predictions: ``n_in = n_passed + n_quarantined``.

    Of ``refused`` nothing was scored or published. ``input_digest`` is of the whole table before rows were
    split off, ``reference_version`` the model whose training the expectations were held against.
    """

    kind: ClassVar[str] = "stage_validation"

    stage: Literal["features", "predictions"]
    model_version: str
    suite_digest: str
    validated_digest: str
    input_digest: str
    outcome: Literal["passed", "warned", "refused"]
    n_in: int
    n_passed: int
    n_quarantined: int
    reasons: tuple[str, ...] = ()
    expectations: tuple[ExpectationOutcome, ...] = ()
    reference_version: str | None = None

    @property
    def subject(self) -> str:
        return self.stage


class ScoringRecord(Decision):
    """One partition scored by one model version."""

    kind: ClassVar[str] = "scoring"
    volatile: ClassVar[frozenset[str]] = Decision.volatile | {"delta_version", "device"}

    model_version: str
    bundle_digest: str
    validated_digest: str
    features_digest: str
    predictions_digest: str
    n_rows: int
    # Published rows without a prediction: their features, or the prediction, are in quarantine.
    n_withheld: int = 0
    device: str
    delta_version: int = -1

    @property
    def subject(self) -> str:
        return self.model_version


class ColumnDrift(Record):
    """How far one column moved from its reference."""

    column: str
    method: str
    distance: float
    threshold: float
    is_drifted: bool


class DriftRecord(Decision):
    """The drift verdict of one night against the champion's reference."""

    kind: ClassVar[str] = "drift"
    volatile: ClassVar[frozenset[str]] = Decision.volatile | {"report_path"}

    model_version: str
    window: tuple[str, str]
    columns: tuple[ColumnDrift, ...]
    drifted_fraction: float
    alarm_fraction: float
    prediction: ColumnDrift | None = None
    label: ColumnDrift | None = None
    # Concept drift: the champion's metric over the mature label window against its holdout.
    performance_metric: str | None = None
    performance_value: float | None = None
    performance_floor: float | None = None
    kinds: tuple[Literal["data", "prediction", "label", "concept"], ...] = ()
    is_alarm: bool
    is_confirmed: bool
    n_alarm_nights: int
    # What a person should know of how it was judged; left out where there is nothing, as before it was kept.
    notes: tuple[str, ...] = Field(default=(), exclude_if=lambda notes: not notes)
    report_path: str | None = None

    @property
    def subject(self) -> str:
        return self.model_version


class PerformanceRecord(Decision):
    """How the predictions of one partition did, once its labels were in."""

    kind: ClassVar[str] = "performance"

    model_version: str
    known_at: str
    labels_digest: str
    predictions_digest: str
    n_rows: int
    # Rows whose label is none of the task's classes.
    n_strange_labels: int = Field(default=0, exclude_if=lambda n: not n)
    metrics: dict[str, float]

    @property
    def subject(self) -> str:
        return self.model_version


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
    """One move of the champion: the commit point of a promotion or a rollback."""

    dataset: str
    sequence: int
    model_version: str
    previous_version: str | None
    action: Literal["promote", "rollback"]
    actor: str
    reason: str
    evidence_digest: str
    partition_key: str
    moved_at: datetime


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
