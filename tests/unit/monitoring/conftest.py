"""A small binary dataset of many days, whose days differ more than the rows within one do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.config import DatasetConfig
from pipelines.monitoring.reference import Reference, read_reference
from pipelines.records import partition_range

TableMaker = Callable[..., pa.Table]


@pytest.fixture
def config() -> DatasetConfig:
    return make_config()


@pytest.fixture
def make_table() -> TableMaker:
    return make_days


@pytest.fixture
def reference(tmp_path: Path, config: DatasetConfig) -> Reference:
    return save_reference(
        tmp_path / "reference.parquet", make_days("2013-01-01", "2013-02-25", seed=1), config
    )


@pytest.fixture
def as_reference(tmp_path: Path) -> Callable[[pa.Table, DatasetConfig], Reference]:
    return lambda table, config: save_reference(tmp_path / "other.parquet", table, config)


@pytest.fixture
def config_with() -> Callable[..., DatasetConfig]:
    return make_config


def make_config(**overrides: Any) -> DatasetConfig:
    content: dict[str, Any] = {
        "description": "a toy",
        "task": "binary",
        "source": {"kind": "csv", "tables": {"toy": "toy.csv"}},
        "key": ["id"],
        "event_time": "at",
        "columns": {"id": "integer", "at": "timestamp", "temp": "float", "speed": "float", "kind": "string"},
        "target": "late",
        "labels": {"late": "integer"},
        "features": {"sql": "toy.sql", "numeric": ["temp", "speed"], "categorical": ["kind"]},
        "training": {"holdout_days": 14},
    }
    return DatasetConfig.model_validate(content | overrides)


def make_days(
    first: str,
    last: str,
    *,
    seed: int = 0,
    per_day: int = 60,
    shift: float = 0.0,
    skill: float = 2.0,
    holdout_from: str = "2013-02-12",
) -> pa.Table:
    """Draw days: each has its own temperature, and predictions that are right as far as ``skill`` goes."""
    random = np.random.default_rng(seed)
    days = partition_range(first, last)
    n = len(days) * per_day
    keys = np.repeat(days, per_day)
    truth = random.normal(size=n)
    noise = random.normal(size=n)
    return pa.table(
        {
            "row_id": [f"{key}|{index}" for index, key in enumerate(keys)],
            "partition_key": keys,
            "temp": np.repeat(random.normal(size=len(days)), per_day) + random.normal(size=n) * 0.2 + shift,
            "speed": random.normal(size=n) + shift,
            "kind": random.choice(["a", "b", "c"], n),
            "prediction": 1 / (1 + np.exp(-(skill * truth + noise))),
            "late": (truth > 0.5).astype(np.int64),
            "is_holdout": keys >= holdout_from,
        }
    )


def save_reference(path: Path, table: pa.Table, config: DatasetConfig) -> Reference:
    pq.write_table(table, path)
    return read_reference(path, config)
