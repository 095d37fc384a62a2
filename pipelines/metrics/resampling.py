"""A metric of any draw of days, from totals by day: what every bootstrap over days reckons with.

Rows of one day share weather, prices and congestion, so days, not rows, are what is drawn. A draw is how
often each day was taken; totals by day are all that is needed of the rows.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipelines.metrics.quality import Floats, pairs_won, row_losses


class MetricOfDraws(Protocol):
    """One model's primary metric on the rows of the days drawn; greater is better, always."""

    def values(self, draws: Floats) -> Floats:
        """Return the metric of each draw; nan where it is not defined.

        Parameters
        ----------
        draws : ndarray of float64, shape (n_draws, n_days)
            How often each day was taken.

        Returns
        -------
        ndarray of float64, shape (n_draws,)
        """
        ...

    def influences(self, draws: Floats) -> Floats:
        """Return how the metric of each draw changes with the weight of each day, shape as ``draws``."""
        ...


def metric_of_draws(
    truth: Floats, guess: Floats, day: npt.NDArray[np.intp], n_days: int, task: str
) -> MetricOfDraws:
    """Return the primary metric of a task as a function of days drawn; minus it, where less is better.

    Parameters
    ----------
    truth, guess : ndarray of float64, shape (n,), and (n,) or (n, K)
        Known targets, and finite predictions.
    day : ndarray of int, shape (n,)
        The number of each row's day, below ``n_days``.
    """
    if task == "binary":
        return _PairsWon(truth, guess, day, n_days)
    return _MeanLoss(row_losses(truth, guess, task), day, n_days, is_rooted=task == "regression")


def draw_days(n_days: int, n_draws: int, seed: int) -> Floats:
    """Return draws of as many days as there are, with replacement, shape (n_draws, n_days)."""
    even = np.full(n_days, 1 / n_days)
    return np.random.default_rng(seed).multinomial(n_days, even, size=n_draws).astype(np.float64)


class _PairsWon:
    """The AUC. The pairs that it counts go by (day of the positive, day of the negative).

    One matrix of wins holds all of them, and a draw that takes day d w[d] times weighs its cells by
    w[i] * w[j].
    """

    def __init__(self, truth: Floats, guess: Floats, day: npt.NDArray[np.intp], n_days: int) -> None:
        is_positive = truth == 1
        positives, positive_day = guess[is_positive], day[is_positive]
        self._wins = np.zeros((n_days, n_days))
        for other in range(n_days):
            negatives = np.sort(guess[~is_positive & (day == other)])
            won = pairs_won(positives, negatives)
            self._wins[:, other] = np.bincount(positive_day, weights=won, minlength=n_days)
        self._positives = np.bincount(positive_day, minlength=n_days).astype(np.float64)
        self._negatives = np.bincount(day[~is_positive], minlength=n_days).astype(np.float64)

    def values(self, draws: Floats) -> Floats:
        won = ((draws @ self._wins) * draws).sum(axis=1)
        return _ratio(won, (draws @ self._positives) * (draws @ self._negatives))

    def influences(self, draws: Floats) -> Floats:
        positives, negatives = (draws @ n for n in (self._positives, self._negatives))
        touched = draws @ self._wins + draws @ self._wins.T
        share = self._positives / positives[:, None] + self._negatives / negatives[:, None]
        return np.asarray(touched / (positives * negatives)[:, None] - self.values(draws)[:, None] * share)


class _MeanLoss:
    """Minus the mean of a row's loss, or minus its root."""

    def __init__(self, losses: Floats, day: npt.NDArray[np.intp], n_days: int, *, is_rooted: bool) -> None:
        self._losses = np.bincount(day, weights=losses, minlength=n_days)
        self._rows = np.bincount(day, minlength=n_days).astype(np.float64)
        self._is_rooted = is_rooted

    def values(self, draws: Floats) -> Floats:
        mean = _ratio(draws @ self._losses, draws @ self._rows)
        return -np.sqrt(mean) if self._is_rooted else -mean

    def influences(self, draws: Floats) -> Floats:
        n_rows = draws @ self._rows
        values = self.values(draws)
        mean = values**2 if self._is_rooted else -values
        slopes = (self._losses - mean[:, None] * self._rows) / n_rows[:, None]
        if not self._is_rooted:
            return np.asarray(-slopes)
        return np.asarray(
            np.divide(slopes, 2 * values[:, None], out=np.zeros_like(slopes), where=slopes != 0)
        )


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    undefined = np.full(numerator.shape, np.nan)
    return np.asarray(np.divide(numerator, denominator, out=undefined, where=denominator > 0))
