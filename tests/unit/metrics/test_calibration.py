"""Calibration: what is right passes for right, what is off is said to be, with intervals that hold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipelines.metrics import measure_calibration

DAYS = np.repeat(np.arange(12), 150)


def drawn(seed: int, day_noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return what happened and the chance of it; each day has more or less of it than was to be known."""
    random = np.random.default_rng(seed)
    odds = random.normal(-1, 1, DAYS.size)
    luck = day_noise * random.normal(size=12)[DAYS]
    happened = random.random(DAYS.size) < 1 / (1 + np.exp(-(odds + luck)))
    return happened.astype(float), 1 / (1 + np.exp(-odds))


def test_intervals_hold_the_truth_also_where_days_differ() -> None:
    covered = []
    for seed in range(150):
        target, chance = drawn(seed, day_noise=0.3)
        found = measure_calibration(target, chance, DAYS, "binary")
        # Noise in the log odds pulls chances towards a half, by a little.
        covered.append((found.slope.lower <= 0.98 <= found.slope.upper, found.error.lower < 0.01))
    assert np.mean(covered, axis=0) == pytest.approx([0.9, 0.95], abs=0.08)


@pytest.mark.parametrize(
    ("spoil", "part", "low", "high"),
    [
        pytest.param(lambda p: p, "error", 0.0, 0.04, id="right"),
        pytest.param(lambda p: 0.1 + 0.8 * p, "bias", 0.02, 0.08, id="flipped-labels"),
        pytest.param(lambda p: p**2, "bias", -0.3, -0.05, id="too-low"),
        pytest.param(lambda p: p**3 / (p**3 + (1 - p) ** 3), "slope", 0.2, 0.5, id="too-sure"),
    ],
)
def test_predictions_that_are_off_are_said_to_be(spoil, part: str, low: float, high: float) -> None:  # type: ignore[no-untyped-def]
    target, chance = drawn(7)
    found = getattr(measure_calibration(target, spoil(chance), DAYS, "binary"), part)
    assert low <= found.lower <= found.value <= found.upper <= high


def test_a_multiclass_task_is_measured_by_its_likeliest_class() -> None:
    target, chance = drawn(3)
    two = measure_calibration(target, np.column_stack([1 - chance, chance]), DAYS, "multiclass")
    likeliest = np.maximum(chance, 1 - chance)
    right = ((chance > 0.5) == target).astype(float)
    assert two == measure_calibration(right, likeliest, DAYS, "binary")


def test_a_regression_is_measured_in_its_own_unit() -> None:
    random = np.random.default_rng(5)
    truth = random.normal(100, 20, DAYS.size)
    found = measure_calibration(truth + random.normal(0, 5, DAYS.size), truth + 3, DAYS, "regression")
    assert found.bias.value == pytest.approx(3, abs=0.5)
    assert found.slope.value == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("target", "prediction"),
    [
        pytest.param(np.full(DAYS.size, np.nan), np.full(DAYS.size, 0.5), id="no-label"),
        pytest.param(np.zeros(DAYS.size), np.full(DAYS.size, np.nan), id="no-prediction"),
    ],
)
def test_what_can_not_be_measured_is_nan(target: np.ndarray, prediction: np.ndarray) -> None:
    assert math.isnan(measure_calibration(target, prediction, DAYS, "binary").error.value)


def test_one_class_or_one_prediction_have_no_slope() -> None:
    found = measure_calibration(np.ones(DAYS.size), np.full(DAYS.size, 0.9), DAYS, "binary")
    assert math.isnan(found.slope.value)
    assert found.error.value == pytest.approx(0.1)
