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
from pipelines.ingestion.casting import Writing, cast_expression


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


def cast(
    connection: duckdb.DuckDBPyConnection, value: Any, kind: ColumnType, writing: Writing | None = None
) -> Any:
    source_type = connection.execute("SELECT typeof($1)", [value]).fetchall()[0][0]
    casted = cast_expression("cell", kind, source_type=source_type, writing=writing)
    return connection.execute(f"SELECT {casted} FROM (SELECT $1 AS cell)", [value]).fetchall()[0][0]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        pytest.param(" a b ", "string", " a b ", id="text-stays-as-it-is"),
        pytest.param("12", "integer", 12, id="integer"),
        pytest.param("3.0", "integer", 3, id="whole-number-written-as-a-float"),
        pytest.param("3.7", "integer", None, id="a-fraction-is-never-rounded"),
        pytest.param("9223372036854775808", "integer", None, id="too-large-an-integer"),
        pytest.param("9007199254740993.0", "integer", 9007199254740993, id="whole-beyond-a-float"),
        pytest.param("9007199254740993.5", "integer", None, id="a-fraction-beyond-a-float"),
        pytest.param("1.2e3", "integer", 1200, id="scientific-integer"),
        pytest.param("1e-1", "integer", None, id="scientific-fraction"),
        pytest.param("1_000", "integer", None, id="a-programmer's-integer"),
        pytest.param("0x1F", "integer", None, id="hexadecimal"),
        pytest.param(".5", "integer", None, id="half-is-no-integer"),
        pytest.param("-1.5E-3", "float", -0.0015, id="scientific-float"),
        pytest.param("1_000.5", "float", None, id="a-programmer's-float"),
        pytest.param("1e400", "float", None, id="beyond-floats"),
        pytest.param("1.5", "float", 1.5, id="float"),
        pytest.param("nan", "float", None, id="nan-is-no-number"),
        pytest.param("-inf", "float", None, id="infinity-is-no-number"),
        pytest.param("1,5", "float", None, id="another-country's-float"),
        pytest.param("true", "boolean", True, id="boolean"),
        pytest.param("maybe", "boolean", None, id="no-boolean"),
        *[
            pytest.param(word, "boolean", is_true, id=f"boolean-{word}")
            for is_true, words in ((True, "TRUE yes Y t 1"), (False, "False NO n F 0"))
            for word in words.split()
        ],
        pytest.param("2", "boolean", None, id="a-count-is-no-boolean"),
        pytest.param("epoch", "timestamp", None, id="a-word-is-no-time"),
        pytest.param("12013-03-04", "timestamp", None, id="no-such-year"),
        pytest.param("5", "timestamp", None, id="a-number-is-no-time"),
        pytest.param(" 2013-03-04 05:06 ", "timestamp", datetime(2013, 3, 4, 5, 6), id="spaces-around"),
        pytest.param("2013-03-04 00:00:00", "date", date(2013, 3, 4), id="midnight-is-its-day"),
        pytest.param("2013-03-04 05:00:00", "date", None, id="a-time-is-no-date"),
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


@pytest.mark.parametrize(
    ("text", "kind", "writing", "value"),
    [
        pytest.param("1,5", "float", Writing(","), 1.5, id="decimal-comma"),
        pytest.param("-1.234.567,5", "float", Writing(",", "."), -1234567.5, id="thousands"),
        pytest.param("1234,5", "float", Writing(",", "."), 1234.5, id="thousands-need-no-mark"),
        pytest.param("1.23,5", "float", Writing(",", "."), None, id="no-group-of-three"),
        pytest.param("1.5", "float", Writing(","), None, id="the-other-mark"),
        pytest.param(",5", "float", Writing(","), 0.5, id="begins-with-the-mark"),
        pytest.param("1,5e3", "integer", Writing(","), 1500, id="scientific"),
        pytest.param("1 234", "integer", Writing(".", " "), 1234, id="spaces-as-thousands"),
        pytest.param("1 234,0", "integer", Writing(",", " "), 1234, id="whole-with-marks"),
        pytest.param(
            "31/12/2013", "date", Writing(time_format="%d/%m/%Y"), date(2013, 12, 31), id="day-first"
        ),
        pytest.param("2013-12-31", "date", Writing(time_format="%d/%m/%Y"), None, id="another-format"),
        pytest.param("31/02/2013", "date", Writing(time_format="%d/%m/%Y"), None, id="no-such-day"),
        pytest.param(
            "1/2/2013 5.30",
            "timestamp",
            Writing(time_format="%d/%m/%Y %H.%M"),
            datetime(2013, 2, 1, 5, 30),
            id="time",
        ),
        pytest.param(
            "1/2/2013 5:00 +0200",
            "timestamp",
            Writing(time_format="%d/%m/%Y %H:%M %z"),
            datetime(2013, 2, 1, 3),
            id="format-with-an-offset",
        ),
    ],
)
def test_text_is_read_as_its_source_writes_it(
    connection: duckdb.DuckDBPyConnection, text: str, kind: ColumnType, writing: Writing, value: Any
) -> None:
    assert cast(connection, text, kind, writing) == value


@pytest.mark.parametrize("kind", ["float", "integer"])
def test_typed_numbers_know_no_marks(connection: duckdb.DuckDBPyConnection, kind: ColumnType) -> None:
    assert cast(connection, 1234.0, kind, Writing(",", ".")) == 1234


def test_a_time_without_an_offset_is_of_the_sessions_zone() -> None:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'Europe/Rome'")
        assert cast(opened, "2013-07-04 02:00", "timestamp") == datetime(2013, 7, 4)
        assert cast(opened, datetime(2013, 7, 4, 2), "timestamp") == datetime(2013, 7, 4)
        assert cast(opened, "2013-07-04 02:00+00", "timestamp") == datetime(2013, 7, 4, 2)


@given(number=st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_every_integer_of_64_bits_survives(connection: duckdb.DuckDBPyConnection, number: int) -> None:
    assert cast(connection, str(number), "integer") == number
