"""Rows of many days, and models of them that are known inside out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.evaluation.holdout import Holdout
from pipelines.records import partition_range, shift_partition

Floats = npt.NDArray[np.float64]
Predict = Callable[[pa.Table], Floats]

FIRST = "2024-03-01"
CLASSES = ("low", "mid", "top")
# Days with a bad or a good luck of their own.
DAY_EFFECT = 0.4


def config_of(task: str, **changes: Any) -> DatasetConfig:
    """Return a dataset of two numbers, ``x`` and ``z``, and two categories, ``kind`` and ``site``."""
    plain: dict[str, Any] = {
        "description": "What will it be?",
        "task": task,
        "source": {"kind": "csv", "tables": {"rows": "rows.csv"}},
        "key": ["machine"],
        "columns": {"machine": "string", "x": "float", "z": "float", "kind": "string", "site": "string"},
        "target": "y",
        "labels": {"y": "float"},
        "classes": list(CLASSES) if task == "multiclass" else [],
        "features": {"sql": "rows.sql", "numeric": ["x", "z"], "categorical": ["kind", "site"]},
        "evaluation": {"explained_rows": 10},
    }
    return DatasetConfig.model_validate({**plain, **changes})


def rows_of(task: str, *, n_days: int = 20, rows_a_day: int = 60, seed: int = 0) -> pa.Table:
    """Return rows whose target follows ``x`` and the luck of their day, and nothing else."""
    random = np.random.default_rng(seed)
    n = n_days * rows_a_day
    days = partition_range(FIRST, shift_partition(FIRST, n_days - 1))
    x = random.normal(size=n)
    pull = x + np.repeat(random.normal(0, DAY_EFFECT, n_days), rows_a_day)
    makers = {
        "binary": lambda: (random.random(n) < _logistic(pull)).astype(np.float64),
        "multiclass": lambda: np.digitize(pull + random.logistic(size=n), [-1.0, 1.0]).astype(np.float64),
        "regression": lambda: 10 * pull + random.normal(0, 5, n),
    }
    keys = np.repeat(days, rows_a_day)
    return pa.table(
        {
            "row_id": [f"{day}|{number}" for number, day in enumerate(keys)],
            "partition_key": keys,
            "machine": [f"m{number % rows_a_day}" for number in range(n)],
            "x": x,
            "z": random.normal(size=n),
            "kind": random.choice(["a", "b", "c"], n),
            "site": random.choice(["north", "south"], n),
            "y": makers[task](),
        }
    )


def model_of(task: str) -> Predict:
    """Return a model that knows how the target comes about, but not the luck of the day."""

    def predict(table: pa.Table) -> Floats:
        x = np.nan_to_num(table["x"].cast(pa.float64()).to_numpy(), posinf=50, neginf=-50).clip(-50, 50)
        if task == "binary":
            return _logistic(x)
        if task == "regression":
            return 10 * x
        below = np.column_stack([_logistic(-1.0 - x), _logistic(1.0 - x)])
        return np.column_stack([below[:, 0], below[:, 1] - below[:, 0], 1 - below[:, 1]])

    return predict


def holdout_of(rows: pa.Table, prediction: Floats, config: DatasetConfig) -> Holdout:
    """Return scored rows, those of one day going together."""
    days = rows["partition_key"].to_numpy(zero_copy_only=False).astype(str)
    return Holdout(rows, prediction, days, "days", config)


def _logistic(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))
