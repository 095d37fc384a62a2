"""An estimate is scored against the truth, once the labels of its whole window are mature."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipelines.records import (
    DriftRecord,
    EstimateScore,
    PerformanceEstimate,
    partition_range,
    shift_partition,
)
from pipelines.steps.estimates import score_estimates
from pipelines.steps.reconcile import reconcile

FIRST, NIGHT = "2013-07-01", "2013-07-03"
MATURE = shift_partition(NIGHT, 4)
_PER_DAY = 20


@pytest.fixture
def world(make_runtime):
    """Return three days of predictions that rank every row rightly, and the estimate of the third night."""
    overrides = {"label_maturity_days": 4, "monitoring": {"window_days": 3}}
    runtime = make_runtime({"datasets": {"flights": overrides}})
    days = partition_range(FIRST, NIGHT)
    guesses = np.where(_truth() == 1, 0.8, 0.2)
    for day in days:
        rows = {"row_id": _row_ids(day), "prediction": guesses, "model_version": ["1"] * _PER_DAY}
        runtime.lake.replace("flights", "predictions", day, pa.table(rows))
        _label(runtime, day, _truth())
    _estimate(runtime, NIGHT, (FIRST, NIGHT))
    return runtime


def _truth():
    return np.arange(_PER_DAY) % 2


def _row_ids(day):
    return [f"{day}|{n:02d}" for n in range(_PER_DAY)]


def _label(runtime, day, values):
    labels = pa.table({"row_id": _row_ids(day), "is_late": pa.array(values, pa.int64())})
    runtime.lake.replace("flights", "labels", day, labels)


def _estimate(runtime, night, window, *, bounds=(0.9, 1.0), version="1"):
    estimate = PerformanceEstimate(
        metric="auc",
        value=0.95,
        lower=bounds[0],
        upper=bounds[1],
        confidence=0.9,
        reference_value=0.95,
        expected_loss=0.0,
        is_worse=False,
        method="confidence",
    )
    runtime.ledger.record(
        DriftRecord(
            dataset="flights",
            partition_key=night,
            model_version=version,
            window=window,
            columns=(),
            estimate=estimate,
            is_alarm=False,
            is_confirmed=False,
            n_alarm_nights=0,
        )
    )


def test_estimate_is_scored_once_its_whole_window_is_mature(world):
    assert score_estimates("flights", shift_partition(MATURE, -1), runtime=world) == ()
    (score,) = score_estimates("flights", MATURE, runtime=world)
    assert (score.partition_key, score.actual_value, score.is_covered) == (NIGHT, 1.0, True)
    assert score.n_rows == 3 * _PER_DAY
    assert world.ledger.latest(EstimateScore, "flights", NIGHT) == score
    assert score_estimates("flights", MATURE, runtime=world) == ()


def test_night_that_was_missed_is_made_up_for(world):
    (score,) = score_estimates("flights", shift_partition(MATURE, 2), runtime=world)
    assert score.partition_key == NIGHT


def test_truth_outside_the_interval_is_not_covered(world):
    _estimate(world, NIGHT, (FIRST, NIGHT), bounds=(0.6, 0.9))
    (score,) = score_estimates("flights", MATURE, runtime=world)
    assert score.is_covered is False


def test_corrected_labels_score_the_estimate_anew(world):
    reconcile("flights", MATURE, runtime=world)
    score_estimates("flights", MATURE, runtime=world)
    _label(world, FIRST, 1 - _truth())
    later = shift_partition(MATURE, 20)
    reconcile("flights", later, runtime=world)
    (score,) = score_estimates("flights", later, runtime=world)
    # Of three days, one is ranked backwards: each of its rows loses against its own day's others.
    assert score.partition_key == NIGHT
    assert score.actual_value == pytest.approx(2 / 3)
    assert [old.actual_value for old in world.ledger.revisions(EstimateScore, "flights", NIGHT)] == [
        1.0,
        score.actual_value,
    ]


def test_predictions_of_another_model_are_no_truth_of_the_estimate(world):
    _estimate(world, NIGHT, (FIRST, NIGHT), version="2")
    assert score_estimates("flights", MATURE, runtime=world) == ()


def test_single_class_can_not_be_scored(world):
    for day in partition_range(FIRST, NIGHT):
        _label(world, day, np.zeros(_PER_DAY))
    assert score_estimates("flights", MATURE, runtime=world) == ()


def test_without_tables_there_is_nothing_to_score(runtime):
    assert score_estimates("flights", MATURE, runtime=runtime) == ()
