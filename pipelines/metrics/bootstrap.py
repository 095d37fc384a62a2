"""Whether a difference between two models is more than luck: a bootstrap over whole units of rows."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.metrics.quality import Floats, known_rows, pairs_won, row_log_loss


class BootstrapGain(NamedTuple):
    """How much better a challenger is than a champion; positive is better, whatever the metric.

    ``mean``, ``lower`` and ``upper`` are over the resamples, in the metric's unit; ``probability``
    is the share of resamples in which the challenger is strictly better.
    """

    mean: float
    lower: float
    upper: float
    probability: float


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
    target : array-like of float, shape (n,)
        What happened; rows with an unknown target are left out.
    challenger, champion : array-like of float, shape (n,) or (n, K)
        The two predictions, as :func:`~pipelines.metrics.quality.evaluate_predictions` takes them.
    days : array-like of str, shape (n,)
        The partition key of each row, or another unit of rows that belong together.
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
    pairs = [known_rows(truth, guess, task) for guess in (challenger, champion)]
    if not names.size or not all(np.isfinite(guess).all() for _, guess in pairs):
        return BootstrapGain(math.nan, math.nan, math.nan, 0.0)
    draws = np.random.default_rng(seed).multinomial(
        names.size, np.full(names.size, 1 / names.size), size=n_resamples
    )
    measure = _RESAMPLED[task]
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
        wins[:, other] = np.bincount(positive_day, weights=pairs_won(positives, negatives), minlength=n_days)
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


def _resampled_negative_log_loss(
    truth: Floats, guess: Floats, day: npt.NDArray[np.intp], draws: Floats
) -> Floats:
    """Return minus the log loss of each draw of days, shape (n_resamples,), so that greater is better."""
    losses = draws @ np.bincount(day, weights=row_log_loss(truth, guess))
    return np.asarray(-losses / (draws @ np.bincount(day)))


_RESAMPLED = {
    "binary": _resampled_auc,
    "multiclass": _resampled_negative_log_loss,
    "regression": _resampled_negative_rmse,
}
