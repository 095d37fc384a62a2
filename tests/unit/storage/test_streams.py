"""Large partitions: written, compared and looked at as streams, with the digest of the whole."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import NotReadyError
from pipelines.storage import present
from pipelines.storage.digest import stream_digest, table_digest
from pipelines.storage.engine import connect
from pipelines.storage.lake import Lake

DAY, NEXT = "2013-07-04", "2013-07-05"
START = datetime(2013, 7, 4, tzinfo=UTC)


def rows(n: int, *, seed: int = 0, n_keys: int | None = None) -> pa.Table:
    """Return rows of every type, shuffled; row keys repeat where there are fewer of them."""
    random = np.random.default_rng(seed)
    order = random.permutation(n)
    keys = [f"k{i % (n_keys or n):06d}" for i in order]
    return pa.table(
        {
            "row_id": pa.array(keys, pa.string()),
            "x": pa.array([None if i % 7 == 0 else math.nan if i % 5 == 0 else float(i) for i in order]),
            "text": pa.array([None if i % 3 == 0 else f'é"{i}' for i in order], pa.string()),
            "yes": pa.array([bool(i % 2) for i in order]),
            "day": pa.array([date(2013, 7, 1 + int(i) % 9) for i in order]),
            "at": pa.array([START + timedelta(seconds=int(i)) for i in order], pa.timestamp("us", "UTC")),
            "n": pa.array([int(i) for i in order], pa.int64()),
        }
    )


def stream(table: pa.Table, *, size: int = 10) -> Callable[[], pa.RecordBatchReader]:
    return lambda: pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=size))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "a lake"))


@pytest.mark.parametrize(
    "table",
    [
        pytest.param(rows(50), id="shuffled"),
        pytest.param(rows(50).sort_by("row_id"), id="in-order"),
        pytest.param(rows(50, n_keys=3), id="repeated-keys"),
        pytest.param(rows(50).drop_columns(["row_id"]), id="no-row-key"),
        pytest.param(rows(0), id="empty"),
        pytest.param(rows(1), id="one-row"),
        pytest.param(
            rows(20).set_column(2, "text", rows(20)["text"].cast(pa.large_string())), id="other-storage-type"
        ),
    ],
)
def test_a_stream_lands_with_the_digest_of_the_table(lake: Lake, table: pa.Table) -> None:
    version = lake.replace_stream("trips", "raw", DAY, stream(table))
    assert (version.digest, version.n_rows) == (table_digest(table), table.num_rows)
    found = lake.read("trips", "raw", partitions=[DAY]).drop_columns(["partition_key"])
    assert table_digest(found) == version.digest
    assert lake.replace_stream("trips", "raw", DAY, stream(table)) == version, "a repeat commits nothing"
    assert lake.replace("trips", "raw", DAY, table) == version


def test_a_stream_replaces_its_partition_and_no_other(lake: Lake) -> None:
    lake.replace_many("trips", "raw", {DAY: rows(5), NEXT: rows(7)})
    version = lake.replace_stream("trips", "raw", DAY, stream(rows(5, seed=1, n_keys=2)))
    assert lake.read("trips", "raw", partitions=[DAY]).num_rows == 5
    assert (
        table_digest(lake.read("trips", "raw", partitions=[DAY]).drop_columns(["partition_key"]))
        == version.digest
    )
    assert lake.read("trips", "raw", partitions=[NEXT]).num_rows == 7


def test_a_large_partition_is_compared_as_a_stream(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(present, "_MAX_ROWS_AT_ONCE", 10)
    first = lake.replace_stream("trips", "raw", DAY, stream(rows(50, n_keys=7)))
    assert lake.replace_stream("trips", "raw", DAY, stream(rows(50, seed=3, n_keys=7))) == first
    other = rows(50, n_keys=7).set_column(6, "n", pa.array(range(50), pa.int64()))
    assert lake.replace_stream("trips", "raw", DAY, stream(other)).delta_version == first.delta_version + 1


def test_rows_that_another_writer_left_in_disorder_are_recognised(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(present, "_MAX_ROWS_AT_ONCE", 10)
    keyed = rows(50).append_column("partition_key", pa.repeat(DAY, 50))
    write_deltalake(lake.uri("trips", "raw"), keyed, partition_by=["partition_key"])
    assert lake.replace_stream("trips", "raw", DAY, stream(rows(50, seed=2))).delta_version == 0


@pytest.mark.parametrize("limit", [10, 100])
def test_a_column_of_another_type_or_one_more_value_is_another_content(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(present, "_MAX_ROWS_AT_ONCE", limit)
    table = rows(30)
    lake.replace("trips", "raw", DAY, table)
    fewer = lake.replace("trips", "raw", DAY, table.drop_columns(["n"]))
    assert fewer.delta_version == 2, "the column had values"
    again = lake.replace("trips", "raw", DAY, table.drop_columns(["n"]))
    assert again == fewer, "a column without a value in the partition does not count"


def test_a_new_column_joins_the_table(lake: Lake) -> None:
    lake.replace("trips", "raw", DAY, rows(3).drop_columns(["text"]))
    lake.replace_stream("trips", "raw", NEXT, stream(rows(4)))
    assert lake.read("trips", "raw", partitions=[DAY])["text"].null_count == 3


@given(st.permutations(range(12)), st.integers(1, 12))
def test_a_stream_digest_is_the_tables_or_none(order: list[int], size: int) -> None:
    table = pa.table({"row_id": [str(i // 2) for i in order], "x": [float(i) for i in order]})
    found = stream_digest(table.schema, table.to_batches(max_chunksize=size))
    assert found == (table_digest(table) if list(order) == sorted(order) else None)


@given(st.permutations(range(9)), st.integers(1, 9))
def test_canonically_ordered_streams_need_no_sort(order: list[int], size: int) -> None:
    table = pa.table(
        {"row_id": [str(i // 4) for i in order], "x": [None if i % 2 else float(i) for i in order]}
    )
    keys = [("row_id", "ascending"), ("x", "ascending")]
    ordered = table.sort_by(keys)
    assert stream_digest(ordered.schema, ordered.to_batches(max_chunksize=size)) == table_digest(table)


def test_a_view_has_all_columns_of_the_partitions_that_are_asked_for(lake: Lake) -> None:
    lake.replace("trips", "raw", DAY, rows(3).drop_columns(["text"]))
    old = lake.version("trips", "raw")
    lake.replace("trips", "raw", NEXT, rows(4))
    with connect() as connection:
        lake.attach(connection, "trips", "raw", view="all_of_it")
        lake.attach(connection, "trips", "raw", view="day", partitions=[DAY])
        lake.attach(connection, "trips", "raw", view="none", partitions=["2013-01-01"])
        lake.attach(connection, "trips", "raw", view="before", version=old)
        counts = "SELECT partition_key, count(*), count(text) FROM all_of_it GROUP BY ALL ORDER BY ALL"
        assert connection.sql(counts).fetchall() == [(DAY, 3, 0), (NEXT, 4, 2)]
        assert connection.sql("SELECT count(*), count(text) FROM day").fetchall() == [(3, 0)]
        assert connection.sql("SELECT count(*) FROM none").fetchall() == [(0,)]
        assert connection.sql("SELECT DISTINCT partition_key FROM before").fetchall() == [(DAY,)]
        types = {name: kind for name, kind, *_ in connection.sql("DESCRIBE day").fetchall()}
        assert types == {name: kind for name, kind, *_ in connection.sql("DESCRIBE none").fetchall()}
        assert (types["at"], types["text"], types["day"]) == ("TIMESTAMP WITH TIME ZONE", "VARCHAR", "DATE")


def test_a_view_of_no_table_says_what_to_run(lake: Lake, tmp_path: Path) -> None:
    with connect(scratch=tmp_path) as connection, pytest.raises(NotReadyError, match="holdfast ingest trips"):
        lake.attach(connection, "trips", "raw", view="raw")


def test_an_engine_is_bound_in_memory_in_utc_and_leaves_nothing(tmp_path: Path) -> None:
    with connect(memory="64MB", scratch=tmp_path) as connection:
        assert connection.sql("SELECT current_setting('TimeZone')").fetchall() == [("UTC",)]
        ordered = "SELECT * FROM (SELECT md5(i::VARCHAR) AS m, i FROM range(1500000) t(i)) ORDER BY m"
        assert connection.sql(f"SELECT count(*) FROM ({ordered} LIMIT 1200000)").fetchall() == [(1_200_000,)]
        with pytest.raises(duckdb.Error):
            connection.execute("INSTALL httpfs; LOAD httpfs; SELECT * FROM 'https://127.0.0.1:9/x.parquet'")
    assert list(tmp_path.iterdir()) == []
