"""Opening a source: its columns are there, its query compiles, or a sentence says what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import trips
from trips import DAY, Found, column, config_of

from pipelines.config import Settings
from pipelines.errors import ConfigError, EngineError, HoldfastError, SchemaError, SourceError
from pipelines.ingestion.sources import translated

Read = Callable[..., Found]
QUERIED = config_of(source={"sql": "trips.sql"})


def test_a_missing_column_names_the_file_and_the_nearest_one(read: Read) -> None:
    text = trips.table(trips.line(1, f"{DAY} 10:00"), header=trips.HEADER.replace("distance", "distanse"))
    with pytest.raises(SchemaError, match=r"all\.csv: there is no column 'distance'; .* 'distanse'"):
        read(text)


def test_a_missing_column_without_a_near_one_names_what_there_is(read: Read) -> None:
    with pytest.raises(SchemaError, match="no column 'member'; it has at, booked, city"):
        read(trips.table(header=trips.HEADER.replace("member", "zzz")))


def test_only_declared_columns_are_read(read: Read) -> None:
    found = read(trips.table(trips.line(1, f"{DAY} 10:00"), header=trips.HEADER))
    declared = {*trips.CONFIG["columns"], "miscast", *trips.CONFIG["labels"]}
    own = {"row_id", "event_time", "source_file", "source_line", "position"}
    assert set(found.rows[DAY].column_names) == own | declared


def test_another_delimiter_and_other_missing_tokens(read: Read) -> None:
    text = trips.table(trips.line(1, f"{DAY} 10:00", distance="-", city="NA")).replace(",", ";")
    config = config_of(source={"csv": {"delimiter": ";"}, "missing": ["-"]})
    found = read(text, DAY, config=config)
    assert column(found, "distance") == [None]
    assert column(found, "city") == ["NA"]
    assert column(found, "miscast") == [None]


def test_an_empty_cell_is_null_whatever_the_missing_tokens(read: Read) -> None:
    found = read(
        trips.table(trips.line(1, f"{DAY} 10:00", city="")), DAY, config=config_of(source={"missing": []})
    )
    assert column(found, "city") == [None]


def test_quotes_line_ends_and_delimiters_within_cells(read: Read) -> None:
    text = trips.table(trips.line(1, f"{DAY} 10:00", city='"St. ""X"", Bonn"')).replace("\n", "\r\n")
    assert column(read(text), "city") == ['St. "X", Bonn']


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(b"1,2", id="line-too-short"),
        pytest.param((trips.line(9, DAY) + ",8,9").encode(), id="line-too-long"),
        pytest.param(trips.line(9, DAY, city="\xff").encode("latin-1"), id="not-utf-8"),
    ],
)
def test_a_record_that_is_no_row_lands_beside_its_neighbour(read: Read, record: bytes) -> None:
    head, tail = trips.table(trips.line(1, DAY)).encode(), trips.line(2, "2013-03-05").encode()
    found = read({"broken.csv": head + record + b"\n" + tail})
    good, bad = found.rows[DAY].sort_by("source_line").to_pylist()
    assert (good["id"], good["miscast"]) == (1, None)
    assert list(json.loads(bad["miscast"])) == ["record"]
    assert (bad["source_file"], bad["source_line"], bad["id"], bad["event_time"]) == (
        "trips/broken.csv",
        3,
        None,
        None,
    )
    assert bad["row_id"].startswith(f"{DAY}|record:")
    assert found.counts[DAY].n_unreadable == 1


@pytest.fixture
def write_sql(settings: Settings) -> Callable[[str], None]:
    return lambda sql: (settings.project / "trips.sql").write_text(sql) and None


def test_a_query_gives_the_events_typed_or_as_text(read: Read, write_sql: Callable[[str], None]) -> None:
    write_sql("SELECT * REPLACE (CAST(riders AS INTEGER) + 1 AS riders, 'x' AS distance) FROM trips; -- all")
    found = read(trips.table(trips.line(1, f"{DAY} 10:00")), config=QUERIED)
    assert column(found, "riders") == [3]
    assert column(found, "miscast") == ['{"distance": "x"}']


@pytest.mark.parametrize(
    ("sql", "error", "message"),
    [
        pytest.param("SELEC 1", ConfigError, "syntax error", id="syntax"),
        pytest.param("SELECT nothing FROM trips", ConfigError, "nothing", id="no-such-column"),
        pytest.param("SELECT * FROM flights", ConfigError, "flights", id="no-such-table"),
        pytest.param("SELECT 1; SELECT 2", ConfigError, "exactly one SELECT", id="two-statements"),
        pytest.param("CREATE TABLE x (a INT)", ConfigError, "exactly one SELECT", id="no-select"),
        pytest.param("SELECT id FROM trips", SchemaError, "no column 'at'; it has id", id="lacks-a-column"),
        pytest.param(
            "SELECT * REPLACE (CAST(city AS INTEGER) AS riders) FROM trips",
            SchemaError,
            "Bonn",
            id="fails-on-data",
        ),
    ],
)
def test_a_wrong_query_is_named_with_what_duckdb_says(
    read: Read, write_sql: Callable[[str], None], sql: str, error: type[HoldfastError], message: str
) -> None:
    write_sql(sql)
    with pytest.raises(error, match=message) as caught:
        read(trips.table(trips.line(1, f"{DAY} 10:00")), config=QUERIED)
    assert "trips.sql" in str(caught.value)


def test_a_query_that_is_not_there_is_named(read: Read) -> None:
    with pytest.raises(ConfigError, match=r"source\.sql none\.sql can't be read"):
        read(trips.table(), DAY, config=config_of(source={"sql": "none.sql"}))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        pytest.param(trips.HEADER.removesuffix(",tip"), r"b\.csv: there is no column 'tip'", id="lacks-one"),
        pytest.param(trips.HEADER + ",more", r"b\.csv has a column 'more' that", id="has-one-more"),
    ],
)
def test_under_a_query_all_files_of_a_table_have_one_header(
    read: Read, write_sql: Callable[[str], None], header: str, message: str
) -> None:
    write_sql("SELECT * FROM trips")
    files = {"a.csv": trips.table(), "b.csv": trips.table(header=header)}
    with pytest.raises(SchemaError, match=message):
        read(files, config=QUERIED)


def test_parquet_keeps_its_types_and_nan_is_no_value(read: Read, settings: Settings) -> None:
    names = trips.HEADER.split(",")
    rows = {name: [cell] * 2 for name, cell in zip(names, trips.line_cells(1, ""), strict=True)}
    rows |= {"at": pa.array([1362391200, 1362391201], pa.timestamp("s")), "riders": [2.0, 2.5]}
    rows |= {"distance": [float("nan"), float("inf")], "id": [1, 2]}
    pq.write_table(pa.table(rows), settings.sources / "trips" / "a.parquet")
    config = config_of(source={"kind": "parquet", "tables": {"trips": "trips/a.parquet"}})
    found = read({}, DAY, config=config)
    assert column(found, "riders") == [2, None]
    assert column(found, "distance") == [None, None]
    assert column(found, "miscast") == [None, '{"distance": "inf", "riders": "2.5"}']


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        pytest.param(duckdb.BinderException("x"), ConfigError, id="query"),
        pytest.param(duckdb.IOException("x"), SourceError, id="file"),
        pytest.param(duckdb.OutOfMemoryException("x"), EngineError, id="machine"),
        pytest.param(duckdb.ConversionException("x"), SchemaError, id="data"),
    ],
)
def test_a_retry_is_for_what_may_pass(raised: duckdb.Error, error: type[HoldfastError]) -> None:
    with pytest.raises(error, match="reading: x"), translated("reading"):
        raise raised
