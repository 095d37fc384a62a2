"""Intervals hold what they promise, also for two weeks of days."""

from __future__ import annotations

import numpy as np
import pytest
import scored_rows

from pipelines.evaluation.intervals import jackknife, primary_interval
from pipelines.metrics import evaluate_predictions, primary_metric

TASKS = ["binary", "multiclass", "regression"]


def _metrics_with_bounds(task: str, **shape: int):  # type: ignore[no-untyped-def]
    rows = scored_rows.rows_of(task, **shape)
    target, guess = rows["y"].to_numpy(), scored_rows.model_of(task)(rows)

    def measure(chosen):  # type: ignore[no-untyped-def]
        return evaluate_predictions(target[chosen], guess[chosen], task)

    return jackknife(measure, rows["partition_key"].to_numpy(zero_copy_only=False)), measure(
        np.ones(target.size, dtype=bool)
    )


@pytest.mark.parametrize("task", TASKS)
def test_every_metric_of_a_task_lies_within_its_bounds(task: str) -> None:
    found, plain = _metrics_with_bounds(task)

    assert {name: interval.value for name, interval in found.items()} == plain
    for interval in found.values():
        assert interval.value is not None
        assert interval.lower is not None
        assert interval.upper is not None
        assert interval.lower <= interval.value <= interval.upper


def test_nine_of_ten_intervals_hold_the_truth_although_days_have_luck_of_their_own() -> None:
    truth, _ = _metrics_with_bounds("regression", n_days=4_000, rows_a_day=20, seed=1)
    wanted = truth["rmse"].value
    assert wanted is not None

    found = [
        _metrics_with_bounds("regression", n_days=14, rows_a_day=20, seed=seed)[0]["rmse"]
        for seed in range(2, 302)
    ]

    held = np.mean([(interval.lower or 0) <= wanted <= (interval.upper or 0) for interval in found])
    assert 0.85 <= held <= 0.95


def test_one_day_gives_no_bounds() -> None:
    found, _ = _metrics_with_bounds("binary", n_days=1)

    assert found["auc"].value is not None
    assert found["auc"].lower is found["auc"].upper is None


def test_bounds_stay_within_what_a_measure_can_be() -> None:
    target = np.tile([0.0, 1.0], 6)
    days = np.repeat(["a", "b", "c"], 4)

    def measure(chosen):  # type: ignore[no-untyped-def]
        guess = np.where(np.arange(12) == 0, 0.95, target * 0.8 + 0.1)
        return evaluate_predictions(target[chosen], guess[chosen], "binary")

    found = jackknife(measure, days)

    assert found["auc"].upper == 1.0
    assert found["brier"].lower == 0.0


@pytest.mark.parametrize("task", TASKS)
def test_the_primary_metric_alone_agrees_with_the_jackknife_of_all(task: str) -> None:
    rows = scored_rows.rows_of(task)
    days = np.unique(rows["partition_key"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)[1]

    alone = primary_interval(rows["y"].to_numpy(), [scored_rows.model_of(task)(rows)], days, task)

    of_all = _metrics_with_bounds(task)[0][primary_metric(task).name]
    assert alone.value == pytest.approx(of_all.value)
    assert alone.lower == pytest.approx(of_all.lower, rel=0.02)


@pytest.mark.parametrize("task", TASKS)
def test_a_gain_is_above_zero_where_the_first_model_is_better_whatever_the_metric(task: str) -> None:
    rows = scored_rows.rows_of(task)
    good = scored_rows.model_of(task)(rows)
    blind = (
        np.tile(good.mean(axis=0), (good.shape[0], 1)) if good.ndim == 2 else np.full(good.shape, good.mean())
    )
    days = np.unique(rows["partition_key"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)[1]

    gain = primary_interval(rows["y"].to_numpy(), [good, blind], days, task)

    assert gain.lower is not None
    assert gain.lower > 0


def test_a_prediction_that_is_no_number_has_no_metric() -> None:
    found = primary_interval(np.array([0.0, 1.0]), [np.array([0.5, np.nan])], np.array([0, 1]), "binary")

    assert found.value is None
