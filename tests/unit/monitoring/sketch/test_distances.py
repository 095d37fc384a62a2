"""Distances of sketches are those of the rows."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from column_shapes import SHAPES
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from pipelines.monitoring.sketch import (
    chi_square,
    jensen_shannon,
    kolmogorov_smirnov,
    learn_grid,
    missing_share_difference,
    new_level_share,
    population_stability_index,
    sketch_table,
    wasserstein,
)

# What is compared with the rows is within 1 % of them, or within this where they hardly differ.
ABSOLUTE = 1e-3

draws = {
    "shape": st.sampled_from(sorted(SHAPES)),
    "seed": st.integers(0, 2**32 - 1),
    "n_before": st.sampled_from([1, 7, 60, 999, 1_001, 20_000]),
    "n_now": st.sampled_from([1, 50, 500, 5_000]),
    "shift": st.sampled_from([0.0, 0.05, 0.3, 1.0]),
}


def _sides(before, now):
    """Return the sketches of two columns of numbers, on the grid of the first."""
    grid = learn_grid(pa.table({"x": before}), numeric=["x"], categorical=[])
    return [sketch_table(pa.table({"x": values}), grid) for values in (before, now)]


def _drawn(shape, seed, n_before, n_now, shift):
    random = np.random.default_rng(seed)
    return SHAPES[shape](random, n_before, 0.0), SHAPES[shape](random, n_now, shift)


def _categories(before, now):
    grid = learn_grid(pa.table({"kind": before}), numeric=[], categorical=["kind"])
    return [sketch_table(pa.table({"kind": values}), grid) for values in (before, now)]


def _exact_shares(before, now):
    """Return the shares in the bins between the deciles of the rows before."""
    edges = np.unique(np.quantile(before, np.arange(1, 10) / 10, method="inverted_cdf"))
    return [
        np.bincount(np.searchsorted(edges, side), minlength=edges.size + 1) / side.size
        for side in (before, now)
    ]


def _exact_kolmogorov_smirnov(before, now):
    values = np.concatenate([before, now])
    shares = [np.searchsorted(np.sort(side), values, side="right") / side.size for side in (before, now)]
    return float(np.abs(shares[0] - shares[1]).max())


def _exact_psi(p, q):
    p, q = np.maximum(p, 1e-4), np.maximum(q, 1e-4)
    return float(((q - p) * np.log(q / p)).sum())


@settings(max_examples=200, deadline=None)
@given(**draws)
def test_kolmogorov_smirnov_is_that_of_the_rows(shape, seed, n_before, n_now, shift):
    before, now = _drawn(shape, seed, n_before, n_now, shift)
    exact = _exact_kolmogorov_smirnov(before, now)
    assert kolmogorov_smirnov(*_sides(before, now), "x") == pytest.approx(exact, rel=0.01, abs=ABSOLUTE)


@settings(max_examples=200, deadline=None)
@given(**draws)
def test_psi_and_jensen_shannon_are_those_of_the_rows(shape, seed, n_before, n_now, shift):
    before, now = _drawn(shape, seed, n_before, n_now, shift)
    sides, (p, q) = _sides(before, now), _exact_shares(before, now)
    assert population_stability_index(*sides, "x") == pytest.approx(_exact_psi(p, q), rel=1e-9, abs=1e-12)
    assert jensen_shannon(*sides, "x") == pytest.approx(float(jensenshannon(p, q)), rel=1e-9, abs=1e-7)


@pytest.mark.parametrize("shift", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("shape", sorted(set(SHAPES) - {"constant", "heavy_tails", "lognormal", "money"}))
def test_wasserstein_is_that_of_the_rows_where_tails_are_light(shape, shift):
    before, now = _drawn(shape, 3, 20_000, 2_000, shift)
    unit = np.abs(before).max()
    exact = stats.wasserstein_distance(before / unit, now / unit) / np.std(before / unit)
    assert wasserstein(*_sides(before, now), "x") == pytest.approx(exact, rel=0.02, abs=0.002)


@settings(max_examples=200, deadline=None)
@given(**draws)
def test_wasserstein_is_never_less_than_the_distance_of_the_means(shape, seed, n_before, n_now, shift):
    before, now = _drawn(shape, seed, n_before, n_now, shift)
    sides = _sides(before, now)
    distance = wasserstein(*sides, "x")
    assert math.isfinite(distance)
    unit = np.abs(before).max() or 1.0
    before, now = before / unit, now / unit
    if before.std() > 1e-6:
        means = abs(before.mean() - now.mean()) / before.std()
        assert distance >= means * (1 - 1e-6) - 1e-9


@pytest.mark.parametrize(
    ("factor", "offset"),
    [
        pytest.param(1000.0, 0.0, id="metres-for-kilometres"),
        pytest.param(1.8, 32.0, id="fahrenheit-for-celsius"),
        pytest.param(-1.0, 0.0, id="sign"),
    ],
)
def test_another_unit_is_as_far_as_it_is_on_the_rows(factor, offset):
    random = np.random.default_rng(5)
    before, now = random.normal(15, 8, 20_000), factor * random.normal(15, 8, 2_000) + offset
    exact = stats.wasserstein_distance(before, now) / before.std()
    sides = _sides(before, now)
    assert wasserstein(*sides, "x") == pytest.approx(exact, rel=0.02)
    assert sides[1].mean("x") == pytest.approx(now.mean())
    assert sides[1].sd("x") == pytest.approx(now.std())


def test_a_constant_that_moves_is_far_away_and_not_infinite():
    assert 10 < wasserstein(*_sides(np.full(100, 5.0), np.full(100, 5.1)), "x") < 100


@pytest.mark.parametrize(
    "distance",
    [kolmogorov_smirnov, population_stability_index, jensen_shannon, wasserstein],
    ids=lambda distance: distance.__name__,
)
def test_a_table_is_at_no_distance_of_itself_and_unknown_of_nothing(distance):
    values = np.random.default_rng(1).normal(size=5_000)
    before, _ = _sides(values, values)
    assert distance(before, before, "x") == 0.0
    nothing = sketch_table(pa.table({"x": pa.nulls(3, pa.float64())}), before.grid)
    assert math.isnan(distance(before, nothing, "x"))
    assert math.isnan(distance(nothing, before, "x"))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_levels=st.sampled_from([1, 3, 50, 900]), n=st.sampled_from([1, 500]))
def test_categories_are_as_far_as_their_rows(seed, n_levels, n):
    random = np.random.default_rng(seed)
    before, now = random.zipf(1.5, 5_000) % n_levels, random.zipf(1.4, n) % (n_levels + 2)
    sides = _categories(before.astype(str), now.astype(str))
    known = np.isin(now, before)
    # All that is unknown is one level.
    levels = np.unique(before)
    p = np.append([(before == level).mean() for level in levels], 0.0)
    q = np.append([(now == level).mean() for level in levels], (~known).mean())
    assert population_stability_index(*sides, "kind") == pytest.approx(_exact_psi(p, q), rel=1e-9, abs=1e-12)
    assert jensen_shannon(*sides, "kind") == pytest.approx(float(jensenshannon(p, q)), abs=1e-7)
    assert new_level_share(*sides, "kind") == pytest.approx((~known).mean())


def test_chi_square_is_pearsons():
    before, now = np.repeat(["a", "b", "c"], [500, 300, 200]), np.repeat(["a", "b", "new"], [40, 50, 10])
    table = [[500, 300, 200, 0], [40, 50, 0, 10]]
    expected = stats.chi2_contingency(table, correction=False)
    found, n_free = chi_square(*_categories(before, now), "kind")
    assert (found, n_free) == (pytest.approx(expected.statistic), expected.dof)


def test_missing_shares_keep_their_direction():
    table = pa.table({"x": [1.0, None, math.nan, math.inf]})
    grid = learn_grid(table, numeric=["x"], categorical=[])
    before, now = sketch_table(table, grid), sketch_table(pa.table({"x": [1.0, 2.0]}), grid)
    assert missing_share_difference(before, now, "x") == -0.75


def test_sketches_of_other_bins_are_refused():
    one, other = (_sides(np.random.default_rng(seed).normal(size=50), np.zeros(1))[0] for seed in (1, 2))
    with pytest.raises(ValueError, match="different bins"):
        kolmogorov_smirnov(one, other, "x")
