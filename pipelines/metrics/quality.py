"""How good predictions are, task by task."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_SMALLEST_PROBABILITY = 1e-15
# How far a row's probabilities may be from adding up to one.
_SUM_TOLERANCE = 1e-6
_MULTICLASS_MEASURES = ("log_loss", "accuracy", "balanced_accuracy", "auc", "brier")


class PrimaryMetric(NamedTuple):
    """The one metric that models of a task are compared by, and its direction."""

    name: str
    greater_is_better: bool


_PRIMARY = {
    "binary": PrimaryMetric("auc", greater_is_better=True),
    "multiclass": PrimaryMetric("log_loss", greater_is_better=False),
}


def primary_metric(task: str) -> PrimaryMetric:
    """Return what models of a task are compared by.

    ``auc`` of a binary task, ``log_loss`` of a multiclass one (a proper score, defined whichever classes
    a window holds, and a sum over rows), ``rmse`` of a regression.
    """
    return _PRIMARY.get(task, PrimaryMetric("rmse", greater_is_better=False))


def evaluate_predictions(target: npt.ArrayLike, prediction: npt.ArrayLike, task: str) -> dict[str, float]:
    """Measure predictions against what happened.

    Parameters
    ----------
    target : array-like of float, shape (n,)
        What happened: 0 or 1 for a binary task, the number of the class (0 to K - 1) for a multiclass one,
        a number for a regression. Rows whose target is not finite (the label is unknown) are left out.
    prediction : array-like of float, shape (n,) or (n, K)
        The probability of 1, the probability of each class, or the predicted value.
    task : str
        ``binary``, ``multiclass`` or ``regression``.

    Returns
    -------
    dict of str to float
        Binary: ``auc``, ``average_precision`` (both nan if only one class occurs), ``log_loss``
        (nats), ``brier``, ``prevalence`` and ``n``. Multiclass: ``log_loss`` (nats), ``accuracy``,
        ``balanced_accuracy`` (the mean recall of the classes that occur), ``auc`` (one against the rest,
        the plain mean over the classes that occur; nan if only one does), ``brier`` (summed over the
        classes, 0 to 2) and ``n``. Regression: ``rmse``, ``mae`` (the target's unit), ``r2`` (nan for a
        constant target) and ``n``. With no rows, or with a prediction that is not finite (or no
        probability), every measure of quality is nan.

    Raises
    ------
    ValueError
        If the shapes differ, or a target is none of the classes.

    Examples
    --------
    >>> evaluate_predictions([0, 1, 1], [0.2, 0.1, 0.9], "binary")["auc"]
    0.5
    """
    truth, guess = known_rows(target, prediction, task)
    if task == "regression":
        return _regression(truth, guess)
    if task == "multiclass":
        return _multiclass(truth, guess)
    if not np.isin(truth, (0.0, 1.0)).all():
        raise ValueError("A binary target is 0 or 1 in every row.")
    return _binary(truth, guess)


def known_rows(target: npt.ArrayLike, prediction: npt.ArrayLike, task: str) -> tuple[Floats, Floats]:
    """Return both arrays without the rows whose target is not known; raises as evaluate_predictions."""
    truth = np.asarray(target, dtype=np.float64)
    guess = np.asarray(prediction, dtype=np.float64)
    n_dimensions = 2 if task == "multiclass" else 1
    if truth.ndim != 1 or guess.ndim != n_dimensions or truth.shape != guess.shape[:1]:
        raise ValueError(f"{guess.shape} predictions do not belong to {truth.shape} targets.")
    known = np.isfinite(truth)
    if task == "multiclass" and not np.isin(truth[known], np.arange(guess.shape[1])).all():
        raise ValueError(f"A target is the number of a class, 0 to {guess.shape[1] - 1}, in every row.")
    return truth[known], guess[known]


def row_log_loss(truth: Floats, guess: Floats) -> Floats:
    """Return minus the log of the probability that each row's own class was given, in nats, shape (n,)."""
    given = guess[np.arange(truth.size), truth.astype(np.int64)]
    return np.asarray(-np.log(np.clip(given, _SMALLEST_PROBABILITY, 1.0)), dtype=np.float64)


def row_losses(truth: Floats, guess: Floats, task: str) -> Floats:
    """Return each row's own loss, shape (n,): the log loss in nats, or the squared error of a regression.

    Parameters
    ----------
    truth, guess : ndarray of float64, shape (n,), and (n,) or (n, K)
        Known targets, and predictions.
    """
    if task == "regression":
        return (guess - truth) ** 2
    if task == "multiclass":
        return row_log_loss(truth, guess)
    return row_log_loss(truth, np.column_stack([1 - guess, guess]))


def _multiclass(truth: Floats, guess: Floats) -> dict[str, float]:
    n, n_classes = guess.shape
    # The comparisons are also false for nan.
    is_chance = (guess >= 0) & (guess <= 1)
    if not n or not is_chance.all() or not (np.abs(guess.sum(axis=1) - 1) <= _SUM_TOLERANCE).all():
        return dict.fromkeys(_MULTICLASS_MEASURES, math.nan) | {"n": float(n)}
    is_right = guess.argmax(axis=1) == truth
    occurs = np.unique(truth)
    happened = truth[:, None] == np.arange(n_classes)
    aucs = [_auc(happened[:, k].astype(np.float64), guess[:, k]) for k in occurs.astype(np.int64)]
    return {
        "log_loss": float(row_log_loss(truth, guess).mean()),
        "accuracy": float(is_right.mean()),
        "balanced_accuracy": float(np.mean([is_right[truth == k].mean() for k in occurs])),
        "auc": float(np.mean(aucs)),
        "brier": float(((guess - happened) ** 2).sum(axis=1).mean()),
        "n": float(n),
    }


def _binary(truth: Floats, guess: Floats) -> dict[str, float]:
    n = truth.size
    prevalence = float(truth.mean()) if n else math.nan
    sizes = {"prevalence": prevalence, "n": float(n)}
    # The comparison is also false for nan.
    if not n or not ((guess >= 0) & (guess <= 1)).all():
        return dict.fromkeys(("auc", "average_precision", "log_loss", "brier"), math.nan) | sizes
    clipped = np.clip(guess, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    return {
        "auc": _auc(truth, guess),
        "average_precision": _average_precision(truth, guess),
        "log_loss": float(-(truth * np.log(clipped) + (1 - truth) * np.log1p(-clipped)).mean()),
        "brier": float(((guess - truth) ** 2).mean()),
        **sizes,
    }


def _regression(truth: Floats, guess: Floats) -> dict[str, float]:
    if not truth.size or not np.isfinite(guess).all():
        return dict.fromkeys(("rmse", "mae", "r2"), math.nan) | {"n": float(truth.size)}
    error = guess - truth
    spread = float(((truth - truth.mean()) ** 2).sum())
    return {
        "rmse": float(np.sqrt((error**2).mean())),
        "mae": float(np.abs(error).mean()),
        "r2": 1 - float((error**2).sum()) / spread if spread > 0 else math.nan,
        "n": float(truth.size),
    }


def _auc(truth: Floats, guess: Floats) -> float:
    positives, negatives = guess[truth == 1], guess[truth == 0]
    if not positives.size or not negatives.size:
        return math.nan
    return float(pairs_won(positives, np.sort(negatives)).mean() / negatives.size)


def pairs_won(positives: Floats, sorted_negatives: Floats) -> Floats:
    """Return, for each positive, how many negatives it is above; a tie is half a win."""
    below = np.searchsorted(sorted_negatives, positives, side="left")
    not_above = np.searchsorted(sorted_negatives, positives, side="right")
    return np.asarray((below + not_above) / 2, dtype=np.float64)


def _average_precision(truth: Floats, guess: Floats) -> float:
    if not 0 < truth.sum() < truth.size:
        return math.nan
    order = np.argsort(-guess, kind="stable")
    hits = np.cumsum(truth[order])
    # Rows of one score enter together: precision is taken at the last row of each score.
    last = np.append(np.flatnonzero(np.diff(guess[order])), truth.size - 1)
    precision = hits[last] / (last + 1)
    recall = hits[last] / hits[-1]
    return float((np.diff(recall, prepend=0.0) * precision).sum())
