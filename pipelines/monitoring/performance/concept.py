"""Concept drift: whether the primary metric on mature labels is worse than the holdout makes plausible.

Rows of one day share their weather and their congestion, so a day's metric strays by more than its rows
explain. The holdout's days say by how much, and how alike neighbouring days are. A window's deficit is
held against all of it: the sampling of the window's rows and of the holdout's, and how days differ, over as
many days as each has. The metric of one day is compared with that of single days of the holdout, that of
three with that of three: an AUC over several days also counts pairs of rows from different days.
"""

from __future__ import annotations

import math
from datetime import date
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from scipy import stats

from pipelines.config import DatasetConfig, MonitoringConfig
from pipelines.metrics import primary_metric
from pipelines.monitoring.performance.day_metrics import (
    Floats,
    Integers,
    Measure,
    Scored,
    measure_days,
    null_variance,
    scored_rows,
)
from pipelines.monitoring.reference import MIN_ROWS
from pipelines.records import ConceptDrift, Severity, partition_date

_SHORT_WINDOW_DAYS = 3
# Older days of a holdout, and rows beyond so many, would add seconds and no certainty.
_MAX_DAYS, _MAX_ROWS = 400, 300_000
# Fewer days say nothing about how days differ.
_MIN_DAYS = 3
# As many days' worth the prior of how days differ counts beside the holdout's own.
_PRIOR_DAYS = 5.0
# Of a fortnight the likeness of neighbouring days can hardly be told: it is taken for no less, and no more.
_LIKENESS, _MOST_LIKENESS = 0.4, 0.8
# How days differ is known from few of them, and more often taken for too little than for too much.
_MARGIN = 0.25
# How much days differ where there are too few to tell: 0.03 of an AUC of 0.75, or a tenth of an error.
_PRIOR_DEVIATION = {"binary": 0.035, "multiclass": 0.1, "regression": 0.2}
# The loss that matters where the configuration does not say: absolute for an AUC, else relative.
_MAX_LOSS = {"binary": 0.02, "multiclass": 0.1, "regression": 0.1}
# The share of max_loss that is drift at all, and what makes it critical.
_DRIFT_SHARE, _CRITICAL_SHARE = 0.5, 3.0
_CRITICAL_RATIO = 0.2


class _Spread(NamedTuple):
    """How days differ beyond their rows: variance, likeness of neighbours, and how well it is known.

    ``uncertainty`` is the variance of ``variance``.
    """

    variance: float
    likeness: float
    uncertainty: float


class _Look(NamedTuple):
    """One length of window, as it compares with the holdout."""

    rows: Scored
    value: float
    reference: float
    p_value: float


def judge_performance(
    labelled: pa.Table, holdout: pa.Table, config: DatasetConfig, *, newest: str
) -> ConceptDrift | None:
    """Compare the newest mature day, the last three and the whole window with the holdout.

    Parameters
    ----------
    labelled : pyarrow.Table, shape (n, k)
        ``partition_key``, ``prediction`` (or the probabilities of classes) and the target, as
        :class:`~pipelines.monitoring.window.Window` has them.
    holdout : pyarrow.Table
        The same of the rows that the model was measured on.
    newest : str
        The newest day whose labels are mature; later ones, and those of more than ``window_days`` before, are
        left alone. Of more than 300,000 rows an even sample is measured.

    Returns
    -------
    ConceptDrift or None
        About the length of window that a calm model would show least often; ``p_value`` is corrected for the
        lengths that were looked at. It is drift below half of ``false_discovery_rate`` and from half of the
        loss that matters (:func:`matters`) on; critical at a fifth of that p-value and three times that loss.
        None where nothing can be judged: fewer than 30 rows, or five of a class of a binary task.
    """
    known, past = scored_rows(labelled, config), scored_rows(holdout, config)
    if not past.n:
        return None
    past, last = _last_days(past, int(past.day.max()), _MAX_DAYS), partition_date(newest).toordinal()
    looks = [
        look
        for n_days in _lengths(config.monitoring.window_days)
        if (look := _look(past, _last_days(known, last, n_days), n_days, config.task)) is not None
    ]
    if not looks:
        return None
    worst = min(looks, key=lambda look: (look.p_value, -look.rows.n))
    return _drift_of(worst, config, n_looks=len(looks))


def matters(config: DatasetConfig, reference_value: float) -> float:
    """Return the loss of the primary metric that is worth a page, in units of the metric."""
    max_loss = config.monitoring.max_loss or _MAX_LOSS[config.task]
    return max_loss if primary_metric(config.task).greater_is_better else max_loss * reference_value


def _lengths(window_days: int) -> list[int]:
    return sorted({1, min(_SHORT_WINDOW_DAYS, window_days), window_days})


def _last_days(rows: Scored, last: int, n_days: int) -> Scored:
    found = np.flatnonzero((rows.day <= last) & (rows.day > last - n_days))
    return rows.chosen(found[:: max(1, math.ceil(found.size / _MAX_ROWS))])


def _look(past: Scored, rows: Scored, n_days: int, task: str) -> _Look | None:
    """Return how a window compares with stretches of the holdout that are as long; None if it can't be."""
    if min(rows.n, past.n) < MIN_ROWS:
        return None
    found, reference = (measure_days(each, task, length=n_days) for each in (rows, past))
    if found is None or reference is None:
        return None
    spread = _spread(reference, _PRIOR_DEVIATION[task] ** 2)
    its_days, n_each = np.unique(rows.day, return_counts=True)
    n_effective = _stray(its_days, n_each / n_each.sum(), spread.likeness)
    n_effective += _stray(reference.days, _even(reference.days), spread.likeness)
    # What the window's own rows show counts where it is more: drift may bring rows that are harder to tell.
    of_rows = max(null_variance(reference, rows, task), found.row_variance) + reference.row_variance
    variance = of_rows + spread.variance * n_effective
    if variance <= 0:
        return None
    # Satterthwaite: the rows' part is well known, that of the days only from as many days as there were.
    freedom = 2 * variance**2 / max(spread.uncertainty * n_effective**2, 1e-9 * variance**2)
    deficit = _deficit(found.scaled, reference.scaled, task)
    p_value = float(stats.t.sf(deficit / math.sqrt(variance), freedom))
    return _Look(rows, found.value, reference.value, p_value)


def _spread(reference: Measure, prior: float) -> _Spread:
    """Return how the holdout's days differ; of one or two days, what is taken for likely beforehand."""
    n_days = reference.days.size
    if n_days < _MIN_DAYS:
        return _Spread(prior, _LIKENESS, 2 * prior**2 / _PRIOR_DAYS)
    influence = reference.influence - reference.influence.mean()
    total = float((influence**2).sum()) / (n_days - 1)
    of_rows = reference.row_variance * n_days
    deviation = total * math.sqrt(2 / (n_days - 1))
    likeness = _likeness(influence, reference.days, beyond_rows=total - of_rows, noise=deviation)
    n_independent = max((n_days - 1) * (1 - likeness**2) / (1 + likeness**2), 1.0)
    # Days that are alike stray less about their own mean than about that of all days.
    kept = 1 - _stray(reference.days, _even(reference.days), likeness)
    own = max(total - of_rows + _MARGIN * deviation, 0.0) / kept
    weight = n_independent / (n_independent + _PRIOR_DAYS)
    variance = weight * own + (1 - weight) * prior
    # What the rows add to the uncertainty is in the margin: here counts from how few days it is known.
    return _Spread(variance, likeness, 2 * variance**2 / (n_independent + _PRIOR_DAYS))


def _likeness(influence: Floats, days: Integers, *, beyond_rows: float, noise: float) -> float:
    """Return the correlation of what neighbouring days have beyond their rows, shrunk to a likely one."""
    follows = np.flatnonzero(np.diff(days) == 1)
    if not follows.size or beyond_rows <= 0:
        return _LIKENESS
    common = float((influence[follows] * influence[follows + 1]).mean())
    trust = beyond_rows / (beyond_rows + noise)
    found = trust * common / max(beyond_rows, noise) + (1 - trust) * _LIKENESS
    return min(max(found, _LIKENESS), _MOST_LIKENESS)


def _stray(days: Integers, shares: Floats, likeness: float) -> float:
    """Return the variance of a weighted mean of days, where that of one day is 1."""
    apart = np.abs(days[:, None] - days[None, :])
    return float(shares @ likeness**apart @ shares)


def _even(days: Integers) -> Floats:
    return np.full(days.size, 1 / days.size)


def _drift_of(look: _Look, config: DatasetConfig, *, n_looks: int) -> ConceptDrift:
    p_value = min(1.0, look.p_value * n_looks)
    loss = max(0.0, _deficit(look.value, look.reference, config.task))
    worst = matters(config, look.reference)
    severity = _severity(p_value, loss / worst if worst else math.inf * loss, config.monitoring)
    return ConceptDrift(
        metric=primary_metric(config.task).name,
        value=look.value,
        reference_value=look.reference,
        loss=loss,
        p_value=p_value,
        n_days=int(np.unique(look.rows.day).size),
        n_rows=look.rows.n,
        first_partition=date.fromordinal(int(look.rows.day.min())).isoformat(),
        last_partition=date.fromordinal(int(look.rows.day.max())).isoformat(),
        is_drifted=severity != "none",
        severity=severity,
    )


def _deficit(value: float, reference: float, task: str) -> float:
    return reference - value if primary_metric(task).greater_is_better else value - reference


def _severity(p_value: float, share: float, monitoring: MonitoringConfig) -> Severity:
    """Return how bad a loss is that is ``share`` of the one that matters."""
    rate = monitoring.false_discovery_rate / 2
    if not (p_value < rate and share >= _DRIFT_SHARE):
        return "none"
    is_critical = p_value < _CRITICAL_RATIO * rate and share >= _CRITICAL_SHARE
    return "critical" if is_critical else "warning"
