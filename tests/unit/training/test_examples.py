"""Splitting days in time, and joining features with what happened."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.config import DatasetConfig
from pipelines.records import partition_range
from pipelines.training.examples import count_strangers, read_examples, split_days, write_features

CONFIG = DatasetConfig.model_construct(task="binary", target="is_late", classes=())
DAYS = partition_range("2013-01-01", "2013-12-31")


@given(n_days=st.integers(3, 365), holdout_days=st.integers(1, 60))
def test_a_split_is_whole_in_order_and_never_empty(n_days: int, holdout_days: int) -> None:
    days = DAYS[:n_days]
    if n_days < holdout_days + 2:
        with pytest.raises(ValueError, match="leave none to learn from"):
            split_days(days, holdout_days)
        return

    split = split_days(days[::-1], holdout_days)

    assert split.train + split.valid + split.holdout == days
    assert len(split.holdout) == holdout_days
    assert split.train
    assert split.valid
    n_before = n_days - holdout_days
    assert 0.1 * n_before - 1 <= len(split.valid) <= 0.15 * n_before + 1


def _features(key: str, row_ids: list[str], distance: list[float]) -> pa.Table:
    stamp = datetime.fromisoformat(key).replace(tzinfo=UTC)
    return pa.table(
        {
            "row_id": row_ids,
            "partition_key": [key] * len(row_ids),
            "event_time": pa.array([stamp] * len(row_ids), pa.timestamp("us", tz="UTC")),
            "distance": distance,
        }
    )


def _labels(folder: Path, key: str, row_ids: list[str], target: list[int | None]) -> None:
    folder.mkdir(exist_ok=True)
    pq.write_table(
        pa.table({"row_id": row_ids, "is_late": pa.array(target, pa.int64())}), folder / f"{key}.parquet"
    )


def test_examples_are_joined_by_row_key_whatever_the_order_of_either_side(tmp_path: Path) -> None:
    first, second = "2013-01-01", "2013-01-02"
    both = pa.concat_tables([_features(second, ["c"], [3.0]), _features(first, ["b", "a"], [2.0, 1.0])])
    write_features(both, tmp_path / "features", partitions=[first, second])
    _labels(tmp_path / "labels", first, ["a", "b"], [0, 1])
    _labels(tmp_path / "labels", second, ["c"], [0])

    found = read_examples(tmp_path / "features", tmp_path / "labels", config=CONFIG, days=[first, second])

    assert found.select(["row_id", "partition_key", "distance", "is_late"]).to_pylist() == [
        {"row_id": "a", "partition_key": first, "distance": 1.0, "is_late": 0.0},
        {"row_id": "b", "partition_key": first, "distance": 2.0, "is_late": 1.0},
        {"row_id": "c", "partition_key": second, "distance": 3.0, "is_late": 0.0},
    ]
    assert found.schema.field("is_late").type == pa.float64()
    assert found.schema.field("event_time").type == pa.timestamp("us", tz="UTC")


def test_events_without_a_known_target_are_left_out(tmp_path: Path) -> None:
    key = "2013-01-01"
    write_features(_features(key, ["a", "b", "c"], [1.0, 2.0, 3.0]), tmp_path / "features", partitions=[key])
    _labels(tmp_path / "labels", key, ["a", "b", "c"], [1, None, 7])

    found = read_examples(tmp_path / "features", tmp_path / "labels", config=CONFIG, days=[key])

    assert found["row_id"].to_pylist() == ["a"]
    assert count_strangers(tmp_path / "labels", CONFIG, [key]) == {"7": 1}


def test_the_same_rows_give_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    key = "2013-01-01"
    write_features(_features(key, ["a", "b"], [1.0, 2.0]), tmp_path / "one", partitions=[key])
    write_features(_features(key, ["b", "a"], [2.0, 1.0]), tmp_path / "two", partitions=[key])

    assert (tmp_path / "one" / f"{key}.parquet").read_bytes() == (
        tmp_path / "two" / f"{key}.parquet"
    ).read_bytes()
