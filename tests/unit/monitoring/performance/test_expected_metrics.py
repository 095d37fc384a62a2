"""What a metric is expected to be is its mean over all the labels that the chances allow."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipelines.metrics import evaluate_predictions
from pipelines.monitoring.performance.expected_metrics import expected_auc, expected_log_loss, expected_rmse

RANDOM = np.random.default_rng(1)


@pytest.mark.parametrize(
    "prediction",
    [
        pytest.param(RANDOM.random(400), id="ranked"),
        pytest.param(RANDOM.integers(0, 4, 400) / 4, id="many-ties"),
        pytest.param(np.full(400, 0.3), id="all-the-same"),
    ],
)
def test_expected_auc_is_the_mean_over_drawn_labels_and_its_variance_theirs(prediction):
    chance = np.clip(prediction + RANDOM.normal(0, 0.2, prediction.size), 0.02, 0.98)
    found = expected_auc(prediction, chance)
    drawn = [
        evaluate_predictions(
            (RANDOM.random(chance.size) < chance).astype(float), np.clip(prediction, 0, 1), "binary"
        )["auc"]
        for _ in range(600)
    ]
    assert found.value == pytest.approx(np.mean(drawn), abs=0.004)
    assert math.sqrt(found.variance) == pytest.approx(np.std(drawn), rel=0.12, abs=1e-3)


@pytest.mark.parametrize("chance", [0.0, 1.0], ids=["no-positive", "no-negative"])
def test_auc_is_not_defined_where_one_class_is_all_that_is_expected(chance):
    assert math.isnan(expected_auc(np.linspace(0, 1, 50), np.full(50, chance)).value)


def test_expected_log_loss_is_the_mean_over_drawn_labels_and_its_variance_theirs():
    chance = RANDOM.dirichlet([1, 1, 1], 300)
    prediction = 0.7 * chance + 0.1
    found = expected_log_loss(prediction, chance)
    drawn = []
    for _ in range(600):
        truth = (RANDOM.random((300, 1)) > chance.cumsum(axis=1)).sum(axis=1).astype(float)
        drawn.append(evaluate_predictions(np.minimum(truth, 2), prediction, "multiclass")["log_loss"])
    assert found.value == pytest.approx(np.mean(drawn), rel=0.01)
    assert math.sqrt(found.variance) == pytest.approx(np.std(drawn), rel=0.12)


def test_expected_rmse_of_normal_errors_has_their_sampling_variance():
    spread = RANDOM.uniform(1, 3, 500)
    found = expected_rmse(spread**2, relative_variance=2.0)
    drawn = [math.sqrt(np.mean((spread * RANDOM.normal(size=500)) ** 2)) for _ in range(600)]
    assert found.value == pytest.approx(np.mean(drawn), rel=0.01)
    assert math.sqrt(found.variance) == pytest.approx(np.std(drawn), rel=0.12)
