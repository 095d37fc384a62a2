"""What a metric is expected to be where only the chances of labels are known, and how much luck is in it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pipelines.metrics.quality import Floats

_SMALLEST_PROBABILITY = 1e-15


class Expected(NamedTuple):
    """The expectation of a metric over what the labels may turn out to be, and its sampling variance."""

    value: float
    variance: float


def expected_auc(prediction: Floats, chance: Floats) -> Expected:
    """Return the AUC to expect, nan where one class is all that is expected.

    Each pair of rows counts with the chance that the first is a positive and the second a negative. The
    variance is that of labels drawn by their chances, to first order.

    Parameters
    ----------
    prediction : ndarray of float64, shape (n,)
        What the rows are ranked by.
    chance : ndarray of float64, shape (n,)
        The calibrated probability that a row is a positive.

    References
    ----------
    .. [1] Guillory et al., Predicting with Confidence on Unseen Distributions, ICCV 2021.
    """
    _, rank = np.unique(prediction, return_inverse=True)
    positive, negative = np.bincount(rank, chance), np.bincount(rank, 1 - chance)
    n_positive, n_negative = float(chance.sum()), float((1 - chance).sum())
    # A row is no pair with itself.
    alone = float((chance * (1 - chance)).sum())
    n_pairs = n_positive * n_negative - alone
    if min(n_positive, n_negative) < 1 or n_pairs <= 0:
        return Expected(math.nan, math.nan)
    below = (np.cumsum(negative) - negative / 2)[rank]
    above = (n_positive - np.cumsum(positive) + positive / 2)[rank]
    value = float(((chance * below).sum() - alone / 2) / n_pairs)
    slope = (below - above) / n_pairs - value * (1 / n_positive - 1 / n_negative)
    return Expected(value, float((chance * (1 - chance) * slope**2).sum()))


def expected_log_loss(prediction: Floats, chance: Floats) -> Expected:
    """Return the log loss to expect of a model's probabilities, shape (n, K), in nats."""
    losses = -np.log(np.clip(prediction, _SMALLEST_PROBABILITY, 1.0))
    expected = (chance * losses).sum(axis=1)
    spread = (chance * losses**2).sum(axis=1) - expected**2
    return Expected(float(expected.mean()), float(spread.sum() / expected.size**2))


def expected_rmse(squared_error: Floats, relative_variance: float) -> Expected:
    """Return the RMSE to expect.

    Parameters
    ----------
    squared_error : ndarray of float64, shape (n,)
        What each row's is expected to be, above 0.
    relative_variance : float
        The variance of a row's squared error, as a multiple of its expectation squared (2 for normal errors).
    """
    mean = float(squared_error.mean())
    value = math.sqrt(mean)
    spread = relative_variance * float((squared_error**2).sum()) / squared_error.size**2
    return Expected(value, spread / (4 * mean))
