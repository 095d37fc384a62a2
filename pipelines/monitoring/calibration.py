"""Thresholds that come from the reference's own calm days.

Rows of one day share their weather and their congestion, so days are the sample, not rows. A
window of ``n`` days is therefore held against every stretch of ``n`` days of the reference: how
far is each stretch from all other days? The largest such distance, times a margin, is the
threshold of the column.

If the days to come are like the reference's, a new window is as likely as any of the ``m``
stretches that do not overlap to be the farthest one: a column's false-alarm rate is at most
``1 / (m + 1)`` a window, before the margin; that of the whole dataset, whose alarm asks for a
larger share of drifted columns than any stretch shows when judged by the others, likewise.

A reference of one or two days has no days to learn from. Random samples of its rows, as large as the
window, then take the place of the stretches, and the calibration says so: it knows by how much rows
differ, and not by how much days do.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from pipelines.config import DatasetConfig
from pipelines.metrics import evaluate_predictions, primary_metric
from pipelines.monitoring.blocks import Blocks, day_blocks, row_blocks
from pipelines.monitoring.distances import Floats
from pipelines.monitoring.reference import (
    MIN_ROWS,
    PREDICTION,
    Reference,
    day_numbers,
    numeric_values,
    predicted_values,
)
from pipelines.records import Record, digest_of
from pipelines.storage.whole_files import write_atomically

# Moves when the arithmetic below changes, so that no cached calibration outlives it.
_CALIBRATION_VERSION = 1
# Fewer days say nothing about how days differ.
_MIN_DAYS = 3
# Evidently's default, for a reference of a single row, which has nothing to learn from.
_UNCALIBRATED_THRESHOLD = 0.1
# Smaller differences (a hundredth of a standard deviation, one null in a hundred) are of no
# practical size, and a column that never moved in the reference would otherwise alarm for good.
_SMALLEST_THRESHOLD = 0.01
_N_RESAMPLES = 200
_FLOOR_DEVIATIONS = 2.0
_DECIMALS = 9


class Calibration(Record):
    """What a window of ``block_days`` days may show before it is called drift.

    ``values`` and ``missing`` hold each feature's threshold for the distance of its values, and
    of its share of nulls. ``performance_floor`` is the worst value of the primary metric that the
    holdout's days make plausible; None where the holdout defines no metric. ``reason`` says why random
    samples of rows took the place of stretches of days, and is empty where they did not.
    """

    block_days: int
    n_blocks: int
    values: dict[str, float]
    missing: dict[str, float]
    alarm_fraction: float
    prediction: float
    label: float
    performance_floor: float | None
    reason: str = ""


class Calibrations:
    """The calibrations of one reference, by length and size of the window; each is worked out once.

    Parameters
    ----------
    reference : Reference
        The model's own rows.
    config : DatasetConfig
        The features, the task, and the margins of ``monitoring``.
    folder : Path
        Where they are kept as JSON, by a digest of all that they depend on.
    """

    def __init__(self, reference: Reference, config: DatasetConfig, folder: Path) -> None:
        self._reference = reference
        self._config = config
        self._folder = folder

    def of(self, block_days: int, *, n_rows: int = MIN_ROWS) -> Calibration:
        """Return the calibration of windows of ``block_days`` days and ``n_rows`` rows.

        The rows count where the reference has few days, and then to a power of two, of smaller windows:
        those vary more.
        """
        n_rows = 2 ** (max(1, n_rows).bit_length() - 1)
        path = self._path(block_days, n_rows)
        try:
            return Calibration.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):  # not worked out yet, or not readable: do it (again)
            found = calibrate(self._reference, self._config, block_days=block_days, n_rows=n_rows)
        write_atomically(path, found.model_dump_json(indent=1))
        return found

    def _path(self, block_days: int, n_rows: int) -> Path:
        features, monitoring = self._config.features, self._config.monitoring
        identity = [
            _CALIBRATION_VERSION,
            self._reference.digest,
            self._config.task,
            self._config.target,
            features.numeric,
            features.categorical,
            features.history_days,
            monitoring.threshold_margin,
            monitoring.min_alarm_fraction,
            block_days,
            *([n_rows] if _reason(self._reference) else []),
        ]
        return self._folder / f"{digest_of(identity)}.json"


def calibrate(
    reference: Reference, config: DatasetConfig, *, block_days: int, n_rows: int = MIN_ROWS
) -> Calibration:
    """Work out what stretches of ``block_days`` days of the reference show.

    Parameters
    ----------
    block_days : int
        1 or more. Of a reference that is shorter than two such stretches, stretches of half its
        days are taken.
    n_rows : int
        The rows of a window, 1 or more; of a reference of one or two days, samples of that size are taken.

    Returns
    -------
    Calibration
        The same for the same reference, to nine decimals.
    """
    margin = config.monitoring.threshold_margin
    blocks = _blocks(reference.table, block_days, n_rows)
    holdout = _blocks(reference.holdout, block_days, n_rows)
    is_named = config.task == "multiclass"
    values = {name: blocks.distances(name, is_named=False) for name in config.features.numeric}
    values |= {name: blocks.distances(name, is_named=True) for name in config.features.categorical}
    missing = {name: blocks.missing(name) for name in config.features.columns}
    shares = _leave_one_out_shares(blocks, values, missing, margin)
    alarm_fraction = max(config.monitoring.min_alarm_fraction, float(shares.max(initial=0.0)))
    return Calibration(
        block_days=block_days,
        n_blocks=blocks.n,
        values={name: _threshold(distances, margin) for name, distances in values.items()},
        missing={name: _threshold(distances, margin) for name, distances in missing.items()},
        alarm_fraction=round(alarm_fraction, _DECIMALS),
        prediction=_threshold(holdout.distances(PREDICTION, is_named=is_named), margin),
        label=_threshold(blocks.distances(config.target, is_named=is_named), margin),
        performance_floor=performance_floor(reference.holdout, config, n_days=block_days, n_rows=n_rows),
        reason=_reason(reference),
    )


def _blocks(table: pa.Table, block_days: int, n_rows: int) -> Blocks:
    return row_blocks(table, n_rows) if _has_few_days(table) else day_blocks(table, block_days)


def _has_few_days(table: pa.Table) -> bool:
    return day_numbers(table)[1] < _MIN_DAYS


def _reason(reference: Reference) -> str:
    """Return why random samples of rows stand for days; empty where they do not."""
    n_days = day_numbers(reference.holdout)[1]
    if n_days >= _MIN_DAYS:
        return ""
    what = "thresholds" if _has_few_days(reference.table) else "thresholds of predictions and performance"
    return (
        f"The rows that the model was measured on are of {n_days} partition{'' if n_days == 1 else 's'}, "
        f"which says nothing about how days differ: {what} come from random samples of rows."
    )


def performance_floor(
    holdout: pa.Table, config: DatasetConfig, *, n_days: int, n_rows: int = MIN_ROWS
) -> float | None:
    """Return the worst primary metric that ``n_days`` days like the holdout's make plausible.

    Days of the holdout are drawn with replacement (of a holdout of one or two days, ``n_rows`` rows); the
    floor lies two standard deviations of the draws' metric on the bad side of their mean. Were it
    normal, a calm window would fall below in about 2.3 % of cases. For a metric of which less is better
    the "floor" is a ceiling.

    Returns
    -------
    float or None
        None where no draw defines the metric.
    """
    metric, greater_is_better = primary_metric(config.task)
    target, prediction = numeric_values(holdout, config.target), predicted_values(holdout, config.task)
    days, n_holdout_days = day_numbers(holdout)
    rows = [np.flatnonzero(days == day) for day in range(n_holdout_days)]
    if not rows:
        return None
    if _has_few_days(holdout):
        rows, n_days = list(np.arange(holdout.num_rows)[:, None]), n_rows
    random = np.random.default_rng(0)
    drawn = []
    for _ in range(_N_RESAMPLES):
        chosen = np.concatenate([rows[unit] for unit in random.integers(0, len(rows), n_days)])
        drawn.append(evaluate_predictions(target[chosen], prediction[chosen], config.task)[metric])
    known = np.array([value for value in drawn if math.isfinite(value)])
    if not known.size:
        return None
    spread = _FLOOR_DEVIATIONS * float(known.std())
    return round(float(known.mean()) + (-spread if greater_is_better else spread), _DECIMALS)


def _threshold(distances: Floats, margin: float) -> float:
    known = distances[np.isfinite(distances)]
    if not known.size:
        return _UNCALIBRATED_THRESHOLD
    return round(max(float(known.max()) * margin, _SMALLEST_THRESHOLD), _DECIMALS)


def _leave_one_out_shares(
    blocks: Blocks, values: dict[str, Floats], missing: dict[str, Floats], margin: float
) -> Floats:
    """Return the share of columns that each stretch has drifted in, judged by those apart from it."""
    shares = []
    for position, apart in enumerate(blocks.apart()):
        if not apart.any():
            continue
        drifted = [
            any(
                distances[position] >= _threshold(distances[apart], margin)
                for distances in (values[name], missing[name])
            )
            for name in values
        ]
        shares.append(float(np.mean(drifted)))
    return np.array(shares)
