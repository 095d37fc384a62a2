"""Counting a table on a grid, in one pass."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.monitoring.sketch.cells import (
    Floats,
    Integers,
    by_column,
    code_categories,
    numbers,
    require_columns,
)
from pipelines.monitoring.sketch.columns import (
    CategoryDays,
    CategorySketch,
    NumericDays,
    NumericSketch,
    most_frequent,
    narrow,
)
from pipelines.monitoring.sketch.grid import Grid
from pipelines.monitoring.sketch.table import DaySketches, TableSketch

# Of 50 columns about 100 MB; smaller ones cost more time a row.
_BATCH_ROWS = 262_144

Progress = Callable[[int, int], None]


def sketch_table(table: pa.Table, grid: Grid) -> TableSketch:
    """Count all rows of a table.

    Parameters
    ----------
    table : pyarrow.Table, shape (n, k)
        With all of ``grid.columns``; null, nan and infinite numbers count as missing.

    Raises
    ------
    SchemaError
        If a column is absent.
    """
    require_columns(table.column_names, grid.columns)
    return TableSketch(
        grid=grid,
        n_rows=table.num_rows,
        numeric=by_column(
            lambda name: _count_numbers(grid, name, numbers(table, name)), grid.numeric, table.num_rows
        ),
        categorical=by_column(
            lambda name: _count_categories(grid, name, table), grid.categorical, table.num_rows
        ),
    )


def sketch_parquet(paths: Iterable[Path], grid: Grid, *, progress: Progress | None = None) -> TableSketch:
    """Count the rows of Parquet files, of which a part at a time is in memory.

    Parameters
    ----------
    progress : callable, optional
        Told how many rows are done, and how many there are.

    Raises
    ------
    SchemaError
        If a file lacks a column.
    """
    paths = list(paths)
    n_rows = sum(pq.read_metadata(path).num_rows for path in paths)
    found = sketch_table(_without_rows(grid), grid)
    for path in paths:
        with pq.ParquetFile(path, read_dictionary=list(grid.categorical), pre_buffer=False) as file:
            require_columns(file.schema_arrow.names, grid.columns)
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=list(grid.columns)):
                found += sketch_table(pa.Table.from_batches([batch]), grid)
                if progress is not None:
                    progress(found.n_rows, n_rows)
    return found


def sketch_days(table: pa.Table, grid: Grid, day_column: str = "partition_key") -> DaySketches:
    """Count the rows of each day of a table.

    Parameters
    ----------
    table : pyarrow.Table, shape (n, k)
        As for :func:`sketch_table`, and the day of each row as text.
    """
    require_columns(table.column_names, (day_column, *grid.columns))
    codes, names = code_categories(table.select([day_column]), day_column)
    days = sorted({names[code] for code in np.unique(codes) if code >= 0})
    rank = {name: position for position, name in enumerate(days)}
    day = np.array([rank.get(name, -1) for name in names] + [-1], dtype=np.int64)[codes]
    order = np.argsort(day, kind="stable")[int((day < 0).sum()) :]
    table, day = table.take(pa.array(order)), day[order]
    return DaySketches(
        grid=grid,
        days=tuple(days),
        n_rows=np.bincount(day, minlength=len(days)).astype(np.int64),
        numeric={
            name: _numbers_by_day(grid, name, numbers(table, name), day, len(days)) for name in grid.numeric
        },
        categorical={
            name: _categories_by_day(grid, name, table, day, len(days)) for name in grid.categorical
        },
    )


def _count_numbers(grid: Grid, column: str, values: Floats) -> NumericSketch:
    edges = grid.numeric[column]
    # Sorting and looking the edges up is faster than looking each value up; nan sorts last.
    ordered = np.sort(values)
    ordered = ordered[np.searchsorted(ordered, -np.inf, side="right") : np.searchsorted(ordered, np.inf)]
    below = np.searchsorted(ordered, edges, side="right")
    z = grid.standardize(column, ordered)
    lower, upper = (below[0], below[-1]) if edges.size else (ordered.size, 0)
    return NumericSketch(
        counts=np.diff(below, prepend=0, append=ordered.size).astype(np.int64),
        n_missing=values.size - ordered.size,
        minimum=float(ordered[0]) if ordered.size else math.nan,
        maximum=float(ordered[-1]) if ordered.size else math.nan,
        total=float(z.sum()),
        total_squares=float(z @ z),
        tail_totals=np.array([z[:lower].sum(), z[upper:].sum()]),
    )


def _numbers_by_day(grid: Grid, column: str, values: Floats, day: Integers, n_days: int) -> NumericDays:
    known = np.isfinite(values)
    edges, n_bins = grid.numeric[column], grid.numeric[column].size + 1
    values, n_missing = values[known], np.bincount(day[~known], minlength=n_days)
    day = day[known]
    bins = np.searchsorted(edges, values)
    z = grid.standardize(column, values)
    low, high = np.full(n_days, np.inf), np.full(n_days, -np.inf)
    np.minimum.at(low, day, values)
    np.maximum.at(high, day, values)
    is_tail = bins == 0, bins == n_bins - 1
    return NumericDays(
        counts=narrow(np.bincount(day * n_bins + bins, minlength=n_days * n_bins).reshape(n_days, n_bins)),
        n_missing=n_missing.astype(np.int64),
        extremes=np.column_stack([np.where(low <= high, low, np.nan), np.where(low <= high, high, np.nan)]),
        totals=np.column_stack([np.bincount(day, weights=part, minlength=n_days) for part in (z, z * z)]),
        tails=np.column_stack([np.bincount(day, weights=z * part, minlength=n_days) for part in is_tail]),
    )


def _count_categories(grid: Grid, column: str, table: pa.Table) -> CategorySketch:
    codes, names = code_categories(table, column)
    counts = np.bincount(codes[codes >= 0], minlength=len(names)).astype(np.int64)
    level = _levels_of(names, grid.categorical[column])
    known = level >= 0
    n_levels = len(grid.categorical[column])
    found = np.bincount(level[known], weights=counts[known], minlength=n_levels).astype(np.int64)
    return CategorySketch(
        counts=found,
        n_missing=int((codes < 0).sum()),
        n_strange=int(counts[~known].sum()),
        strangers=_strangers(names, np.flatnonzero(~known), counts[~known]),
    )


def _categories_by_day(grid: Grid, column: str, table: pa.Table, day: Integers, n_days: int) -> CategoryDays:
    codes, names = code_categories(table, column)
    n_levels = len(grid.categorical[column])
    level = np.append(_levels_of(names, grid.categorical[column]), -2)[codes]  # -2: null
    known, strange = level >= 0, level == -1
    cells = np.bincount(day[known] * n_levels + level[known], minlength=n_days * n_levels)
    unknown, bounds = codes[strange], np.searchsorted(day[strange], np.arange(n_days + 1))
    strangers: list[dict[str, int]] = []
    for first, last in pairwise(bounds):
        strangers.append(_strangers(names, *np.unique(unknown[first:last], return_counts=True)))
    return CategoryDays(
        counts=narrow(cells.reshape(n_days, n_levels)),
        n_missing=np.bincount(day[level == -2], minlength=n_days).astype(np.int64),
        n_strange=np.bincount(day[strange], minlength=n_days).astype(np.int64),
        strangers=tuple(strangers),
    )


def _levels_of(names: list[str], levels: tuple[str, ...]) -> Integers:
    """Return the position of each name among the levels, -1 for a stranger."""
    found = pc.index_in(pa.array(names, pa.string()), value_set=pa.array(levels, pa.string()))
    return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _strangers(names: list[str], codes: Integers, counts: Integers) -> dict[str, int]:
    together: Counter[str] = Counter()
    for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
        together[names[code]] += count
    return most_frequent(together)


def _without_rows(grid: Grid) -> pa.Table:
    types = {name: pa.float64() for name in grid.numeric} | {name: pa.string() for name in grid.categorical}
    return pa.table({name: pa.array([], kind) for name, kind in types.items()})
