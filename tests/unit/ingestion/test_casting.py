"""Casting cells: exactly, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.config import ColumnType
from pipelines.ingestion.casting import cast_expression


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


def cast(connection: duckdb.DuckDBPyConnection, value: Any, kind: ColumnType) -> Any:
    query = f"SELECT {cast_expression('cell', kind)} FROM (SELECT $1 AS cell)"
    return connection.execute(query, [value]).fetchall()[0][0]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        pytest.param(" a b ", "string", " a b ", id="text-stays-as-it-is"),
        pytest.param("12", "integer", 12, id="integer"),
        pytest.param("3.0", "integer", 3, id="whole-number-written-as-a-float"),
        pytest.param("3.7", "integer", None, id="a-fraction-is-never-rounded"),
        pytest.param("9223372036854775808", "integer", None, id="too-large-an-integer"),
        pytest.param("1.5", "float", 1.5, id="float"),
        pytest.param("nan", "float", None, id="nan-is-no-number"),
        pytest.param("-inf", "float", None, id="infinity-is-no-number"),
        pytest.param("1,5", "float", None, id="another-country's-float"),
        pytest.param("true", "boolean", True, id="boolean"),
        pytest.param("maybe", "boolean", None, id="no-boolean"),
        pytest.param("2013-03-04 05:06:07", "timestamp", datetime(2013, 3, 4, 5, 6, 7), id="time"),
        pytest.param("2013-03-04", "timestamp", datetime(2013, 3, 4), id="a-day-is-its-midnight"),
        pytest.param(
            "2013-03-04T05:00:00-05:00", "timestamp", datetime(2013, 3, 4, 10), id="offset-becomes-utc"
        ),
        pytest.param("infinity", "timestamp", None, id="no-end-of-time"),
        pytest.param("2013-02-30", "timestamp", None, id="no-such-day"),
        pytest.param("2013-03-04", "date", date(2013, 3, 4), id="date"),
        pytest.param("-infinity", "date", None, id="no-beginning-of-time"),
    ],
)
def test_text_is_cast_exactly_or_is_null(
    connection: duckdb.DuckDBPyConnection, text: str, kind: ColumnType, value: Any
) -> None:
    assert cast(connection, text, kind) == value


@pytest.mark.parametrize(
    ("given_value", "kind", "value"),
    [
        pytest.param(3.5, "integer", None, id="float-with-a-fraction"),
        pytest.param(3.0, "integer", 3, id="whole-float"),
        pytest.param(7, "string", "7", id="number-as-text"),
        pytest.param(date(2013, 3, 4), "timestamp", datetime(2013, 3, 4), id="date-as-time"),
        pytest.param(datetime(2013, 3, 4, 5), "timestamp", datetime(2013, 3, 4, 5), id="time"),
    ],
)
def test_typed_values_are_cast_alike(
    connection: duckdb.DuckDBPyConnection, given_value: Any, kind: ColumnType, value: Any
) -> None:
    assert cast(connection, given_value, kind) == value


@given(number=st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_every_integer_of_64_bits_survives(connection: duckdb.DuckDBPyConnection, number: int) -> None:
    assert cast(connection, str(number), "integer") == number
