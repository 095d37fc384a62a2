"""A project of its own with one dataset, meters, landed nights, and suites under git."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from pipelines.config import load_params, load_settings
from pipelines.records import IngestionRecord
from pipelines.runtime import Runtime

N = 40
SUITE = """# What a night of meters must look like.
expectations:
  - type: expect_table_row_count_to_be_between
    severity: critical
    min_value: 30
    max_value: 50
  - type: expect_column_values_to_be_unique
    severity: critical
    column: row_id
    mostly: 0.9
  - type: expect_column_values_to_be_between
    severity: warning
    column: level
    min_value: 0
    max_value: 1
    mostly: 0.9
"""
_MOMENT = pa.timestamp("us", tz="UTC")


def dataset() -> dict[str, Any]:
    """Return the entry of params.yaml."""
    return {
        "description": "Meters",
        "task": "regression",
        "source": {"kind": "csv", "tables": {"meters": "meters.csv"}},
        "key": ["site", "reading"],
        "event_time": "read_at",
        "columns": {"site": "string", "reading": "integer", "level": "float", "read_at": "timestamp"},
        "target": "use",
        "labels": {"use": "float"},
        "features": {"sql": "meters.sql", "numeric": ["level"], "categorical": ["site"]},
        "quality": {"max_quarantined_fraction": 0.5},
    }


def environment(root: Path) -> dict[str, str]:
    """Return the variables that name the project below ``root``."""
    return {
        "HOLDFAST_HOME": str(root / "home"),
        "HOLDFAST_PROJECT": str(root / "project"),
        "HOLDFAST_PARAMS": str(root / "project" / "params.yaml"),
        "HOLDFAST_DEVICE": "cpu",
    }


def make(root: Path, *, suite: str = SUITE) -> Runtime:
    """Make the project, commit its suite, and open it."""
    project = root / "project"
    (project / "expectations").mkdir(parents=True)
    (project / "params.yaml").write_text(yaml.safe_dump({"datasets": {"meters": dataset()}}))
    edit(project, suite)
    git(project, "init", "--quiet")
    commit(project)
    settings = load_settings(environment(root))
    return Runtime(settings=settings, params=load_params(settings.params))


def edit(project: Path, suite: str, name: str = "meters_raw") -> Path:
    """Write a suite, uncommitted."""
    path = project / "expectations" / f"{name}.yaml"
    path.write_text(suite, encoding="utf-8")
    return path


def commit(project: Path) -> None:
    """Commit all that there is."""
    git(project, "add", "--all")
    git(project, "-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", "x")


def git(project: Path, *arguments: str) -> None:
    """Run git in the project."""
    subprocess.run(["git", "-C", str(project), *arguments], check=True, capture_output=True)


def land(runtime: Runtime, day: str, *, n: int = N, **cells: Mapping[int, Any]) -> None:
    """Land a good night, with single cells replaced: ``level={3: 7.5}``."""
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    columns: dict[str, list[Any]] = {
        "row_id": [f"{day}|north|{row:03d}" for row in range(n)],
        "event_time": [start + timedelta(minutes=row) for row in range(n)],
        "site": ["north", "south"] * (n // 2) + ["north"] * (n % 2),
        "reading": list(range(n)),
        "level": [row / n for row in range(n)],
        "read_at": [start + timedelta(minutes=row) for row in range(n)],
        "miscast": [None] * n,
        "source_file": [f"meters-{day}.csv"] * n,
        "source_line": list(range(2, n + 2)),
    }
    for name, replaced in cells.items():
        for row, value in replaced.items():
            columns[name][row] = value
    types = {"event_time": _MOMENT, "read_at": _MOMENT, "reading": pa.int64(), "level": pa.float64()}
    types |= {"source_line": pa.int64()}
    rows = pa.table({name: pa.array(cell, types.get(name, pa.string())) for name, cell in columns.items()})
    order = pc.rank(rows["row_id"], tiebreaker="first").to_numpy() - 1
    rows = rows.append_column("position", pa.array(order, pa.int64()))
    version = runtime.lake.replace("meters", "raw", day, rows)
    runtime.ledger.record(
        IngestionRecord(
            dataset="meters",
            partition_key=day,
            source_uri="test",
            raw_digest=version.digest,
            n_rows=n,
            delta_version=version.delta_version,
        )
    )
