"""The primary metric of some days of predictions, and how sure it is: by its rows, and by its days.

The metric is looked at on a scale on which its error is about normal, and as large for a good model as for
a poor one: the arcsine of the root of an AUC, the log of a mean error (of the squared error of a
regression, of the log loss of a multiclass task).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.metrics.quality import pairs_won, row_log_loss
from pipelines.monitoring.reference import numeric_values, predicted_values
from pipelines.records import partition_date

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

# Of fewer positives or negatives an AUC is a matter of single rows.
_MIN_OF_A_CLASS = 5


class Scored(NamedTuple):
    """Rows with a known target: what happened, what was predicted, and on which day (its ordinal)."""

    truth: Floats
    guess: Floats
    day: Integers

    @property
    def n(self) -> int:
        """How many rows there are."""
        return int(self.truth.size)

    def chosen(self, is_chosen: Booleans | Integers) -> Scored:
        """Return some of the rows, by a mask or by their places."""
        return Scored(self.truth[is_chosen], self.guess[is_chosen], self.day[is_chosen])


class Measure(NamedTuple):
    """The metric of some days, and what it owes to each of them.

    ``value`` is in units of the metric, ``scaled`` on its scale, and so are the variances.
    ``row_variance`` is that of ``scaled`` if other rows had come on the same days. ``days`` are those that
    have a say, in order; ``influence``, of mean 0, is how far off ``scaled`` would be if all days were
    like that one. ``spreads`` are the variances of a single row's part, from which that of other numbers
    of rows follows: of positives and negatives, or of all rows.
    """

    value: float
    scaled: float
    row_variance: float
    days: Integers
    influence: Floats
    spreads: tuple[float, ...]


def scored_rows(table: pa.Table, config: DatasetConfig) -> Scored:
    """Return the rows of a table whose target and prediction are known."""
    truth, guess = numeric_values(table, config.target), predicted_values(table, config.task)
    keys, places = np.unique(
        table["partition_key"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True
    )
    ordinals = np.array([partition_date(key).toordinal() for key in keys], dtype=np.int64)
    is_known = np.isfinite(truth) & np.isfinite(guess if guess.ndim == 1 else guess.sum(axis=1))
    return Scored(truth, guess, ordinals[places]).chosen(is_known)


def measure_days(rows: Scored, task: str, *, length: int) -> Measure | None:
    """Measure the primary metric over stretches of days.

    Parameters
    ----------
    length : int
        Days of a stretch: an AUC compares rows of one stretch only, so that it is that of windows as long. To
        a mean error it makes no difference.

    Returns
    -------
    Measure or None
        None where the rows don't define the metric: fewer than two, or than five of a class of a binary task.

    References
    ----------
    .. [1] DeLong, DeLong & Clarke-Pearson, Biometrics 44(3), 1988: the variance of an AUC.
    .. [2] Obuchowski, Biometrics 53(2), 1997: the same where rows come in clusters, such as days.
    """
    return _measure_auc(rows, length) if task == "binary" else _measure_error(rows, task)


def null_variance(reference: Measure, rows: Scored, task: str) -> float:
    """Return the variance of ``scaled`` by sampling of rows like the reference's, as many as these.

    References
    ----------
    .. [1] Bamber, J. Math. Psychology 12(4), 1975: the exact variance of the Mann-Whitney statistic.
    """
    if task != "binary":
        return reference.spreads[0] / rows.n
    n_up = float((rows.truth == 1).sum())
    n_pairs = n_up * (rows.n - n_up)
    chance = _within_unit(reference.value, n_pairs)
    of_ups, of_downs = ((n - 1) * s for n, s in zip((n_up, rows.n - n_up), reference.spreads, strict=True))
    return float((chance * (1 - chance) + of_ups + of_downs) / n_pairs * _slope(chance) ** 2)


def _measure_error(rows: Scored, task: str) -> Measure | None:
    is_squared = task == "regression"
    errors = (rows.guess - rows.truth) ** 2 if is_squared else row_log_loss(rows.truth, rows.guess)
    if errors.size < 2:
        return None
    mean, spread = float(errors.mean()), float(errors.var(ddof=1))
    # A single monstrous row is no drift: it is left out of what is compared.
    typical = (float(errors.sum()) - float(errors.max())) / (errors.size - 1)
    # A model without any error has no scale of its own: one part in 10^12 of the target's.
    # The floor's own square is still a number.
    scale = max(typical, 1e-12 * float(rows.truth.var()), 1e-150)
    days, day = np.unique(rows.day, return_inverse=True)
    totals, counts = np.bincount(day, weights=errors), np.bincount(day)
    without = _ratios(totals.sum() - totals, errors.size - counts, mean)
    return Measure(
        value=math.sqrt(mean) if is_squared else mean,
        scaled=math.log(scale),
        row_variance=spread / errors.size / scale**2,
        days=days,
        influence=(days.size - 1) * (mean - without) / scale,
        spreads=(spread / scale**2,),
    )


class _Wins(NamedTuple):
    """Who is ranked above whom: by (day of the positive, day of the negative), and of each row by itself.

    ``shares`` (n,) is the share of the other class of its stretch that a row is on the right side of.
    """

    won: Floats
    pairs: Floats
    shares: Floats


def _measure_auc(rows: Scored, length: int) -> Measure | None:
    is_positive = rows.truth == 1
    if min(is_positive.sum(), (~is_positive).sum()) < _MIN_OF_A_CLASS:
        return None
    days, day = np.unique(rows.day, return_inverse=True)
    stretches = _stretches(day, length)
    wins = _wins(rows, is_positive, day, stretches)
    n_won, n_pairs = float(wins.won.sum()), float(wins.pairs.sum())
    if not n_pairs:
        return None
    value = n_won / n_pairs
    slope = _slope(_within_unit(value, n_pairs))
    parts = [_row_part(wins.shares, stretches, is_class) for is_class in (is_positive, ~is_positive)]
    lost, gone = (
        counts.sum(axis=1) + counts.sum(axis=0) - counts.diagonal() for counts in (wins.won, wins.pairs)
    )
    has_say = gone > 0
    without = _ratios((n_won - lost)[has_say], (n_pairs - gone)[has_say], value)
    return Measure(
        value=value,
        scaled=math.asin(math.sqrt(value)),
        row_variance=sum(total for total, _ in parts) / n_pairs**2 * slope**2,
        days=days[has_say],
        influence=(without.size - 1) * (value - without) * slope,
        spreads=tuple(spread for _, spread in parts),
    )


def _wins(rows: Scored, is_positive: Booleans, day: Integers, stretches: Integers) -> _Wins:
    n_days = int(day.max()) + 1
    won, pairs = np.zeros((2, n_days, n_days))
    shares = np.zeros(rows.n)
    for stretch in np.unique(stretches):
        in_it = stretches == stretch
        ups, downs = np.flatnonzero(in_it & is_positive), np.flatnonzero(in_it & ~is_positive)
        if not (ups.size and downs.size):
            continue
        for other in np.unique(day[downs]):
            its = downs[day[downs] == other]
            above = pairs_won(rows.guess[ups], np.sort(rows.guess[its]))
            shares[ups] += above / downs.size
            won[:, other] += np.bincount(day[ups], weights=above, minlength=n_days)
            pairs[:, other] += np.bincount(day[ups], minlength=n_days) * its.size
        shares[downs] = 1 - pairs_won(rows.guess[downs], np.sort(rows.guess[ups])) / ups.size
    return _Wins(won, pairs, shares)


def _row_part(shares: Floats, stretches: Integers, is_class: Booleans) -> tuple[float, float]:
    """Return the variance that a class's rows give the number of pairs won, and that of one row's share."""
    total = spread = 0.0
    n_counted = 0
    for stretch in np.unique(stretches[is_class]):
        mine = is_class & (stretches == stretch)
        n_mine, n_others = int(mine.sum()), int((stretches == stretch).sum() - mine.sum())
        if n_mine < 2 or not n_others:
            continue
        its = float(shares[mine].var(ddof=1))
        total += n_mine * its * n_others**2
        spread, n_counted = spread + n_mine * its, n_counted + n_mine
    return total, spread / max(n_counted, 1)


def _stretches(day: Integers, length: int) -> Integers:
    """Number rows by stretches of successive days that occur, the newest ones whole; shape (n,)."""
    n_days = int(day.max()) + 1
    # What is left over at the old end joins the oldest whole stretch.
    return np.asarray(np.minimum((n_days - 1 - day) // length, max(n_days // length - 1, 0)))


def _ratios(numerators: Floats, denominators: npt.NDArray[np.number], default: float) -> Floats:
    found = np.full(numerators.shape, default)
    return np.asarray(np.divide(numerators, denominators, out=found, where=denominators > 0))


def _slope(chance: float) -> float:
    return 0.5 / math.sqrt(chance * (1 - chance))


def _within_unit(chance: float, n_pairs: float) -> float:
    least = 0.5 / max(n_pairs, 1.0)
    return min(max(chance, least), 1 - least)
