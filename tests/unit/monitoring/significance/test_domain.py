"""What moves in no column by itself is told apart by all of them together."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipelines.config import FeaturesConfig
from pipelines.config.datasets import EffectConfig
from pipelines.monitoring.significance.domain import DomainJudge
from pipelines.records import partition_range

FEATURES = FeaturesConfig(sql="a.sql", numeric=("x", "y"), categorical=("kind",))


def _days(first, n_days, per_day, *, together=0.0, seed=0, day_noise=0.0):
    """Draw days whose columns each look the same, however much ``x`` and ``y`` go together."""
    random = np.random.default_rng(seed)
    days = partition_range(first, f"2013-{12:02d}-31")[:n_days]
    n = n_days * per_day
    x = random.normal(size=n)
    y = together * x + np.sqrt(1 - together**2) * random.normal(size=n)
    return pa.table(
        {
            "partition_key": np.repeat(days, per_day),
            "x": x + np.repeat(random.normal(size=n_days) * day_noise, per_day),
            "y": y,
            "kind": random.choice(["a", "b", "c"], n),
        }
    )


def _judge(reference, folder):
    return DomainJudge(reference, FEATURES, digest="0", folder=folder)


def test_columns_that_no_longer_go_together_are_told_apart(tmp_path):
    judge = _judge(_days("2013-01-01", 40, 500), tmp_path)
    calm = judge.judge(_days("2013-06-01", 1, 500, seed=1), length=1, floors=EffectConfig())
    moved = judge.judge(_days("2013-06-01", 1, 500, seed=2, together=0.9), length=1, floors=EffectConfig())
    assert calm.p_value > 0.01
    assert moved.p_value < 1e-3
    assert moved.distance > calm.distance + 0.05
    assert (moved.column, moved.method, moved.threshold) == ("joint", "domain_auc", 0.05)


def test_days_that_can_always_be_told_apart_raise_no_alarm(tmp_path):
    judge = _judge(_days("2013-01-01", 40, 200, day_noise=3.0), tmp_path)
    found = [
        judge.judge(_days("2013-06-01", 1, 200, day_noise=3.0, seed=seed), length=1, floors=EffectConfig())
        for seed in range(1, 9)
    ]
    assert np.mean([drift.distance for drift in found]) > 0.2
    assert min(drift.p_value for drift in found) > 1e-3


@pytest.mark.parametrize("n_days", [1, 2])
def test_reference_of_a_day_or_two_learns_from_its_rows(n_days, tmp_path):
    judge = _judge(_days("2013-01-01", n_days, 1_000), tmp_path)
    found = judge.judge(_days("2013-06-01", 1, 400, seed=3), length=1, floors=EffectConfig())
    assert found.p_value > 0.005


def test_small_windows_are_not_judged(tmp_path):
    judge = _judge(_days("2013-01-01", 40, 500), tmp_path)
    assert judge.judge(_days("2013-06-01", 1, 63), length=1, floors=EffectConfig()) is None


def test_nulls_and_new_levels_are_cells_like_others(tmp_path):
    judge = _judge(_days("2013-01-01", 40, 200), tmp_path)
    window = _days("2013-06-01", 1, 200, seed=1)
    window = window.set_column(3, "kind", pa.array(["new"] * 100 + [None] * 100, pa.string()))
    window = window.set_column(1, "x", pa.array([np.nan] * 200))
    found = judge.judge(window, length=1, floors=EffectConfig())
    assert found.distance > 0.4
