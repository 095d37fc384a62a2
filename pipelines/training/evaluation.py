"""What a trained model is measured by: its holdout, a naive baseline, and parity with its library."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.bundle.files import MAX_GOLDEN_ROWS, outputs_of, read_bundle
from pipelines.metrics import evaluate_predictions, primary_metric
from pipelines.storage.lake import PARTITION_COLUMN

Floats = npt.NDArray[np.float64]

_CALIBRATION_BINS = 10
_ODD_GOLDEN_ROWS = 8
_UNSEEN = "\N{REPLACEMENT CHARACTER}"


def choose_candidate(measured: Mapping[str, Mapping[str, float]], task: str) -> str:
    """Return the name of the best candidate by the primary metric; the first of equals.

    Parameters
    ----------
    measured : mapping of str to mapping of str to float
        The metrics of each candidate on the validation days. A nan never wins; if all are nan, the
        first candidate is returned.
    """
    metric = primary_metric(task)

    def rank(name: str) -> float:
        value = measured[name][metric.name]
        if math.isnan(value):
            return -math.inf
        return value if metric.greater_is_better else -value

    return max(measured, key=rank)


def baseline_metrics(
    seen: npt.ArrayLike, target: npt.ArrayLike, task: str, *, n_classes: int = 0
) -> dict[str, float]:
    """Measure what knows nothing but the past's mean: the least that a model must beat.

    Parameters
    ----------
    seen : array-like of float, shape (n,)
        The target before the holdout; its mean is the prediction for every row. Of a multiclass task
        it is how often each class came, with one row more for each, so that none has no chance at all.
    target : array-like of float, shape (m,)
        The target of the holdout.
    n_classes : int
        Of a multiclass task.
    """
    happened = np.asarray(target, dtype=np.float64)
    past = np.asarray(seen, dtype=np.float64)
    if task == "multiclass":
        counts = np.bincount(past.astype(np.int64), minlength=n_classes) + 1.0
        return evaluate_predictions(happened, np.tile(counts / counts.sum(), (happened.size, 1)), task)
    guess = float(past.mean()) if past.size else math.nan
    return evaluate_predictions(happened, np.full(happened.shape, guess), task)


def golden_rows(examples: pa.Table, *, numeric: Sequence[str], categorical: Sequence[str]) -> pa.Table:
    """Choose the feature rows whose predictions every scorer must repeat.

    Rows are spread evenly over ``examples``. The last few are changed into what scoring may meet and
    a holdout may lack: in turn, nothing known at all, and categories never seen.

    Returns
    -------
    pyarrow.Table, shape (at most 200, k)
        The feature columns.
    """
    chosen = _spread(examples.num_rows, MAX_GOLDEN_ROWS)
    rows = examples.select([*numeric, *categorical]).take(pa.array(chosen)).combine_chunks()
    n_odd = min(rows.num_rows // 4, _ODD_GOLDEN_ROWS)
    plain, odd = rows.slice(0, rows.num_rows - n_odd), rows.slice(rows.num_rows - n_odd)
    is_blank = pa.array(np.arange(n_odd) % 2 == 0)
    for index, field in enumerate(odd.schema):
        otherwise = pa.repeat(_UNSEEN, n_odd) if field.name in categorical else odd[field.name]
        changed = pc.if_else(is_blank, pa.scalar(None, field.type), otherwise.cast(field.type))
        odd = odd.set_column(index, field, changed)
    return pa.concat_tables([plain, odd]).combine_chunks()


def parity_error(bundle: Path, predict: Callable[[pa.Table], Floats]) -> float:
    """Return the largest difference between a scorer and the training library on the golden rows."""
    read = read_bundle(bundle)
    return float(np.abs(predict(read.golden) - outputs_of(read.golden, read.description)).max())


def sample_reference(seen: pa.Table, holdout: pa.Table, *, n_rows: int) -> pa.Table:
    """Take at most ``n_rows`` rows, as many from each day, spread evenly over the day's rows.

    Parameters
    ----------
    seen, holdout : pyarrow.Table
        The examples that the model was made from, and those that it was measured on.

    Returns
    -------
    pyarrow.Table
        Their columns, and ``is_holdout``.
    """
    is_holdout = np.repeat([False, True], [seen.num_rows, holdout.num_rows])
    both = pa.concat_tables([seen, holdout]).append_column("is_holdout", pa.array(is_holdout))
    both = both.sort_by(PARTITION_COLUMN)  # stable: a day's own order stays
    _, starts, sizes = np.unique(both[PARTITION_COLUMN].to_numpy(), return_index=True, return_counts=True)
    per_day = max(1, n_rows // starts.size)
    chosen = [start + _spread(size, per_day) for start, size in zip(starts, sizes, strict=True)]
    return both.take(pa.array(np.concatenate(chosen)[:n_rows]))


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


def _spread(n: int, at_most: int) -> npt.NDArray[np.int64]:
    """Return at most ``at_most`` of the numbers below ``n``, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, at_most)).astype(np.int64))
