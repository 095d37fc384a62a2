"""What was landed, judged and amended: the records of a night up to its publication."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from pipelines.records.base import Decision, Record


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
    # A file's name to the days that it has rows of (`""`: of none that can be read): how many rows, and
    # their digest.
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

    # A hold puts published rows into quarantine, and lifting it lets them go.
    action: Literal["release", "repair", "undo", "hold", "lift"]
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
