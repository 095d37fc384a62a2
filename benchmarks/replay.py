"""Replay of an edited suite over 90 nights with five planted incidents: the exact difference, and the time.

The nights are real flights of January to March 2013 (about 900 rows each). Its peer is the same work night
by night: both versions of the suite tried on one night after another.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import PROJECT_ROOT
from pipelines.records import IngestionRecord
from pipelines.runtime import Runtime
from pipelines.steps.ingest import ingest_range
from pipelines.steps.replay import Nights, Replay, replay
from pipelines.steps.suite_trials import try_suite
from pipelines.validation.replay import DifferingRow

DATASET = "flights"
FIRST, LAST = "2013-01-01", "2013-03-31"
CUT_OFF, KILOMETRES, COLD, TWICE, HAZE = (
    "2013-01-20",
    "2013-01-28",
    "2013-02-10",
    "2013-02-20",
    "2013-03-05",
)
# Turned round, each undoes one bound of the shipped suite, or tightens one.
EDITS = (
    ("min_value: 600\n    max_value: 1100", "min_value: 300\n    max_value: 1100"),
    ("max_value: 6000", "max_value: 5000"),
    ("min_value: -30", "min_value: -50"),
    ("column: row_id\n    mostly: 0.99", "column: row_id\n    mostly: 0.9"),
    (
        "severity: warning\n    column: visib\n    min_value: 0\n    max_value: 10\n    mostly: 0.95",
        "severity: critical\n    column: visib\n    min_value: 0\n    max_value: 10",
    ),
)
_SAMPLED = 5


def main() -> None:
    """Print the difference and the time, and make sure of the difference."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        runtime = Runtime.load({"HOLDFAST_HOME": folder, "HOLDFAST_DEVICE": "cpu"})
        print("Preparing: 90 nights of flights, and five incidents planted in them.")
        ingest_range(DATASET, FIRST, LAST, runtime=runtime)
        _plant(runtime)
        baseline = PROJECT_ROOT / "expectations" / f"{DATASET}_raw.yaml"
        edited = Path(folder) / "edited.yaml"
        edited.write_text(_edited(baseline.read_text(encoding="utf-8")), encoding="utf-8")
        rows: list[DifferingRow] = []
        started = time.perf_counter()
        found = replay(
            DATASET,
            Nights(first=FIRST, to=LAST),
            runtime=runtime,
            suite_file=edited,
            against=str(baseline),
            on_row=rows.append,
        )
        seconds = time.perf_counter() - started
        one_by_one = _night_by_night(runtime, baseline, edited) * found.n_partitions
        _check(found, rows)
    print(f"  blocked {found.newly_blocked}, let through {found.let_through},")
    print(f"  warned {found.newly_warned}, no longer warned {found.no_longer_warned},")
    print(f"  {found.n_newly_caught} rows newly caught, {found.n_no_longer_caught} no longer: as planted.")
    print(f"{'replay of 90 nights, both versions':<45} {seconds:8.2f} s   1.0")
    print(f"{'night by night (from five of them)':<45} {one_by_one:8.2f} s   {one_by_one / seconds:.1f}")


def _edited(text: str) -> str:
    for old, new in EDITS:
        assert text.count(old) == 1, f"the shipped suite has changed: {old}"
        text = text.replace(old, new)
    return text


def _night_by_night(runtime: Runtime, baseline: Path, edited: Path) -> float:
    """Return the seconds a night."""
    started = time.perf_counter()
    for night in range(1, _SAMPLED + 1):
        for suite in (baseline, edited):
            try_suite(DATASET, f"2013-03-{night + 10}", runtime=runtime, suite_file=suite)
    return (time.perf_counter() - started) / _SAMPLED


def _check(found: Replay, rows: list[DifferingRow]) -> None:
    """Hold the difference to what was planted."""
    assert found.n_partitions == 90, found.n_partitions
    assert found.newly_blocked == (HAZE,), found.newly_blocked
    assert found.let_through == (TWICE,), found.let_through
    assert found.newly_warned == (), found.newly_warned
    assert found.no_longer_warned == (CUT_OFF,), found.no_longer_warned
    by_night = {
        (night.partition_key, night.n_newly_caught, night.n_no_longer_caught)
        for night in found.nights
        if not night.is_same
    }
    assert by_night == {(CUT_OFF, 0, 0), (KILOMETRES, 7, 0), (COLD, 0, 4), (TWICE, 0, 0), (HAZE, 0, 0)}, (
        by_night
    )
    caught = sorted((row.partition_key, row.position) for row in rows if row.direction == "newly_caught")
    missed = sorted((row.partition_key, row.position) for row in rows if row.direction != "newly_caught")
    assert caught == [(KILOMETRES, position) for position in range(7)], caught
    assert missed == [(COLD, position) for position in range(4)], missed
    assert not found.not_judged, found.not_judged


def _plant(runtime: Runtime) -> None:
    _change(runtime, CUT_OFF, lambda rows: rows.slice(0, 450))
    _change(runtime, KILOMETRES, lambda rows: _set(rows, "distance", 7, 5500.0))
    _change(runtime, COLD, lambda rows: _set(rows, "temp", 4, -40.0))
    _change(runtime, TWICE, lambda rows: _set(rows, "row_id", 20, rows["row_id"][0].as_py()))
    _change(runtime, HAZE, lambda rows: _set(rows, "visib", 1, 11.0))


def _set(rows: pa.Table, column: str, n: int, value: Any) -> pa.Table:
    """Return the rows with one column's first ``n`` cells replaced."""
    is_first = pc.less(rows["position"], n)
    kind = rows.schema.field(column).type
    cells = pc.if_else(is_first, pa.scalar(value, kind), rows[column])
    return rows.set_column(rows.column_names.index(column), rows.schema.field(column), cells)


def _change(runtime: Runtime, night: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Make a night's raw rows others, as an ingestion would."""
    rows = runtime.lake.read(DATASET, "raw", partitions=[night]).drop_columns(["partition_key"])
    rows = change(rows.sort_by("position"))
    version = runtime.lake.replace(DATASET, "raw", night, rows)
    record = runtime.ledger.latest(IngestionRecord, DATASET, night)
    assert record is not None
    changed = {"raw_digest": version.digest, "n_rows": version.n_rows}
    runtime.ledger.record(record.model_copy(update=changed))
