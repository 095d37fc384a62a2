"""Metrics against scikit-learn's, and the bootstrap against its own slow definition."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    log_loss,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
)

from pipelines.metrics import evaluate_predictions, paired_day_bootstrap, primary_metric

PROBABILITIES = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])), min_size=2, max_size=40
).filter(lambda rows: len({happened for happened, _ in rows}) == 2)


def _month(n_days: int = 14, rows_a_day: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return targets, good predictions with ties, and days."""
    random = np.random.default_rng(7)
    chance = random.random(n_days * rows_a_day).round(2)
    target = (random.random(chance.size) < chance).astype(float)
    return target, chance, np.repeat([f"2013-05-{day:02d}" for day in range(1, n_days + 1)], rows_a_day)


@given(PROBABILITIES)
def test_binary_metrics_agree_with_scikit_learn_also_on_ties(rows: list[tuple[bool, float]]) -> None:
    target = np.array([float(happened) for happened, _ in rows])
    guess = np.array([probability for _, probability in rows])

    found = evaluate_predictions(target, guess, "binary")

    assert found["auc"] == pytest.approx(roc_auc_score(target, guess))
    assert found["average_precision"] == pytest.approx(average_precision_score(target, guess))
    assert found["brier"] == pytest.approx(brier_score_loss(target, guess))
    clipped = np.clip(guess, 1e-15, 1 - 1e-15)
    assert found["log_loss"] == pytest.approx(log_loss(target, clipped))
    assert found["prevalence"] == pytest.approx(target.mean())
    assert found["n"] == len(rows)


def test_regression_metrics_agree_with_scikit_learn() -> None:
    random = np.random.default_rng(3)
    target, guess = random.normal(100, 20, 500), random.normal(100, 20, 500)

    found = evaluate_predictions(target, guess, "regression")

    assert found["rmse"] == pytest.approx(np.sqrt(((target - guess) ** 2).mean()))
    assert found["mae"] == pytest.approx(mean_absolute_error(target, guess))
    assert found["r2"] == pytest.approx(r2_score(target, guess))


def test_rows_whose_label_is_unknown_are_left_out() -> None:
    known = evaluate_predictions([0, 1, 1], [0.1, 0.9, 0.4], "binary")

    assert evaluate_predictions([0, math.nan, 1, 1], [0.1, 0.5, 0.9, 0.4], "binary") == known


@pytest.mark.parametrize(
    ("target", "guess", "task", "undefined"),
    [
        pytest.param([1, 1], [0.2, 0.4], "binary", {"auc", "average_precision"}, id="one-class"),
        pytest.param(
            [0, 1],
            [0.2, math.nan],
            "binary",
            {"auc", "average_precision", "log_loss", "brier"},
            id="nan-prediction",
        ),
        pytest.param(
            [0, 1],
            [0.2, 1.2],
            "binary",
            {"auc", "average_precision", "log_loss", "brier"},
            id="no-probability",
        ),
        pytest.param(
            [], [], "binary", {"auc", "average_precision", "log_loss", "brier", "prevalence"}, id="no-rows"
        ),
        pytest.param([2.0, 2.0], [1.0, 3.0], "regression", {"r2"}, id="constant-target"),
        pytest.param(
            [1.0, 2.0], [1.0, math.inf], "regression", {"rmse", "mae", "r2"}, id="infinite-prediction"
        ),
        pytest.param([], [], "regression", {"rmse", "mae", "r2"}, id="no-rows-to-regress"),
    ],
)
def test_what_is_not_defined_is_nan(
    target: list[float], guess: list[float], task: str, undefined: set[str]
) -> None:
    found = evaluate_predictions(target, guess, task)

    assert {name for name, value in found.items() if math.isnan(value)} == undefined


@pytest.mark.parametrize(
    ("target", "guess"),
    [
        pytest.param([0, 2], [0.1, 0.2], id="target-is-no-class"),
        pytest.param([0, 1], [0.1], id="other-length"),
        pytest.param([[0], [1]], [[0.1], [0.2]], id="two-dimensions"),
    ],
)
def test_input_that_makes_no_sense_is_refused(target: list[float], guess: list[float]) -> None:
    with pytest.raises(ValueError, match=r"binary target|do not belong"):
        evaluate_predictions(target, guess, "binary")


def test_primary_metric_says_its_direction() -> None:
    assert primary_metric("binary") == ("auc", True)
    assert primary_metric("regression") == ("rmse", False)


def test_each_resample_is_the_metric_of_the_drawn_days() -> None:
    target, good, days = _month()
    bad = np.random.default_rng(1).permutation(good)
    names = np.unique(days)
    draws = np.random.default_rng(11).multinomial(names.size, np.full(names.size, 1 / names.size), size=40)
    gains = []
    for draw in draws:
        rows = np.concatenate(
            [
                np.flatnonzero(np.tile(days == name, count)) % days.size
                for name, count in zip(names, draw, strict=True)
            ]
        )
        gains.append(roc_auc_score(target[rows], good[rows]) - roc_auc_score(target[rows], bad[rows]))

    found = paired_day_bootstrap(target, good, bad, days, "binary", n_resamples=40, seed=11)

    assert found.mean == pytest.approx(np.mean(gains))
    assert (found.lower, found.upper) == pytest.approx(tuple(np.quantile(gains, [0.05, 0.95])))
    assert found.probability == 1.0


def test_gain_of_a_regression_is_positive_for_the_smaller_error() -> None:
    target, guess, days = _month()

    better = paired_day_bootstrap(target, guess, guess + 0.5, days, "regression", seed=1)
    worse = paired_day_bootstrap(target, guess + 0.5, guess, days, "regression", seed=1)

    assert better.lower > 0
    assert better.probability == 1.0
    assert worse.mean == pytest.approx(-better.mean)
    assert worse.probability == 0.0


def test_same_seed_same_bounds() -> None:
    target, good, days = _month()
    first = paired_day_bootstrap(target, good, good**2, days, "regression", seed=5)

    assert paired_day_bootstrap(target, good, good**2, days, "regression", seed=5) == first
    assert paired_day_bootstrap(target, good, good**2, days, "regression", seed=6) != first


def test_equal_models_never_win() -> None:
    target, good, days = _month()

    assert paired_day_bootstrap(target, good, good, days, "binary").probability == 0.0


@pytest.mark.parametrize("who", ["challenger", "champion"])
def test_nan_never_wins(who: str) -> None:
    target, good, days = _month()
    broken = good.copy()
    broken[3] = math.nan
    pair = (broken, good) if who == "challenger" else (good, broken)

    found = paired_day_bootstrap(target, *pair, days, "binary")

    assert found.probability == 0.0
    assert math.isnan(found.mean)
    assert math.isnan(found.lower)


@pytest.mark.parametrize("target", [pytest.param([], id="no-rows"), pytest.param([1.0, 1.0], id="one-class")])
def test_a_comparison_without_both_classes_is_undefined(target: list[float]) -> None:
    guess = [0.5] * len(target)

    found = paired_day_bootstrap(target, guess, guess, ["2013-05-01"] * len(target), "binary")

    assert math.isnan(found.mean)
    assert found.probability == 0.0


def test_resamples_without_both_classes_count_as_no_win() -> None:
    target = [0, 1, 1, 1]
    days = ["2013-05-01", "2013-05-01", "2013-05-02", "2013-05-02"]

    found = paired_day_bootstrap(target, [0.1, 0.9, 0.9, 0.9], [0.9, 0.1, 0.1, 0.1], days, "binary")

    assert found.mean == pytest.approx(1.0)
    # A quarter of all draws takes only the second day, which has one class.
    assert found.probability == pytest.approx(0.75, abs=0.06)


def test_days_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="do not belong"):
        paired_day_bootstrap([0, 1], [0.1, 0.2], [0.1, 0.2], ["2013-05-01"], "binary")


def test_a_thousand_resamples_of_a_fortnight_take_no_time() -> None:
    target, good, days = _month(n_days=14, rows_a_day=930)
    started = time.process_time()

    paired_day_bootstrap(target, good, good**2, days, "binary", n_resamples=1000)

    assert time.process_time() - started < 1.5


MULTICLASS = st.lists(
    st.tuples(st.integers(0, 3), st.lists(st.sampled_from([1, 2, 3, 10]), min_size=4, max_size=4)),
    min_size=8,
    max_size=40,
).filter(lambda rows: {happened for happened, _ in rows} == {0, 1, 2, 3})


@given(MULTICLASS)
def test_multiclass_metrics_agree_with_scikit_learn(rows: list[tuple[int, list[int]]]) -> None:
    target = np.array([float(happened) for happened, _ in rows])
    guess = np.array([weights for _, weights in rows], dtype=float)
    guess /= guess.sum(axis=1, keepdims=True)

    found = evaluate_predictions(target, guess, "multiclass")

    likeliest = guess.argmax(axis=1)
    assert found["log_loss"] == pytest.approx(log_loss(target, guess))
    assert found["accuracy"] == pytest.approx(accuracy_score(target, likeliest))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(target, likeliest))
    assert found["auc"] == pytest.approx(roc_auc_score(target, guess, multi_class="ovr"))
    assert found["brier"] == pytest.approx(((guess - np.eye(4)[target.astype(int)]) ** 2).sum(axis=1).mean())
    assert found["n"] == len(rows)


def test_classes_that_a_window_lacks_leave_the_other_measures_defined() -> None:
    guess = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.6, 0.3, 0.1]]

    two = evaluate_predictions([0, 1, 1], guess, "multiclass")
    one = evaluate_predictions([0, 0, math.nan], guess, "multiclass")

    assert two["balanced_accuracy"] == pytest.approx((1 + 0.5) / 2)
    assert two["auc"] == pytest.approx(1.0)
    assert math.isnan(one["auc"])
    assert one["accuracy"] == 0.5
    assert one["n"] == 2


@pytest.mark.parametrize(
    "guess",
    [
        pytest.param([[0.5, 0.6, 0.2]], id="sum"),
        pytest.param([[1.5, -0.5, 0.0]], id="range"),
        pytest.param([[math.nan, 0.5, 0.5]], id="nan"),
    ],
)
def test_what_is_no_distribution_over_classes_has_no_quality(guess: list[list[float]]) -> None:
    found = evaluate_predictions([1], guess, "multiclass")

    assert all(math.isnan(found[name]) for name in found if name != "n")


@pytest.mark.parametrize(("target", "guess"), [([3], [[0.5, 0.3, 0.2]]), ([0.5], [[0.5, 0.5]]), ([0], [0.5])])
def test_targets_that_are_no_class_are_refused(target: list[float], guess: list[Any]) -> None:
    with pytest.raises(ValueError, match="target"):
        evaluate_predictions(target, guess, "multiclass")


def test_each_resample_of_a_multiclass_task_is_the_log_loss_of_the_drawn_days() -> None:
    random = np.random.default_rng(5)
    days = np.repeat([f"2013-05-{day:02d}" for day in range(1, 7)], 20)
    target = random.integers(0, 3, days.size).astype(float)
    good, poor = (random.dirichlet(np.ones(3), days.size) for _ in range(2))
    good[np.arange(days.size), target.astype(int)] += 1.0
    good /= good.sum(axis=1, keepdims=True)

    gain = paired_day_bootstrap(target, good, poor, days, "multiclass", n_resamples=400, seed=3)
    plain = [evaluate_predictions(target, guess, "multiclass")["log_loss"] for guess in (poor, good)]

    assert gain.mean == pytest.approx(plain[0] - plain[1], rel=0.05)
    assert gain.lower < gain.mean < gain.upper
    assert gain.probability == 1.0
    assert primary_metric("multiclass") == ("log_loss", False)
