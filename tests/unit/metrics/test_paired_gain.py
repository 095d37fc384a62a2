"""A gain is more than luck in as few cases as is said, also of few days; and it is found where it is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipelines.metrics import compare_paired, evaluate_predictions

N_DAYS, ROWS = 10, 40
DAYS = np.repeat(np.arange(N_DAYS), ROWS)


def world(seed: int, *, day_noise: float = 0.0, better_by: float = 0.0) -> tuple[np.ndarray, ...]:
    """Return the squared-error world: what happened, and two models with errors that days share."""
    random = np.random.default_rng(seed)
    target = random.normal(size=DAYS.size)
    errors = random.normal(size=(2, DAYS.size)) + day_noise * random.normal(size=(2, N_DAYS))[:, DAYS]
    errors[1] *= 1 + better_by
    return target, target + errors[0], target + errors[1]


@pytest.mark.parametrize("day_noise", [pytest.param(0.0, id="rows"), pytest.param(1.0, id="days-differ")])
def test_models_that_are_alike_differ_by_more_than_luck_as_rarely_as_is_said(day_noise: float) -> None:
    p_values = []
    for seed in range(400):
        target, ours, theirs = world(seed, day_noise=day_noise)
        gain = compare_paired(target, ours, theirs, DAYS, "regression", n_resamples=200)
        p_values += [gain.p_better(), gain.p_worse()]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.06
    assert np.mean(np.array(p_values) <= 0.2) >= 0.08


def test_a_better_model_is_found() -> None:
    target, ours, theirs = world(1, better_by=0.3)
    gain = compare_paired(target, ours, theirs, DAYS, "regression")
    assert gain.p_better() < 0.01
    assert gain.p_worse() > 0.99
    assert gain.interval(0.9)[0] > 0
    assert gain.p_better(margin=0.25) > 0.05


@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
def test_the_gain_is_the_difference_of_the_metric(task: str) -> None:
    random = np.random.default_rng(3)
    target = random.integers(0, 2, DAYS.size).astype(float)
    scores = random.random((2, DAYS.size))
    guesses = [np.column_stack([1 - s, s]) if task == "multiclass" else s for s in scores]
    name, sign = {"binary": ("auc", 1), "regression": ("rmse", -1), "multiclass": ("log_loss", -1)}[task]
    values = [evaluate_predictions(target, guess, task)[name] for guess in guesses]
    gain = compare_paired(target, *guesses, DAYS, task, n_resamples=50)
    assert gain.gain == pytest.approx(sign * (values[0] - values[1]))


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_standard_error_is_that_of_leaving_out_one_day_after_the_other(task: str) -> None:
    random = np.random.default_rng(4)
    target = random.integers(0, 2, DAYS.size).astype(float)
    scores = random.random((2, DAYS.size))
    name, sign = ("auc", 1) if task == "binary" else ("rmse", -1)

    def difference(rows: np.ndarray) -> float:
        ours, theirs = (evaluate_predictions(target[rows], guess[rows], task)[name] for guess in scores)
        return sign * (ours - theirs)

    left_out = np.array([difference(day != DAYS) for day in range(N_DAYS)])
    jackknife = math.sqrt((N_DAYS - 1) / N_DAYS * ((left_out - left_out.mean()) ** 2).sum())
    gain = compare_paired(target, *scores, DAYS, task, n_resamples=50)
    assert gain.standard_error == pytest.approx(jackknife, rel=0.1)


NAN = np.full(DAYS.size, math.nan)
ZEROS = np.zeros(DAYS.size)


@pytest.mark.parametrize(
    ("target", "ours", "units"),
    [
        pytest.param(DAYS % 2, NAN, DAYS, id="a-prediction-that-is-no-number"),
        pytest.param(NAN, ZEROS, DAYS, id="no-label"),
        pytest.param(ZEROS, ZEROS, DAYS, id="one-class"),
        pytest.param(DAYS % 2, ZEROS, ZEROS, id="one-day"),
    ],
)
def test_what_can_not_be_compared_is_neither_better_nor_worse(
    target: np.ndarray, ours: np.ndarray, units: np.ndarray
) -> None:
    gain = compare_paired(target, ours, np.linspace(0, 1, DAYS.size), units, "binary", n_resamples=50)
    assert (gain.p_better(), gain.p_worse()) == (1.0, 1.0)
    assert all(math.isnan(bound) for bound in gain.interval(0.9))


def test_a_model_is_no_better_than_itself() -> None:
    target, ours, _ = world(2)
    gain = compare_paired(target, ours, ours, DAYS, "regression", n_resamples=50)
    assert (gain.gain, gain.p_better(), gain.p_worse()) == (0.0, 1.0, 1.0)
    assert gain.p_better(margin=-0.1) == 0.0


def test_days_that_do_not_belong_to_the_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="do not belong"):
        compare_paired(ZEROS, ZEROS, ZEROS, DAYS[:-1], "regression")


def test_one_good_day_among_days_that_are_the_same_is_luck() -> None:
    target, theirs, _ = world(5)
    ours = np.where(DAYS == 3, target, theirs)
    gain = compare_paired(target, ours, theirs, DAYS, "regression")
    assert gain.gain > 0
    assert gain.p_better() > 0.05
