"""Two writers of large partitions at once: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import ConflictError, EngineError
from pipelines.storage import files
from pipelines.storage.lake import Lake

DAY, NEXT = "2013-07-04", "2013-07-05"


def table(n: int, *, x: int = 0) -> pa.Table:
    return pa.table({"row_id": [f"k{i:06}" for i in range(n)], "x": pa.array([x] * n, pa.int64())})


def reader(rows: pa.Table) -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches(max_chunksize=10))


class Interrupted:
    """Rows of which, when they are read for the second time, another writer commits half-way."""

    def __init__(self, rows: pa.Table, interrupt: Callable[[], object]) -> None:
        self._rows, self._interrupt, self.n_reads = rows, interrupt, 0

    def __call__(self) -> pa.RecordBatchReader:
        self.n_reads += 1
        is_writing = self.n_reads == 2

        def batches() -> Iterator[pa.RecordBatch]:
            for number, batch in enumerate(self._rows.to_batches(max_chunksize=10)):
                if is_writing and number == 1:
                    self._interrupt()
                yield batch

        return pa.RecordBatchReader.from_batches(self._rows.schema, batches())


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def values(lake: Lake, key: str) -> list[int]:
    return lake.read("trips", "raw", partitions=[key])["x"].to_pylist()


@pytest.mark.parametrize("is_new", [True, False], ids=["new-partition", "present-partition"])
def test_the_same_partition_written_in_between_is_replaced_as_a_whole(lake: Lake, is_new: bool) -> None:
    lake.replace("trips", "raw", NEXT if is_new else DAY, table(5))
    rows = Interrupted(table(30, x=2), lambda: lake.replace("trips", "raw", DAY, table(20, x=1)))
    lake.replace_stream("trips", "raw", DAY, rows)
    assert values(lake, DAY) == [2] * 30
    assert rows.n_reads == 2, "the files that lost were written once and committed by the next try"


def test_another_partition_written_in_between_stays(lake: Lake) -> None:
    lake.replace("trips", "raw", DAY, table(5))
    rows = Interrupted(table(30, x=2), lambda: lake.replace("trips", "raw", NEXT, table(20, x=1)))
    lake.replace_stream("trips", "raw", DAY, rows)
    assert (values(lake, DAY), values(lake, NEXT)) == ([2] * 30, [1] * 20)


def test_a_column_added_in_between_stays(lake: Lake) -> None:
    lake.replace("trips", "raw", DAY, table(5))
    wider = table(20).append_column("y", pa.array([1.5] * 20))
    rows = Interrupted(table(30, x=2), lambda: lake.replace("trips", "raw", NEXT, wider))
    lake.replace_stream("trips", "raw", DAY, rows)
    assert lake.read("trips", "raw", partitions=[NEXT])["y"].to_pylist() == [1.5] * 20


def test_writers_at_once_leave_one_whole_partition(lake: Lake) -> None:
    lake.replace("trips", "raw", DAY, table(5))
    errors: list[ConflictError] = []

    def write(x: int) -> None:
        try:
            lake.replace_stream("trips", "raw", DAY, lambda: reader(table(50, x=x)))
        except ConflictError as error:
            errors.append(error)

    writers = [threading.Thread(target=write, args=(x,)) for x in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = values(lake, DAY)
    assert len(found) == 50
    assert len(set(found)) == 1
    assert len(errors) < 4


def test_large_partitions_are_files_in_the_order_of_their_rows(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(files, "ROW_GROUP_ROWS", 7)
    monkeypatch.setattr(files, "_FILE_BYTES", 600)
    rows = table(100)
    version = lake.replace_stream("trips", "raw", DAY, lambda: reader(rows))
    assert version.n_rows == 100
    parts = sorted((tmp_path / "lake" / "trips" / "raw" / f"partition_key={DAY}").iterdir())
    assert len(parts) > 2
    found = pa.concat_tables([pq.read_table(part, partitioning=None) for part in parts])
    assert found["row_id"].to_pylist() == rows["row_id"].to_pylist()
    assert lake.read("trips", "raw", partitions=[DAY]).num_rows == 100


def test_no_rows_empty_the_partition(lake: Lake) -> None:
    lake.replace_stream("trips", "raw", DAY, lambda: reader(table(30)))
    assert lake.replace_stream("trips", "raw", DAY, lambda: reader(table(0))).n_rows == 0
    assert lake.partition_keys("trips", "raw") == []


def test_a_store_that_fails_is_an_engine_error(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("not a folder")
    with pytest.raises(EngineError, match="Can't write"):
        Lake(str(tmp_path / "lake")).replace_stream("trips", "raw", DAY, lambda: reader(table(3)))
