"""What a night's drift was found to be, what it means, and what is done about it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from pipelines.records.base import Decision, Record

DriftKind = Literal["data", "prediction", "label", "concept"]
Severity = Literal["none", "info", "warning", "critical"]


class LevelDrift(Record):
    """How the share of one category moved; ``level`` is None for all that the reference does not know."""

    level: str | None
    reference_share: float
    current_share: float
    p_value: float


class ColumnDrift(Record):
    """How far one thing that is watched moved from its reference.

    ``method`` says what of the column is watched, and the unit of ``distance``: ``wasserstein`` (standard
    deviations of the reference), ``jensenshannon`` (root of the divergence in nats), ``missing_share`` and
    ``new_levels`` (difference of shares, 0 to 1), ``domain_auc`` (of a classifier that tells the reference
    from the window, less a half). ``threshold`` is the smallest distance that matters: the effect floor.
    ``p_value`` is of the calm history; ``q_value`` is that after the correction for all that is watched.
    ``statistics`` holds each of ``ks``, ``psi``, ``jensenshannon``, ``wasserstein``, ``chi_square`` that
    is defined.
    """

    column: str
    method: str
    distance: float
    threshold: float
    is_drifted: bool
    p_value: float = 1.0
    q_value: float = 1.0
    statistics: dict[str, float] = Field(default_factory=dict)
    levels: tuple[LevelDrift, ...] = ()
    # Share of the champion's skill that rests on the column, 0 to 1; and its product with the distance.
    importance: float = 0.0
    impact: float = 0.0


class DataBug(Record):
    """A column whose values were changed by a fault on their way, rather than by the world.

    ``signature`` is what it looks like: ``unit_change``, ``offset``, ``sign_flip``, ``null_flood``,
    ``sentinel_flood``, ``level_renamed``, ``stuck_value``, ``swapped_columns``. ``explanation`` is one
    sentence for a person.
    """

    column: str
    signature: str
    explanation: str
    first_partition: str
    n_rows: int
    share: float


class PerformanceEstimate(Record):
    """What the primary metric of a window is expected to be, before its labels are in, with its interval.

    ``expected_loss`` is by how much the estimate is worse than what the model promised
    (``reference_value``), in units of the metric, never negative; ``is_worse`` says whether that is beyond
    the interval and the loss that matters.
    """

    metric: str
    value: float
    lower: float
    upper: float
    confidence: float
    reference_value: float
    expected_loss: float
    is_worse: bool
    method: Literal["confidence", "direct_loss"]


class ConceptDrift(Record):
    """How the primary metric on mature labels compares with what the holdout makes plausible.

    ``loss`` is by how much it is worse, in units of the metric, never negative; ``p_value`` that of a calm
    window that looks as bad. Of several lengths of window the worst one is given.
    """

    metric: str
    value: float
    reference_value: float
    loss: float
    p_value: float
    n_days: int
    n_rows: int
    first_partition: str
    last_partition: str
    is_drifted: bool
    severity: Severity


class RefitProbe(Record):
    """How a quick model that knows the latest days does beside the champion, on days that neither learned.

    ``gain`` is in units of the metric, positive where the refit is better, whatever the metric.
    """

    metric: str
    champion_value: float
    refit_value: float
    gain: float
    lower: float
    upper: float
    confidence: float
    n_days: int
    n_rows: int
    first_partition: str
    last_partition: str
    is_worth_it: bool


# What verdicts held before alarms had a known error rate: old ledgers are read without it.
_RETIRED = frozenset(
    {"drifted_fraction", "alarm_fraction", "performance_metric", "performance_value", "performance_floor"}
)


class DriftRecord(Decision):
    """The drift verdict of one night against the champion's reference.

    ``action`` is what is to be done: ``none``, ``record`` (real, and without consequence for the model as far
    as is known), ``retrain`` (a loss that a new model may mend), ``investigate`` (a fault of the data, for a
    person).
    """

    kind: ClassVar[str] = "drift"
    is_exclusive: ClassVar[bool] = True
    volatile: ClassVar[frozenset[str]] = Decision.volatile | {"report_path"}

    model_version: str
    window: tuple[str, str]
    columns: tuple[ColumnDrift, ...]
    prediction: ColumnDrift | None = None
    label: ColumnDrift | None = None
    joint: ColumnDrift | None = None
    concept: ConceptDrift | None = None
    estimate: PerformanceEstimate | None = None
    # Tried where the data drifted and no loss is known or expected.
    refit: RefitProbe | None = None
    bugs: tuple[DataBug, ...] = ()
    kinds: tuple[DriftKind, ...] = ()
    severity: Severity = "none"
    is_alarm: bool
    is_confirmed: bool
    n_alarm_nights: int
    action: Literal["none", "record", "retrain", "investigate"] = "none"
    # One paragraph each: why the verdict is what it is, and what it means for the model.
    reasons: tuple[str, ...] = ()
    is_page: bool = False
    expected_loss: float | None = None
    # Evidently's own default rule on the same rows, for comparison; it decides nothing.
    evidently_fraction: float | None = None
    evidently_alarm: bool | None = None
    # What a person should know of how it was judged; left out where there is nothing, as before it was kept.
    notes: tuple[str, ...] = Field(default=(), exclude_if=lambda notes: not notes)
    calibration_digest: str = ""
    # What was judged, and against what: of the night's predictions, and of the version's reference rows.
    predictions_digest: str = Field(default="", exclude_if=lambda digest: not digest)
    reference_digest: str = Field(default="", exclude_if=lambda digest: not digest)
    # Judged before, on another version's predictions: on record, and no reason for an incident.
    is_judged_again: bool = Field(default=False, exclude_if=lambda again: not again)
    report_path: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _forget_what_is_retired(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        return {name: value for name, value in content.items() if name not in _RETIRED}

    @property
    def subject(self) -> str:
        return self.model_version


class PerformanceRecord(Decision):
    """How the predictions of one partition did, as known at a night.

    A cohort is mature once ``label_maturity_days`` have passed; before, its figure is of the labels that
    are in.
    """

    kind: ClassVar[str] = "performance"
    is_exclusive: ClassVar[bool] = True

    model_version: str
    known_at: str
    labels_digest: str
    predictions_digest: str
    n_rows: int
    # Predictions of the partition, labelled or not.
    n_predictions: int = 0
    is_mature: bool = True
    # Rows whose label is none of the task's classes.
    n_strange_labels: int = Field(default=0, exclude_if=lambda n: not n)
    metrics: dict[str, float]

    @property
    def subject(self) -> str:
        return self.model_version


class ReconciliationRecord(Decision):
    """Up to which state of the lake a night's performance was measured, and which cohorts were looked at.

    The next night looks at what has changed since. ``rules_digest`` is of all in the configuration that the
    measurement depends on.
    """

    kind: ClassVar[str] = "reconciliation"
    volatile: ClassVar[frozenset[str]] = Decision.volatile | {"cohorts"}

    labels_version: int
    predictions_version: int
    rules_digest: str
    cohorts: tuple[str, ...] = ()


class EstimateScore(Decision):
    """How an earlier night's estimated performance compares with the truth, once its labels are mature."""

    kind: ClassVar[str] = "estimate_score"

    model_version: str
    estimate: PerformanceEstimate
    actual_value: float
    is_covered: bool
    n_rows: int

    @property
    def subject(self) -> str:
        return self.model_version


class Episode(Record):
    """One incident of a dataset: from the first confirmed alarm until it has been calm for long enough.

    ``first_alarm`` is the first night of the alarms that confirmed it, ``opened_for`` the night that did. At
    most one episode of a dataset is open.
    """

    id: int
    dataset: str
    status: Literal["open", "closed"]
    action: Literal["record", "retrain", "investigate"]
    severity: Severity
    kinds: tuple[str, ...]
    cause: str
    consequence: str
    next_step: str
    model_version: str
    first_alarm: str
    opened_for: str
    last_alarm: str
    closed_for: str | None = None
    closing_reason: str | None = None
    opened_at: datetime
    closed_at: datetime | None = None


class Trigger(Record):
    """One request to decide about a night, and what was decided; suppressed ones are kept too."""

    id: int
    dataset: str
    partition_key: str
    episode_id: int | None
    verdict: Literal["calm", "suppressed", "wait", "go"]
    reason: str
    decided_at: datetime


class Breaker(Record):
    """Whether retraining of a dataset is switched off, and why: refused challengers in a row open it."""

    dataset: str
    is_open: bool
    reason: str
    actor: str
    changed_at: datetime


class Message(Record):
    """One message to people about an incident: it is sent once, whoever asks and however often.

    ``key`` tells messages apart (``flights/episode/3/retrain``). ``delivered_to`` names the channels that
    have taken it, where another has not; they are not asked again.
    """

    key: str
    dataset: str
    partition_key: str
    severity: Severity
    title: str
    cause: str
    consequence: str
    next_step: str
    link: str
    created_at: datetime
    sent_at: datetime | None = None
    n_attempts: int = 0
    last_error: str | None = None
    delivered_to: tuple[str, ...] = ()
