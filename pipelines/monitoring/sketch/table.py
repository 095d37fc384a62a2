"""What is kept of a table, and of each of its days."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipelines.errors import IntegrityError
from pipelines.monitoring.sketch.cells import Floats, Integers
from pipelines.monitoring.sketch.columns import CategoryDays, CategorySketch, NumericDays, NumericSketch
from pipelines.monitoring.sketch.grid import Grid


@dataclass(frozen=True, eq=False)
class TableSketch:
    """The counts of a table's columns on a grid.

    Sketches of one grid merge by addition: shards, days and weeks give what all their rows would.

    Parameters
    ----------
    grid : Grid
        The cells.
    n_rows : int
        Of the table.
    numeric, categorical : mapping of str to NumericSketch, CategorySketch
        One of each column of the grid.
    """

    grid: Grid
    n_rows: int
    numeric: Mapping[str, NumericSketch]
    categorical: Mapping[str, CategorySketch]

    def __add__(self, other: TableSketch) -> TableSketch:
        return self.merge(other)

    def merge(self, *others: TableSketch) -> TableSketch:
        """Return the sketch of the rows of this one and all others.

        Raises
        ------
        ValueError
            If another has other cells.
        """
        if not others:
            return self
        return DaySketches.stack(self.grid, {str(n): part for n, part in enumerate((self, *others))}).total

    def column(self, name: str) -> NumericSketch | CategorySketch:
        """Return what is kept of one column."""
        return self.numeric[name] if name in self.numeric else self.categorical[name]

    def mean(self, column: str) -> float:
        """Return the mean of a numeric column in its own unit; nan without values."""
        found = self.numeric[column]
        centre, scale = self.grid.unit(column)
        return centre + scale * (found.total / found.n_values) if found.n_values else math.nan

    def sd(self, column: str) -> float:
        """Return the standard deviation (of a population) of a numeric column; nan without values."""
        found = self.numeric[column]
        if not found.n_values:
            return math.nan
        mean = found.total / found.n_values
        return self.grid.unit(column)[1] * math.sqrt(max(0.0, found.total_squares / found.n_values - mean**2))

    def missing_share(self, column: str) -> float:
        """Return the share of rows without a value, 0 to 1; nan without rows."""
        return self.column(column).n_missing / self.n_rows if self.n_rows else math.nan

    def to_bytes(self) -> bytes:
        """Return the sketch and its grid as bytes that :meth:`from_bytes` reads."""
        return DaySketches.stack(self.grid, {"": self}).to_bytes()

    @classmethod
    def from_bytes(cls, content: bytes) -> TableSketch:
        """Read what :meth:`to_bytes` wrote.

        Raises
        ------
        IntegrityError
            If these are other bytes, or were changed.
        """
        found = DaySketches.from_bytes(content)
        if found.days != ("",):
            raise IntegrityError("These are the sketches of many days, not of one table.")
        return found.total


@dataclass(frozen=True, eq=False)
class DaySketches:
    """The counts of each day of a table on one grid.

    Parameters
    ----------
    grid : Grid
        The cells.
    days : tuple of str
        Partition keys, ascending.
    n_rows : ndarray of int64, shape (n_days,)
        Of each day.
    numeric, categorical : mapping of str to NumericDays, CategoryDays
        One of each column of the grid.
    """

    grid: Grid
    days: tuple[str, ...]
    n_rows: Integers
    numeric: Mapping[str, NumericDays]
    categorical: Mapping[str, CategoryDays]

    @classmethod
    def stack(cls, grid: Grid, parts: Mapping[str, TableSketch]) -> DaySketches:
        """Return the sketches of days by day; at least one.

        Raises
        ------
        ValueError
            If one has other cells than ``grid``.
        """
        for part in parts.values():
            if part.grid is not grid and part.grid.digest != grid.digest:
                raise ValueError("Only sketches of one grid can be put together.")
        days = sorted(parts)
        ordered = [parts[day] for day in days]
        return cls(
            grid=grid,
            days=tuple(days),
            n_rows=np.array([part.n_rows for part in ordered], dtype=np.int64),
            numeric={
                name: NumericDays.stack([part.numeric[name] for part in ordered]) for name in grid.numeric
            },
            categorical={
                name: CategoryDays.stack([part.categorical[name] for part in ordered])
                for name in grid.categorical
            },
        )

    @property
    def sketches(self) -> tuple[TableSketch, ...]:
        """One sketch a day."""
        return tuple(self.day_sketch(day) for day in self.days)

    @cached_property
    def total(self) -> TableSketch:
        """The sketch of all days together."""
        return TableSketch(
            grid=self.grid,
            n_rows=int(self.n_rows.sum()),
            numeric={name: column.sum() for name, column in self.numeric.items()},
            categorical={name: column.sum() for name, column in self.categorical.items()},
        )

    def day_sketch(self, day: str) -> TableSketch:
        """Return the sketch of one day."""
        position = self.days.index(day)
        return TableSketch(
            grid=self.grid,
            n_rows=int(self.n_rows[position]),
            numeric={name: column.at(position) for name, column in self.numeric.items()},
            categorical={name: column.at(position) for name, column in self.categorical.items()},
        )

    def day_counts(self, column: str) -> Integers:
        """Return the counts of each day, shape (n_days, k): bins, or levels and then all strangers as one."""
        if column in self.numeric:
            return self.numeric[column].counts.astype(np.int64)
        found = self.categorical[column]
        return np.column_stack([found.counts.astype(np.int64), found.n_strange])

    def day_missing(self, column: str) -> Integers:
        """Return how many rows of each day have no value, shape (n_days,)."""
        found = self.numeric[column] if column in self.numeric else self.categorical[column]
        return found.n_missing.copy()

    def day_rows(self) -> Integers:
        """Return how many rows each day has, shape (n_days,)."""
        return self.n_rows.copy()

    def day_sums(self, column: str) -> Floats:
        """Return the sums of ``z`` and ``z ** 2`` of :meth:`Grid.unit`, shape (n_days, 2); numeric only."""
        return self.numeric[column].totals.copy()

    def select(self, days: Iterable[str]) -> DaySketches:
        """Return the sketches of those of the days that there are."""
        wanted = set(days)
        kept = np.array([n for n, day in enumerate(self.days) if day in wanted], dtype=np.int64)
        return DaySketches(
            grid=self.grid,
            days=tuple(self.days[position] for position in kept),
            n_rows=self.n_rows[kept],
            numeric={name: column.select(kept) for name, column in self.numeric.items()},
            categorical={name: column.select(kept) for name, column in self.categorical.items()},
        )

    def to_bytes(self) -> bytes:
        """Return the sketches and their grid as compressed bytes that :meth:`from_bytes` reads."""
        from pipelines.monitoring.sketch.packing import pack

        return pack(self)

    @classmethod
    def from_bytes(cls, content: bytes) -> DaySketches:
        """Read what :meth:`to_bytes` wrote.

        Raises
        ------
        IntegrityError
            If these are other bytes, or were changed.
        """
        from pipelines.monitoring.sketch.packing import unpack

        return unpack(content)
