"""The plots that people expect of a model, as tables that ``dvc plots`` draws and MLflow keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.evaluation.holdout import Floats, Holdout
from pipelines.metrics import evaluate_predictions, primary_metric
from pipelines.records import Importance
from pipelines.storage.lake import PARTITION_COLUMN

_CALIBRATION_BINS = 10
_MAX_POINTS, _MAX_ROWS = 200, 1_000
# What each file shows; every training writes all of them, for dvc.yaml names them all. One that a task has
# no use for has its header alone.
TITLES = {
    "roc.csv": "ROC curve",
    "precision_recall.csv": "Precision and recall",
    "calibration.csv": "Calibration",
    "residuals.csv": "Residuals",
    "confusion.csv": "Confusion of classes",
    "by_day.csv": "By day",
    "importance.csv": "Importance",
}


def write_plots(holdout: Holdout, importance: Importance | None, folder: Path) -> dict[str, str]:
    """Write one CSV file a plot.

    Returns
    -------
    dict of str to str
        Title to file name, of those that have something to show.
    """
    from pyarrow import csv

    days = holdout.rows[PARTITION_COLUMN].to_numpy(zero_copy_only=False)
    tables = {
        "roc.csv": roc_table(holdout),
        "precision_recall.csv": precision_recall_table(holdout),
        "calibration.csv": calibration_table(holdout.target, holdout.prediction),
        "residuals.csv": residual_table(holdout),
        "confusion.csv": confusion_table(holdout),
        "by_day.csv": by_day_table(days, holdout.target, holdout.prediction, holdout.task),
        "importance.csv": _importance_table(importance),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        csv.write_csv(table, folder / name)
    return {TITLES[name]: name for name, table in tables.items() if table.num_rows}


def roc_table(holdout: Holdout) -> pa.Table:
    """Return the ROC curve, shape (at most 201, 2); of classes the mean of those of one against the rest.

    Empty for a regression, and where one class only occurs.
    """
    grid = np.linspace(0, 1, _MAX_POINTS + 1)
    curves = [np.interp(grid, *_roc(happened, score)) for happened, score in _one_against_rest(holdout)]
    rates = np.mean(curves, axis=0) if curves else np.empty(0)
    return pa.table({"false_positive_rate": grid[: rates.size], "true_positive_rate": rates})


def precision_recall_table(holdout: Holdout) -> pa.Table:
    """Return precision by recall, shape (at most 200, 3); of classes, and empty, as :func:`roc_table`.

    ``chance`` is the precision of whoever guesses: how often the class comes, whatever the recall.
    """
    grid = np.linspace(1 / _MAX_POINTS, 1, _MAX_POINTS)
    pairs = _one_against_rest(holdout)
    precision = np.mean([_precision_at(grid, *pair) for pair in pairs], axis=0) if pairs else np.empty(0)
    chance = np.full(precision.size, np.mean([happened.mean() for happened, _ in pairs]) if pairs else 0.0)
    return pa.table({"recall": grid[: precision.size], "precision": precision, "chance": chance})


def residual_table(holdout: Holdout) -> pa.Table:
    """Return prediction and residual (target less prediction) of at most 1,000 rows of a regression."""
    if holdout.task != "regression":
        empty = pa.array([], pa.float64())
        return pa.table({"prediction": empty, "residual": empty})
    rows = holdout.spread(_MAX_ROWS)
    return pa.table({"prediction": rows.prediction, "residual": rows.target - rows.prediction})


def confusion_table(holdout: Holdout) -> pa.Table:
    """Return the class and the likeliest class of at most 1,000 rows of a multiclass task."""
    if holdout.task != "multiclass":
        empty = pa.array([], pa.string())
        return pa.table({"actual": empty, "predicted": empty})
    rows = holdout.spread(_MAX_ROWS)
    names = pa.array(holdout.config.classes, pa.string())
    return pa.table(
        {
            "actual": names.take(pa.array(rows.target.astype(np.int64))),
            "predicted": names.take(pa.array(rows.prediction.argmax(axis=1))),
        }
    )


def calibration_table(target: npt.ArrayLike, prediction: npt.ArrayLike) -> pa.Table:
    """Compare predictions with what happened, in ten bins of equally many rows.

    Of a multiclass task (predictions of shape (n, K)) it is the chance of the likeliest class that is
    compared with how often that class came.

    Returns
    -------
    pyarrow.Table, shape (at most 10, 3)
        ``mean_prediction``, ``mean_target`` and ``n``, by growing prediction.
    """
    happened = np.asarray(target, dtype=np.float64)
    guess = np.asarray(prediction, dtype=np.float64)
    if guess.ndim == 2:
        happened, guess = (guess.argmax(axis=1) == happened).astype(np.float64), guess.max(axis=1)
    bins = [rows for rows in np.array_split(np.argsort(guess, kind="stable"), _CALIBRATION_BINS) if rows.size]
    return pa.table(
        {
            "mean_prediction": [float(guess[rows].mean()) for rows in bins],
            "mean_target": [float(happened[rows].mean()) for rows in bins],
            "n": [int(rows.size) for rows in bins],
        }
    )


def by_day_table(
    days: npt.ArrayLike, target: npt.ArrayLike, prediction: npt.ArrayLike, task: str
) -> pa.Table:
    """Measure each day on its own.

    Returns
    -------
    pyarrow.Table, shape (n_days, 3)
        ``partition_key``, the primary metric by its name, and ``n``.
    """
    labels = np.asarray(days)
    happened = np.asarray(target, dtype=np.float64)
    guess = np.asarray(prediction, dtype=np.float64)
    name = primary_metric(task).name
    keys = np.unique(labels)
    measured = [evaluate_predictions(happened[labels == key], guess[labels == key], task) for key in keys]
    return pa.table(
        {
            PARTITION_COLUMN: [str(key) for key in keys],
            name: [metrics[name] for metrics in measured],
            "n": [int(metrics["n"]) for metrics in measured],
        }
    )


def _importance_table(importance: Importance | None) -> pa.Table:
    features = importance.features if importance else ()
    return pa.table(
        {
            "share": pa.array([feature.share for feature in features], pa.float64()),
            "feature": pa.array([feature.column for feature in features], pa.string()),
        }
    )


def _one_against_rest(holdout: Holdout) -> list[tuple[npt.NDArray[np.bool_], Floats]]:
    """Return what happened and its score, for each class that some rows have and some have not."""
    if holdout.task == "regression":
        return []
    if holdout.task == "binary":
        pairs = [(holdout.target == 1, holdout.prediction)]
    else:
        scores = holdout.prediction.T
        pairs = [(holdout.target == number, score) for number, score in enumerate(scores)]
    return [(happened, score) for happened, score in pairs if 0 < happened.sum() < happened.size]


def _roc(happened: npt.NDArray[np.bool_], score: Floats) -> tuple[Floats, Floats]:
    """Return the false and the true positive rates at each score; rows of one score enter together."""
    hits, misses = _entered(happened, score)
    return np.append(0.0, misses / misses[-1]), np.append(0.0, hits / hits[-1])


def _precision_at(recall: Floats, happened: npt.NDArray[np.bool_], score: Floats) -> Floats:
    hits, misses = _entered(happened, score)
    place = np.searchsorted(hits / hits[-1], recall - 1e-12)
    return np.asarray((hits / (hits + misses))[place])


def _entered(happened: npt.NDArray[np.bool_], score: Floats) -> tuple[Floats, Floats]:
    """Return how many rows of either kind have each score or a higher one, the highest first."""
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), order.size - 1)
    hits = np.cumsum(happened[order])[last].astype(np.float64)
    return hits, last + 1.0 - hits
