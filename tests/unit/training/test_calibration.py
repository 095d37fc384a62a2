"""Probabilities are calibrated on rows of their own, only where that proves itself, and order stays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sample_models
from scipy.special import expit

from pipelines.bundle.description import Calibration
from pipelines.metrics import evaluate_predictions
from pipelines.training.candidates import FittedCandidate, calibrate, calibration_slice
from pipelines.training.candidates.calibration import apply_calibration, fit_calibration


def _examples(n: int, n_days: int, *, task: Any = "binary", seed: int = 11) -> pa.Table:
    days = pa.array([f"2013-01-{1 + row * n_days // n:02d}" for row in range(n)])
    keys = pa.array([f"2013-01-01|{seed}-{row}" for row in range(n)])
    rows = sample_models.rows(n, seed, task=task)
    return rows.append_column("partition_key", days).append_column("row_id", keys)


def _distorted(slope: float, shift: float = 0.0, *, task: Any = "binary") -> FittedCandidate:
    """Return a fitted model that is too sure, or not sure enough, by a factor, and leans one way."""
    n_outputs = sample_models.fitted("linear_model", task).description.n_outputs
    wrong = Calibration(slope=slope, intercepts=(shift,) + (0.0,) * (n_outputs - 1))
    moved = apply_calibration(sample_models.fitted("linear_model", task), wrong)
    return replace(moved, description=sample_models.fitted("linear_model", task).description)


@pytest.mark.parametrize(
    ("n", "n_days", "n_newest"),
    [
        pytest.param(4800, 12, 4, id="a-third-of-many-days"),
        pytest.param(2400, 6, 3, id="three-days-of-six"),
        pytest.param(2400, 5, 0, id="too-few-days"),
        pytest.param(600, 12, 0, id="too-few-rows"),
    ],
)
def test_the_newest_validation_days_are_the_slice(n: int, n_days: int, n_newest: int) -> None:
    valid = _examples(n, n_days)
    rest, newest = calibration_slice(valid, config=sample_models.config("binary"))
    days = sorted(set(valid["partition_key"].to_pylist()))
    assert sorted(set(newest["partition_key"].to_pylist())) == days[n_days - n_newest :]
    assert sorted(set(rest["partition_key"].to_pylist())) == days[: n_days - n_newest]
    assert rest.num_rows + newest.num_rows == n


def test_rows_without_a_time_are_split_by_their_keys() -> None:
    valid = _examples(3000, 1)
    config = sample_models.config("binary", split="rows")  # type: ignore[arg-type]
    rest, slice_ = calibration_slice(valid, config=config)
    assert slice_.num_rows == pytest.approx(1000, abs=100)
    assert set(rest["row_id"].to_pylist()).isdisjoint(slice_["row_id"].to_pylist())
    shuffled = valid.take(np.random.default_rng(0).permutation(3000))
    again = calibration_slice(shuffled, config=config)[1]
    assert set(again["row_id"].to_pylist()) == set(slice_["row_id"].to_pylist())


def test_a_regression_has_nothing_to_calibrate() -> None:
    valid = _examples(4800, 12, task="regression")
    config = sample_models.config("regression")
    rest, slice_ = calibration_slice(valid, config=config)
    assert (rest.num_rows, slice_.num_rows) == (4800, 0)
    candidate = sample_models.fitted("linear_model", "regression")
    assert calibrate(candidate, valid, config=config) is candidate


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize(
    ("slope", "shift"), [pytest.param(3.0, 0.0, id="too-sure"), pytest.param(0.3, 1.0, id="unsure-and-high")]
)
def test_what_is_far_off_is_mended_and_order_stays(task: Any, slope: float, shift: float) -> None:
    distorted = _distorted(slope, shift, task=task)
    config = sample_models.config(task)
    mended = calibrate(distorted, _examples(6000, 12, task=task), config=config)
    assert mended.calibration is not None
    assert mended.calibration.is_used
    assert mended.description.calibration is not None
    test = sample_models.rows(4000, 31, task=task)
    before, after, undistorted = (
        evaluate_predictions(test["outcome"], model.predict(test), task)
        for model in (distorted, mended, sample_models.fitted("linear_model", task))
    )
    lost = before["log_loss"] - undistorted["log_loss"]
    assert lost > 0.05
    assert after["log_loss"] < undistorted["log_loss"] + lost / 2, "more than half of it is mended"
    if task == "binary":
        order, moved = np.argsort(distorted.score(test)), mended.score(test)
        assert (np.diff(moved[order]) >= 0).all()
        assert after["auc"] == pytest.approx(before["auc"], abs=1e-12)


def test_a_model_that_is_calibrated_already_is_left_as_it_is() -> None:
    candidate, valid = sample_models.fitted("linear_model", "binary"), _examples(6000, 12)
    outcome = np.random.default_rng(5).random(6000) < candidate.predict(valid)
    valid = valid.set_column(valid.column_names.index("outcome"), "outcome", pa.array(outcome.astype(float)))
    found = calibrate(candidate, valid, config=sample_models.config("binary"))
    assert found.calibration is not None
    assert not found.calibration.is_used
    assert found.description == candidate.description
    assert found.predict is candidate.predict


def test_the_level_of_a_few_odd_days_is_no_reason_to_move_all_days() -> None:
    # On one day of three everything happened: on average the model is too low, on the other days it is not.
    valid = _examples(3000, 3)
    outcome = valid["outcome"].to_numpy().copy()
    outcome[:1000] = 1.0
    valid = valid.set_column(valid.column_names.index("outcome"), "outcome", pa.array(outcome))
    candidate = sample_models.fitted("linear_model", "binary")
    found = calibrate(candidate, valid, config=sample_models.config("binary"))
    assert found.calibration is not None
    assert not found.calibration.is_used


def test_one_class_alone_calibrates_nothing() -> None:
    valid = _examples(3000, 6)
    ones = pa.array(np.ones(3000))
    valid = valid.set_column(valid.column_names.index("outcome"), "outcome", ones)
    candidate = sample_models.fitted("linear_model", "binary")
    assert calibrate(candidate, valid, config=sample_models.config("binary")) is candidate


def test_slope_and_intercept_are_found_where_rows_are_many() -> None:
    random = np.random.default_rng(3)
    scores = random.normal(size=50_000) * 2
    happened = (random.random(50_000) < expit(0.5 * scores - 0.4)).astype(np.int64)
    found = fit_calibration(scores, happened, np.ones(50_000))
    assert found.slope == pytest.approx(0.5, abs=0.02)
    assert found.intercepts[0] == pytest.approx(-0.4, abs=0.04)


def test_rows_that_stand_for_little_move_little() -> None:
    random = np.random.default_rng(3)
    scores = random.normal(size=2000) * 2
    happened = (random.random(2000) < expit(0.5 * scores - 0.4)).astype(np.int64)
    moved = [fit_calibration(scores, happened, np.full(2000, weight)).slope for weight in (1.0, 0.01, 1e-6)]
    assert moved[0] < moved[1] < moved[2] <= 1.0
    assert moved[2] == pytest.approx(1.0, abs=1e-3)


def test_a_repeat_gives_the_same_calibration() -> None:
    rows, config = _examples(6000, 12), sample_models.config("binary")
    first, second = (calibrate(_distorted(3.0), rows, config=config) for _ in range(2))
    assert first.description.model_dump_json() == second.description.model_dump_json()
