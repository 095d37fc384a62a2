"""Calm weeks of real flights that alarm, and later months that do: Evidently's defaults and ours.

Each 7-day window of each quarter of 2013 is held against the other days of its quarter: nothing of note
changed, so an alarm is a false one. Then windows of April to December are held against the first quarter,
from which they truly differ. Evidently is asked itself, on samples of 5,000 rows of the reference. Seasons
within a quarter are part of what is calm, and of what the reference is known to do.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import DatasetConfig
from pipelines.features.query import load_features
from pipelines.monitoring.evidently_report.default_rule import evidently_default
from pipelines.monitoring.reference import Reference
from pipelines.monitoring.reference_sketch import sketch_reference
from pipelines.monitoring.significance.judge import Judge
from pipelines.monitoring.window import Window
from pipelines.runtime import Runtime
from pipelines.steps.ingest import ingest_range
from pipelines.steps.validate import validate_range

DATASET, YEAR = "flights", ("2013-01-01", "2013-12-31")
_WINDOW, _EVIDENTLY_ROWS = 7, 5_000
# Windows overlap: Evidently is asked about every third; and of later months every third is judged.
_EVERY = 3
# Of calm windows every so many is judged: all.
STRIDE = 1


class _Verdict(NamedTuple):
    ours: bool
    evidently: bool | None
    columns: tuple[str, ...]


def main() -> None:
    """Print the shares."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        runtime = Runtime.load({"HOLDFAST_HOME": folder, "HOLDFAST_DEVICE": "cpu"})
        print("Preparing: a year of flights, by the project's own pipeline.")
        ingest_range(DATASET, *YEAR, runtime=runtime)
        validate_range(DATASET, *YEAR, runtime=runtime)
        config = runtime.dataset(DATASET)
        days = sorted(runtime.lake.partition_keys(DATASET, "validated"))
        table = load_features(
            runtime.lake, DATASET, config=config, project=runtime.settings.project, partitions=days
        )
        report(table, days[config.features.history_days :], config, Path(folder) / "calibration")


def report(table: pa.Table, days: Sequence[str], config: DatasetConfig, folder: Path) -> None:
    """Print both parts for the features of a year, without the days that history features need."""
    quarters = [[day for day in days if (int(day[5:7]) - 1) // 3 == quarter] for quarter in range(4)]
    print(f"{'':24}{'windows':>9}{'Evidently':>12}{'ours':>10}   columns that drifted in ours")
    everything = []
    for number, quarter in enumerate(quarters, start=1):
        found = []
        for start in range(0, len(quarter) - _WINDOW + 1, STRIDE):
            window = quarter[start : start + _WINDOW]
            rest = [day for day in quarter if day not in window]
            judge = _Judge(table, rest, config, folder)
            found.append(judge.verdict(window, asks_evidently=start % _EVERY == 0))
        _print(f"calm, quarter {number}", found)
        everything += found
    _print("calm, all", everything)
    judge = _Judge(table, quarters[0], config, folder)
    for month in range(4, 13):
        inside = [day for day in days if int(day[5:7]) == month]
        starts = range(0, len(inside) - _WINDOW + 1, _EVERY)
        _print(
            f"month {month}, winter's model",
            [judge.verdict(inside[start : start + _WINDOW]) for start in starts],
        )


class _Judge:
    """One reference, and both verdicts on windows held against it."""

    def __init__(self, table: pa.Table, days: Sequence[str], config: DatasetConfig, folder: Path) -> None:
        self._table = table
        self._config = config
        rows = _of(table, days)
        zeros = pa.array(np.zeros(rows.num_rows))
        rows = rows.append_column("prediction", zeros).append_column(config.target, zeros)
        sketch = sketch_reference(rows, rows.slice(0, 0), config)
        random = np.random.default_rng(0)
        kept = np.sort(random.choice(rows.num_rows, config.monitoring.reference_rows, replace=False))
        reference = Reference(rows.take(kept), "/".join(days), sketch.days, sketch.holdout)
        self._judge = Judge(reference, config, folder)
        self._sample = rows.take(random.choice(rows.num_rows, _EVIDENTLY_ROWS, replace=False))

    def verdict(self, days: Sequence[str], *, asks_evidently: bool = True) -> _Verdict:
        now = _of(self._table, days)
        empty = now.slice(0, 0)
        findings = self._judge.findings(Window(now, empty, empty, empty, days[0], days[-1]))
        theirs = evidently_default(self._sample, now, self._config) if asks_evidently else None
        return _Verdict(
            findings.is_alarm,
            None if theirs is None else theirs.is_alarm,
            tuple(sorted({drift.column for drift in findings.drifted})),
        )


def _of(table: pa.Table, days: Sequence[str]) -> pa.Table:
    return table.filter(pc.is_in(table["partition_key"], value_set=pa.array(list(days))))


def _print(name: str, found: Sequence[_Verdict]) -> None:
    theirs = [verdict.evidently for verdict in found if verdict.evidently is not None]
    ours = [verdict.ours for verdict in found]
    counts: dict[str, int] = {}
    for verdict in found:
        for column in verdict.columns:
            counts[column] = counts.get(column, 0) + 1
    named = ", ".join(f"{name} {n}" for name, n in sorted(counts.items(), key=lambda item: -item[1])[:5])
    print(f"  {name:22}{len(ours):9}{np.mean(theirs):12.1%}{np.mean(ours):10.1%}   {named}", flush=True)
