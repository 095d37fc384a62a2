"""Choosing a candidate, golden rows, the reference sample and what is plotted."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipelines.records import partition_range
from pipelines.training.evaluation import (
    baseline_metrics,
    by_day_table,
    calibration_table,
    choose_candidate,
    golden_rows,
    sample_reference,
)


def _examples(first: str, last: str, rows_a_day: int = 30) -> pa.Table:
    days = [key for key in partition_range(first, last) for _ in range(rows_a_day)]
    n = len(days)
    return pa.table(
        {
            "row_id": [f"{key}|{row}" for row, key in enumerate(days)],
            "partition_key": days,
            "distance": np.arange(n, dtype=float),
            "carrier": ["UA", "AA"] * (n // 2),
            "is_late": np.arange(n) % 3 == 0,
        }
    )


@pytest.mark.parametrize(
    ("task", "measured", "chosen"),
    [
        pytest.param("binary", {"a": {"auc": 0.7}, "b": {"auc": 0.8}}, "b", id="greater-auc"),
        pytest.param("regression", {"a": {"rmse": 3.0}, "b": {"rmse": 4.0}}, "a", id="smaller-error"),
        pytest.param("binary", {"a": {"auc": 0.7}, "b": {"auc": 0.7}}, "a", id="first-of-equals"),
        pytest.param("binary", {"a": {"auc": math.nan}, "b": {"auc": 0.4}}, "b", id="nan-never-wins"),
        pytest.param("binary", {"a": {"auc": 0.4}, "b": {"auc": math.nan}}, "a", id="nan-never-wins-later"),
        pytest.param("regression", {"a": {"rmse": math.nan}, "b": {"rmse": 9.0}}, "b", id="nan-error"),
        pytest.param("binary", {"a": {"auc": math.nan}, "b": {"auc": math.nan}}, "a", id="all-nan"),
    ],
)
def test_best_candidate_by_the_primary_metric(
    task: str, measured: dict[str, dict[str, float]], chosen: str
) -> None:
    assert choose_candidate(measured, task) == chosen


def test_baseline_predicts_the_mean_of_the_past() -> None:
    binary = baseline_metrics([0, 0, 0, 1], [0, 1], "binary")
    regression = baseline_metrics([10.0, 20.0], [15.0, 17.0], "regression")

    assert binary["auc"] == 0.5
    assert binary["brier"] == pytest.approx((0.25**2 + 0.75**2) / 2)
    assert regression["mae"] == pytest.approx(1.0)


def test_golden_rows_are_spread_over_the_holdout_and_end_with_what_was_never_seen() -> None:
    examples = _examples("2013-05-01", "2013-05-14")

    golden = golden_rows(examples, numeric=["distance"], categorical=["carrier"])

    assert golden.column_names == ["distance", "carrier"]
    assert golden.num_rows == 200
    plain, odd = golden.slice(0, 192).to_pylist(), golden.slice(192).to_pylist()
    assert plain[0]["distance"] == 0.0
    assert all(row["carrier"] in ("UA", "AA") for row in plain)
    assert odd[0] == {"distance": None, "carrier": None}
    assert odd[1]["distance"] is not None
    assert odd[1]["carrier"] not in ("UA", "AA", None)


def test_golden_rows_of_a_tiny_holdout_are_its_rows() -> None:
    examples = _examples("2013-05-01", "2013-05-01", rows_a_day=2)

    golden = golden_rows(examples, numeric=["distance"], categorical=[])

    assert golden["distance"].to_pylist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("n_rows", "per_day"),
    [pytest.param(100, 5, id="sampled"), pytest.param(20_000, 30, id="all-of-them")],
)
def test_reference_takes_as_many_rows_from_each_day(n_rows: int, per_day: int) -> None:
    seen, holdout = _examples("2013-05-01", "2013-05-15"), _examples("2013-05-16", "2013-05-20")

    reference = sample_reference(seen, holdout, n_rows=n_rows)

    counts = pc.value_counts(reference["partition_key"]).to_pylist()
    assert {count["counts"] for count in counts} == {per_day}
    assert len(counts) == 20
    held_out = set(reference.filter(reference["is_holdout"])["partition_key"].to_pylist())
    assert held_out == set(partition_range("2013-05-16", "2013-05-20"))
    assert pc.count_distinct(reference["row_id"]).as_py() == reference.num_rows


def test_reference_keeps_its_bound_with_more_days_than_rows() -> None:
    seen, holdout = _examples("2013-01-01", "2013-04-30", 4), _examples("2013-05-01", "2013-05-02", 4)

    assert sample_reference(seen, holdout, n_rows=100).num_rows == 100


def test_calibration_compares_bins_of_equally_many_rows() -> None:
    guess = np.linspace(0, 1, 100)
    target = (guess > 0.5).astype(float)

    table = calibration_table(target, guess)

    assert table["n"].to_pylist() == [10] * 10
    assert table["mean_target"].to_pylist() == [0.0] * 5 + [1.0] * 5
    assert table["mean_prediction"].to_pylist() == sorted(table["mean_prediction"].to_pylist())


def test_by_day_measures_each_day_on_its_own() -> None:
    days = ["2013-05-02", "2013-05-01", "2013-05-01", "2013-05-02"]

    table = by_day_table(days, [0, 0, 1, 1], [0.9, 0.1, 0.9, 0.1], "binary")

    assert table.to_pylist() == [
        {"partition_key": "2013-05-01", "auc": 1.0, "n": 2},
        {"partition_key": "2013-05-02", "auc": 0.0, "n": 2},
    ]
