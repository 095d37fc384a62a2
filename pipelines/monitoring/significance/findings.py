"""What of a night's data, predictions and labels differs from what the model was made of."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.records import ColumnDrift, DriftKind, Severity

# The name under which all columns together are watched.
JOINT = "joint"


@dataclass(frozen=True)
class Findings:
    """What a night's window shows, by itself: without the nights before it, and without what it means.

    Parameters
    ----------
    columns : tuple of ColumnDrift
        By column of the features: its values, and where there are any its share of nulls and of new levels.
        Empty for a window that is too small to judge.
    prediction, label : ColumnDrift or None
        The model's predictions against those of the holdout; the known labels against the reference's.
    joint : ColumnDrift or None
        All columns together.
    severity : str
        The worst of all that drifted: ``none``, ``warning`` or ``critical``.
    calibration_digest : str
        Of all that the thresholds depend on.
    notes : tuple of str
        What a person should know of how it was judged.
    """

    columns: tuple[ColumnDrift, ...]
    prediction: ColumnDrift | None
    label: ColumnDrift | None
    joint: ColumnDrift | None
    severity: Severity
    calibration_digest: str
    notes: tuple[str, ...] = ()

    @property
    def drifted(self) -> tuple[ColumnDrift, ...]:
        """What of the data drifted, the farthest beyond its floor first."""
        watched = (*self.columns, *((self.joint,) if self.joint else ()))
        return tuple(sorted((found for found in watched if found.is_drifted), key=_excess, reverse=True))

    @property
    def kinds(self) -> tuple[DriftKind, ...]:
        """Which of the drifts of data, predictions and labels there are."""
        kinds: list[DriftKind] = ["data"] if self.drifted else []
        kinds += ["prediction"] if self.prediction and self.prediction.is_drifted else []
        kinds += ["label"] if self.label and self.label.is_drifted else []
        return tuple(kinds)

    @property
    def is_alarm(self) -> bool:
        """Whether anything drifted."""
        return bool(self.kinds)


def _excess(found: ColumnDrift) -> float:
    return found.distance / max(found.threshold, 1e-9)
