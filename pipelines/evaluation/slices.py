"""Groups of rows on which the model is worse than on the others: those asked for, and those found."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.evaluation.holdout import Floats, Holdout, Integers
from pipelines.evaluation.intervals import CONFIDENCE, finite, measured, primary_interval
from pipelines.metrics import Slice, declared_slices, measure_slices, slice_column
from pipelines.metrics.intervals import student_quantile
from pipelines.metrics.slices import MIN_SLICE_ROWS
from pipelines.records import SliceMeasure
from pipelines.records.evaluation import SliceKind

_SIGNIFICANT = 0.05
_MIN_UNITS = 3
# Of the search: rows looked at, columns that are crossed with each other, and what is told of it.
_MAX_ROWS = 20_000
_MIN_SHARE = 0.01
_MAX_CROSSED = 8
_MAX_TOLD, _LEAST_TOLD = 10, 3
# A cross of two groups is told only where it is so much worse than either, a group only where so few of its
# rows are in one that was told.
_MUCH_WORSE = 1.25
_MAX_OVERLAP = 0.6

Bools = npt.NDArray[np.bool_]


class _Excess(NamedTuple):
    """How much more each group of rows loses than all other rows; arrays of one value a group."""

    value: Floats
    spread: Floats
    n_units: Integers
    p_value: Floats


def asked_slices(holdout: Holdout, columns: Iterable[str], kind: SliceKind) -> tuple[SliceMeasure, ...]:
    """Measure the groups of some columns: levels, or quarters of a number.

    Parameters
    ----------
    columns : iterable of str
        Features or landed columns of ``holdout.rows``; one that it lacks has no groups.

    Returns
    -------
    tuple of SliceMeasure
        By column; groups of fewer than 50 rows are left out. P-values are corrected (Bonferroni) for the
        number of groups.
    """
    slices = declared_slices(holdout.rows, columns)
    unit = np.unique(holdout.units, return_inverse=True)[1]
    told = []
    for found in slices:
        excess = _excess(np.where(found.rows, 0, -1), holdout.losses, unit, 1)
        part = _Part(holdout, unit, found.rows)
        told.append(_slice(kind, {found.column: found.group}, part, excess, len(slices)))
    return tuple(told)


def discovered_slices(holdout: Holdout) -> tuple[tuple[SliceMeasure, ...], int]:
    """Look for the groups of one or two features on which the model loses most.

    Every feature's levels or quarters are looked at, and the crosses of those of the eight features whose
    groups differ most. At most 20,000 rows are looked at, evenly spread.

    Returns
    -------
    tuple of SliceMeasure
        At most ten that are worse beyond luck, by falling excess; where fewer than three are, the likeliest
        others follow. P-values are corrected (Bonferroni) for all groups that were looked at.
    int
        How many these were.
    """
    looked = holdout.spread(_MAX_ROWS)
    unit = np.unique(looked.units, return_inverse=True)[1]
    least = max(MIN_SLICE_ROWS, int(_MIN_SHARE * looked.rows.num_rows))
    views = [view for view in _single_views(looked, least) if view.names]
    excesses = [_excess(view.code, looked.losses, unit, len(view.names)) for view in views]
    order = sorted(range(len(views)), key=lambda n: (excesses[n].p_value.min(), views[n].columns))
    crossed = [
        _crossed(views[first], views[second], least)
        for first, second in itertools.combinations(order[:_MAX_CROSSED], 2)
    ]
    crossed = [view for view in crossed if view.names]
    excesses += [_excess(view.code, looked.losses, unit, len(view.names)) for view in crossed]
    parents = _by_group(views, excesses)
    found = [
        (view, number, excess)
        for view, excess in zip([*views, *crossed], excesses, strict=True)
        for number in range(len(view.names))
    ]
    n_looked_at = int(sum(np.isfinite(excess.p_value[number]) for _, number, excess in found))
    chosen = _choose([group for group in found if _adds(group, parents)], n_looked_at)
    told = []
    for view, number, excess in chosen:
        where = dict(zip(view.columns, view.names[number], strict=True))
        part = _Part(looked, unit, view.code == number)
        told.append(_slice("discovered", where, part, _only(excess, number), n_looked_at))
    return tuple(told), n_looked_at


class _Part(NamedTuple):
    """Some rows of a holdout, and the number of every row's unit."""

    holdout: Holdout
    unit: npt.NDArray[np.intp]
    rows: Bools


class _View(NamedTuple):
    """One way to part the rows: ``code`` is each row's group, -1 for none; ``names`` has a tuple a group."""

    columns: tuple[str, ...]
    code: Integers
    names: list[tuple[str, ...]]


_Group = tuple[_View, int, _Excess]


def _single_views(holdout: Holdout, least: int) -> Iterable[_View]:
    for column in holdout.config.features.columns:
        code = np.full(holdout.rows.num_rows, -1, dtype=np.int64)
        groups = slice_column(holdout.rows[column], column, min_rows=least)
        for number, group in enumerate(groups):
            code[group.rows] = number
        yield _View((column,), code, [(group.group,) for group in groups])


def _crossed(first: _View, second: _View, least: int) -> _View:
    """Return the crosses of two views' groups that have enough rows."""
    width = len(second.names)
    code = np.where((first.code < 0) | (second.code < 0), -1, first.code * width + second.code)
    counts = np.bincount(code[code >= 0], minlength=len(first.names) * width)
    kept = np.flatnonzero(counts >= least)
    place = np.full(counts.size + 1, -1)
    place[kept] = np.arange(kept.size)
    names = [(*first.names[n // width], *second.names[n % width]) for n in kept]
    return _View(first.columns + second.columns, place[code], names)


def _excess(code: Integers, losses: Floats, unit: npt.NDArray[np.intp], n_groups: int) -> _Excess:
    """Compare each group's mean loss with that of all other rows, units of rows going together.

    References
    ----------
    .. [1] Cochran, Sampling Techniques, 1977, section 6.4 (the error of a ratio of totals of clusters).
    """
    n_units = int(unit.max()) + 1
    inside = code >= 0
    cell = code[inside] * n_units + unit[inside]
    shape = (n_groups, n_units)
    rows = np.bincount(cell, minlength=n_groups * n_units).reshape(shape).astype(np.float64)
    lost = np.bincount(cell, weights=losses[inside], minlength=n_groups * n_units).reshape(shape)
    other_rows = np.bincount(unit, minlength=n_units) - rows
    other_lost = np.bincount(unit, weights=losses, minlength=n_units) - lost
    mean, residual = _mean_and_residual(lost, rows)
    other_mean, other_residual = _mean_and_residual(other_lost, other_rows)
    present = (rows > 0).sum(axis=1)
    value = mean - other_mean
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(((residual - other_residual) ** 2).sum(axis=1) * n_units / max(n_units - 1, 1))
        statistic = np.where(spread > 0, value / spread, np.nan)
    return _Excess(value, spread, present, _tail(statistic, present))


def _mean_and_residual(lost: npt.NDArray[Any], rows: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    total = rows.sum(axis=1)
    safe = np.where(total > 0, total, np.nan)
    mean = lost.sum(axis=1) / safe
    return mean, np.asarray((lost - mean[:, None] * rows) / safe[:, None])


def _tail(statistic: Floats, n_units: Integers) -> Floats:
    """Return how likely luck alone makes a statistic so large; nan where the units are too few to tell."""
    from scipy.special import stdtr

    able = np.isfinite(statistic) & (n_units >= _MIN_UNITS)
    tail = np.full(statistic.shape, np.nan)
    tail[able] = stdtr(n_units[able] - 1, -statistic[able])
    return tail


def _by_group(views: Sequence[_View], excesses: Sequence[_Excess]) -> dict[tuple[str, str], float]:
    """Return the excess of each group of one column."""
    return {
        (view.columns[0], view.names[number][0]): float(excess.value[number])
        for view, excess in zip(views, excesses, strict=False)
        for number in range(len(view.names))
    }


def _adds(group: _Group, parents: Mapping[tuple[str, str], float]) -> bool:
    """Say whether a group tells more than its parts do."""
    view, number, excess = group
    if not np.isfinite(excess.p_value[number]):
        return False
    if len(view.columns) == 1:
        return True
    parts = zip(view.columns, view.names[number], strict=True)
    return bool(excess.value[number] > _MUCH_WORSE * max(0.0, *(parents[part] for part in parts)))


def _choose(groups: Sequence[_Group], n_looked_at: int) -> list[_Group]:
    """Return the groups to tell: the worst first, and none that is mostly inside another."""

    def p_value(group: _Group) -> float:
        return float(group[2].p_value[group[1]]) * n_looked_at

    sure = [group for group in groups if p_value(group) < _SIGNIFICANT]
    sure.sort(key=lambda group: -group[2].value[group[1]])
    others = [group for group in groups if p_value(group) >= _SIGNIFICANT and group[2].value[group[1]] > 0]
    others.sort(key=p_value)
    told: list[_Group] = []
    for group in [*sure, *others]:
        is_sure = p_value(group) < _SIGNIFICANT
        if len(told) >= (_MAX_TOLD if is_sure else _LEAST_TOLD):
            break
        rows = group[0].code == group[1]
        if all((rows & (old.code == place)).sum() <= _MAX_OVERLAP * rows.sum() for old, place, _ in told):
            told.append(group)
    return told


def _only(excess: _Excess, number: int) -> _Excess:
    one = slice(number, number + 1)
    return _Excess(excess.value[one], excess.spread[one], excess.n_units[one], excess.p_value[one])


def _slice(
    kind: SliceKind, where: dict[str, str], part: _Part, excess: _Excess, n_looked_at: int
) -> SliceMeasure:
    holdout, rows = part.holdout, part.rows
    (found,) = measure_slices([Slice("", "", rows)], holdout.target, holdout.prediction, holdout.task)
    metric = measured(math.nan)
    if math.isfinite(found.value):
        guess = holdout.prediction[rows]
        metric = primary_interval(holdout.target[rows], [guess], part.unit[rows], holdout.task)
    value, spread, n_units, p_value = (part[0] for part in excess)
    is_told = n_units >= _MIN_UNITS and np.isfinite(spread)
    reach = student_quantile((1 + CONFIDENCE) / 2, int(n_units) - 1) * spread if is_told else math.nan
    corrected = min(1.0, float(p_value) * n_looked_at) if np.isfinite(p_value) else None
    return SliceMeasure(
        kind=kind,
        where=where,
        n_rows=found.n_rows,
        metric=metric,
        excess_loss=measured(float(value), float(value - reach), float(value + reach)),
        p_value=corrected,
        is_worse=corrected is not None and corrected < _SIGNIFICANT,
        mean_prediction=finite(found.mean_prediction),
        mean_target=finite(found.mean_target),
    )


def with_columns(rows: pa.Table, other: pa.Table, names: Iterable[str], *, key: str) -> pa.Table:
    """Return a table with columns of another one that it lacks, matched by a key; null without a match."""
    place = pc.index_in(rows[key], other[key])
    for name in names:
        if name not in rows.column_names and name in other.column_names:
            rows = rows.append_column(name, other[name].take(place))
    return rows
