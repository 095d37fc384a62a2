"""Parts of a reference, and how far each is from the rest: stretches of days, or random samples of rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.monitoring.distances import (
    Floats,
    Integers,
    block_jensen_shannon,
    block_missing_share,
    block_wasserstein,
)
from pipelines.monitoring.reference import (
    MIN_ROWS,
    category_codes,
    day_numbers,
    is_missing,
    numeric_values,
)

_MAX_BLOCKS = 90
# Of one shuffle of the rows; and how many parts all shuffles have together, at least.
_MAX_SAMPLES, _N_SAMPLES = 45, 60


@dataclass(frozen=True)
class Partitioning:
    """One way to part the rows: ``numbers`` (n,) is each row's group; a part is ``length`` groups long."""

    numbers: Integers
    starts: list[int]
    length: int


class Blocks:
    """Parts of a table, and how far each is from the rest of it.

    Parameters
    ----------
    table : pyarrow.Table, shape (n, k)
        The rows of a reference.
    partitionings : list of Partitioning
        The parts of one share no row unless they lie less than ``length`` apart; those of two may.
    """

    def __init__(self, table: pa.Table, partitionings: list[Partitioning]) -> None:
        self._table = table
        self._partitionings = partitionings

    @property
    def n(self) -> int:
        """How many parts there are."""
        return sum(len(partitioning.starts) for partitioning in self._partitionings)

    def distances(self, column: str, *, is_named: bool) -> Floats:
        """Return the distance of each part's values to the rest's, shape (n,); nan where there are none.

        Parameters
        ----------
        is_named : bool
            Whether the column's values are names (Jensen-Shannon) rather than numbers (Wasserstein).
        """
        if is_named:
            (codes,) = category_codes(self._table, column=column)
            return self._each(
                lambda part: block_jensen_shannon(codes, part.numbers, part.starts, part.length)
            )
        values = numeric_values(self._table, column)
        return self._each(lambda part: block_wasserstein(values, part.numbers, part.starts, part.length))

    def missing(self, column: str) -> Floats:
        """Return how far each part's share of nulls is from the rest's, shape (n,)."""
        missing = is_missing(self._table, column)
        return self._each(lambda p: block_missing_share(missing, p.numbers, p.starts, p.length))

    def apart(self) -> Iterator[npt.NDArray[np.bool_]]:
        """Yield for each part which others it can be judged by: those that share no group with it."""
        starts = np.concatenate([np.asarray(part.starts) for part in self._partitionings] or [np.empty(0)])
        owner = np.repeat(
            np.arange(len(self._partitionings)), [len(part.starts) for part in self._partitionings]
        )
        for partitioning, start, own in zip(
            (self._partitionings[number] for number in owner), starts, owner, strict=True
        ):
            yield (owner != own) | (np.abs(starts - start) >= partitioning.length)

    def _each(self, distances: Callable[[Partitioning], Floats]) -> Floats:
        return np.concatenate([distances(part) for part in self._partitionings] or [np.empty(0)])


def day_blocks(table: pa.Table, block_days: int) -> Blocks:
    """Return all stretches of ``block_days`` successive days; of half the days, if there are too few."""
    numbers, n_days = day_numbers(table)
    length = max(1, min(block_days, n_days // 2))
    n_starts = n_days - length + 1 if n_days > 1 else 0
    starts = list(range(0, n_starts, max(1, math.ceil(n_starts / _MAX_BLOCKS))))
    return Blocks(table, [Partitioning(numbers, starts, length)])


def row_blocks(table: pa.Table, n_rows: int) -> Blocks:
    """Return 60 or more random samples of ``n_rows`` rows; of half the rows, if there are too few.

    The same for the same table. Samples of one shuffle of the rows share none. Windows of fewer than 30
    rows are never judged, so no smaller sample is taken unless the table is smaller.
    """
    n = table.num_rows
    if n < 2:
        return Blocks(table, [])
    size = min(max(n_rows, MIN_ROWS), n // 2)
    n_samples = min(n // size, _MAX_SAMPLES)
    random = np.random.default_rng(0)
    shuffles = [
        # What is beyond the last sample is one more group, which is only ever the rest of the table.
        Partitioning(np.minimum(random.permutation(n) // size, n_samples), list(range(n_samples)), 1)
        for _ in range(math.ceil(_N_SAMPLES / n_samples))
    ]
    return Blocks(table, shuffles)
