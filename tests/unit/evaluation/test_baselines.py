"""Naive baselines say what was known, and nothing that was not."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
import scored_rows

from pipelines.config import DatasetConfig
from pipelines.evaluation.baselines import NaivePrediction, baseline_metrics, naive_predictions


def _table(days: list[str], machines: list[str], y: list[float | None]) -> pa.Table:
    return pa.table({"partition_key": days, "machine": machines, "y": pa.array(y, pa.float64())})


def _by_kind(found: list[NaivePrediction]) -> dict[str, NaivePrediction]:
    return {naive.kind: naive for naive in found}


def _regression(**changes: object) -> DatasetConfig:
    return scored_rows.config_of("regression", **changes)


SEEN = _table(
    ["2024-03-01", "2024-03-01", "2024-03-02", "2024-03-02"], ["a", "b", "a", "b"], [10.0, 20.0, 30.0, None]
)
HELD = _table(
    ["2024-03-03", "2024-03-03", "2024-03-04", "2024-03-04"], ["a", "b", "b", "new"], [1.0, 2.0, 3.0, 4.0]
)


def test_as_last_time_is_what_the_group_had_on_its_last_known_day() -> None:
    found = _by_kind(naive_predictions(SEEN, HELD, _regression()))

    assert found["prior"].prediction.tolist() == [20.0] * 4
    assert found["last_day"].prediction.tolist() == [30.0, 30.0, 1.5, 1.5]
    # b: 20 two days before, for the day before has no label; then 2. Nothing is known of a new machine.
    assert found["same_group_last_time"].prediction.tolist() == [30.0, 20.0, 2.0, 1.5]
    assert found["same_group_last_time"].coverage == 0.75
    assert "machine" in found["same_group_last_time"].what


def test_labels_that_come_late_are_not_used_before_they_are_known() -> None:
    found = _by_kind(naive_predictions(SEEN, HELD, _regression(label_delay_days=2)))

    assert found["last_day"].prediction.tolist() == [15.0, 15.0, 30.0, 30.0]
    assert found["same_group_last_time"].prediction.tolist() == [10.0, 20.0, 20.0, 30.0]


@pytest.mark.parametrize("delay", [1, 3])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_what_happens_later_changes_nothing_that_is_said_before(task: str, delay: int) -> None:
    rows = scored_rows.rows_of(task, n_days=12, rows_a_day=20)
    config = scored_rows.config_of(task, label_delay_days=delay)
    seen, held = rows.slice(0, 160), rows.slice(160)
    turned = 1 - held["y"].to_numpy() if task == "binary" else held["y"].to_numpy()[::-1].copy()
    turned[:40] = held["y"].to_numpy()[:40]  # the first two days stay

    before = naive_predictions(seen, held, config)
    after = naive_predictions(
        seen, held.set_column(held.column_names.index("y"), "y", pa.array(turned)), config
    )

    for first, second in zip(before, after, strict=True):
        until = 20 * (2 + delay)
        np.testing.assert_array_equal(first.prediction[:until], second.prediction[:until])
        if first.kind != "prior" and until < 80:
            assert (first.prediction[until:] != second.prediction[until:]).any()


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_probabilities_of_classes_stay_within_their_bounds_and_add_up(task: str) -> None:
    rows = scored_rows.rows_of(task, n_days=6, rows_a_day=30)

    for naive in naive_predictions(rows.slice(0, 120), rows.slice(120), scored_rows.config_of(task)):
        assert (naive.prediction > 0).all()
        assert (naive.prediction < 1).all()
        if task == "multiclass":
            np.testing.assert_allclose(naive.prediction.sum(axis=1), 1.0)


def test_the_same_time_of_day_tells_groups_apart() -> None:
    def hours(day: int) -> pa.Table:
        stamps = [datetime(2024, 3, day, hour, tzinfo=UTC) for hour in (6, 12)]
        return pa.table(
            {
                "partition_key": [f"2024-03-0{day}"] * 2,
                "event_time": pa.array(stamps, pa.timestamp("us", tz="UTC")),
                "y": [float(day), day * 100.0],
            }
        )

    found = _by_kind(naive_predictions(pa.concat_tables([hours(1), hours(2)]), hours(3), _regression()))

    assert found["same_group_last_time"].prediction.tolist() == [2.0, 200.0]
    assert "time of day" in found["same_group_last_time"].what


def test_a_table_that_is_split_by_rows_has_no_last_time() -> None:
    config = _regression(training={"split": "rows"})

    assert [naive.kind for naive in naive_predictions(SEEN, HELD, config)] == ["prior"]


def test_a_group_that_never_came_before_is_no_baseline() -> None:
    held = _table(["2024-03-03"] * 3, ["p", "q", "r"], [1.0, 2.0, 3.0])

    assert "same_group_last_time" not in _by_kind(naive_predictions(SEEN, held, _regression()))


def test_baseline_predicts_the_mean_of_the_past() -> None:
    binary = baseline_metrics([0, 0, 0, 1], [0, 1], "binary")
    regression = baseline_metrics([10.0, 20.0], [15.0, 17.0], "regression")

    assert binary["auc"] == 0.5
    assert binary["brier"] == pytest.approx((0.25**2 + 0.75**2) / 2)
    assert regression["mae"] == pytest.approx(1.0)
