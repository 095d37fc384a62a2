"""A grid fits the column that it was learned from, whatever that holds."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from column_shapes import SHAPES
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipelines.errors import SchemaError
from pipelines.monitoring.sketch import Grid, learn_grid, sketch_table
from pipelines.monitoring.sketch.grid import MAX_LEVELS, learn_edges

anything = hnp.arrays(np.float64, st.integers(0, 60), elements=st.floats(allow_nan=True, allow_infinity=True))


@settings(max_examples=300, deadline=None)
@given(values=anything, n_bins=st.sampled_from([1, 7, 1_000]))
def test_any_numbers_give_ascending_finite_edges_and_no_warning(values, n_bins):
    edges = learn_edges(values, n_bins)
    assert np.isfinite(edges).all()
    assert (np.diff(edges) > 0).all()
    grid = Grid({"x": edges})
    centre, scale = grid.unit("x")
    assert math.isfinite(centre)
    assert 0 < scale < math.inf
    found = sketch_table(pa.table({"x": pa.array(values)}), grid).numeric["x"]
    assert found.counts.size == edges.size + 1
    assert found.n_values + found.n_missing == values.size
    assert math.isfinite(found.total_squares)


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_no_bin_holds_more_than_its_share_but_that_of_one_value(shape):
    values = SHAPES[shape](np.random.default_rng(1), 20_000, 0.0)
    edges = learn_edges(values, 100)
    bins = np.searchsorted(edges, values)
    # Up to its share of values, and once more of the one value at its upper end.
    crowded = [number for number, count in enumerate(np.bincount(bins)) if count > 2 * 20_000 / 100]
    assert all(np.unique(values[bins == number]).size == 1 for number in crowded)


def test_a_value_that_is_frequent_has_a_bin_of_its_own():
    values = np.concatenate([np.zeros(300), np.random.default_rng(1).exponential(size=700)])
    grid = Grid({"x": learn_edges(values)})
    near = np.array([-1e-12, 0.0, 1e-12])
    bins = [sketch_table(pa.table({"x": [value]}), grid).numeric["x"].counts.argmax() for value in near]
    assert bins[0] < bins[1] < bins[2]


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_deciles_are_edges(shape):
    values = SHAPES[shape](np.random.default_rng(2), 5_000, 0.0)
    deciles = np.quantile(values, np.arange(1, 10) / 10, method="inverted_cdf")
    assert np.isin(deciles, learn_edges(values)).all()


def test_levels_are_the_most_frequent_ones_in_order():
    names = [f"level {number:04}" for number in range(MAX_LEVELS + 200)]
    rows = names + names[:5] + ["top"] * 3 + [None]
    levels = learn_grid(pa.table({"kind": rows}), numeric=[], categorical=["kind"]).categorical["kind"]
    assert len(levels) == MAX_LEVELS
    assert levels[:6] == ("top", *names[:5])


def test_a_column_without_values_has_one_bin_and_no_levels():
    table = pa.table({"x": pa.nulls(4), "kind": pa.nulls(4)})
    grid = learn_grid(table, numeric=["x"], categorical=["kind"])
    assert grid.numeric["x"].size == 0
    assert grid.categorical["kind"] == ()
    later = sketch_table(pa.table({"x": [1.0, 2.0], "kind": ["a", "a"]}), grid)
    assert later.numeric["x"].counts.tolist() == [2]
    assert later.categorical["kind"].strangers == {"a": 2}


def test_the_digest_is_of_the_cells():
    table = pa.table({"x": [1.0, 2.0, 3.0], "kind": ["a", "b", "b"]})
    grid, same = (learn_grid(table, numeric=["x"], categorical=["kind"]) for _ in range(2))
    assert grid.digest == same.digest
    other = learn_grid(table.slice(1), numeric=["x"], categorical=["kind"])
    assert len({grid.digest, other.digest, grid.select(["x"]).digest, grid.select(["kind"]).digest}) == 4


def test_a_column_that_is_not_there_is_told_with_those_that_are():
    grid = Grid({"x": np.array([0.0])}, {"kind": ("a",)})
    with pytest.raises(SchemaError, match="no column y; it has x, kind"):
        grid.select(["x", "y"])
