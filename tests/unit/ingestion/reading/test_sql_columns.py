"""One type for the values of a column, whatever its batches hold; and what is asked of a database."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import pyarrow as pa
import pytest

from pipelines.errors import ConfigError
from pipelines.ingestion.reading.queries import queries_of
from pipelines.ingestion.reading.sql_rows import column_of, joined

DECIMAL = decimal.Decimal
NOON = dt.datetime(2024, 1, 2, 12)


@pytest.mark.parametrize(
    ("values", "kind", "first"),
    [
        pytest.param([None, None], pa.null(), None, id="nothing"),
        pytest.param([1, None], pa.int64(), 1, id="integer"),
        pytest.param([2**70, 1], pa.string(), str(2**70), id="beyond-integers"),
        pytest.param([1, 2.5], pa.float64(), 1.0, id="integer-and-float"),
        pytest.param([True, 1], pa.string(), "True", id="boolean-and-integer"),
        pytest.param([DECIMAL("1.50"), DECIMAL("22")], pa.decimal128(4, 2), DECIMAL("1.50"), id="decimal"),
        pytest.param([DECIMAL("1.5"), DECIMAL("NaN")], pa.float64(), 1.5, id="decimal-nan"),
        pytest.param([NOON, None], pa.timestamp("us"), NOON, id="timestamp"),
        pytest.param(
            [NOON, NOON.replace(tzinfo=dt.UTC)], pa.string(), "2024-01-02 12:00:00", id="half-aware"
        ),
        pytest.param([NOON.date()], pa.date32(), NOON.date(), id="date"),
        pytest.param([NOON.time()], pa.time64("us"), NOON.time(), id="time"),
        pytest.param([b"a", memoryview(b"b")], pa.string(), "a", id="bytes"),
        pytest.param([{"a": 1}, [1]], pa.string(), '{"a": 1}', id="json"),
    ],
)
def test_values_are_a_column_of_the_type_that_holds_them(
    values: list[Any], kind: pa.DataType, first: object
) -> None:
    column = column_of(values)
    assert column.type == kind
    assert column[0].as_py() == first


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        pytest.param(pa.null(), pa.int64(), pa.int64(), id="nothing-and-integer"),
        pytest.param(pa.int64(), pa.float64(), pa.float64(), id="integer-and-float"),
        pytest.param(pa.decimal128(4, 1), pa.decimal128(4, 3), pa.decimal128(6, 3), id="decimals"),
        pytest.param(pa.decimal128(4, 1), pa.int64(), pa.decimal128(20, 1), id="decimal-and-integer"),
        pytest.param(pa.decimal128(38, 0), pa.decimal128(30, 30), pa.string(), id="too-many-digits"),
        pytest.param(pa.date32(), pa.timestamp("us"), pa.timestamp("us"), id="date-and-timestamp"),
        pytest.param(pa.bool_(), pa.int64(), pa.string(), id="boolean-and-integer"),
        pytest.param(pa.timestamp("us", "UTC"), pa.timestamp("us"), pa.string(), id="aware-and-naive"),
    ],
)
def test_batches_of_two_types_have_one_that_holds_both(
    one: pa.DataType, other: pa.DataType, both: pa.DataType
) -> None:
    assert joined(one, other) == both
    assert joined(other, one) == both


@pytest.mark.parametrize(
    ("location", "texts"),
    [
        pytest.param("shop.sales", ["shop.sales"], id="table"),
        pytest.param("SELECT 1;", ["SELECT 1"], id="select"),
        pytest.param("(WITH x AS (SELECT 1) SELECT * FROM x)", None, id="in-brackets"),
        pytest.param("with x as (select ';' as y) select * from x", None, id="semicolon-in-text"),
        pytest.param("SELECT '12:30', x::date -- :start\nFROM t", None, id="colons-that-bind-nothing"),
    ],
)
def test_what_binds_nothing_is_asked_once(location: str, texts: list[str] | None) -> None:
    assert [query.text for query in queries_of("t", location, [dt.date(2024, 1, 2)] * 2)] == (
        texts or [location]
    )


@pytest.mark.parametrize(
    "location",
    [
        pytest.param("UPDATE t SET x = 1", id="update"),
        pytest.param("SELECT 1; SELECT 2", id="two"),
        pytest.param("a b", id="two-words"),
        pytest.param("selected from t", id="almost-select"),
        pytest.param('x"; DROP TABLE t', id="injection"),
    ],
)
def test_what_is_no_select_is_refused(location: str) -> None:
    with pytest.raises(ConfigError, match=r"source\.tables\.t must be"):
        queries_of("t", location, [])
