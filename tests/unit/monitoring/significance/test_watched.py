"""What of a column is watched adds up over days, and is defined whatever the column holds."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.monitoring.significance.watched import is_near_normal, watch_levels, watch_numbers, watch_share
from pipelines.monitoring.sketch.grid import learn_edges


def _counts(values, edges):
    return np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)


SHAPES = {
    "normal": lambda random: random.normal(size=4_000),
    "lognormal": lambda random: np.exp(2 * random.normal(size=4_000)),
    "mostly-zero": lambda random: np.where(random.random(4_000) < 0.95, 0.0, random.random(4_000)),
    "two-values": lambda random: (random.random(4_000) < 0.3).astype(float),
    "constant": lambda _: np.full(4_000, 3.0),
    "a-few-rows": lambda random: random.normal(size=30),
    "huge": lambda random: random.normal(size=4_000) * 1e200,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_numbers_of_any_shape_are_watched_by_finite_statistics(shape):
    values = SHAPES[shape](np.random.default_rng(0))
    edges = learn_edges(values)
    counts = _counts(values, edges)
    watched = watch_numbers(counts, np.zeros(2), has_mean=False)
    assert np.isfinite(watched.means).all()
    assert (watched.variances > 0).all()
    assert watched.weights.sum() == pytest.approx(1.0)
    assert watched.pooling.sum() == pytest.approx(1.0)
    halves = [_counts(part, edges) for part in np.array_split(values, 2)]
    assert sum(watched.sums(part) for part in halves) == pytest.approx(watched.sums(counts))
    assert watched.sums(counts) / counts.sum() == pytest.approx(watched.means)


def test_what_leaves_a_constant_is_watched_on_both_sides():
    edges = learn_edges(np.full(1_000, 3.0))
    watched = watch_numbers(_counts(np.full(1_000, 3.0), edges), np.zeros(2), has_mean=False)
    stays = watched.sums(_counts(np.full(10, 3.0), edges))
    for moved in (2.0, 4.0):
        leaves = watched.sums(_counts(np.full(10, moved), edges))
        # Beside the score, which is the first.
        assert np.abs(leaves - stays)[1:].max() == pytest.approx(10)


def test_column_without_values_is_not_watched():
    assert watch_numbers(np.array([0]), np.zeros(2), has_mean=False) is None
    assert watch_levels(np.array([0, 0])) is None
    assert watch_share(0.0, 0.0) is None


def test_rare_levels_are_watched_one_by_one_and_all_together():
    watched = watch_levels(np.array([900, 60, 15, 15, 10, 0]))
    sums = watched.sums(np.array([50, 5, 1, 2, 3, 4]))
    assert sums.tolist() == [50, 5, 1, 2, 3, 4, 1 + 2 + 3 + 4]
    # A level that the reference never had has a variance all the same: that of half a row.
    assert 0 < watched.variances[5] < 1e-3


def test_independent_levels_count_as_many_and_one_that_has_all_as_one():
    assert watch_levels(np.full(20, 50)).n_apart == pytest.approx(19, abs=1.5)
    assert watch_levels(np.array([1_000, 0])).n_apart == 1.0


@pytest.mark.parametrize(
    ("shape", "n_rows", "is_normal"),
    [
        pytest.param("normal", 50, True, id="normal"),
        pytest.param("two-values", 2_000, True, id="a-share-of-many-rows"),
        pytest.param("lognormal", 500, False, id="lognormal"),
        pytest.param("mostly-zero", 200, False, id="mostly-zero"),
        pytest.param("constant", 500, False, id="constant"),
    ],
)
def test_plain_mean_is_watched_where_it_is_as_good_as_normal(shape, n_rows, is_normal):
    values = SHAPES[shape](np.random.default_rng(0))
    edges = learn_edges(values)
    bins = np.searchsorted(edges, values)
    counts = np.bincount(bins, minlength=len(edges) + 1)
    means = np.bincount(bins, weights=values, minlength=len(counts)) / np.maximum(counts, 1)
    assert is_near_normal(means, counts, float((values**2).mean()), n_rows) == is_normal
