"""The rows that a model was made and judged on: what later nights are compared with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.config import DatasetConfig
from pipelines.errors import IntegrityError
from pipelines.monitoring.reference_sketch import PREDICTION, read_reference_sketch, sketch_reference
from pipelines.monitoring.sketch import DaySketches

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

PROBABILITY = "probability_"
IS_HOLDOUT = "is_holdout"
# Fewer rows say nothing about a distribution: a window that small is recorded, never judged.
MIN_ROWS = 30


@dataclass(frozen=True)
class Reference:
    """The reference rows of one model version.

    Parameters
    ----------
    table : pyarrow.Table, shape (n, k)
        ``row_id``, ``partition_key``, ``event_time``, the features, ``prediction`` (of a multiclass task also
        ``probability_0`` to ``_<K-1>``), the target as a number and ``is_holdout``; features and target may
        be null.
    digest : str
        SHA-256 of the file they came from, in hex.
    days : DaySketches
        The features and the target of each day that the model was made or judged on.
    holdout_days : DaySketches
        The prediction and the target of each day of the holdout.
    """

    table: pa.Table
    digest: str
    days: DaySketches
    holdout_days: DaySketches

    @cached_property
    def holdout(self) -> pa.Table:
        """The rows that the model has not been trained on."""
        return self.table.filter(self.table[IS_HOLDOUT])


def read_reference(path: Path, config: DatasetConfig, *, sketch: Path | None = None) -> Reference:
    """Read ``reference.parquet`` of a model version, and ``reference.sketch``.

    The sketches are of all rows that the training had. Without a file of them (a model from before they were
    kept), or where it lacks a column that is watched now, they are made from the rows of the reference.

    The first ``history_days`` days are left out, unless the reference is shorter than three times
    that: the history features of a dataset's first days look back on next to nothing. They are
    like no later day, and as calm history they would excuse almost any drift.

    Raises
    ------
    IntegrityError
        If one of them is not readable, or the rows lack a column, or there are none.
    """
    needed = ["partition_key", *config.features.columns, PREDICTION, config.target, IS_HOLDOUT]
    if config.task == "multiclass":
        needed += [f"{PROBABILITY}{number}" for number in range(len(config.classes))]
    try:
        content = path.read_bytes()
        table = pq.read_table(pa.BufferReader(content))
    except (OSError, pa.ArrowException) as error:
        raise IntegrityError(f"{path} is no readable reference of a model: {error}") from error
    if absent := [name for name in needed if name not in table.column_names]:
        raise IntegrityError(f"The reference {path} lacks {', '.join(absent)}; train the model again.")
    if not table.num_rows:
        raise IntegrityError(f"The reference {path} has no rows; train the model again.")
    days = _settled_days(pc.unique(table["partition_key"]).to_pylist(), config.features.history_days)
    settled = table.filter(pc.is_in(table["partition_key"], value_set=pa.array(days)))
    kept = None if sketch is None else read_reference_sketch(sketch)
    if kept is None or not kept.watches(config):
        kept = sketch_reference(settled, settled.filter(settled[IS_HOLDOUT]), config)
    digest = hashlib.sha256(content).hexdigest()
    return Reference(settled, digest, kept.days.select(days), kept.holdout.select(days))


def _settled_days(days: Iterable[str], history_days: int) -> list[str]:
    ordered = sorted(days)
    return ordered if len(ordered) < 3 * history_days else ordered[history_days:]


def day_numbers(table: pa.Table) -> tuple[Integers, int]:
    """Return each row's day, counted from 0 over the days that occur, and how many there are."""
    keys = table["partition_key"].to_numpy(zero_copy_only=False).astype(str)
    days, numbers = np.unique(keys, return_inverse=True)
    return numbers.astype(np.int64), int(days.size)


def numeric_values(table: pa.Table, column: str) -> Floats:
    """Return a column as float64, shape (n,), with nan for null and for what is not finite."""
    plain = pc.cast(table[column], pa.float64()).to_numpy(zero_copy_only=False)
    values = np.array(plain, dtype=np.float64)
    values[~np.isfinite(values)] = np.nan
    return values


def predicted_values(table: pa.Table, task: str) -> Floats:
    """Return the predictions of scored rows as metrics take them: shape (n,), or (n, K) of a multiclass task.

    A class that a row's model did not know has no probability there: 0.
    """
    if task != "multiclass":
        return numeric_values(table, PREDICTION)
    names = [name for name in table.column_names if name.startswith(PROBABILITY)]
    names.sort(key=lambda name: int(name.removeprefix(PROBABILITY)))
    return np.nan_to_num(np.column_stack([numeric_values(table, name) for name in names]))


def category_codes(*tables: pa.Table, column: str) -> list[Integers]:
    """Return a column of each table as codes of one common list of categories; -1 for null."""
    plain = [pc.cast(table[column], pa.string()).combine_chunks() for table in tables]
    together = pa.chunked_array(plain, type=pa.string()).combine_chunks().dictionary_encode()
    codes = pc.fill_null(together.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    ends = np.cumsum([len(part) for part in plain])[:-1]
    return [np.asarray(part) for part in np.split(codes, ends)]


def is_missing(table: pa.Table, column: str) -> npt.NDArray[np.bool_]:
    """Return which rows have no (finite) value, shape (n,)."""
    kind = table.schema.field(column).type
    if pa.types.is_floating(kind):
        return np.isnan(numeric_values(table, column))
    return np.asarray(pc.is_null(table[column]).to_numpy(zero_copy_only=False), dtype=np.bool_)
