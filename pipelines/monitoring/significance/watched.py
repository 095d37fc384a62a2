"""What of a column is watched: numbers that add up over days, each a mean over the rows.

Of numbers: which share lies above each of 13 quantiles of the reference, the mean of the normal scores
(which no outlier can move far) and, where the reference is no stranger to normal, the plain mean. Of
categories: the share of each level, and of all rare ones together. Of nulls and new levels: their share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from pipelines.monitoring.sketch.cells import Floats, Integers

_QUANTILES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
# A level that is rarer is also watched together with all such.
_RARE_SHARE = 0.02
# With these a normal tail of one in 100,000 is off by less than a half (Edgeworth's expansion).
_SKEWNESS, _KURTOSIS = 0.05, 0.05
_MAX_HIDDEN = 1.2
# How much of a level's chance to be found is shared by how common it is; the rest is even.
_BY_SHARE = 0.5

WASSERSTEIN = "wasserstein"
JENSEN_SHANNON = "jensenshannon"
MISSING_SHARE = "missing_share"
NEW_LEVELS = "new_levels"

Kind = Literal["numeric", "levels", "share"]


class Subject(NamedTuple):
    """One thing that is watched of a column; the method says what, as in the records."""

    column: str
    method: str


@dataclass(frozen=True)
class Watched:
    """What of a column is watched, as its reference shows it.

    Parameters
    ----------
    kind : str
        ``numeric``, ``levels`` or ``share``.
    cells : ndarray of float, shape (k, j)
        How much a row in each of the column's cells adds to each statistic.
    has_mean : bool
        Whether the mean, of the sums beside the cells, is one more statistic: the last.
    n_rows : float
        Values of the reference.
    means, variances : ndarray of float, shape (j,)
        Of the statistics over its rows.
    is_count : ndarray of bool, shape (j,)
        Which are shares of rows.
    weights : ndarray of float, shape (j,)
        How the column's error is shared out; their sum is 1.
    n_apart : float
        To how many statistics that have nothing to do with each other they are equal, were rows the sample.
    """

    kind: Kind
    cells: Floats
    has_mean: bool
    n_rows: float
    means: Floats
    variances: Floats
    is_count: npt.NDArray[np.bool_]
    weights: Floats
    n_apart: float

    def sums(self, counts: Integers, moments: Floats | None = None) -> Floats:
        """Return the sums of the statistics, shape (..., j), of counts (..., k) and moments (..., 2)."""
        found = counts.astype(np.float64) @ self.cells
        if not self.has_mean or moments is None:
            return np.asarray(found)
        return np.concatenate([found, moments[..., :1]], axis=-1)

    @property
    def pooling(self) -> Floats:
        """How much each statistic counts where one ratio is asked of all, shape (j,); their sum is 1."""
        weights = self.variances.copy() if self.kind == "levels" else np.ones(len(self.means))
        if self.has_mean:
            weights[-1] = 0.0
        return np.asarray(weights / weights.sum())


def watch_numbers(counts: Integers, moments: Floats, *, has_mean: bool) -> Watched | None:
    """Return what is watched of numbers; None where the reference has a single cell.

    Parameters
    ----------
    counts : ndarray of int, shape (k,)
        Of the reference, by bin.
    moments : ndarray of float, shape (2,)
        Its sums of values and squares, in a unit that is sane.
    has_mean : bool
        Whether the mean of a window is as good as normal.
    """
    n = float(counts.sum())
    if len(counts) < 2 or not n:
        return None
    below = np.cumsum(counts) / n
    last = len(counts) - 1
    cuts = sorted({int(np.searchsorted(below, q - 1e-12)) for q in _QUANTILES} | _around(counts))
    cuts = [cut for cut in cuts if cut < last]
    cells = np.zeros((len(counts), 1 + len(cuts)))
    cells[:, 0] = special.ndtri(np.clip(below - counts / n / 2, 0.25 / n, 1 - 0.25 / n))
    for position, cut in enumerate(cuts, start=1):
        cells[cut + 1 :, position] = 1.0
    means, variances, n_apart = _over_rows(cells, counts)
    is_count = np.arange(len(means)) > 0
    share = 0.4 if has_mean else 0.5
    weights = np.concatenate([[share], np.full(len(cuts), share / max(len(cuts), 1))])
    if has_mean:
        mean = float(moments[0]) / n
        means = np.append(means, mean)
        variances = np.append(variances, max(float(moments[1]) / n - mean**2, 1e-12))
        is_count, weights = np.append(is_count, False), np.append(weights, 1 - 2 * share)
    return Watched(
        "numeric", cells, has_mean, n, means, variances, is_count, weights / weights.sum(), n_apart
    )


def watch_levels(counts: Integers) -> Watched | None:
    """Return what is watched of categories (strangers last); None without values."""
    n = float(counts.sum())
    if not n:
        return None
    rare = counts < _RARE_SHARE * n
    cells = np.column_stack([np.eye(len(counts)), rare.astype(np.float64)])
    means, variances, _ = _over_rows(cells, counts)
    shares = counts / n
    # Of the sum of squares of all levels: its mean, squared, over half its variance.
    spread = shares - shares**2
    twice = float((spread**2).sum() + (shares**2).sum() ** 2 - (shares**4).sum())
    even = np.full(len(counts), 1 / len(counts))
    weights = np.append(0.9 * (_BY_SHARE * shares + (1 - _BY_SHARE) * even), 0.1)
    n_apart = max(1.0, float(spread.sum()) ** 2 / twice) if twice > 0 else 1.0
    return Watched("levels", cells, False, n, means, variances, np.ones(len(means), bool), weights, n_apart)


def watch_share(n_found: float, n_rows: float) -> Watched | None:
    """Return what is watched of a share of rows; None without rows."""
    if not n_rows:
        return None
    counts = np.array([n_found, n_rows - n_found])
    cells = np.array([[1.0], [0.0]])
    means, variances, _ = _over_rows(cells, counts)
    return Watched("share", cells, False, n_rows, means, variances, np.ones(1, bool), np.ones(1), 1.0)


def is_near_normal(values: Floats, counts: Integers, squares: float, n_rows: float) -> bool:
    """Return whether the mean of ``n_rows`` values can be taken for normal.

    Parameters
    ----------
    values : ndarray of float, shape (k,)
        The mean value of each bin.
    counts : ndarray of int, shape (k,)
        Of the reference.
    squares : float
        The mean square of its values: where that is far more than the bins', a tail of few values has it.
    """
    shares = counts / counts.sum()
    mean = float(shares @ values)
    spread = float(shares @ (values - mean) ** 2)
    if spread <= 0 or squares - mean**2 > _MAX_HIDDEN * spread:
        return False
    standard = (values - mean) / np.sqrt(spread)
    skewness, kurtosis = float(shares @ standard**3), float(shares @ standard**4)
    return abs(skewness) <= _SKEWNESS * np.sqrt(n_rows) and kurtosis - 3 <= _KURTOSIS * n_rows


def _around(counts: Integers) -> set[int]:
    """Return the cuts on both sides of a cell that holds more than half: a constant, and what leaves it."""
    heavy = int(np.argmax(counts))
    if 2 * counts[heavy] <= counts.sum():
        return set()
    return {cut for cut in (heavy - 1, heavy) if cut >= 0}


def _over_rows(cells: Floats, counts: Integers | Floats) -> tuple[Floats, Floats, float]:
    """Return means and variances of the statistics over rows, and how many stand apart."""
    n = float(counts.sum())
    shares = counts / n
    means = shares @ cells
    covariance = (cells * shares[:, None]).T @ cells - np.outer(means, means)
    # A share of none or all is that of half a row: no number of rows proves what can't be.
    is_share = np.isin(cells, (0.0, 1.0)).all(axis=0)
    half = np.clip(means, 0.5 / (n + 1), 1 - 0.5 / (n + 1))
    variances = np.where(is_share, np.maximum(np.diag(covariance), half * (1 - half)), np.diag(covariance))
    variances = np.maximum(variances, 1e-12)
    correlation = covariance / np.sqrt(np.outer(variances, variances))
    return means, variances, max(1.0, len(means) ** 2 / max(float((correlation**2).sum()), 1e-12))
