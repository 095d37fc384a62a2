"""Partitions replace themselves whole, once, whoever writes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from warm_processes import warm_processes

from pipelines.errors import ConfigError, EngineError, NotReadyError
from pipelines.storage.digest import table_digest
from pipelines.storage.lake import Lake

DAY = "2013-07-04"


def rows(n: int) -> pa.Table:
    return pa.table(
        {
            "row_id": pa.array([f"r{i:06d}" for i in range(n)], pa.string()),
            "x": pa.array([float(i) for i in range(n)], pa.float64()),
        }
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def test_a_repeat_commits_nothing(lake):
    first = lake.replace("flights", "raw", DAY, rows(5))
    again = lake.replace("flights", "raw", DAY, rows(5))
    assert again == first


def test_a_correction_replaces_the_partition_and_keeps_the_old_version(lake):
    old = lake.replace("flights", "raw", DAY, rows(5))
    new = lake.replace("flights", "raw", DAY, rows(3))
    assert lake.read("flights", "raw").num_rows == 3
    assert lake.read("flights", "raw", version=old.delta_version).num_rows == 5
    assert new.digest != old.digest


def test_changes_since_a_version_are_known_without_the_rows(lake):
    lake.replace_many("flights", "raw", {DAY: rows(5), "2013-07-05": rows(2), "2013-07-06": rows(1)})
    before = lake.version("flights", "raw")
    assert lake.changed_since("flights", "raw", before) == set()
    lake.replace("flights", "raw", "2013-07-05", rows(3))
    lake.replace("flights", "raw", "2013-07-06", rows(0))
    lake.replace("flights", "raw", "2013-07-07", rows(1))
    lake.replace("flights", "raw", DAY, rows(5))
    assert lake.changed_since("flights", "raw", before) == {"2013-07-05", "2013-07-06", "2013-07-07"}


@pytest.mark.parametrize("version", [pytest.param(-1, id="no-table-yet"), pytest.param(99, id="gone")])
def test_without_the_version_every_partition_has_changed(lake, version):
    assert lake.changed_since("flights", "raw", version) == set()
    lake.replace_many("flights", "raw", {DAY: rows(5), "2013-07-05": rows(2)})
    assert lake.changed_since("flights", "raw", version) == {DAY, "2013-07-05"}


def test_an_emptied_partition_is_empty_and_another_is_untouched(lake):
    lake.replace_many("flights", "raw", {DAY: rows(5), "2013-07-05": rows(2)})
    emptied = lake.replace("flights", "raw", DAY, rows(0))
    assert emptied.n_rows == 0
    assert lake.partition_keys("flights", "raw") == ["2013-07-05"]
    assert lake.replace("flights", "raw", DAY, rows(0)).delta_version == emptied.delta_version


def test_several_partitions_are_one_commit_and_only_stale_ones_are_written(lake):
    first, second = lake.replace_many("flights", "raw", {DAY: rows(5), "2013-07-05": rows(2)})
    assert first.delta_version == second.delta_version == lake.version("flights", "raw")
    lake.replace_many("flights", "raw", {DAY: rows(5), "2013-07-05": rows(4)})
    assert lake.version("flights", "raw") == first.delta_version + 1
    assert lake.read("flights", "raw", partitions=["2013-07-05"], columns=["x"]).num_rows == 4


def test_what_does_not_exist_says_what_to_run(lake):
    assert lake.version("flights", "raw") == -1
    assert lake.partition_keys("flights", "raw") == []
    with pytest.raises(NotReadyError, match="holdfast ingest flights"):
        lake.read("flights", "raw")


def test_a_key_that_is_no_date_never_reaches_a_predicate(lake):
    with pytest.raises(ConfigError):
        lake.replace("flights", "raw", "x' OR '1'='1", rows(1))


def test_a_store_that_cannot_be_written_is_an_engine_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EngineError, match="Can't write"):
        Lake(str(tmp_path / "file")).replace("flights", "raw", DAY, rows(1))


def _write(root: str, barrier, n: int) -> None:
    barrier.wait()
    lake = Lake(root)
    for _ in range(3):
        lake.replace("flights", "raw", DAY, rows(n))


def test_writers_at_once_leave_one_whole_partition(tmp_path):
    context = warm_processes()
    barrier = context.Barrier(4)
    sizes = [10, 20, 30, 40]
    writers = [context.Process(target=_write, args=(str(tmp_path), barrier, n)) for n in sizes]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    found = Lake(str(tmp_path)).read("flights", "raw")
    assert found.num_rows in sizes
    assert len(set(found["row_id"].to_pylist())) == found.num_rows


@given(st.permutations(range(12)), st.integers(1, 11))
def test_a_digest_does_not_depend_on_order_or_chunks(order, cut):
    table = pa.table({"row_id": [str(i % 5) for i in range(12)], "x": [None, *map(float, range(11))]})
    shuffled = table.take(list(order))
    chunked = pa.concat_tables([shuffled.slice(cut), shuffled.slice(0, cut)])
    assert table_digest(chunked.select(["x", "row_id"])) == table_digest(table)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param([""], [None], id="empty-is-not-null"),
        pytest.param(["a,b"], ["a"], id="separator-in-text"),
        pytest.param(["1"], [1], id="text-is-not-number"),
        pytest.param(["a\nb"], ["a"], id="line-break-in-text"),
    ],
)
def test_different_content_has_another_digest(left, right):
    assert table_digest(pa.table({"x": left})) != table_digest(pa.table({"x": right}))


def test_storage_types_do_not_matter_to_a_digest():
    plain = pa.array(["a", None, "b"], pa.string())
    for kind in (pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())):
        assert table_digest(pa.table({"x": plain.cast(kind)})) == table_digest(pa.table({"x": plain}))


def test_chunks_without_rows_do_not_matter_to_a_digest():
    table = rows(3)
    empty = table.slice(0, 0)
    spread = pa.concat_tables([empty, table.slice(0, 1), empty, table.slice(1), empty])
    assert table_digest(spread) == table_digest(table)
    assert table_digest(pa.concat_tables([empty, empty])) == table_digest(table.schema.empty_table())
