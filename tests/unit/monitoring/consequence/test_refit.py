"""Whether a retraining would pay."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipelines.config import DatasetConfig
from pipelines.monitoring.consequence.refit import probe_refit
from pipelines.records import partition_range

_PER_DAY = 60
_CLASSES = ["low", "middle", "high"]


def config_of(task: str) -> DatasetConfig:
    return DatasetConfig.model_validate(
        {
            "description": "a toy",
            "task": task,
            "source": {"kind": "csv", "tables": {"toy": "toy.csv"}},
            "columns": {"x": "float", "empty": "float", "site": "string"},
            "target": "y",
            "labels": {"y": "string" if task == "multiclass" else "float"},
            "features": {"sql": "toy.sql", "numeric": ["x", "empty"], "categorical": ["site"]},
            **({"classes": _CLASSES} if task == "multiclass" else {}),
        }
    )


def days_of(first: str, last: str, task: str, *, sign: float, shift: float = 0.0, seed: int = 0) -> pa.Table:
    """Draw days in which the target follows ``sign * x``, with noise."""
    random = np.random.default_rng(seed)
    keys = np.repeat(partition_range(first, last), _PER_DAY)
    x = random.normal(size=keys.size)
    score = sign * x + random.normal(scale=0.7, size=keys.size)
    target = {
        "binary": (score > 0).astype(float),
        "regression": score,
        "multiclass": np.digitize(score, [-0.5, 0.5]).astype(float),
    }[task]
    return pa.table(
        {
            "partition_key": keys,
            "x": x + shift,
            "empty": pa.nulls(keys.size, pa.float64()),
            "site": random.choice(["a", "b"], keys.size),
            "y": target,
        }
    )


def champion_of(task: str):
    """Return a model that knows the old rule: the target follows x."""

    def predict(table: pa.Table) -> np.ndarray:
        x = table["x"].to_numpy()
        if task == "regression":
            return x
        if task == "binary":
            return 1 / (1 + np.exp(-2 * x))
        weights = np.exp(-((x[:, None] - np.array([-1.0, 0.0, 1.0])) ** 2))
        return weights / weights.sum(axis=1, keepdims=True)

    return predict


@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
def test_refit_pays_where_the_world_has_changed(task):
    reference = days_of("2013-01-01", "2013-01-10", task, sign=1.0)
    recent = days_of("2013-01-11", "2013-02-20", task, sign=-1.0, seed=1)

    tried = probe_refit(reference, recent, champion_of(task), config_of(task))

    assert tried is not None
    assert tried.is_worth_it
    assert tried.lower > 0
    assert (tried.n_days, tried.first_partition, tried.last_partition) == (14, "2013-02-07", "2013-02-20")
    assert tried.n_rows == 14 * _PER_DAY


@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
def test_refit_does_not_pay_where_the_old_rule_holds(task):
    reference = days_of("2013-01-01", "2013-01-10", task, sign=1.0)
    recent = days_of("2013-01-11", "2013-02-20", task, sign=1.0, seed=1)

    tried = probe_refit(reference, recent, champion_of(task), config_of(task))

    assert tried is not None
    assert not tried.is_worth_it


def test_repeat_gives_the_same_figures():
    reference = days_of("2013-01-01", "2013-01-10", "binary", sign=1.0)
    recent = days_of("2013-01-11", "2013-02-20", "binary", sign=0.5, seed=1)
    first, second = (
        probe_refit(reference, recent, champion_of("binary"), config_of("binary")) for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize(
    "recent",
    [
        pytest.param(days_of("2013-01-11", "2013-01-19", "binary", sign=1.0), id="nine-days"),
        pytest.param(days_of("2013-01-11", "2013-02-20", "binary", sign=1.0).slice(0, 0), id="no-rows"),
        pytest.param(
            days_of("2013-01-11", "2013-02-20", "binary", sign=1.0).filter(
                np.arange(41 * _PER_DAY) % _PER_DAY < 3
            ),
            id="few-rows",
        ),
    ],
)
def test_too_little_to_compare_on_is_no_answer(recent):
    reference = days_of("2013-01-01", "2013-01-10", "binary", sign=1.0)
    assert probe_refit(reference, recent, champion_of("binary"), config_of("binary")) is None


def test_days_of_one_class_are_no_answer():
    recent = days_of("2013-01-11", "2013-02-20", "binary", sign=1.0)
    recent = recent.set_column(recent.column_names.index("y"), "y", pa.array(np.zeros(recent.num_rows)))
    reference = days_of("2013-01-01", "2013-01-10", "binary", sign=1.0)
    assert probe_refit(reference, recent, champion_of("binary"), config_of("binary")) is None
