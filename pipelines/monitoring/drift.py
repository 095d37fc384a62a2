"""Drift of a window of nights against a model's reference, by calibrated thresholds."""

from __future__ import annotations

import math
import sys

import numpy as np
import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.monitoring.calibration import Calibration
from pipelines.monitoring.distances import Floats, jensen_shannon, normed_wasserstein
from pipelines.monitoring.reference import (
    MIN_ROWS,
    Reference,
    category_codes,
    is_missing,
    numeric_values,
)
from pipelines.records import ColumnDrift

WASSERSTEIN = "wasserstein"
JENSEN_SHANNON = "jensenshannon"
MISSING_SHARE = "missing_share"

_DECIMALS = 9


def judge_columns(
    reference: Reference, current: pa.Table, calibration: Calibration, config: DatasetConfig
) -> tuple[ColumnDrift, ...]:
    """Return how far each feature of a window is from the reference.

    Parameters
    ----------
    current : pyarrow.Table, shape (m, k)
        The features of the window's rows.

    Returns
    -------
    tuple of ColumnDrift
        By column: the distance of its values (``wasserstein``, ``jensenshannon``), unless either
        side has none, and that of its share of nulls (``missing_share``), where there are any.
        Empty for a window of fewer than 30 rows.
    """
    if current.num_rows < MIN_ROWS:
        return ()
    judged: list[ColumnDrift] = []
    for name in config.features.columns:
        threshold = calibration.values[name]
        if name in config.features.numeric:
            before, now = numeric_values(reference.table, name), numeric_values(current, name)
            found = judge_values(name, before, now, threshold)
        else:
            found = judge_categories(name, reference.table, current, threshold)
        judged += [found] if found else []
        before_share = float(is_missing(reference.table, name).mean())
        now_share = float(is_missing(current, name).mean())
        if before_share or now_share:
            distance = abs(now_share - before_share)
            judged.append(_verdict(name, MISSING_SHARE, distance, calibration.missing[name]))
    return tuple(judged)


def judge_values(name: str, reference: Floats, current: Floats, threshold: float) -> ColumnDrift | None:
    """Return how far numbers moved; None where either side has fewer than 30, or none.

    Parameters
    ----------
    reference, current : ndarray of float, shape (n,) and (m,)
        nan where unknown.
    """
    before, now = reference[np.isfinite(reference)], current[np.isfinite(current)]
    if now.size < MIN_ROWS or not before.size:
        return None
    return _verdict(name, WASSERSTEIN, normed_wasserstein(before, now), threshold)


def drifted_fraction(columns: tuple[ColumnDrift, ...]) -> float:
    """Return the share of columns that drifted in values or in nulls, 0 to 1."""
    names = {column.column for column in columns}
    drifted = {column.column for column in columns if column.is_drifted}
    return round(len(drifted) / len(names), _DECIMALS) if names else 0.0


def is_worse(value: float | None, floor: float | None, *, greater_is_better: bool) -> bool:
    """Return whether a metric is on the bad side of its floor; False where either is unknown."""
    if value is None or floor is None:
        return False
    return value < floor if greater_is_better else value > floor


def judge_categories(
    name: str, reference: pa.Table, current: pa.Table, threshold: float
) -> ColumnDrift | None:
    """Return how far shares of categories moved; None for fewer than 30 current values, or none before."""
    before, now = category_codes(reference, current, column=name)
    n_codes = max(int(before.max(initial=-1)), int(now.max(initial=-1))) + 1
    counts = [np.bincount(codes[codes >= 0], minlength=n_codes).astype(np.float64) for codes in (before, now)]
    if counts[1].sum() < MIN_ROWS or not counts[0].sum():
        return None
    return _verdict(name, JENSEN_SHANNON, float(jensen_shannon(*counts)), threshold)


def _verdict(name: str, method: str, distance: float, threshold: float) -> ColumnDrift:
    if not math.isfinite(distance):  # sums of very large numbers: as far away as can be
        distance = sys.float_info.max
    # Evidently's rule too: a distance that reaches its threshold is drift.
    return ColumnDrift(
        column=name,
        method=method,
        distance=round(distance, _DECIMALS),
        threshold=threshold,
        is_drifted=round(distance, _DECIMALS) >= threshold,
    )
