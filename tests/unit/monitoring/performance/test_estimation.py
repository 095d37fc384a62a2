"""Performance is estimated without labels, with an interval that holds the truth as often as it says."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipelines.config import DatasetConfig
from pipelines.metrics import evaluate_predictions, primary_metric
from pipelines.monitoring.performance.estimation import fit_estimator, with_features
from pipelines.monitoring.reference import predicted_values

TASKS = ("binary", "multiclass", "regression")


def _config(task, **monitoring):
    return DatasetConfig.model_validate(
        {
            "description": "a toy",
            "task": task,
            "source": {"kind": "csv", "tables": {"toy": "toy.csv"}},
            "columns": {"x": "float", "kind": "string"},
            "target": "y",
            "classes": ["low", "middle", "high"] if task == "multiclass" else [],
            "labels": {"y": "float"},
            "features": {"sql": "toy.sql", "numeric": ["x"], "categorical": ["kind"]},
            "monitoring": monitoring,
        }
    )


def _rows(task, seed, *, n_days=14, per_day=150, spread=1.0, wobble=0.0, noisy_share=0.3):
    """Draw days of a model that is right as far as ``spread`` of what it sees goes.

    ``wobble``: how much days differ in what nobody sees. Of kind ``b`` the numbers are noisier.
    """
    random = np.random.default_rng(seed)
    n = n_days * per_day
    x = spread * random.normal(size=n)
    kind = np.where(random.random(n) < noisy_share, "b", "a")
    unseen = np.repeat(1 + wobble * random.normal(size=n_days), per_day)
    columns = {
        "row_id": [f"{number}" for number in range(n)],
        "partition_key": np.repeat([f"2013-01-{day + 1:02d}" for day in range(n_days)], per_day),
        "x": x,
        "kind": kind,
    }
    if task == "regression":
        columns["prediction"] = 3 * x
        columns["y"] = 3 * x + np.where(kind == "b", 4.0, 1.0) * unseen * random.normal(size=n)
    elif task == "binary":
        # Overconfident: the estimator has to find that out.
        columns["prediction"] = 1 / (1 + np.exp(-3 * x))
        columns["y"] = (random.random(n) < 1 / (1 + np.exp(-1.5 * unseen * x))).astype(float)
    else:
        scores = np.column_stack([-x, 0 * x, x])
        chance = np.exp(1.2 * unseen[:, None] * scores)
        chance /= chance.sum(axis=1, keepdims=True)
        given = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        columns |= {f"probability_{k}": given[:, k] for k in range(3)}
        columns["prediction"] = np.array(["low", "middle", "high"])[given.argmax(axis=1)]
        columns["y"] = (random.random((n, 1)) > chance.cumsum(axis=1)).sum(axis=1).clip(max=2).astype(float)
    return pa.table(columns)


def _actual(rows, task):
    truth = rows["y"].to_numpy()
    return evaluate_predictions(truth, predicted_values(rows, task), task)[primary_metric(task).name]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("n_days", [1, 7], ids=["one-night", "a-week"])
def test_intervals_hold_the_truth_of_calm_days_about_as_often_as_they_say(task, n_days):
    config, covered = _config(task), []
    for seed in range(12):
        estimator = fit_estimator(_rows(task, seed, wobble=0.2), config)
        for number in range(4):
            rows = _rows(task, 1000 + 100 * seed + number, n_days=n_days, wobble=0.2)
            found = estimator.estimate(rows)
            covered.append(found.lower <= _actual(rows, task) <= found.upper)
    assert np.mean(covered) >= 0.85


@pytest.mark.parametrize(
    ("task", "change"),
    [
        pytest.param("binary", {"spread": 0.3}, id="cases-that-are-hard-to-tell-apart"),
        pytest.param("multiclass", {"spread": 0.1}, id="classes-that-are-hard-to-tell-apart"),
        pytest.param("regression", {"noisy_share": 0.95}, id="mostly-the-noisy-kind"),
    ],
)
def test_a_loss_that_the_predictions_or_features_tell_of_is_estimated_before_its_labels_come(task, change):
    rows = _rows(task, 9, n_days=7, **change)
    found = fit_estimator(_rows(task, 1), _config(task)).estimate(rows)
    assert found.is_worse
    assert found.lower <= _actual(rows, task) <= found.upper
    assert found.expected_loss == pytest.approx(abs(found.value - found.reference_value))


@pytest.mark.parametrize("task", TASKS)
def test_a_calm_week_is_not_worse(task):
    found = fit_estimator(_rows(task, 1), _config(task)).estimate(_rows(task, 2, n_days=7))
    assert not found.is_worse
    assert found.lower < found.reference_value < found.upper


def test_a_loss_is_worse_only_if_it_matters():
    holdout, rows = _rows("binary", 1), _rows("binary", 9, n_days=7, spread=0.3)
    assert not fit_estimator(holdout, _config("binary", max_loss=0.4)).estimate(rows).is_worse


def test_a_higher_confidence_asks_for_a_wider_interval():
    estimator, rows = fit_estimator(_rows("binary", 1), _config("binary")), _rows("binary", 2, n_days=1)
    widths = [
        found.upper - found.lower
        for found in (estimator.estimate(rows, confidence=share) for share in (0.5, 0.9, 0.99))
    ]
    assert widths == sorted(widths)
    assert widths[0] < widths[2]


def test_the_same_rows_give_the_same_estimate():
    holdout, rows = _rows("regression", 1), _rows("regression", 2)
    first, second = (fit_estimator(holdout, _config("regression")).estimate(rows) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("n_days", [1, 2], ids=["one-day", "two-days"])
def test_a_holdout_of_a_day_or_two_still_estimates_and_is_less_sure(task, n_days):
    config, rows = _config(task), _rows(task, 3, n_days=1)
    few = fit_estimator(_rows(task, 1, n_days=n_days), config).estimate(rows)
    many = fit_estimator(_rows(task, 1), config).estimate(rows)
    assert few.upper - few.lower > many.upper - many.lower


@pytest.mark.parametrize(
    ("holdout", "reason"),
    [
        pytest.param(_rows("binary", 1).slice(0, 40), "40 labelled rows", id="few-rows"),
        pytest.param(
            _rows("binary", 1).set_column(5, "y", pa.array([0.0] * 2100)), "one class only", id="one-class"
        ),
        pytest.param(
            _rows("binary", 1).set_column(5, "y", pa.nulls(2100, pa.float64())), "0 labelled", id="no-labels"
        ),
    ],
)
def test_a_holdout_that_teaches_nothing_says_so(holdout, reason):
    estimator = fit_estimator(holdout, _config("binary"))
    assert reason in estimator.reason
    assert estimator.estimate(_rows("binary", 2)) is None


def test_fewer_than_thirty_scored_rows_are_not_judged():
    estimator = fit_estimator(_rows("binary", 1), _config("binary"))
    rows = _rows("binary", 2, n_days=1, per_day=40)
    assert estimator.estimate(rows) is not None
    unscored = pa.array([None] * 20 + rows["prediction"].to_pylist()[20:], pa.float64())
    assert estimator.estimate(rows.set_column(4, "prediction", unscored)) is None


def test_features_join_predictions_by_row():
    rows = _rows("regression", 2, n_days=1, per_day=40)
    features = rows.select(["row_id", "x", "kind"]).take(pa.array(np.arange(40)[::-1]))
    joined = with_features(rows.select(["row_id", "prediction"]), features, _config("regression"))
    assert joined["x"].to_pylist() == rows["x"].to_pylist()
    assert joined["kind"].to_pylist() == rows["kind"].to_pylist()


def test_a_regression_of_odd_columns_is_estimated_without_a_warning():
    rows = _rows("regression", 1)
    odd = rows.set_column(2, "x", pa.nulls(rows.num_rows, pa.float64()))
    found = fit_estimator(odd, _config("regression")).estimate(rows)
    assert found.lower < found.value < found.upper
