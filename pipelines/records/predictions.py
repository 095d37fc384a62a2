"""What was scored, and what was scored before."""

from __future__ import annotations

from typing import ClassVar

from pipelines.records.base import Decision


class ScoringRecord(Decision):
    """One partition scored by one model version."""

    kind: ClassVar[str] = "scoring"
    volatile: ClassVar[frozenset[str]] = Decision.volatile | {"delta_version", "device"}
    is_exclusive: ClassVar[bool] = True

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


class SupersessionRecord(Decision):
    """Predictions of a partition that others take the place of: whose, by whom, and why.

    Written down just before the others are: where that process was killed, the predictions are still in
    force, which their digest shows. ``predictions_digest`` tells the batch in the lake's table
    ``superseded_predictions``; ``sequence`` is of the champion's newest move at that moment, 0 before the
    first.
    """

    kind: ClassVar[str] = "supersession"

    model_version: str
    superseded_by: str
    sequence: int
    actor: str
    reason: str
    predictions_digest: str
    n_rows: int

    @property
    def subject(self) -> str:
        return self.model_version
