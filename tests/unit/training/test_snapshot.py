"""Which days a training takes, what names them, and that their bytes are what was named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.config import DatasetConfig, TrainingConfig
from pipelines.errors import ConflictError, IntegrityError, NotReadyError
from pipelines.records import partition_range
from pipelines.runtime import Runtime
from pipelines.training.snapshot import Snapshot, plan_snapshot, read_snapshot, write_snapshot

Publish = Callable[..., dict[str, str]]
JANUARY = partition_range("2013-01-01", "2013-01-12")


@pytest.fixture
def config(runtime: Runtime) -> DatasetConfig:
    return runtime.dataset("flights").model_copy(
        update={"training": TrainingConfig(min_days=4, holdout_days=1)}
    )


@pytest.fixture
def plan(runtime: Runtime, config: DatasetConfig) -> Callable[..., Snapshot]:
    def run(last: str = "2013-01-12", first: str | None = None) -> Snapshot:
        return plan_snapshot(
            "flights", last, first=first, config=config, lake=runtime.lake, ledger=runtime.ledger
        )

    return run


def test_all_published_days_with_labels_are_taken(publish: Publish, plan: Callable[..., Snapshot]) -> None:
    digests = publish(JANUARY)

    found = plan()

    assert found.training_days == JANUARY
    assert (found.first_partition, found.last_partition) == ("2013-01-01", "2013-01-12")
    assert {day.partition_key: day.events_digest for day in found.days} == digests
    assert {day.n_rows for day in found.days} == {2}


def test_nothing_after_the_last_day_is_taken_even_if_it_is_there(
    publish: Publish, plan: Callable[..., Snapshot]
) -> None:
    publish(JANUARY)

    assert plan("2013-01-09").training_days == partition_range("2013-01-01", "2013-01-09")


def test_days_before_the_first_are_history_as_far_as_features_look_back(
    publish: Publish, plan: Callable[..., Snapshot]
) -> None:
    publish(JANUARY)

    found = plan("2013-01-12", "2013-01-09")

    assert found.training_days == partition_range("2013-01-09", "2013-01-12")
    assert [day.partition_key for day in found.days] == JANUARY  # eight days back, to the first


def test_a_refused_day_is_not_taken(publish: Publish, plan: Callable[..., Snapshot]) -> None:
    publish(JANUARY)
    publish(["2013-01-05"], outcome="refused")

    assert plan().training_days == [key for key in JANUARY if key != "2013-01-05"]


def test_a_day_with_warnings_is_taken(publish: Publish, plan: Callable[..., Snapshot]) -> None:
    publish(JANUARY, outcome="warned")

    assert plan().training_days == JANUARY


def test_a_day_without_labels_is_history_only(publish: Publish, plan: Callable[..., Snapshot]) -> None:
    publish(JANUARY[:-1])
    publish(JANUARY[-1:], labelled=False)

    found = plan()

    assert found.training_days == JANUARY[:-1]
    assert found.days[-1].labels_digest is None


def test_a_day_whose_rows_are_not_those_that_were_validated_is_left_out_by_name(
    publish: Publish, plan: Callable[..., Snapshot]
) -> None:
    publish(JANUARY)
    publish(["2013-01-05"], distance=99.0, record=False)

    found = plan()

    assert "2013-01-05" not in [day.partition_key for day in found.days]
    assert found.left_out == ("2013-01-05",)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"last": "2013-01-11"}, id="another-last-day"),
        pytest.param({"first": "2013-01-03"}, id="the-same-rows-in-other-roles"),
    ],
)
def test_another_choice_of_days_is_another_snapshot(
    publish: Publish, plan: Callable[..., Snapshot], change: dict[str, Any]
) -> None:
    publish(JANUARY)

    assert plan().digest == plan().digest
    assert plan(**change).digest != plan().digest


def test_another_row_is_another_snapshot(publish: Publish, plan: Callable[..., Snapshot]) -> None:
    publish(JANUARY)
    before = plan().digest
    publish(["2013-01-05"], distance=2.0)

    assert plan().digest != before


def test_too_few_days_say_how_many_there_are_and_what_to_do(
    publish: Publish, plan: Callable[..., Snapshot]
) -> None:
    publish(JANUARY[:3])
    publish(["2013-01-03"], distance=5.0, record=False)

    with pytest.raises(
        NotReadyError, match=r"has 2 published days .* needs 4\. .*2 more.*validate them again"
    ):
        plan()


def test_no_days_at_all_say_so(plan: Callable[..., Snapshot]) -> None:
    with pytest.raises(NotReadyError, match="has 0 published days"):
        plan()


def test_a_holdout_needs_days_beside_it(publish: Publish, runtime: Runtime, config: DatasetConfig) -> None:
    publish(JANUARY)
    greedy = config.model_copy(update={"training": TrainingConfig(min_days=2, holdout_days=11)})

    with pytest.raises(NotReadyError, match="needs 13"):
        plan_snapshot(
            "flights", "2013-01-12", first=None, config=greedy, lake=runtime.lake, ledger=runtime.ledger
        )


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
