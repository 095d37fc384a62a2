"""What scored beside the champion, and whether the champion is worth its place: shadow and watch."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from pipelines.records.base import Decision, Record


class ShadowRecord(Decision):
    """A challenger that is to score in the champion's shadow for some nights before its gates.

    The partition is the night that it was trained as of, ``champion_version`` the champion when it was sent.
    """

    kind: ClassVar[str] = "shadow"

    model_version: str
    champion_version: str
    n_nights: int

    @property
    def subject(self) -> str:
        return self.model_version


class ShadowWithdrawal(Decision):
    """Whether a person has taken a challenger out of the champion's shadow; the newest one is in force.

    The partition is the night that the version was first trained as of.
    """

    kind: ClassVar[str] = "shadow_withdrawal"

    model_version: str
    is_withdrawn: bool
    actor: str
    reason: str

    @property
    def subject(self) -> str:
        return self.model_version

    @property
    def sentence(self) -> str:
        """What was done, by whom and why, in words."""
        done = "taken out of the shadow" if self.is_withdrawn else "let into the shadow again"
        return f"{done} by {self.actor}: {self.reason}"


class ShadowScoringRecord(Decision):
    """One partition scored in the shadow: nobody is given these predictions.

    ``beside`` is the version whose predictions of the same rows are the published ones.
    """

    kind: ClassVar[str] = "shadow_scoring"
    volatile: ClassVar[frozenset[str]] = Decision.volatile | {"delta_version", "device"}

    model_version: str
    beside: str
    bundle_digest: str
    validated_digest: str
    predictions_digest: str
    n_rows: int
    device: str
    delta_version: int = -1

    @property
    def subject(self) -> str:
        return self.model_version


class ShadowState(Record):
    """How far a challenger's time in the shadow of the present champion has come.

    ``nights`` are those that both have scored, ``labelled`` those of them whose labels are mature.
    ``withdrawal`` says that a person has taken it out of the shadow.
    """

    dataset: str
    partition_key: str
    model_version: str
    champion_version: str
    n_nights: int
    nights: tuple[str, ...] = ()
    labelled: tuple[str, ...] = ()
    withdrawal: ShadowWithdrawal | None = None

    @property
    def is_scored(self) -> bool:
        """Whether both have scored nights enough; their labels may still be missing."""
        return len(self.nights) >= self.n_nights

    @property
    def is_complete(self) -> bool:
        """Whether the labels of nights enough are mature, and nobody has taken it out of the shadow."""
        return len(self.labelled) >= self.n_nights and self.withdrawal is None

    @property
    def sentence(self) -> str:
        """How far it has come, in words."""
        told = (
            f"v{self.model_version} has scored {len(self.nights)} of {self.n_nights} nights in the shadow of "
            f"v{self.champion_version}; the labels of {len(self.labelled)} are mature"
        )
        if self.withdrawal is None:
            return told
        return f"{told}; {self.withdrawal.sentence}"


class WatchedNights(Record):
    """Champion and former champion on the same rows of one night, or of several that have few rows.

    The values are of the primary metric. ``gain`` (positive: the champion is better) and its ``variance``
    are on the scale of :func:`~pipelines.metrics.paired.paired_difference`.
    """

    nights: tuple[str, ...]
    n_rows: int
    champion_value: float
    former_value: float
    gain: float
    variance: float


class WatchRecord(Decision):
    """What a night knows of a promotion: how the champion does, and how the one before would have done.

    ``evidence`` is for "it is worse", and may be looked at every night: of champions that are no worse at
    most a share of ``1 / threshold`` ever reach ``threshold``. ``worse``: rolled back. ``kept``: the watch
    is over.
    """

    kind: ClassVar[str] = "watch"
    volatile: ClassVar[frozenset[str]] = Decision.volatile | {
        "labels_version",
        "predictions_version",
        "shadow_version",
    }

    sequence: int
    model_version: str
    former_version: str
    metric: str
    margin: float = 0.0
    n_nights: int
    watched: tuple[WatchedNights, ...] = ()
    # Scored by both, and with labels that are mature; those with too few rows to say anything, too.
    nights: tuple[str, ...] = ()
    champion_value: float | None = None
    former_value: float | None = None
    evidence: float = Field(default=1.0, ge=0)
    threshold: float
    verdict: Literal["watching", "worse", "kept"]
    # The state of the lake's tables that was looked at; the next night measures what has changed since.
    labels_version: int = -1
    predictions_version: int = -1
    shadow_version: int = -1

    @property
    def subject(self) -> str:
        return str(self.sequence)
