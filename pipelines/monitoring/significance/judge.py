"""What of a night differs from what the model was made of, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import DatasetConfig, MonitoringConfig
from pipelines.features.target import describe_strangers
from pipelines.monitoring.reference import MIN_ROWS, Reference
from pipelines.monitoring.reference_sketch import PREDICTION
from pipelines.monitoring.significance.blocks import MIN_DAYS
from pipelines.monitoring.significance.calibration import Calibrations, watch
from pipelines.monitoring.significance.domain import DomainJudge
from pipelines.monitoring.significance.drift import Comparison
from pipelines.monitoring.significance.findings import Findings
from pipelines.monitoring.significance.matching import matching_days
from pipelines.monitoring.significance.p_values import benjamini_hochberg
from pipelines.monitoring.significance.watched import JENSEN_SHANNON, WASSERSTEIN
from pipelines.monitoring.sketch import DaySketches, Grid, sketch_days
from pipelines.monitoring.window import Window
from pipelines.records import ColumnDrift, Severity, digest_of

# Critical is what is this many times rarer than drift need be, and this many times as large.
_CRITICAL_RATE, _CRITICAL_EFFECT = 0.01, 3.0
_VALUES = frozenset({WASSERSTEIN, JENSEN_SHANNON})


class _Part(NamedTuple):
    """One table of a night, judged by itself: what of it drifted, and what a person should know."""

    found: tuple[ColumnDrift, ...]
    digest: str
    note: str


_NOTHING = _Part((), "", "")


class Judge:
    """Tells what of a window differs from a model's reference.

    Drift is what a calm window would show too seldom, were its days like the reference's, after the
    correction for all that is watched of the night (``false_discovery_rate``), and what is large enough to
    matter (``min_effect``).

    Parameters
    ----------
    reference : Reference
        What the model was made and judged on.
    config : DatasetConfig
        The dataset.
    folder : Path
        Where calibrations are kept.
    """

    def __init__(self, reference: Reference, config: DatasetConfig, folder: Path) -> None:
        self._reference = reference
        self._config = config
        self._calibrations = Calibrations(reference.digest, folder)
        self._domain = DomainJudge(reference.table, config.features, digest=reference.digest, folder=folder)

    def findings(self, window: Window) -> Findings:
        """Return what a night's window shows, by itself.

        Parameters
        ----------
        window : Window
            What was known on that night. Of fewer than 30 rows nothing is judged.
        """
        reference, target = self._reference, self._config.target
        columns = self._config.features.columns
        # The features' rows are counted on the window, since others ask for the same counts.
        data = self._part(reference.days, window.features, columns, count=window.counted)
        prediction = self._part(reference.holdout_days, window.predictions, [PREDICTION])
        label = self._part(reference.days, window.labels, [target])
        joint = self._joint(window.features)
        values = [next((d for d in part.found if d.method in _VALUES), None) for part in (prediction, label)]
        judged = self._correct([*data.found, *values, joint])
        return Findings(
            columns=tuple(drift for drift in judged[: len(data.found)] if drift is not None),
            prediction=judged[-3],
            label=judged[-2],
            joint=judged[-1],
            severity=worst_severity(judged, self._config.monitoring),
            calibration_digest=digest_of([data.digest, prediction.digest, label.digest]),
            notes=self._notes(window, [data, prediction, label]),
        )

    def _part(
        self,
        days: DaySketches,
        table: pa.Table,
        columns: Sequence[str],
        *,
        count: Callable[[Grid], DaySketches] | None = None,
    ) -> _Part:
        if table.num_rows < MIN_ROWS or not days.days:
            return _NOTHING
        grid = days.grid.select(columns)
        now = count(grid) if count else sketch_days(table, grid)
        chosen, note = matching_days(days.days, now.days, self._config.monitoring)
        matched = days if chosen == days.days else days.select(chosen)
        calibration = self._calibrations.of(matched, columns, length=len(now.days))
        comparison = Comparison(
            reference=matched.total,
            current=now.total,
            watched=watch(matched, columns, length=len(now.days)),
            calibration=calibration,
        )
        return _Part(comparison.judge(self._config.monitoring.min_effect), calibration.digest, note)

    def _joint(self, features: pa.Table) -> ColumnDrift | None:
        if features.num_rows < MIN_ROWS:
            return None
        length = int(pc.count_distinct(features["partition_key"]).as_py())
        return self._domain.judge(features, length=length, floors=self._config.monitoring.min_effect)

    def _correct(self, judged: Sequence[ColumnDrift | None]) -> list[ColumnDrift | None]:
        """Return all that is watched with its q-value, and whether that and its size make it drift."""
        rate = self._config.monitoring.false_discovery_rate
        p_values = np.array([drift.p_value for drift in judged if drift is not None])
        q_values = iter(benjamini_hochberg(p_values).tolist())
        corrected: list[ColumnDrift | None] = []
        for drift in judged:
            if drift is None:
                corrected.append(None)
                continue
            q_value = next(q_values)
            is_drifted = q_value <= rate and drift.distance >= drift.threshold and drift.distance > 0
            corrected.append(drift.model_copy(update={"q_value": q_value, "is_drifted": is_drifted}))
        return corrected

    def _notes(self, window: Window, parts: Sequence[_Part]) -> tuple[str, ...]:
        notes = [part.note for part in parts if part.note][:1]
        n_rows, n_days = window.features.num_rows, len(self._reference.days.days)
        n_calm = len(self._reference.holdout_days.days)
        if n_rows < MIN_ROWS:
            notes.append(f"The window has {n_rows} rows, of {MIN_ROWS} that are needed to judge it.")
        elif n_days < MIN_DAYS:
            notes.append(
                f"The reference has {n_days} partition{'' if n_days == 1 else 's'}, which says nothing about "
                "how days differ: rows were taken for the sample, and what days do looks like drift."
            )
        elif n_calm < MIN_DAYS:
            notes.append(
                f"The holdout has {n_calm} partition{'' if n_calm == 1 else 's'}, which says nothing about "
                "how days differ: its rows were taken for the sample of predictions."
            )
        if window.strangers:
            notes.append(describe_strangers(window.strangers, self._config))
        return tuple(notes)


def worst_severity(judged: Iterable[ColumnDrift | None], monitoring: MonitoringConfig) -> Severity:
    """Return how grave all that drifted is: ``critical`` if any is far beyond what drift need be.

    That is a hundred times rarer on calm nights, and three times as large.
    """
    drifted = [drift for drift in judged if drift is not None and drift.is_drifted]
    if not drifted:
        return "none"
    is_far = [
        drift.q_value <= _CRITICAL_RATE * monitoring.false_discovery_rate
        and drift.distance >= _CRITICAL_EFFECT * drift.threshold
        for drift in drifted
    ]
    return "critical" if any(is_far) else "warning"
