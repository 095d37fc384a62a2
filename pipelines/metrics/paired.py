"""How two models' predictions of the same rows compare in one stretch of rows, on a scale that adds up.

The difference is looked at on a scale on which it is about normal, and as large for a good pair of models as
for a poor one: the arcsine of the root of an AUC, the log of an error.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.metrics.quality import Floats, known_rows, pairs_won, row_losses

# Of fewer positives or negatives an AUC, and of fewer rows a mean error, is a matter of single rows.
MIN_OF_A_CLASS, MIN_ROWS = 5, 10
# A model without any error has no log of it: one part in 10^12 of the target's variance, or of a nat.
_SMALLEST_SHARE, _SMALLEST_ERROR = 1e-12, 1e-150


class PairedDifference(NamedTuple):
    """How much better the first of two models is in the same rows.

    ``first`` and ``second`` are in units of the primary metric. ``gain``, positive where the first is better,
    is on the scale of differences, and ``variance`` is that which other rows of the same days would give it.
    """

    first: float
    second: float
    gain: float
    variance: float
    n_rows: int


def paired_difference(
    target: npt.ArrayLike, first: npt.ArrayLike, second: npt.ArrayLike, task: str, *, margin: float = 0.0
) -> PairedDifference | None:
    """Compare two models by the primary metric of a task on the same rows.

    Parameters
    ----------
    target : array-like of float, shape (n,)
        What happened; rows with an unknown target are left out.
    first, second : array-like of float, shape (n,) or (n, K)
        The two predictions, as :func:`~pipelines.metrics.quality.evaluate_predictions` takes them.
    task : str
        ``binary``, ``multiclass`` or ``regression``.
    margin : float
        What the first may be worse by and still count as equal, in units of the metric.

    Returns
    -------
    PairedDifference or None
        None where the rows are too few to say: ten, of a binary task five of each class; or where a
        prediction is not finite.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    .. [1] DeLong, DeLong & Clarke-Pearson, Biometrics 44(3), 1988: the variance of a difference of AUCs.
    """
    truth, ours = known_rows(target, first, task)
    _, theirs = known_rows(target, second, task)
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return None
    if task == "binary":
        return _auc_difference(truth, ours, theirs, margin)
    if truth.size < MIN_ROWS:
        return None
    return _error_difference(truth, ours, theirs, task, margin)


def _auc_difference(truth: Floats, ours: Floats, theirs: Floats, margin: float) -> PairedDifference | None:
    is_positive = truth == 1
    n_up, n_down = int(is_positive.sum()), int((~is_positive).sum())
    if min(n_up, n_down) < MIN_OF_A_CLASS:
        return None
    (up_a, down_a), (up_b, down_b) = (_placements(guess, is_positive) for guess in (ours, theirs))
    first, second = float(up_a.mean()), float(up_b.mean())
    least = 0.5 / (n_up * n_down)
    inside_a, inside_b = (min(max(auc, least), 1 - least) for auc in (first, second - margin))
    slope_a, slope_b = (0.5 / math.sqrt(auc * (1 - auc)) for auc in (inside_a, inside_b))
    of_up = float((slope_a * up_a - slope_b * up_b).var(ddof=1)) / n_up
    of_down = float((slope_a * down_a - slope_b * down_b).var(ddof=1)) / n_down
    gain = math.asin(math.sqrt(inside_a)) - math.asin(math.sqrt(inside_b))
    return PairedDifference(first, second, gain, of_up + of_down, truth.size)


def _placements(guess: Floats, is_positive: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return the share of the other class that each positive, and each negative, is on the right side of."""
    ups, downs = guess[is_positive], guess[~is_positive]
    above = pairs_won(ups, np.sort(downs)) / downs.size
    below = 1 - pairs_won(downs, np.sort(ups)) / ups.size
    return above, below


def _error_difference(
    truth: Floats, ours: Floats, theirs: Floats, task: str, margin: float
) -> PairedDifference:
    # The log of a root is half a log, and so is its error.
    power = 0.5 if task == "regression" else 1.0
    a, b = (row_losses(truth, guess, task) for guess in (ours, theirs))
    least = max(_SMALLEST_SHARE * float(truth.var()), _SMALLEST_ERROR)
    mean_a, mean_b = (max(float(loss.mean()), least) for loss in (a, b))
    allowed = mean_b**power + margin
    gain = math.log(allowed) - power * math.log(mean_a)
    # By how much a row of the second model moves the log of what is allowed.
    share = mean_b**power / allowed
    variance = float((power * (share * b / mean_b - a / mean_a)).var(ddof=1)) / truth.size
    return PairedDifference(mean_a**power, mean_b**power, gain, variance, truth.size)
