"""Evidence that one model is worse may be looked at every night, and is seldom wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipelines.metrics import worse_evidence

N_NIGHTS, THRESHOLD = 14, 100.0


def share_ever_worse(gains: np.ndarray) -> float:
    """Return the share of rows (one promotion each) whose evidence ever reaches the threshold."""
    ever = [
        any(worse_evidence(row[:n], np.ones(n)) >= THRESHOLD for n in range(1, N_NIGHTS + 1)) for row in gains
    ]
    return float(np.mean(ever))


def nights(n: int, *, mean: float = 0.0, spread: float = 1.0, seed: int = 0) -> np.ndarray:
    return mean + spread * np.random.default_rng(seed).normal(size=(n, N_NIGHTS))


def test_without_a_night_there_is_no_evidence() -> None:
    assert worse_evidence([], []) == 1.0


@pytest.mark.parametrize("spread", [0.3, 1.0, 3.0], ids=["calmer", "as-assumed", "wilder-than-assumed"])
def test_equal_models_seldom_seem_worse_however_often_one_looks(spread: float) -> None:
    assert share_ever_worse(nights(1000, spread=spread)) <= 0.02


def test_a_better_model_never_seems_worse() -> None:
    assert share_ever_worse(nights(200, mean=1.0)) == 0.0


def test_a_clear_loss_is_found() -> None:
    assert share_ever_worse(nights(200, mean=-2.0)) > 0.97


def test_three_dreadful_nights_are_enough_and_a_single_one_is_not() -> None:
    assert worse_evidence([-30.0], [1.0]) < THRESHOLD
    assert worse_evidence([-30.0, -28.0, -31.0], [1.0, 1.0, 1.0]) >= THRESHOLD


def test_the_order_and_the_unit_of_the_nights_do_not_matter() -> None:
    gains = nights(1, mean=-0.5)[0]
    variances = np.linspace(0.5, 2.0, N_NIGHTS)
    evidence = worse_evidence(gains, variances)
    assert worse_evidence(gains[::-1], variances[::-1]) == pytest.approx(evidence)
    assert worse_evidence(1000 * gains, 1e6 * variances) == pytest.approx(evidence)


def test_overwhelming_evidence_is_infinite_not_an_error() -> None:
    n = 4000
    assert worse_evidence(-10 - 0.01 * np.arange(n) / n, np.ones(n)) == math.inf
