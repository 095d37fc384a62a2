"""Two models on the same rows: a difference that adds up over nights, and how sure each one is."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.metrics import evaluate_predictions, paired_difference, primary_metric

TASKS = ("binary", "multiclass", "regression")


def rows(task: str, seed: int = 0, n: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a target, good predictions of it, and poorer ones."""
    random = np.random.default_rng(seed)
    if task == "regression":
        truth = random.normal(size=n)
        return truth, truth + 0.5 * random.normal(size=n), truth + random.normal(size=n)
    n_classes = 2 if task == "binary" else 3
    truth = random.integers(n_classes, size=n)
    happened = np.eye(n_classes)[truth]
    good, poor = (
        np.exp(sharpness * happened + random.normal(size=happened.shape)) for sharpness in (2.0, 1.0)
    )
    good, poor = (odds / odds.sum(axis=1, keepdims=True) for odds in (good, poor))
    if task == "binary":
        good, poor = good[:, 1], poor[:, 1]
    return truth.astype(float), good, poor


@pytest.mark.parametrize("task", TASKS)
def test_the_values_are_the_primary_metric_and_the_better_model_gains(task: str) -> None:
    truth, good, poor = rows(task)
    found = paired_difference(truth, good, poor, task)
    assert found is not None
    name = primary_metric(task).name
    expected = [evaluate_predictions(truth, guess, task)[name] for guess in (good, poor)]
    assert [found.first, found.second] == pytest.approx(expected)
    assert found.gain > 0
    assert found.n_rows == truth.size


@pytest.mark.parametrize("task", TASKS)
def test_the_other_way_round_the_gain_has_the_other_sign(task: str) -> None:
    truth, good, poor = rows(task)
    one, other = paired_difference(truth, good, poor, task), paired_difference(truth, poor, good, task)
    assert one is not None
    assert other is not None
    assert (one.gain, one.variance) == pytest.approx((-other.gain, other.variance))


@pytest.mark.parametrize("task", TASKS)
def test_the_variance_is_that_of_other_rows(task: str) -> None:
    found = [paired_difference(*rows(task, seed), task) for seed in range(400)]
    gains = [each.gain for each in found if each is not None]
    assert len(gains) == 400
    variance = np.mean([each.variance for each in found if each is not None])
    assert variance == pytest.approx(np.var(gains), rel=0.25)


@pytest.mark.parametrize("task", TASKS)
def test_a_loss_within_the_margin_is_no_loss(task: str) -> None:
    truth, good, poor = rows(task)
    plain = paired_difference(truth, poor, good, task)
    assert plain is not None
    loss = abs(plain.first - plain.second)
    at_margin = paired_difference(truth, poor, good, task, margin=loss)
    assert plain.gain < 0
    assert at_margin is not None
    assert at_margin.gain == pytest.approx(0, abs=1e-12)
    assert (at_margin.first, at_margin.second) == (plain.first, plain.second)


@pytest.mark.parametrize("task", TASKS)
def test_rows_without_a_label_are_left_out(task: str) -> None:
    truth, good, poor = rows(task)
    unknown = truth.copy()
    unknown[::2] = np.nan
    found = paired_difference(unknown, good, poor, task)
    assert found == paired_difference(truth[1::2], good[1::2], poor[1::2], task)


@pytest.mark.parametrize(
    ("task", "n"),
    [
        pytest.param("binary", 6, id="few-of-a-class"),
        pytest.param("regression", 9, id="few-rows"),
        pytest.param("multiclass", 0, id="no-rows"),
    ],
)
def test_too_few_rows_say_nothing(task: str, n: int) -> None:
    assert paired_difference(*(array[:n] for array in rows(task)), task) is None


@pytest.mark.parametrize("task", TASKS)
def test_a_prediction_that_is_not_finite_says_nothing(task: str) -> None:
    truth, good, poor = rows(task)
    poor = poor.copy()
    poor[3] = np.nan
    assert paired_difference(truth, good, poor, task) is None


def test_models_without_any_error_are_compared_all_the_same() -> None:
    truth = np.arange(20.0)
    same = paired_difference(truth, truth, truth, "regression")
    worse = paired_difference(truth, truth + 1e-3, truth, "regression")
    assert same is not None
    assert worse is not None
    assert same.gain == 0
    assert -20 < worse.gain < -1
    ranked = (truth > 9).astype(float)
    perfect = paired_difference(ranked, truth, -truth, "binary")
    assert perfect is not None
    assert np.isfinite([perfect.gain, perfect.variance]).all()
