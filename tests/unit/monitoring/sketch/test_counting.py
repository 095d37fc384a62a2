"""Every row is counted once, whichever way the rows come."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from column_shapes import SHAPES
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import SchemaError
from pipelines.monitoring.sketch import (
    Grid,
    TableSketch,
    learn_grid,
    sketch_days,
    sketch_parquet,
    sketch_table,
)


def _table(seed, n, n_days=5):
    """Draw a table of every shape, with holes, categories and days."""
    random = np.random.default_rng(seed)
    columns = {
        name: pa.array(draw(random, n, 0.2), mask=random.random(n) < 0.1) for name, draw in SHAPES.items()
    }
    columns["kind"] = pa.array(
        [f"kind {code}" for code in random.zipf(1.6, n) % 40], mask=random.random(n) < 0.1
    )
    columns["code"] = pa.array(random.integers(0, 9, n), mask=random.random(n) < 0.1)
    columns["partition_key"] = pa.array([f"2013-01-{day:02}" for day in random.integers(1, n_days + 1, n)])
    return pa.table(columns)


GRID = learn_grid(_table(0, 2_000), numeric=list(SHAPES), categorical=["kind", "code"])
# Of a column that was empty when the grid was learned there is one bin, and no level.
GRID = Grid({**GRID.numeric, "money": np.empty(0)}, {**GRID.categorical, "code": ()})


def _assert_same(found, expected):
    assert found.n_rows == expected.n_rows
    for name in GRID.numeric:
        one, other = found.numeric[name], expected.numeric[name]
        assert one.counts.tolist() == other.counts.tolist()
        assert one.n_missing == other.n_missing
        assert [one.minimum, one.maximum] == pytest.approx([other.minimum, other.maximum], nan_ok=True, rel=0)
        sums = [one.total, one.total_squares, *one.tail_totals]
        assert sums == pytest.approx(
            [other.total, other.total_squares, *other.tail_totals], rel=1e-9, abs=1e-6
        )
    for name in GRID.categorical:
        one, other = found.categorical[name], expected.categorical[name]
        assert one.counts.tolist() == other.counts.tolist()
        assert (one.n_missing, one.n_strange) == (other.n_missing, other.n_strange)
        assert one.strangers == other.strangers


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.sampled_from([0, 1, 30, 1_000]), data=st.data())
def test_merged_parts_are_the_sketch_of_all_rows_in_any_order(seed, n, data):
    table = _table(seed, n)
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=3)))
    parts = [table.slice(first, last - first) for first, last in zip([0, *cuts], [*cuts, n], strict=True)]
    sketches = [sketch_table(part, GRID) for part in data.draw(st.permutations(parts))]
    whole = sketch_table(table, GRID)
    _assert_same(sketches[0].merge(*sketches[1:]), whole)
    folded = sketches[0]
    for part in sketches[1:]:
        folded += part
    _assert_same(folded, whole)
    shuffled = table.take(pa.array(np.random.default_rng(1).permutation(n)))
    _assert_same(sketch_table(shuffled, GRID), whole)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.sampled_from([0, 1, 30, 1_000]))
def test_days_are_each_the_sketch_of_their_rows(seed, n):
    table = _table(seed, n)
    found = sketch_days(table, GRID)
    keys = table["partition_key"].to_pylist()
    assert found.days == tuple(sorted(set(keys)))
    for day in found.days:
        rows = table.filter(pa.array([key == day for key in keys]))
        _assert_same(found.day_sketch(day), sketch_table(rows, GRID))
    _assert_same(found.total, sketch_table(table, GRID))


def test_days_can_be_read_column_by_column_and_selected():
    table = _table(3, 500)
    found = sketch_days(table, GRID)
    assert found.day_counts("normal").shape == (5, GRID.numeric["normal"].size + 1)
    assert found.day_counts("kind").shape == (5, len(GRID.categorical["kind"]) + 1)
    assert found.day_counts("normal").dtype == found.day_counts("kind").dtype == np.int64
    for column in ("normal", "kind"):
        values = found.day_counts(column).sum(axis=1) + found.day_missing(column)
        assert values.tolist() == found.day_rows().tolist()
    some = found.select(["2013-01-04", "2013-01-02", "1999-01-01"])
    assert some.days == ("2013-01-02", "2013-01-04")
    assert some.day_sums("money").tolist() == found.day_sums("money")[[1, 3]].tolist()
    assert found.select([]).total.n_rows == 0


def test_files_give_what_their_rows_in_memory_do(tmp_path):
    tables = [_table(seed, 700) for seed in (1, 2)]
    paths = [tmp_path / f"{number}.parquet" for number in range(2)]
    for path, table in zip(paths, tables, strict=True):
        pq.write_table(table, path, row_group_size=300)
    told = []
    found = sketch_parquet(paths, GRID, progress=lambda done, rows: told.append((done, rows)))
    _assert_same(found, sketch_table(pa.concat_tables(tables), GRID))
    assert told[-1] == (1_400, 1_400)


@pytest.mark.parametrize(
    ("values", "n_missing"),
    [
        pytest.param(pa.array([1, None, 3], pa.int8()), 1, id="integers"),
        pytest.param(pa.array([1.0, math.nan, math.inf, -math.inf], pa.float32()), 3, id="floats"),
        pytest.param(pa.array([True, None, False]), 1, id="booleans"),
        pytest.param(pa.nulls(3), 3, id="nothing"),
    ],
)
def test_what_is_no_finite_number_is_missing(values, n_missing):
    found = sketch_table(pa.table({"x": values}), Grid({"x": np.array([0.0, 1.0])})).numeric["x"]
    assert found.n_missing == n_missing
    assert found.n_values == len(values) - n_missing


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(pa.array(["1", "2", "1", None]), id="text"),
        pytest.param(pa.array(["1", "2", "1", None]).dictionary_encode(), id="dictionary"),
        pytest.param(pa.array(["1", "2", "1", None], pa.large_string()).dictionary_encode(), id="large"),
        pytest.param(pa.DictionaryArray.from_arrays([0, 1, 0, 2], ["1", "2", None]), id="null-in-dictionary"),
        pytest.param(pa.array([1, 2, 1, None]), id="integers"),
        pytest.param(pa.array([1.0, 2.0, 1.0, math.nan]), id="floats"),
    ],
)
def test_categories_are_known_by_their_text_whatever_holds_them(values):
    grid = Grid(categorical={"kind": ("1",)})
    found = sketch_table(pa.table({"kind": values}), grid).categorical["kind"]
    assert found.counts.tolist() == [2]
    assert (found.n_strange, dict(found.strangers), found.n_missing) == (1, {"2": 1}, 1)
    by_day = sketch_days(pa.table({"kind": values, "partition_key": ["a"] * 4}), grid).total
    assert by_day.categorical["kind"].strangers == {"2": 1}


def test_a_long_text_is_known_by_its_start_and_digest():
    long = ["x" * 10_000 + end for end in ("a", "b", "b")]
    table = pa.table({"kind": long})
    grid = learn_grid(table, numeric=[], categorical=["kind"])
    assert len(grid.categorical["kind"]) == 2
    assert max(len(level) for level in grid.categorical["kind"]) <= 256
    assert sketch_table(table, grid).categorical["kind"].counts.tolist() == [2, 1]


def test_the_most_frequent_strangers_are_kept_by_name_and_all_of_them_counted():
    names = [f"new {number:03}" for number in range(80)] + ["new 079"] * 3
    found = sketch_table(pa.table({"kind": names}), Grid(categorical={"kind": ("a",)})).categorical["kind"]
    assert found.n_strange == 83
    assert len(found.strangers) == 50
    assert next(iter(found.strangers.items())) == ("new 079", 4)


def test_a_table_without_a_column_is_refused_by_its_name(tmp_path):
    table = _table(1, 10).drop_columns(["money"])
    pq.write_table(table, tmp_path / "rows.parquet")
    for count in (
        lambda: sketch_table(table, GRID),
        lambda: sketch_parquet([tmp_path / "rows.parquet"], GRID),
    ):
        with pytest.raises(SchemaError, match="no column money"):
            count()


def test_sketches_of_other_grids_do_not_merge():
    one = sketch_table(pa.table({"x": [1.0]}), Grid({"x": np.array([0.0])}))
    other = sketch_table(pa.table({"x": [1.0]}), Grid({"x": np.array([0.5])}))
    with pytest.raises(ValueError, match="one grid"):
        one.merge(other)
    same = sketch_table(pa.table({"x": [1.0]}), Grid({"x": np.array([0.0])}))
    assert (one + same).n_rows == 2


def test_mean_and_spread_are_those_of_the_values():
    table = _table(4, 1_000)
    found = sketch_table(table, GRID)
    for name in ("normal", "timestamps", "money", "minute"):
        values = table[name].drop_null().to_numpy()
        assert found.mean(name) == pytest.approx(values.mean(), rel=1e-12, abs=1e-12 * np.abs(values).max())
        assert found.sd(name) == pytest.approx(values.std(), rel=1e-6)
    nothing = TableSketch.merge(sketch_table(table.slice(0, 0), GRID))
    assert math.isnan(nothing.mean("normal"))
    assert math.isnan(nothing.sd("normal"))
    assert math.isnan(nothing.missing_share("kind"))
