"""A small dataset of meter readings, and suites written for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.config import DatasetConfig
from pipelines.validation.suite import Suite, load_suite

COLUMNS = {
    "site": "string",
    "reading": "integer",
    "level": "float",
    "is_open": "boolean",
    "read_at": "timestamp",
    "day": "date",
}


@pytest.fixture
def config() -> DatasetConfig:
    return DatasetConfig.model_validate(
        {
            "description": "Meters",
            "task": "regression",
            "source": {"kind": "csv", "tables": {"meters": "meters.csv"}},
            "key": ["site"],
            "event_time": "read_at",
            "columns": COLUMNS,
            "target": "use",
            "labels": {"use": "float"},
            "features": {"sql": "meters.sql", "numeric": ["level"]},
        }
    )


@pytest.fixture
def make_suite(tmp_path: Path, config: DatasetConfig) -> Callable[[str], Suite]:
    """Return a maker of suites from the YAML of their list of expectations."""

    def make(expectations: str) -> Suite:
        path = tmp_path / "expectations" / "meters_raw.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("expectations:\n" + expectations, encoding="utf-8")
        return load_suite(path, config)

    return make


@pytest.fixture(scope="session")
def meters() -> Callable[..., pa.Table]:
    """Return a maker of partitions: ``meters(n, of=..., level=[...])``."""
    return _meters


def _meters(n: int = 10, *, of: str = "2013-07-04", **columns: list[Any]) -> pa.Table:
    """Return ``n`` good readings of a day, with some columns replaced."""
    midnight = datetime.fromisoformat(of).replace(tzinfo=UTC)
    moments = [midnight + timedelta(minutes=row) for row in range(n)]
    moment = pa.timestamp("us", tz="UTC")
    good: dict[str, pa.Array] = {
        "row_id": pa.array([f"{of}|{row}" for row in range(n)]),
        "event_time": pa.array(moments, moment),
        "site": pa.array(["north"] * n),
        "reading": pa.array(range(n), pa.int64()),
        "level": pa.array([0.5] * n),
        "is_open": pa.array([True] * n),
        "read_at": pa.array(moments, moment),
        "day": pa.array([midnight.date()] * n),
    }
    for name, values in columns.items():
        good[name] = pa.array(values, good[name].type)
    return pa.table(good)
