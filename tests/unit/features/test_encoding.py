"""The encoding: one meaning of every column, for training and scoring alike."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.config import FeaturesConfig
from pipelines.errors import SchemaError
from pipelines.features.encoding import (
    MAX_LEVELS,
    CategoricalColumn,
    Encoding,
    NumericColumn,
    encode,
    fit_encoding,
)

CELLS = st.none() | st.text(max_size=3)
FEATURES = FeaturesConfig(sql="x.sql", numeric=("a", "b"), categorical=("c", "d"))


def table(**columns: list[object]) -> pa.Table:
    plain: dict[str, list[object]] = {"a": [1.0, 3.0], "b": [0.0, 0.0], "c": ["x", "y"], "d": ["p", "p"]}
    types = {"a": pa.float64(), "b": pa.float64(), "c": pa.string(), "d": pa.string()}
    return pa.table({name: pa.array(values, types[name]) for name, values in (plain | columns).items()})


def test_columns_are_fitted_on_the_values_that_are_there() -> None:
    fitted = fit_encoding(table(a=[1.0, 3.0, None], b=[5.0] * 3, c=["y", None, "x"], d=[None] * 3), FEATURES)
    assert fitted == Encoding(
        numeric=(NumericColumn(name="a", mean=2.0, std=1.0), NumericColumn(name="b", mean=5.0, std=1.0)),
        categorical=(CategoricalColumn(name="c", levels=("x", "y")), CategoricalColumn(name="d", levels=())),
    )


def test_a_column_without_values_is_harmless() -> None:
    empty = table(a=[None] * 2, c=[None] * 2)
    fitted = fit_encoding(empty, FEATURES)
    assert (fitted.numeric[0].mean, fitted.numeric[0].std) == (0.0, 1.0)
    encoded = encode(empty, fitted)
    assert np.isnan(encoded.numeric[:, 0]).all()
    assert encoded.codes[:, 0].tolist() == [0, 0]


def test_a_constant_with_rounding_noise_is_constant() -> None:
    fitted = fit_encoding(table(a=[0.1 + 0.2, 0.3], b=[1e9, 1e9 + 1e-7]), FEATURES)
    assert [column.std for column in fitted.numeric] == [1.0, 1.0]


def test_nulls_and_unknown_values_get_the_code_after_the_last_level() -> None:
    fitted = fit_encoding(table(), FEATURES)
    encoded = encode(table(a=[None, 1.0, 2.0], b=[0.0] * 3, c=["y", None, "new"], d=["p"] * 3), fitted)
    assert encoded.codes.tolist() == [[1, 0], [2, 0], [2, 0]]
    assert encoded.codes.dtype == np.int64
    assert math.isnan(encoded.numeric[0, 0])
    assert encoded.numeric[1:, 0].tolist() == [1.0, 2.0], "as stored, not standardised"
    assert fitted.categorical[0].unknown_code == 2


def test_order_and_storage_of_the_columns_do_not_matter() -> None:
    fitted = fit_encoding(table(), FEATURES)
    plain = table()
    other = pa.table(
        {
            "d": plain["d"].cast(pa.large_string()),
            "more": [1, 2],
            "c": plain["c"].dictionary_encode(),
            "b": pa.array([0, 0], pa.int32()),
            "a": pa.chunked_array([[1.0], [3.0]]),
        }
    )
    assert fit_encoding(other, FEATURES) == fitted
    for one, two in zip(encode(plain, fitted), encode(other, fitted), strict=True):
        assert np.array_equal(one, two)


def test_no_rows_and_no_categories_encode_to_empty_arrays() -> None:
    features = FeaturesConfig(sql="x.sql", numeric=("a",))
    encoded = encode(table().slice(0, 0), fit_encoding(table(), features))
    assert (encoded.numeric.shape, encoded.codes.shape) == ((0, 1), (0, 0))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param(table().drop_columns(["b"]), "no feature column 'b'; it has a, c, d", id="missing"),
        pytest.param(pa.table({"a": ["one"], "b": [1.0]}), "'a' is numeric, .* string", id="text"),
        pytest.param(pa.table({"a": [[1.0]], "b": [1.0]}), "'a' is numeric, .* list", id="nested"),
    ],
)
def test_a_table_of_another_shape_is_refused(rows: pa.Table, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        encode(rows, fit_encoding(table(), FEATURES))


def test_an_encoding_survives_json() -> None:
    fitted = fit_encoding(table(), FEATURES)
    assert Encoding.model_validate_json(fitted.model_dump_json()) == fitted


@given(st.lists(CELLS, min_size=1, max_size=30), st.lists(CELLS, max_size=30))
def test_codes_lead_back_to_the_values(training: list[str | None], scored: list[str | None]) -> None:
    features = FeaturesConfig(sql="x.sql", numeric=(), categorical=("c",))
    fitted = fit_encoding(pa.table({"c": pa.array(training, pa.string())}), features)
    (column,) = fitted.categorical
    codes = encode(pa.table({"c": pa.array(scored, pa.string())}), fitted).codes[:, 0].tolist()
    back = [*column.levels, None]
    assert [back[code] for code in codes] == [value if value in training else None for value in scored]


@given(st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_dividing_by_the_spread_is_always_safe(values: list[float | None]) -> None:
    features = FeaturesConfig(sql="x.sql", numeric=("a",))
    rows = pa.table({"a": pa.array(values, pa.float64())})
    fitted = fit_encoding(rows, features)
    scaled = (encode(rows, fitted).numeric[:, 0] - fitted.numeric[0].mean) / fitted.numeric[0].std
    assert not np.isinf(scaled).any()
    assert np.isnan(scaled).tolist() == [value is None for value in values]


def test_very_large_and_very_small_numbers_are_fitted() -> None:
    fitted = fit_encoding(table(a=[1.6e308, 1.2e308], b=[1e-300, 3e-300]), FEATURES)
    assert all(math.isfinite(column.mean) and column.std != 1.0 for column in fitted.numeric)
    assert fitted.numeric[0].mean == pytest.approx(1.4e308)


def test_of_thousands_of_levels_the_most_frequent_are_kept() -> None:
    names = [f"{number:05d}" for number in range(3 * MAX_LEVELS)]
    cells = names + names[::2][:MAX_LEVELS]
    rows = pa.table({"a": [1.0] * len(cells), "b": [1.0] * len(cells), "c": cells, "d": cells})
    fitted = fit_encoding(rows, FEATURES).categorical[0]
    assert fitted.levels == tuple(names[::2][:MAX_LEVELS])
    assert encode(rows, fit_encoding(rows, FEATURES)).codes[1, 0] == MAX_LEVELS
