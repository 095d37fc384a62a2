"""Distances of blocks of days are those of the plain definitions, and these have their known bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import jensenshannon

from pipelines.monitoring.distances import (
    block_jensen_shannon,
    block_missing_share,
    block_wasserstein,
    jensen_shannon,
    normed_wasserstein,
)

_VALUES = st.floats(-100, 100, width=16) | st.just(math.nan)


@given(
    values=hnp.arrays(np.float64, st.integers(2, 40), elements=_VALUES),
    n_days=st.integers(2, 6),
    block_days=st.integers(1, 3),
)
def test_block_wasserstein_is_the_distance_of_the_block_to_all_other_days(values, n_days, block_days):
    days = np.arange(values.size) % n_days
    starts = range(n_days - block_days + 1) if block_days < n_days else range(1)
    found = block_wasserstein(values, days, list(starts), block_days)
    known = np.isfinite(values)
    for start, distance in zip(starts, found, strict=True):
        inside = (days >= start) & (days < start + block_days)
        expected = normed_wasserstein(values[known & ~inside], values[known & inside])
        assert distance == pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True)


@given(codes=hnp.arrays(np.int64, st.integers(6, 40), elements=st.integers(-1, 4)))
def test_block_jensen_shannon_is_scipys_distance_of_the_two_histograms(codes):
    days = np.arange(codes.size) % 3
    found = block_jensen_shannon(codes, days, [0, 1, 2], 1)
    for start, distance in enumerate(found):
        inside, outside = (
            np.bincount(codes[(codes >= 0) & chosen], minlength=5)
            for chosen in (days == start, days != start)
        )
        if not inside.sum() or not outside.sum():
            assert math.isnan(distance)
        else:
            assert distance == pytest.approx(jensenshannon(outside, inside), abs=1e-7)


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        pytest.param([5, 5], [50, 50], 0.0, id="equal-shares"),
        pytest.param([7, 0], [0, 3], math.sqrt(math.log(2)), id="nothing-in-common"),
        pytest.param([0, 0], [1, 2], math.nan, id="empty-histogram"),
    ],
)
def test_jensen_shannon_lies_between_its_bounds(first, second, distance):
    found = float(jensen_shannon(np.array(first, dtype=float), np.array(second, dtype=float)))
    assert found == pytest.approx(distance, nan_ok=True)


def test_wasserstein_of_an_empty_sample_is_not_defined():
    assert math.isnan(normed_wasserstein(np.array([]), np.array([1.0])))


def test_wasserstein_of_a_constant_reference_stays_finite():
    assert normed_wasserstein(np.zeros(10), np.ones(10)) == pytest.approx(1 / 0.001)


def test_missing_share_of_a_block_is_held_against_all_other_days():
    missing = np.array([True, True, False, False, False, True])
    days = np.array([0, 0, 1, 1, 2, 2])
    assert block_missing_share(missing, days, [0, 1, 2], 1) == pytest.approx([1 - 0.25, 0.75, 0.0])
