"""A snapshot's files hold the rows that it names, and nothing else passes for them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.errors import ConflictError, IntegrityError
from pipelines.records import partition_range
from pipelines.runtime import Runtime
from pipelines.training.snapshot import Snapshot, read_snapshot, write_snapshot

Publish = Callable[..., dict[str, str]]
JANUARY = partition_range("2013-01-01", "2013-01-12")


def test_a_snapshot_comes_back_as_it_went_out(
    publish: Publish, plan: Callable[..., Snapshot], runtime: Runtime, tmp_path: Path
) -> None:
    publish(JANUARY)
    planned = plan()

    write_snapshot(planned, tmp_path / "snapshot", lake=runtime.lake)
    events, labels = read_snapshot(planned, tmp_path / "snapshot")

    assert events.num_rows == labels.num_rows == 24
    assert sorted(set(events["partition_key"].to_pylist())) == JANUARY
    assert all(row["row_id"].startswith(row["partition_key"]) for row in labels.to_pylist())


def test_a_new_day_leaves_the_bytes_of_the_others_alone(
    publish: Publish, plan: Callable[..., Snapshot], runtime: Runtime, tmp_path: Path
) -> None:
    publish(JANUARY)
    write_snapshot(plan("2013-01-11"), tmp_path / "one", lake=runtime.lake)
    write_snapshot(plan("2013-01-12"), tmp_path / "two", lake=runtime.lake)

    before = {
        path.relative_to(tmp_path / "one"): path.read_bytes()
        for path in (tmp_path / "one").rglob("*.parquet")
    }
    after = {
        path.relative_to(tmp_path / "two"): path.read_bytes()
        for path in (tmp_path / "two").rglob("*.parquet")
    }
    assert before.items() <= after.items()
    assert {path.stem for path in after.keys() - before.keys()} == {"2013-01-12"}


def test_rows_that_changed_since_the_plan_are_not_taken_silently(
    publish: Publish, plan: Callable[..., Snapshot], runtime: Runtime, tmp_path: Path
) -> None:
    publish(JANUARY)
    planned = plan()
    publish(["2013-01-05"], distance=99.0)

    with pytest.raises(ConflictError, match="events of flights 2013-01-05 changed"):
        write_snapshot(planned, tmp_path / "snapshot", lake=runtime.lake)


@pytest.mark.parametrize("damage", ["another row", "gone"])
def test_a_damaged_copy_is_noticed(
    publish: Publish, plan: Callable[..., Snapshot], runtime: Runtime, tmp_path: Path, damage: str
) -> None:
    publish(JANUARY)
    planned = plan()
    write_snapshot(planned, tmp_path, lake=runtime.lake)
    path = tmp_path / "labels" / "2013-01-05.parquet"
    if damage == "gone":
        path.unlink()
    else:
        shutil.copy(tmp_path / "labels" / "2013-01-06.parquet", path)

    with pytest.raises(IntegrityError, match="labels of flights 2013-01-05"):
        read_snapshot(planned, tmp_path)


def test_files_hold_no_partition_column(
    publish: Publish, plan: Callable[..., Snapshot], runtime: Runtime, tmp_path: Path
) -> None:
    publish(JANUARY)
    write_snapshot(plan(), tmp_path, lake=runtime.lake)

    assert pq.read_schema(tmp_path / "events" / "2013-01-05.parquet").names == ["distance", "row_id"]
