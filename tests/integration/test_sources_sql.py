"""Tables in a real PostgreSQL and in SQLite: read-only, typed, and whole though a connection dies."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from pipelines.config import Settings, SourceConfig, load_settings
from pipelines.errors import ConfigError, HoldfastError, SchemaError, SourceError
from pipelines.ingestion.reading import StagedFile, peek, stage_source

DAYS = [date(2024, 1, 2), date(2024, 1, 3)]
N_ROWS = 4_000
# The first batch comes at once; the second one takes seconds, in which the reader is killed.
SLOW_ROWS = (
    f"SELECT n, CASE WHEN n > 2000 THEN pg_sleep(0.0005) END AS slow FROM generate_series(1, {N_ROWS}) AS n"
)
CREATE = """
CREATE TABLE "Odd ""name" (a integer);
CREATE SCHEMA shop;
CREATE TABLE shop.sales (
    id integer PRIMARY KEY, at timestamptz, local timestamp, day date, amount numeric(12, 3),
    note text, is_paid boolean, tags jsonb, token uuid, raw bytea, late double precision, nothing integer
);
INSERT INTO shop.sales
SELECT n, timestamptz '2024-01-01 00:00+02' + n * interval '1 hour',
    timestamp '2024-01-01' + n * interval '1 hour',
    date '2024-01-01' + n / 24, n * 1.125, CASE WHEN mod(n, 7) = 0 THEN NULL ELSE 'Ä' || n END, mod(n, 2) = 0,
    jsonb_build_object('n', n), md5(n::text)::uuid, decode('c384', 'hex'),
    CASE WHEN n > 2500 THEN n / 4.0 END, NULL
FROM generate_series(1, 3000) AS n
"""


@pytest.fixture
def postgresql(postgresql_url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in CREATE.split(";"):
            connection.exec_driver_sql(statement)
    yield engine
    engine.dispose()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "sources").mkdir()
    return load_settings({"HOLDFAST_HOME": str(tmp_path)})


@pytest.fixture
def read(settings: Settings) -> Callable[..., tuple[list[StagedFile], pa.Table]]:
    """Return a reader: the staged files of one table, and all their rows."""

    def read_from(url: str, location: str, **fields: Any) -> tuple[list[StagedFile], pa.Table]:
        config = {"kind": "sql", "url": url, "tables": {"t": location}} | fields
        with stage_source(SourceConfig.model_validate(config), settings, days=DAYS) as tables:
            files = tables["t"]
            return files, pa.concat_tables([pq.read_table(file.path) for file in files])

    return read_from


Read = Callable[..., tuple[list[StagedFile], pa.Table]]


def test_values_keep_their_types_whatever_the_first_batch_holds(
    postgresql: sa.Engine, postgresql_url: str, read: Read
) -> None:
    (file,), rows = read(postgresql_url, "shop.sales", rename={"note": "remark"})
    assert {name: str(rows.schema.field(name).type) for name in file.columns} == {
        "id": "int64",
        "at": "timestamp[us, tz=UTC]",
        "local": "timestamp[us]",
        "day": "date32[day]",
        "amount": "decimal128(7, 3)",
        "remark": "string",
        "is_paid": "bool",
        "tags": "string",
        "token": "string",
        "raw": "string",
        "late": "double",
        "nothing": "string",
    }
    last = rows.slice(2_999, 1).to_pylist()[0]
    assert last["at"] == datetime(2024, 5, 4, 22, tzinfo=UTC)
    assert (last["amount"], last["late"], last["tags"]) == (Decimal("3375.000"), 750.0, '{"n": 3000}')
    assert (last["remark"], last["raw"], last["nothing"]) == ("Ä3000", "Ä", None)
    assert rows["holdfast_line"].to_pylist() == list(range(1, 3_001))
    assert file.name == "shop.sales"
    assert file.day is None


def test_equal_rows_have_one_fingerprint(postgresql: sa.Engine, postgresql_url: str, read: Read) -> None:
    (first,), _ = read(postgresql_url, "shop.sales")
    assert read(postgresql_url, "shop.sales")[0][0].fingerprint == first.fingerprint
    with postgresql.connect() as connection:
        connection.exec_driver_sql("UPDATE shop.sales SET amount = 0 WHERE id = 7")
    assert read(postgresql_url, "shop.sales")[0][0].fingerprint != first.fingerprint


@pytest.mark.parametrize(
    "condition",
    [
        pytest.param("at >= :start AND at < :end", id="start-and-end"),
        pytest.param("(at AT TIME ZONE 'UTC')::date = :day -- of ':start'", id="day"),
    ],
)
def test_a_bound_query_is_asked_for_each_night(
    postgresql: sa.Engine, postgresql_url: str, read: Read, condition: str
) -> None:
    files, rows = read(postgresql_url, f"SELECT id, at, ' :x 1:30' AS y FROM shop.sales WHERE {condition};")
    assert [(file.day, file.n_rows) for file in files] == [(DAYS[0], 24), (DAYS[1], 24)]
    assert {moment.date() for moment in rows["at"].to_pylist()} == set(DAYS)
    assert files[0].name == "t of 2024-01-02"


def kill_readers(engine: sa.Engine, stop: threading.Event, *, most: int) -> list[int]:
    """Kill each reader that shows up, at most so many, once it has begun to fetch rows."""
    killed: list[int] = []
    find = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'FETCH%%'"
    while not stop.is_set() and len(killed) < most:
        with engine.connect() as connection:
            for (pid,) in connection.exec_driver_sql(find).all():
                if pid not in killed:
                    time.sleep(0.1)
                    connection.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
                    killed.append(pid)
        time.sleep(0.02)
    return killed


@pytest.mark.parametrize(
    ("most", "is_read"), [pytest.param(2, True, id="passes"), pytest.param(99, False, id="stays")]
)
def test_a_connection_that_is_killed_half_way_costs_a_new_try_and_leaves_nothing(
    postgresql: sa.Engine, postgresql_url: str, read: Read, settings: Settings, most: int, is_read: bool
) -> None:
    stop = threading.Event()
    killer = threading.Thread(target=kill_readers, args=(postgresql, stop), kwargs={"most": most})
    killer.start()
    try:
        if is_read:
            _, rows = read(postgresql_url, SLOW_ROWS)
            assert rows["n"].to_pylist() == list(range(1, N_ROWS + 1))
        else:
            with pytest.raises(SourceError, match=r"failed 4 times.*nothing about its data"):
                read(postgresql_url, SLOW_ROWS)
    finally:
        stop.set()
        killer.join()
    assert not list((settings.home / "staging").iterdir())


@pytest.mark.parametrize(
    ("location", "message"),
    [
        pytest.param("DELETE FROM shop.sales", "exactly one SELECT", id="delete"),
        pytest.param("SELECT 1; DROP TABLE shop.sales", "exactly one SELECT", id="two-statements"),
        pytest.param(
            "WITH gone AS (DELETE FROM shop.sales RETURNING *) SELECT * FROM gone", "read-only", id="hidden"
        ),
        pytest.param("SELECT 1 WHERE 1 = :begin", "binds :begin; known are", id="unknown-parameter"),
        pytest.param("SELECT none FROM shop.sales", "none", id="no-such-column"),
        pytest.param("shop.sale", "no table 'shop.sale'; it has sales", id="no-such-table"),
        pytest.param("nowhere.sales", "no table 'nowhere.sales'; it has none", id="no-such-schema"),
    ],
)
def test_what_can_not_be_asked_is_a_matter_of_configuration(
    postgresql: sa.Engine, postgresql_url: str, read: Read, location: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read(postgresql_url, location)
    with postgresql.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM shop.sales").scalar_one() == 3_000


def test_data_that_the_driver_can_not_hold_is_the_datas_fault(
    postgresql: sa.Engine, postgresql_url: str, read: Read
) -> None:
    with pytest.raises(SchemaError, match="division by zero"):
        read(postgresql_url, "SELECT 1 / (id - 1) FROM shop.sales")


def test_a_server_that_is_not_there_was_tried_and_no_password_is_told(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALES_DB", "postgresql+psycopg://me:hunter2secret@127.0.0.1:1/sales")
    with pytest.raises(SourceError, match="failed 4 times") as caught:
        read("env:SALES_DB", "sales")
    assert "hunter2secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        pytest.param("env:NO_SUCH_DB", ConfigError, "NO_SUCH_DB, which is not set", id="unset"),
        pytest.param("nonsense", ConfigError, "no address of a database", id="no-url"),
        pytest.param("nosuchdb://host/x", ConfigError, "needs a driver", id="no-driver"),
        pytest.param("sqlite:///none.db", SourceError, r"no SQLite database .*none\.db", id="no-file"),
        pytest.param("sqlite:///broken.db", SchemaError, "may be damaged", id="no-database"),
    ],
)
def test_a_wrong_address_is_named(
    read: Read, settings: Settings, url: str, error: type[HoldfastError], message: str
) -> None:
    (settings.sources / "broken.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(error, match=message):
        read(url, "sales")


@pytest.fixture
def shop(settings: Settings) -> str:
    with closing(sqlite3.connect(settings.sources / "shop's.db")) as database:
        database.execute('CREATE TABLE "sale; s" (at TEXT, mixed, n INTEGER)')
        database.execute("CREATE TABLE sales (at TEXT, mixed, n INTEGER, x REAL)")
        database.executemany(
            "INSERT INTO sales VALUES (?, ?, ?, ?)",
            [
                ("2024-01-01 23:59:59", 1, 1, 1),
                ("2024-01-02", 2.5, 2, 2.5),
                ("2024-01-02 00:00:00", None, 3, None),
                ("2024-01-02T23:59:59.999", "three", 2**62, 3.5),
                ("2024-01-03", b"\xff", None, 4.5),
                ("2024-01-04", 1, 5, 5.5),
            ],
        )
        database.commit()
    return "sqlite:///shop's.db"


def test_sqlite_is_read_with_one_type_a_column(shop: str, read: Read) -> None:
    (file,), rows = read(shop, "sales")
    assert file.n_rows == 6
    assert rows["mixed"].to_pylist() == ["1", "2.5", None, "three", "\\xff", "1"]
    assert rows["n"].to_pylist() == [1, 2, 3, 2**62, None, 5]
    assert rows["x"].type == pa.float64()


def test_a_night_of_sqlite_is_the_same_however_its_times_are_written(shop: str, read: Read) -> None:
    files, rows = read(shop, "SELECT at FROM sales WHERE at >= :start AND at < :end")
    assert [file.n_rows for file in files] == [3, 1]
    assert {moment[:10] for moment in rows["at"].to_pylist()} == {str(day) for day in DAYS}


def test_sqlite_can_not_be_written_to(shop: str, read: Read) -> None:
    with pytest.raises(ConfigError, match=r"readonly|read-only"):
        read(shop, "WITH x AS (SELECT 1) INSERT INTO sales SELECT '', 1, 1, 1")


def test_a_cell_over_the_limit_costs_its_row(shop: str, read: Read) -> None:
    (file,), rows = read(
        shop,
        "SELECT CASE n WHEN 2 THEN 'xxxxxxxxx' ELSE 'y' END AS a FROM sales",
        limits={"max_cell_bytes": 8},
    )
    assert (file.n_rows, file.n_rejected) == (6, 1)
    assert rows["holdfast_reject"].to_pylist()[1] == "cell too long: "


def test_a_query_without_rows_has_its_columns(shop: str, read: Read) -> None:
    (file,), rows = read(shop, "SELECT at, n FROM sales WHERE n = 99")
    assert (file.columns, file.n_rows, rows.num_rows) == (("at", "n"), 0, 0)


def test_a_database_has_no_bytes_to_look_at(shop: str, settings: Settings) -> None:
    config = SourceConfig.model_validate({"kind": "sql", "url": shop, "tables": {"t": "sales"}})
    assert peek(config, settings, n_bytes=10) == []
