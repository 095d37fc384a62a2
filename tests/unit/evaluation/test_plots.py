"""Plots agree with scikit-learn, and every task writes every file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scored_rows
from pyarrow import csv
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_auc_score

from pipelines.evaluation.holdout import Holdout
from pipelines.evaluation.plots import (
    TITLES,
    by_day_table,
    calibration_table,
    confusion_table,
    precision_recall_table,
    residual_table,
    roc_table,
    write_plots,
)


def _scored(task: str) -> Holdout:
    rows = scored_rows.rows_of(task)
    return scored_rows.holdout_of(rows, scored_rows.model_of(task)(rows), scored_rows.config_of(task))


def test_the_area_under_the_roc_curve_is_the_auc() -> None:
    holdout = _scored("binary")

    curve = roc_table(holdout)

    rates = [curve[name].to_numpy() for name in ("true_positive_rate", "false_positive_rate")]
    assert np.trapezoid(*rates) == pytest.approx(roc_auc_score(holdout.target, holdout.prediction), abs=2e-3)


def test_of_several_classes_the_curve_is_the_mean_of_one_against_the_rest() -> None:
    holdout = _scored("multiclass")

    curve = roc_table(holdout)

    area = np.trapezoid(curve["true_positive_rate"].to_numpy(), curve["false_positive_rate"].to_numpy())
    wanted = roc_auc_score(holdout.target, holdout.prediction, multi_class="ovr", average="macro")
    assert area == pytest.approx(wanted, abs=2e-3)


def test_precision_at_each_recall_is_that_of_the_first_score_that_reaches_it() -> None:
    holdout = _scored("binary")

    found = precision_recall_table(holdout).to_pydict()

    precision, recall, _ = precision_recall_curve(holdout.target, holdout.prediction)
    for point in (0.1, 0.5, 0.9, 1.0):
        reached = np.flatnonzero(recall >= point - 1e-12)[-1]
        place = int(np.argmin(np.abs(np.array(found["recall"]) - point)))
        assert found["precision"][place] == pytest.approx(precision[reached])


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_whoever_guesses_has_the_precision_of_the_share_of_the_class(task: str) -> None:
    holdout = _scored(task)
    chance = precision_recall_table(holdout)["chance"].to_numpy()
    share = holdout.target.mean() if task == "binary" else 1 / len(scored_rows.CLASSES)
    assert chance == pytest.approx(np.full(200, share))


def test_residuals_are_what_happened_less_what_was_said() -> None:
    holdout = _scored("regression")

    found = residual_table(holdout)

    assert found.num_rows == 1_000
    back = found["prediction"].to_numpy() + found["residual"].to_numpy()
    np.testing.assert_allclose(back, holdout.spread(1_000).target)


def test_confusion_names_the_classes() -> None:
    holdout = _scored("multiclass")
    found = confusion_table(holdout)

    rows = holdout.spread(1_000)
    wanted = confusion_matrix(rows.target, rows.prediction.argmax(axis=1))
    counted = confusion_matrix(found["actual"], found["predicted"], labels=list(scored_rows.CLASSES))
    np.testing.assert_array_equal(counted, wanted)


@pytest.mark.parametrize(
    ("task", "empty"),
    [
        pytest.param("binary", {"residuals.csv", "confusion.csv", "importance.csv"}, id="binary"),
        pytest.param("multiclass", {"residuals.csv", "importance.csv"}, id="multiclass"),
        pytest.param(
            "regression",
            {"roc.csv", "precision_recall.csv", "confusion.csv", "importance.csv"},
            id="regression",
        ),
    ],
)
def test_every_task_writes_every_file_and_tells_which_show_something(
    task: str, empty: set[str], tmp_path: Path
) -> None:
    shown = write_plots(_scored(task), None, tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == set(TITLES)
    assert set(shown.values()) == set(TITLES) - empty
    for name in shown.values():
        assert csv.read_csv(tmp_path / name).num_rows


def test_one_class_only_has_no_curve() -> None:
    rows = scored_rows.rows_of("binary", n_days=2)
    rows = rows.set_column(rows.column_names.index("y"), "y", [np.zeros(rows.num_rows)])
    holdout = scored_rows.holdout_of(
        rows, scored_rows.model_of("binary")(rows), scored_rows.config_of("binary")
    )

    assert roc_table(holdout).num_rows == precision_recall_table(holdout).num_rows == 0


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
