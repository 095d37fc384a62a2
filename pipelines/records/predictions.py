"""What was scored, and how it compares with the past and with what happened."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from pipelines.records.base import Decision, Record


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
