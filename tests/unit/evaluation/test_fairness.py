"""Gaps between the groups of a protected column."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import scored_rows

from pipelines.evaluation.fairness import fairness_gaps
from pipelines.evaluation.holdout import Holdout
from pipelines.records import FairnessGap


def _gaps(holdout: Holdout, *columns: str, threshold: float = 0.5) -> dict[str, FairnessGap]:
    found, _ = fairness_gaps(holdout, columns, threshold=threshold)
    return {gap.measure: gap for gap in found}


def _scored(task: str) -> Holdout:
    rows = scored_rows.rows_of(task)
    return scored_rows.holdout_of(rows, scored_rows.model_of(task)(rows), scored_rows.config_of(task))


def test_a_group_that_is_selected_less_often_than_it_should_be_is_named() -> None:
    plain = _scored("binary")
    is_south = np.asarray(plain.rows["site"].to_numpy(zero_copy_only=False)) == "south"
    guess = np.where(is_south, plain.prediction * 0.6, plain.prediction)
    holdout = scored_rows.holdout_of(plain.rows, guess, plain.config)

    gaps = _gaps(holdout, "site")

    assert set(gaps) == {"auc", "bias", "selection_rate", "true_positive_rate", "false_positive_rate"}
    for measure in ("bias", "selection_rate", "true_positive_rate"):
        assert (gaps[measure].lowest_level, gaps[measure].highest_level) == ("south", "north")
        assert gaps[measure].gap.lower is not None
        assert gaps[measure].gap.lower > 0.05
    selected = (guess >= 0.5)[is_south].mean()
    assert gaps["selection_rate"].lowest == pytest.approx(selected)
    assert gaps["selection_rate"].threshold == 0.5


def test_groups_that_are_treated_alike_have_gaps_that_luck_explains() -> None:
    gaps = _gaps(_scored("binary"), "site")

    assert all(gap.gap.lower is not None and gap.gap.lower < 0.03 for gap in gaps.values())


@pytest.mark.parametrize(
    ("task", "measures"),
    [
        pytest.param("multiclass", {"log_loss", "bias", "accuracy"}, id="multiclass"),
        pytest.param("regression", {"rmse", "bias"}, id="regression"),
    ],
)
def test_other_tasks_have_measures_of_their_own(task: str, measures: set[str]) -> None:
    gaps = _gaps(_scored(task), "site")

    assert set(gaps) == measures
    assert {gap.threshold for gap in gaps.values()} == {None}


def test_levels_that_are_too_rare_or_too_many_to_be_measured_are_counted() -> None:
    rows = scored_rows.rows_of("binary")
    n = rows.num_rows
    # Two common levels, one with 60 rows of which none happened, one with 40 rows, and a null.
    levels = np.where(np.arange(n) % 2 == 0, "a", "b").astype(object)
    never = np.flatnonzero(rows["y"].to_numpy() == 0)[:60]
    levels[never] = "never"
    levels[np.setdiff1d(np.arange(n), never)[:40]] = "rare"
    levels[-1] = None
    many = [f"level {place % 24}" for place in range(n)]
    rows = rows.append_column("level", pa.array(levels, pa.string())).append_column("many", pa.array(many))
    holdout = scored_rows.holdout_of(
        rows, scored_rows.model_of("binary")(rows), scored_rows.config_of("binary")
    )

    gaps, many_gaps = _gaps(holdout, "level"), _gaps(holdout, "many")

    assert (gaps["selection_rate"].n_levels, gaps["selection_rate"].n_left_out) == (3, 2)
    assert (gaps["true_positive_rate"].n_levels, gaps["true_positive_rate"].n_left_out) == (2, 3)
    assert (gaps["auc"].n_levels, gaps["auc"].n_left_out) == (2, 3)
    assert (many_gaps["bias"].n_levels, many_gaps["bias"].n_left_out) == (20, 4)
    assert _gaps(holdout, "site")["bias"].n_left_out == _gaps(holdout, "z")["bias"].n_left_out == 0


def test_a_column_with_one_group_or_none_is_told() -> None:
    rows = scored_rows.rows_of("binary")
    rows = rows.append_column("lonely", pa.repeat("only", rows.num_rows))
    holdout = scored_rows.holdout_of(
        rows, scored_rows.model_of("binary")(rows), scored_rows.config_of("binary")
    )

    found, problems = fairness_gaps(holdout, ("lonely", "nowhere"), threshold=0.5)

    assert found == ()
    assert "fewer than two" in problems["lonely"]
    assert "no column nowhere" in problems["nowhere"]
