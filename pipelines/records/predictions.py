"""What was scored."""

from __future__ import annotations

from typing import ClassVar

from pipelines.records.base import Decision


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
