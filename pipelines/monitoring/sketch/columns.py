"""What is kept of one column: of a table, and of each of many days."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipelines.monitoring.sketch.cells import Floats, Integers

MAX_STRANGERS = 50


@dataclass(frozen=True, eq=False)
class NumericSketch:
    """The counts and sums of a numeric column.

    Parameters
    ----------
    counts : ndarray of int64, shape (k,)
        Finite values a bin.
    n_missing : int
        Rows that are null, nan or infinite.
    minimum, maximum : float
        Of the finite values, in the column's own unit; nan without any.
    total, total_squares : float
        Sums of ``z`` and ``z ** 2`` with ``z = (x - centre) / scale`` of :meth:`Grid.unit`.
    tail_totals : ndarray of float64, shape (2,)
        Sums of ``z`` in the first and in the last bin, which are open.
    """

    counts: Integers
    n_missing: int
    minimum: float
    maximum: float
    total: float
    total_squares: float
    tail_totals: Floats

    @property
    def n_values(self) -> int:
        """How many finite values were counted."""
        return int(self.counts.sum())


@dataclass(frozen=True, eq=False)
class CategorySketch:
    """The counts of a categorical column.

    Parameters
    ----------
    counts : ndarray of int64, shape (n_levels,)
        Rows of each level that the grid knows.
    n_missing : int
        Rows that are null.
    n_strange : int
        Rows of levels that the grid does not know.
    strangers : mapping of str to int
        The most frequent of those levels, at most 50. Where there are more, what is merged may count too few.
    """

    counts: Integers
    n_missing: int
    n_strange: int = 0
    strangers: Mapping[str, int] = field(default_factory=dict)

    @property
    def n_values(self) -> int:
        """How many values were counted, known or not."""
        return int(self.counts.sum()) + self.n_strange


@dataclass(frozen=True, eq=False)
class NumericDays:
    """A numeric column of ``d`` days: as :class:`NumericSketch`, with the days as the first axis.

    ``extremes``, ``totals`` and ``tails`` have shape (d, 2); ``counts`` has the narrowest type that holds it.
    """

    counts: npt.NDArray[np.integer]
    n_missing: Integers
    extremes: Floats
    totals: Floats
    tails: Floats

    @classmethod
    def stack(cls, parts: Sequence[NumericSketch]) -> NumericDays:
        """Put sketches of one grid in a row; at least one."""
        return cls(
            counts=narrow(np.stack([part.counts for part in parts])),
            n_missing=np.array([part.n_missing for part in parts], dtype=np.int64),
            extremes=np.array([(part.minimum, part.maximum) for part in parts]),
            totals=np.array([(part.total, part.total_squares) for part in parts]),
            tails=np.stack([part.tail_totals for part in parts]),
        )

    def select(self, days: Integers) -> NumericDays:
        """Return the days at some positions."""
        return NumericDays(
            self.counts[days], self.n_missing[days], self.extremes[days], self.totals[days], self.tails[days]
        )

    def at(self, day: int) -> NumericSketch:
        """Return the sketch of one day, by position."""
        return self.select(np.array([day])).sum()

    def sum(self) -> NumericSketch:
        """Return the sketch of all days together."""
        total, total_squares = self.totals.sum(axis=0)
        return NumericSketch(
            counts=self.counts.sum(axis=0, dtype=np.int64),
            n_missing=int(self.n_missing.sum()),
            minimum=float(np.fmin.reduce(self.extremes[:, 0], initial=math.nan)),
            maximum=float(np.fmax.reduce(self.extremes[:, 1], initial=math.nan)),
            total=float(total),
            total_squares=float(total_squares),
            tail_totals=self.tails.sum(axis=0),
        )


@dataclass(frozen=True, eq=False)
class CategoryDays:
    """A categorical column of ``d`` days: as :class:`CategorySketch`, with the days as the first axis."""

    counts: npt.NDArray[np.integer]
    n_missing: Integers
    n_strange: Integers
    strangers: tuple[Mapping[str, int], ...]

    @classmethod
    def stack(cls, parts: Sequence[CategorySketch]) -> CategoryDays:
        """Put sketches of one grid in a row; at least one."""
        return cls(
            counts=narrow(np.stack([part.counts for part in parts])),
            n_missing=np.array([part.n_missing for part in parts], dtype=np.int64),
            n_strange=np.array([part.n_strange for part in parts], dtype=np.int64),
            strangers=tuple(part.strangers for part in parts),
        )

    def select(self, days: Integers) -> CategoryDays:
        """Return the days at some positions."""
        strangers = tuple(self.strangers[day] for day in days)
        return CategoryDays(self.counts[days], self.n_missing[days], self.n_strange[days], strangers)

    def at(self, day: int) -> CategorySketch:
        """Return the sketch of one day, by position."""
        return self.select(np.array([day])).sum()

    def sum(self) -> CategorySketch:
        """Return the sketch of all days together."""
        strangers: Counter[str] = Counter()
        for part in self.strangers:
            strangers.update(part)
        return CategorySketch(
            counts=self.counts.sum(axis=0, dtype=np.int64),
            n_missing=int(self.n_missing.sum()),
            n_strange=int(self.n_strange.sum()),
            strangers=most_frequent(strangers),
        )


def narrow(counts: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Return counts in the narrowest unsigned type that holds them: most days' fit in a byte."""
    return counts.astype(np.min_scalar_type(int(counts.max(initial=0))))


def most_frequent(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the most frequent names, by name where they are equal: the order of rows does not matter."""
    ranked = sorted((-count, name) for name, count in counts.items() if count)
    return {name: -count for count, name in ranked[:MAX_STRANGERS]}
