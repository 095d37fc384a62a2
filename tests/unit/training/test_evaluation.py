"""Choosing a candidate, and golden rows."""

from __future__ import annotations

import math

import pytest
from days_of_examples import days_of_examples

from pipelines.training.evaluation import choose_candidate, golden_rows


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


def test_golden_rows_are_spread_over_the_holdout_and_end_with_what_was_never_seen() -> None:
    examples = days_of_examples("2013-05-01", "2013-05-14")

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
    examples = days_of_examples("2013-05-01", "2013-05-01", rows_a_day=2)

    golden = golden_rows(examples, numeric=["distance"], categorical=[])

    assert golden["distance"].to_pylist() == [0.0, 1.0]
