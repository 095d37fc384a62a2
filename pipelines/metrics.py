"""How good predictions are, and whether a difference between two models is more than luck.

Pure functions of arrays: training, the gates and the nightly performance all measure with them.
A measure that is not defined is ``nan``, and a ``nan`` never wins a comparison.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_SMALLEST_PROBABILITY = 1e-15


class PrimaryMetric(NamedTuple):
    """The one metric that models of a task are compared by, and its direction."""

    name: str
    greater_is_better: bool


class BootstrapGain(NamedTuple):
    """How much better a challenger is than a champion; positive is better, whatever the metric.

    ``mean``, ``lower`` and ``upper`` are over the resamples, in the metric's unit; ``probability``
    is the share of resamples in which the challenger is strictly better.
    """

    mean: float
    lower: float
    upper: float
    probability: float


def primary_metric(task: str) -> PrimaryMetric:
    """Return what models of a task are compared by: ``auc`` of a binary one, else ``rmse``."""
    return PrimaryMetric("auc", True) if task == "binary" else PrimaryMetric("rmse", False)


def evaluate_predictions(target: npt.ArrayLike, prediction: npt.ArrayLike, task: str) -> dict[str, float]:
    """Measure predictions against what happened.

    Parameters
    ----------
    target : array-like of float, shape (n,)
        What happened: 0 or 1 for a binary task, a number for a regression. Rows whose target is
        not finite (the label is unknown) are left out.
    prediction : array-like of float, shape (n,)
        The probability of 1, or the predicted value.
    task : str
        ``binary`` or ``regression``.

    Returns
    -------
    dict of str to float
        Binary: ``auc``, ``average_precision`` (both nan if only one class occurs), ``log_loss``
        (nats), ``brier``, ``prevalence`` and ``n``. Regression: ``rmse``, ``mae`` (the target's
        unit), ``r2`` (nan for a constant target) and ``n``. With no rows, or with a prediction that
        is not finite (or no probability), every measure of quality is nan.

    Raises
    ------
    ValueError
        If the shapes differ, or a binary target is neither 0 nor 1.

    Examples
    --------
    >>> evaluate_predictions([0, 1, 1], [0.2, 0.1, 0.9], "binary")["auc"]
    0.5
    """
    truth, guess = _known(target, prediction)
    if task != "binary":
        return _regression(truth, guess)
    if not np.isin(truth, (0.0, 1.0)).all():
        raise ValueError("A binary target is 0 or 1 in every row.")
    return _binary(truth, guess)


def paired_day_bootstrap(
    target: npt.ArrayLike,
    challenger: npt.ArrayLike,
    champion: npt.ArrayLike,
    days: npt.ArrayLike,
    task: str,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.9,
) -> BootstrapGain:
    """Resample whole days and compare two models' primary metric on the same rows each time.

    Rows of one day share weather and congestion, so days, not rows, are what is drawn with
    replacement. Both models see the same draw, so that a hard day weighs on both.

    Parameters
    ----------
    target, challenger, champion : array-like of float, shape (n,)
        What happened, and the two predictions; rows with an unknown target are left out.
    days : array-like of str, shape (n,)
        The partition key of each row.
    confidence : float
        The share of resamples between ``lower`` and ``upper``.

    Returns
    -------
    BootstrapGain
        All nan, with probability 0, where a comparison is not defined: no rows, one class only, or
        a prediction that is not finite. A resample without both classes is no win, and is left out
        of mean and bounds.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    .. [1] Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (percentiles).
    """
    truth = np.asarray(target, dtype=np.float64)
    known = np.isfinite(truth)
    labels = np.asarray(days)
    if labels.shape != truth.shape:
        raise ValueError(f"{labels.shape} days do not belong to {truth.shape} targets.")
    names, day = np.unique(labels[known], return_inverse=True)
    pairs = [_known(truth, guess) for guess in (challenger, champion)]
    if not names.size or not all(np.isfinite(guess).all() for _, guess in pairs):
        return BootstrapGain(math.nan, math.nan, math.nan, 0.0)
    draws = np.random.default_rng(seed).multinomial(
        names.size, np.full(names.size, 1 / names.size), size=n_resamples
    )
    measure = _resampled_auc if task == "binary" else _resampled_negative_rmse
    first, second = (measure(truth, guess, day, draws.astype(np.float64)) for truth, guess in pairs)
    return _summarise(first - second, confidence)


def _summarise(gains: Floats, confidence: float) -> BootstrapGain:
    defined = gains[np.isfinite(gains)]
    if not defined.size:
        return BootstrapGain(math.nan, math.nan, math.nan, 0.0)
    tail = (1 - confidence) / 2
    lower, upper = np.quantile(defined, [tail, 1 - tail])
    return BootstrapGain(
        mean=float(defined.mean()),
        lower=float(lower),
        upper=float(upper),
        probability=float((gains > 0).mean()),
    )


def _known(target: npt.ArrayLike, prediction: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return both arrays without the rows whose target is not known."""
    truth = np.asarray(target, dtype=np.float64)
    guess = np.asarray(prediction, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != guess.shape:
        raise ValueError(f"{guess.shape} predictions do not belong to {truth.shape} targets.")
    known = np.isfinite(truth)
    return truth[known], guess[known]


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
    return float(_wins(positives, np.sort(negatives)).mean() / negatives.size)


def _wins(positives: Floats, sorted_negatives: Floats) -> Floats:
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


def _resampled_auc(truth: Floats, guess: Floats, day: npt.NDArray[np.intp], draws: Floats) -> Floats:
    """Return the AUC of each draw of days, shape (n_resamples,).

    The pairs that an AUC counts go by (day of the positive, day of the negative): one matrix of wins
    holds all of them, and a draw that takes day d w[d] times weighs its cells by w[i] * w[j].
    """
    n_days = draws.shape[1]
    is_positive = truth == 1
    positives, positive_day = guess[is_positive], day[is_positive]
    wins = np.zeros((n_days, n_days))
    for other in range(n_days):
        negatives = np.sort(guess[~is_positive & (day == other)])
        wins[:, other] = np.bincount(positive_day, weights=_wins(positives, negatives), minlength=n_days)
    n_positive = draws @ np.bincount(positive_day, minlength=n_days)
    n_negative = draws @ np.bincount(day[~is_positive], minlength=n_days)
    n_pairs = n_positive * n_negative
    won = ((draws @ wins) * draws).sum(axis=1)
    return np.asarray(np.divide(won, n_pairs, out=np.full(won.shape, math.nan), where=n_pairs > 0))


def _resampled_negative_rmse(
    truth: Floats, guess: Floats, day: npt.NDArray[np.intp], draws: Floats
) -> Floats:
    """Return minus the RMSE of each draw of days, shape (n_resamples,), so that greater is better."""
    squared = draws @ np.bincount(day, weights=(guess - truth) ** 2)
    return np.asarray(-np.sqrt(squared / (draws @ np.bincount(day))))
