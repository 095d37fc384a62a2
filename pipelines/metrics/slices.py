"""Groups of rows: by a column's levels or quarters, how good predictions are in each, and how far apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.metrics.intervals import Estimate, basic_interval
from pipelines.metrics.quality import Floats, evaluate_predictions, known_rows, primary_metric, row_losses
from pipelines.metrics.resampling import draw_days, metric_of_draws

MIN_SLICE_ROWS = 50
MISSING, OTHERS = "(missing)", "(others)"

_MAX_LEVELS = 20
_N_QUARTERS = 4
# A number of so few values is a category.
_MAX_FEW = 8
# An AUC of fewer rows of one class than this is mostly luck.
_MIN_CLASS_ROWS = 10
_MAX_CHARS = 60
_N_RESAMPLES = 1000

Bools = npt.NDArray[np.bool_]


class Slice(NamedTuple):
    """The rows of one group of one column (or of what another way of looking found)."""

    column: str
    group: str
    rows: Bools

    @property
    def name(self) -> str:
        """The slice in words."""
        return f"{self.column} = {self.group}"


class SliceQuality(NamedTuple):
    """How good predictions are in one slice.

    ``value`` is the primary metric, nan where it is not defined or the rows are too few for it; ``loss`` the
    mean of :func:`row_losses`. Of a multiclass task ``mean_prediction`` and ``mean_target`` are those of the
    likeliest class: how sure the model is, and how often it is right.
    """

    column: str
    group: str
    n_rows: int
    value: float
    loss: float
    mean_prediction: float
    mean_target: float


class GroupGap(NamedTuple):
    """How far apart the groups of one column are; ``lowest`` and ``highest`` name the two that are.

    ``measure`` is the primary metric's name (of rmse and log loss, ``gap`` is the share of the value over
    all groups), or ``bias``: the mean prediction minus the mean target (of a regression, in standard
    deviations of the target).
    """

    column: str
    measure: str
    gap: Estimate
    lowest: str
    highest: str
    n_groups: int


def slice_column(column: pa.ChunkedArray, name: str, *, min_rows: int = MIN_SLICE_ROWS) -> list[Slice]:
    """Return the groups of a column that have at least ``min_rows`` rows, none of them all rows.

    Parameters
    ----------
    column : pyarrow.ChunkedArray, shape (n,)
        A number of more than eight values is cut at its quartiles; anything else goes by its values, of
        which those after the 20 most frequent are one group. Nulls (and nan) are a group of their own.
    """
    is_missing = pc.is_null(column, nan_is_null=True).to_numpy(zero_copy_only=False)
    n_values = pc.count_distinct(column, mode="only_valid").as_py()
    kind = column.type
    is_number = pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)
    is_time = pa.types.is_temporal(kind)
    if n_values > _MAX_FEW and (is_number or (is_time and n_values > _MAX_LEVELS)):
        groups = list(_quarters(column, is_missing))
    else:
        groups = list(_levels(column, is_missing))
    groups.append((MISSING, is_missing))
    return [
        Slice(name, group, rows) for group, rows in groups if min_rows <= np.count_nonzero(rows) < rows.size
    ]


def declared_slices(
    table: pa.Table, columns: Iterable[str], *, min_rows: int = MIN_SLICE_ROWS
) -> list[Slice]:
    """Return the groups of some columns of a table, by column; one that it lacks has none."""
    present = [name for name in dict.fromkeys(columns) if name in table.column_names]
    return [found for name in present for found in slice_column(table[name], name, min_rows=min_rows)]


def measure_slices(
    slices: Sequence[Slice], target: npt.ArrayLike, prediction: npt.ArrayLike, task: str
) -> list[SliceQuality]:
    """Measure predictions in each slice; rows without a known target are left out.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    truth, guess = np.asarray(target, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    return [
        _measure(found, *known_rows(truth[found.rows], guess[found.rows], task), task) for found in slices
    ]


def measure_gaps(
    slices: Sequence[Slice],
    target: npt.ArrayLike,
    prediction: npt.ArrayLike,
    units: npt.ArrayLike,
    task: str,
    *,
    confidence: float = 0.9,
    seed: int = 0,
) -> list[GroupGap]:
    """Measure how far apart the groups of each column are: in the primary metric, and in bias.

    Parameters
    ----------
    slices : sequence of Slice
        Those of one column are compared with each other.
    target, prediction, units, confidence
        As :func:`~pipelines.metrics.calibration.measure_calibration` takes them; the interval is the basic
        bootstrap's over units, for the largest of several differences is no small number by luck alone.

    Returns
    -------
    list of GroupGap
        By column; none for a measure that fewer than two groups have.
    """
    truth, guess = np.asarray(target, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    known = np.isfinite(truth)
    names, place = np.unique(np.asarray(units)[known], return_inverse=True)
    if not names.size or not np.isfinite(guess[known]).all():
        return []
    unit = np.zeros(truth.size, dtype=np.intp)
    unit[known] = place
    rows = _Rows(truth, guess, unit, task)
    draws = np.vstack([np.ones(names.size), draw_days(names.size, _N_RESAMPLES, seed)])
    gaps = []
    for column in dict.fromkeys(found.column for found in slices):
        groups = {found.group: found.rows & known for found in slices if found.column == column}
        able = {group: mask for group, mask in groups.items() if _is_enough(truth[mask], task)}
        values = {group: _metrics(rows, mask, draws) for group, mask in able.items()}
        biases = {group: _biases(rows, mask, draws) for group, mask in groups.items()}
        scale = 1.0 if task == "binary" else abs(float(_metrics(rows, known, draws[:1])[0]))
        gaps += [
            _gap(column, primary_metric(task).name, values, scale, names.size, confidence),
            _gap(column, "bias", biases, _bias_scale(truth[known], task), names.size, confidence),
        ]
    return [gap for gap in gaps if gap is not None]


class _Rows(NamedTuple):
    """What happened, what was said of it, and in which unit, row by row."""

    truth: Floats
    guess: Floats
    unit: npt.NDArray[np.intp]
    task: str


def _quarters(column: pa.ChunkedArray, is_missing: Bools) -> Iterable[tuple[str, Bools]]:
    is_time = pa.types.is_temporal(column.type)
    plain = column.cast(pa.timestamp("us")).cast(pa.int64()) if is_time else column
    values = plain.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    edges = np.unique(np.quantile(values[~is_missing], np.arange(1, _N_QUARTERS) / _N_QUARTERS))
    place = np.searchsorted(edges, values, side="right")
    said = [str(pa.scalar(int(e), pa.timestamp("us")).as_py()) for e in edges] if is_time else None
    words = said or [f"{edge:g}" for edge in edges]
    for number in range(edges.size + 1):
        low = f"from {words[number - 1]}" if number else ""
        high = f"below {words[number]}" if number < edges.size else ""
        yield " ".join(filter(None, [low, high])), (place == number) & ~is_missing


def _levels(column: pa.ChunkedArray, is_missing: Bools) -> Iterable[tuple[str, Bools]]:
    texts = column.cast(pa.string()).combine_chunks()
    counted = pc.value_counts(texts.drop_null()).to_pylist()
    frequent = sorted(counted, key=lambda entry: (-entry["counts"], entry["values"]))[:_MAX_LEVELS]
    levels = [entry["values"] for entry in frequent]
    place = pc.index_in(texts, pa.array(levels, pa.string())).fill_null(-1).to_numpy(zero_copy_only=False)
    for number, level in enumerate(levels):
        yield level[:_MAX_CHARS], (place == number) & ~is_missing
    yield OTHERS, (place < 0) & ~is_missing


def _measure(found: Slice, truth: Floats, guess: Floats, task: str) -> SliceQuality:
    n_rows = truth.size
    if not n_rows or not np.isfinite(guess).all():
        return SliceQuality(found.column, found.group, n_rows, *[math.nan] * 4)
    able = _is_enough(truth, task)
    metric = primary_metric(task).name
    said, happened = _said(truth, guess, task)
    return SliceQuality(
        column=found.column,
        group=found.group,
        n_rows=n_rows,
        value=evaluate_predictions(truth, guess, task)[metric] if able else math.nan,
        loss=float(row_losses(truth, guess, task).mean()),
        mean_prediction=float(said.mean()),
        mean_target=float(happened.mean()),
    )


def _is_enough(truth: Floats, task: str) -> bool:
    """Say whether the primary metric of so few rows is more than luck."""
    if task != "binary":
        return truth.size >= _MIN_CLASS_ROWS
    return min(float(truth.sum()), float((1 - truth).sum())) >= _MIN_CLASS_ROWS


def _said(truth: Floats, guess: Floats, task: str) -> tuple[Floats, Floats]:
    if task != "multiclass":
        return guess, truth
    return guess.max(axis=1), (guess.argmax(axis=1) == truth).astype(np.float64)


def _metrics(rows: _Rows, mask: Bools, draws: Floats) -> Floats:
    """Return the primary metric of a group, for each draw of units; greater is better."""
    truth, guess, unit = rows.truth[mask], rows.guess[mask], rows.unit[mask]
    return metric_of_draws(truth, guess, unit, draws.shape[1], rows.task).values(draws)


def _biases(rows: _Rows, mask: Bools, draws: Floats) -> Floats:
    """Return the mean prediction minus the mean target of a group, for each draw of units."""
    said, happened = _said(rows.truth[mask], rows.guess[mask], rows.task)
    totals = np.bincount(rows.unit[mask], weights=said - happened, minlength=draws.shape[1])
    n_rows = draws @ np.bincount(rows.unit[mask], minlength=draws.shape[1]).astype(np.float64)
    undefined = np.full(len(draws), math.nan)
    return np.asarray(np.divide(draws @ totals, n_rows, out=undefined, where=n_rows > 0))


def _bias_scale(truth: Floats, task: str) -> float:
    return float(truth.std()) if task == "regression" else 1.0


def _gap(
    column: str, measure: str, values: dict[str, Floats], scale: float, n_units: int, confidence: float
) -> GroupGap | None:
    """Return the gap between the outermost groups; the first row of each array is of what was observed."""
    measured = {group: found for group, found in values.items() if math.isfinite(found[0])}
    if len(measured) < 2 or not scale > 0:
        return None
    table = np.array(list(measured.values())) / scale
    names = list(measured)
    spread = table.max(axis=0) - table.min(axis=0)
    return GroupGap(
        column=column,
        measure=measure,
        gap=basic_interval(float(spread[0]), spread[1:], n_units=n_units, confidence=confidence),
        lowest=names[int(table[:, 0].argmin())],
        highest=names[int(table[:, 0].argmax())],
        n_groups=len(measured),
    )
