"""How far apart the groups of protected columns are."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.evaluation.holdout import Floats, Holdout
from pipelines.evaluation.intervals import CONFIDENCE, measured
from pipelines.metrics import Slice, declared_slices, measure_gaps, measure_slices
from pipelines.metrics.intervals import basic_interval
from pipelines.metrics.resampling import draw_days
from pipelines.metrics.slices import OTHERS, Bools
from pipelines.records import FairnessGap

_N_RESAMPLES = 1000
# A share of fewer rows than this is mostly luck.
_MIN_ROWS = 10


def fairness_gaps(
    holdout: Holdout, columns: tuple[str, ...], *, threshold: float
) -> tuple[tuple[FairnessGap, ...], dict[str, str]]:
    """Measure the widest difference between two groups of each protected column.

    Returns
    -------
    tuple of FairnessGap
        By column.
    dict of str to str
        A column of which nothing could be measured, and why.
    """
    gaps: list[FairnessGap] = []
    problems = {}
    for column in columns:
        slices = [found for found in declared_slices(holdout.rows, [column]) if found.group != OTHERS]
        found = [*_metric_gaps(holdout, slices), *_rate_gaps(holdout, slices, threshold)]
        n_levels = _n_levels(holdout.rows, column)
        gaps += [gap.model_copy(update={"n_left_out": n_levels - gap.n_levels}) for gap in found]
        if column not in holdout.rows.column_names:
            problems[column] = f"the rows have no column {column}"
        elif not found:
            problems[column] = "fewer than two of its groups have 50 rows"
    return tuple(gaps), problems


def _n_levels(rows: pa.Table, column: str) -> int:
    """Return how many levels of a column (or quarters of a number) occur, also those of a single row."""
    every = declared_slices(rows, [column], min_rows=1)
    rare = [found.rows for found in every if found.group == OTHERS]
    n_rare = sum(int(pc.count_distinct(rows[column].filter(pa.array(mask))).as_py()) for mask in rare)
    return len(every) - len(rare) + n_rare


def _metric_gaps(holdout: Holdout, slices: list[Slice]) -> list[FairnessGap]:
    """Return the gaps in the primary metric and in bias."""
    values = {
        found.group: found
        for found in measure_slices(slices, holdout.target, holdout.prediction, holdout.task)
    }
    gaps = []
    for gap in measure_gaps(
        slices, holdout.target, holdout.prediction, holdout.units, holdout.task, confidence=CONFIDENCE
    ):
        high, low = values[gap.highest], values[gap.lowest]
        is_bias = gap.measure == "bias"
        gaps.append(
            FairnessGap(
                column=gap.column,
                measure=gap.measure,
                gap=measured(*gap.gap),
                highest_level=gap.highest,
                highest=high.mean_prediction - high.mean_target if is_bias else high.value,
                lowest_level=gap.lowest,
                lowest=low.mean_prediction - low.mean_target if is_bias else low.value,
                n_levels=gap.n_groups,
            )
        )
    return gaps


def _rate_gaps(holdout: Holdout, slices: list[Slice], threshold: float) -> list[FairnessGap]:
    """Return the gaps in how often rows are selected, and rightly so."""
    unit = np.unique(holdout.units, return_inverse=True)[1]
    n_units = int(unit.max()) + 1 if unit.size else 0
    draws = (
        np.vstack([np.ones(n_units), draw_days(n_units, _N_RESAMPLES, 0)]) if n_units else np.empty((0, 0))
    )
    gaps = []
    for measure, (counted, of) in _rates(holdout, threshold).items():
        shares: dict[str, Floats] = {}
        for found in slices:
            rows = found.rows & of
            if rows.sum() < _MIN_ROWS:
                continue
            n_rows = draws @ np.bincount(unit[rows], minlength=n_units)
            n_counted = draws @ np.bincount(unit[rows & counted], minlength=n_units)
            undefined = np.full(len(draws), np.nan)
            shares[found.group] = np.divide(n_counted, n_rows, out=undefined, where=n_rows > 0)
        if len(shares) >= 2:
            gaps.append(_widest(slices[0].column, measure, shares, n_units, threshold=threshold))
    if holdout.task != "binary":
        return [gap.model_copy(update={"threshold": None}) for gap in gaps]
    return gaps


def _rates(holdout: Holdout, threshold: float) -> dict[str, tuple[Bools, Bools]]:
    """Return, for each share, which rows are counted, and of which."""
    every: Bools = np.ones(holdout.target.shape, dtype=np.bool_)
    if holdout.task == "regression":
        return {}
    if holdout.task == "multiclass":
        is_right: Bools = np.equal(holdout.prediction.argmax(axis=1), holdout.target)
        return {"accuracy": (is_right, every)}
    is_selected: Bools = np.greater_equal(holdout.prediction, threshold)
    happened: Bools = np.equal(holdout.target, 1)
    return {
        "selection_rate": (is_selected, every),
        "true_positive_rate": (is_selected, happened),
        "false_positive_rate": (is_selected, ~happened),
    }


def _widest(
    column: str, measure: str, shares: dict[str, Floats], n_units: int, *, threshold: float
) -> FairnessGap:
    """Return the gap between the outermost groups; the first of each array is what was observed."""
    names, table = list(shares), np.array(list(shares.values()))
    spread = table.max(axis=0) - table.min(axis=0)
    gap = basic_interval(float(spread[0]), spread[1:], n_units=n_units, confidence=CONFIDENCE)
    high, low = int(table[:, 0].argmax()), int(table[:, 0].argmin())
    return FairnessGap(
        column=column,
        measure=measure,
        gap=measured(*gap),
        highest_level=names[high],
        highest=float(table[high, 0]),
        lowest_level=names[low],
        lowest=float(table[low, 0]),
        n_levels=len(names),
        threshold=threshold,
    )
