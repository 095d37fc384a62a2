"""The verdict on one night's window."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import DatasetConfig
from pipelines.features.target import describe_strangers
from pipelines.metrics import primary_metric
from pipelines.monitoring.calibration import Calibration, Calibrations
from pipelines.monitoring.drift import (
    drifted_fraction,
    is_worse,
    judge_categories,
    judge_columns,
    judge_values,
)
from pipelines.monitoring.performance import measure
from pipelines.monitoring.reference import PREDICTION, Reference, numeric_values
from pipelines.monitoring.window import Window
from pipelines.records import ColumnDrift, DriftRecord

# Both say that the model may have to be made anew. Predictions and labels that move alone are
# written down, no more: the season does that to a sound model.
ALARMING = frozenset({"data", "concept"})


@dataclass(frozen=True)
class Judge:
    """Tells four kinds of drift apart, by what a model's reference shows on its calm days.

    Parameters
    ----------
    reference : Reference
        The rows that the model was made and judged on.
    config : DatasetConfig
        The dataset.
    calibrations : Calibrations
        Of that reference.
    """

    reference: Reference
    config: DatasetConfig
    calibrations: Calibrations

    def verdict(self, dataset: str, partition_key: str, model_version: str, window: Window) -> DriftRecord:
        """Return the verdict on a night by itself, without the nights before it.

        Parameters
        ----------
        window : Window
            What was known on that night.

        Returns
        -------
        DriftRecord
            Never confirmed; ``n_alarm_nights`` is 1 for an alarm, else 0.
        """
        calibration = self._calibration(window.features)
        columns = judge_columns(self.reference, window.features, calibration, self.config)
        fraction = drifted_fraction(columns)
        prediction, label = self._prediction(window), self._label(window)
        metric, greater_is_better = primary_metric(self.config.task)
        value, floor = self._performance(window, metric)
        is_drifted = {
            "data": fraction > calibration.alarm_fraction,
            "prediction": prediction is not None and prediction.is_drifted,
            "label": label is not None and label.is_drifted,
            "concept": is_worse(value, floor, greater_is_better=greater_is_better),
        }
        kinds = [kind for kind, drifted in is_drifted.items() if drifted]
        is_alarm = not ALARMING.isdisjoint(kinds)
        return DriftRecord.model_validate(
            {
                "dataset": dataset,
                "partition_key": partition_key,
                "model_version": model_version,
                "window": (window.first, window.last),
                "columns": columns,
                "drifted_fraction": fraction,
                "alarm_fraction": calibration.alarm_fraction,
                "prediction": prediction,
                "label": label,
                "performance_metric": metric,
                "performance_value": value,
                "performance_floor": floor,
                "kinds": kinds,
                "is_alarm": is_alarm,
                "is_confirmed": False,
                "n_alarm_nights": int(is_alarm),
                "notes": self._notes(window, calibration),
            }
        )

    def _prediction(self, window: Window) -> ColumnDrift | None:
        threshold = self._calibration(window.predictions).prediction
        if self.config.task == "multiclass":
            return judge_categories(PREDICTION, self.reference.holdout, window.predictions, threshold)
        holdout = numeric_values(self.reference.holdout, PREDICTION)
        return judge_values(PREDICTION, holdout, numeric_values(window.predictions, PREDICTION), threshold)

    def _label(self, window: Window) -> ColumnDrift | None:
        target = self.config.target
        threshold = self._calibration(window.labels).label
        if self.config.task == "multiclass":
            return judge_categories(target, self.reference.table, window.labels, threshold)
        before = numeric_values(self.reference.table, target)
        return judge_values(target, before, numeric_values(window.labels, target), threshold)

    def _performance(self, window: Window, metric: str) -> tuple[float | None, float | None]:
        """Return the metric over the labelled days, and its floor: None for less than half a window."""
        value = measure(window.labelled, target=self.config.target, task=self.config.task).get(metric)
        n_days = _n_days(window.labelled)
        if 2 * n_days < self.config.monitoring.window_days:
            return value, None
        return value, self._calibration(window.labelled).performance_floor

    def _calibration(self, table: pa.Table) -> Calibration:
        return self.calibrations.of(_n_days(table), n_rows=table.num_rows)

    def _notes(self, window: Window, calibration: Calibration) -> tuple[str, ...]:
        notes = [calibration.reason] if calibration.reason else []
        if window.strangers:
            notes.append(describe_strangers(window.strangers, self.config))
        return tuple(notes)


def _n_days(table: pa.Table) -> int:
    return max(1, int(pc.count_distinct(table["partition_key"]).as_py()))
