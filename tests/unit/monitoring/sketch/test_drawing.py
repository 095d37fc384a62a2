"""What pages draw are the shares of the rows."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from column_shapes import SHAPES

from pipelines.monitoring.sketch import histogram, learn_grid, quantiles, sketch_table


def _sides(before, now, **kinds):
    grid = learn_grid(pa.table({"x": before}), **{"numeric": [], "categorical": []} | kinds)
    return [sketch_table(pa.table({"x": values}), grid) for values in (before, now)]


@pytest.mark.parametrize("shape", sorted(set(SHAPES) - {"constant", "heavy_tails"}))
def test_numeric_bars_are_the_shares_of_the_rows(shape):
    random = np.random.default_rng(1)
    before, now = SHAPES[shape](random, 20_000, 0.0), SHAPES[shape](random, 3_000, 0.5)
    drawn = histogram(*_sides(before, now, numeric=["x"]), "x")
    edges = np.array(drawn.edges)
    assert drawn.kind == "numeric"
    assert (np.diff(edges) > 0).all()
    for values, bars in ((before, drawn.reference), (now, drawn.current)):
        bins = np.searchsorted(edges[1:-1], values)
        expected = np.bincount(bins, minlength=len(bars)) / values.size
        assert sum(bars) == pytest.approx(1.0)
        # A bar's edge may lie within a bin of a thousandth, or of several where the other side has many rows.
        assert np.abs(np.cumsum(bars) - np.cumsum(expected)).max() < 0.02


def test_few_values_have_one_bar_each():
    drawn = histogram(*_sides([0.0] * 6 + [1.0] * 3 + [4.0], [0.0, 4.0], numeric=["x"]), "x")
    assert drawn.edges == (-0.5, 0.5, 2.5, 5.5)
    assert drawn.reference == pytest.approx((0.6, 0.3, 0.1))
    assert drawn.current == pytest.approx((0.5, 0.0, 0.5))


def test_one_far_value_does_not_flatten_the_picture():
    before = np.append(np.random.default_rng(1).normal(size=5_000), 1e9)
    assert histogram(*_sides(before, before, numeric=["x"]), "x").edges[-1] < 10


@pytest.mark.parametrize(
    ("before", "now"),
    [
        pytest.param([5.0, 5.0], [5.0], id="constant"),
        pytest.param([0.0, 0.0], [0.0], id="zero"),
        pytest.param([1.0, 2.0], [None, None], id="nothing-now"),
        pytest.param([None, None], [1.0, 2.0], id="nothing-before"),
    ],
)
def test_odd_columns_can_be_drawn(before, now):
    sides = _sides(pa.array(before, pa.float64()), pa.array(now, pa.float64()), numeric=["x"])
    drawn = histogram(*sides, "x")
    assert len(drawn.edges) == len(drawn.reference) + 1 == len(drawn.current) + 1
    assert all(math.isfinite(edge) for edge in drawn.edges)
    assert sum(drawn.reference) == pytest.approx(1.0 if before[0] is not None else 0.0)
    assert sum(drawn.current) == pytest.approx(1.0 if now[0] is not None else 0.0)


def test_a_column_without_any_value_has_no_bars():
    nothing = pa.nulls(2, pa.float64())
    assert histogram(*_sides(nothing, nothing, numeric=["x"]), "x").reference == ()


def test_categorical_bars_are_the_most_frequent_levels_and_mark_new_ones():
    before, now = ["a"] * 6 + ["b"] * 3 + ["c"], ["a"] * 5 + ["z"] * 5
    drawn = histogram(*_sides(before, now, categorical=["x"]), "x", n_bins=3)
    assert drawn.labels == ("a", "z (new)", "(other)")
    assert drawn.reference == pytest.approx((0.6, 0.0, 0.4))
    assert drawn.current == pytest.approx((0.5, 0.5, 0.0))


def test_a_thousand_levels_are_thirty_bars():
    levels = [f"level {number}" for number in range(1_500)]
    drawn = histogram(*_sides(levels, levels, categorical=["x"]), "x")
    assert len(drawn.labels) == 30
    assert sum(drawn.reference) == pytest.approx(1.0)


def test_quantiles_are_those_of_the_rows():
    values = np.random.default_rng(1).lognormal(size=10_000)
    before, nothing = _sides(values, pa.nulls(2, pa.float64()), numeric=["x"])
    wanted = [0.0, 0.01, 0.5, 0.99, 1.0]
    assert quantiles(before, "x", wanted) == pytest.approx(np.quantile(values, wanted), rel=0.01)
    assert np.isnan(quantiles(nothing, "x", wanted)).all()
