"""Stretches of days, and what they are worth when days are alike."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.monitoring.significance.blocks import autocorrelation, autoregressive_factors, stretch


def _days(random, n_days, likeness, *, n_series):
    """Draw days of variance 1, each like the one before it; shape (n_days, n_series)."""
    state = random.normal(size=n_series)
    found = []
    for _ in range(n_days):
        found.append(state)
        state = likeness * state + np.sqrt(1 - likeness**2) * random.normal(size=n_series)
    return np.array(found)


@pytest.mark.parametrize(
    ("n_days", "length", "tenths"),
    [
        pytest.param(60, 1, 0, id="single-days-that-have-nothing-in-common"),
        pytest.param(60, 7, 0, id="weeks-of-such-days"),
        pytest.param(60, 7, 6, id="weeks-of-days-that-are-alike"),
        pytest.param(30, 1, 8, id="few-days-that-are-much-alike"),
    ],
)
def test_factors_are_what_simulated_days_show(n_days, length, tenths):
    random = np.random.default_rng(0)
    days = _days(random, n_days + 40, tenths / 10, n_series=4_000)
    factors = autoregressive_factors(n_days, length, tenths)
    shown = stretch(np.ones(n_days), days[:n_days], length).mean_squares
    new = days[n_days + 40 - length :].mean(axis=0) - days[:n_days].mean(axis=0)
    assert shown.mean() == pytest.approx(factors.shown, rel=0.05)
    assert new.var() == pytest.approx(factors.scale * factors.shown, rel=0.08)
    assert 2 * (shown.mean() / shown.std()) ** 2 == pytest.approx(factors.dof, rel=0.1)


def test_longer_histories_than_are_worked_out_have_the_factors_of_the_longest():
    assert autoregressive_factors(5_000, 7, 3) == autoregressive_factors(730, 7, 3)


def test_stretches_are_weighed_by_their_rows_and_days_without_rows_pass():
    rows, sums = np.array([10.0, 0.0, 30.0]), np.array([[10.0], [0.0], [90.0]])
    found = stretch(rows, sums, 1)
    # Means of 1 and 3 around the whole's 2.5.
    assert found.mean_squares == pytest.approx([(1.5**2 + 0.5**2) / 2])
    assert found.inverse_rows == pytest.approx((1 / 10 + 1 / 30) / 2)


def test_a_single_day_that_stands_out_shows_as_kurtosis():
    random = np.random.default_rng(0)
    even = random.normal(size=(60, 1))
    odd = np.zeros((60, 1))
    odd[30] = 1.0
    rows = np.ones(60)
    assert stretch(rows, even, 1).excess[0] < 2
    assert stretch(rows, odd, 1).excess[0] > 50


@pytest.mark.parametrize("likeness", [0.0, 0.5, 0.8])
def test_autocorrelation_is_cautious_whatever_the_noise_of_rows(likeness):
    random = np.random.default_rng(1)
    found = []
    for _ in range(200):
        days = _days(random, 60, likeness, n_series=1)
        # Fifty rows a day, whose mean adds noise as large as the days' own.
        means = days + random.normal(size=days.shape)
        found.append(autocorrelation(np.full(60, 50.0), 50 * means, np.array([50.0])))
    # It is held to 0.9.
    assert likeness - 0.03 <= np.mean(found) <= likeness + 0.2
    assert max(found) <= 0.9


def test_days_of_even_rows_alone_are_not_alike():
    rows = np.full(30, 100.0)
    assert autocorrelation(rows, np.zeros((30, 1)), np.array([1.0])) == 0.0
