"""What a profile says of columns of every type, few values or many."""

from __future__ import annotations

from datetime import date, datetime

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from pipelines.profiling import QUANTILES, profile_relation
from pipelines.storage.engine import connect


@pytest.fixture
def connection():
    with connect() as opened:
        yield opened


def profile(connection, columns, types):
    connection.register("rows of mine", pa.table(columns))
    return profile_relation(connection, "rows of mine", types)


def test_counts_nulls_and_distinct_values(connection):
    found = profile(connection, {"x": ["a", "b", None, "a"]}, {"x": "string"})["x"]
    assert (found.n_rows, found.n_null, found.n_present, found.n_distinct) == (4, 1, 3, 2)
    assert found.null_fraction == 0.25
    assert found.top == (("a", 2), ("b", 1))
    assert (found.minimum, found.maximum, found.min_length, found.max_length) == ("a", "b", 1, 1)


@pytest.mark.parametrize(
    ("kind", "values", "extremes"),
    [
        pytest.param("integer", [3, 1, None], (1, 3), id="integers"),
        pytest.param(
            "float", [0.5, float("nan"), float("inf"), 2.5], (0.5, 2.5), id="floats-that-are-finite"
        ),
        pytest.param("boolean", [True, False], (False, True), id="booleans"),
        pytest.param("date", ["2020-02-29", "2020-03-01"], (date(2020, 2, 29), date(2020, 3, 1)), id="dates"),
        pytest.param(
            "timestamp",
            ["2020-02-29 12:00:00", "2020-02-29 13:30:00"],
            (datetime(2020, 2, 29, 12), datetime(2020, 2, 29, 13, 30)),
            id="times",
        ),
        pytest.param("integer", ["7", "8", "nine"], (7, 8), id="text-that-is-a-number"),
    ],
)
def test_extremes_have_the_columns_type(connection, kind, values, extremes):
    found = profile(connection, {"x": values}, {"x": kind})["x"]
    assert (found.minimum, found.maximum) == extremes
    assert found.n_null == len(values) - 2
    assert {value for value, _ in found.top} == set(extremes)


def test_numbers_have_moments_and_quantiles(connection):
    values = np.random.default_rng(0).normal(5, 2, 20_000)
    found = profile(connection, {"x": values}, {"x": "float"})["x"]
    assert found.mean == pytest.approx(values.mean())
    assert found.stdev == pytest.approx(values.std(ddof=1))
    assert tuple(found.quantiles) == QUANTILES
    assert found.quantiles[0.5] == pytest.approx(np.median(values), abs=0.05)
    assert found.quantiles[0.99] == pytest.approx(np.quantile(values, 0.99), abs=0.1)
    assert found.n_distinct == pytest.approx(20_000, rel=0.1)
    assert found.n_distinct <= 20_000


def test_a_frequent_value_among_many_is_counted_exactly(connection):
    values = np.concatenate([np.full(321, -200.0), np.random.default_rng(0).normal(size=9_000)])
    found = profile(connection, {"x": values}, {"x": "float"})["x"]
    assert found.top[0] == (-200.0, 321)
    assert len(found.top) <= 100


def test_few_values_are_all_counted_exactly(connection):
    values = [f"level {n % 90}" for n in range(50_000)]
    found = profile(connection, {"x": values}, {"x": "string"})["x"]
    assert found.n_distinct == len(found.top) == 90
    assert sum(count for _, count in found.top) == 50_000


@pytest.mark.parametrize("kind", ["string", "integer", "float", "boolean", "timestamp", "date"])
def test_a_column_of_nulls_and_a_table_of_no_rows_have_a_profile(connection, kind):
    empty = profile(connection, {"x": pa.nulls(3, pa.string())}, {"x": kind})["x"]
    assert (empty.n_rows, empty.n_null, empty.n_distinct, empty.top, empty.minimum) == (3, 3, 0, (), None)
    nothing = profile(connection, {"x": pa.nulls(0, pa.string())}, {"x": kind})["x"]
    assert (nothing.n_rows, nothing.null_fraction, nothing.mean, nothing.quantiles) == (0, 0.0, None, {})


def test_huge_numbers_and_long_texts_do_no_harm(connection):
    types = {"n": "float", "t": "string", 'it\'s "x"': "integer"}
    columns = {"n": [1e308, -1e308, 2.0], "t": ["y" * 100_000, "z", None], 'it\'s "x"': [1, 2, 2]}
    found = profile(connection, columns, types)
    assert (found["n"].maximum, found["n"].mean) == (1e308, 2.0)
    assert found["t"].max_length == 100_000
    assert len(found["t"].minimum) <= 300
    assert found['it\'s "x"'].top == ((2, 2), (1, 1))


def test_many_columns_are_profiled_in_order(connection):
    names = [f"x{n}" for n in range(150)]
    found = profile(
        connection, {name: [n, n + 1] for n, name in enumerate(names)}, dict.fromkeys(names, "integer")
    )
    assert list(found) == names
    assert [found[name].minimum for name in names] == list(range(150))


def test_a_column_that_is_not_there_is_the_engines_error(connection):
    connection.register("t", pa.table({"x": [1]}))
    with pytest.raises(duckdb.BinderException, match="y"):
        profile_relation(connection, "t", {"y": "integer"})
