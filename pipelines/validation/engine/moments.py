"""Numbers that sum up a column of a partition: moments and quantiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipelines.config import ColumnType
from pipelines.storage.sql import identifier
from pipelines.validation.engine.checks import STAGES, Domain, Subject
from pipelines.validation.engine.literals import double
from pipelines.validation.engine.scan import Scan, Tally


class Moments:
    """Count, sum, mean and standard deviation of a column of numbers.

    Whole numbers are summed exactly. Floats are summed with compensation, so the sum does not
    depend on their order; pandas' may differ from it in the last digits.
    """

    def __init__(self, subject: Subject, type_: ColumnType) -> None:
        (self._column,) = subject.columns
        self._type, self._domain = type_, subject.domain
        self._reads = [self._column, *self._domain.columns]
        self._center = f"holdfast_mean_{subject.rule.position}"

    def ask(self, stage: int, tally: Tally, *, deviates: bool) -> None:
        """Ask for the sums, and, in the second stage, for the squares of the deviations."""
        column, kept = identifier(self._column), f"FILTER ({self._domain.kept})"
        if stage == STAGES[0]:
            self._tally = tally
            self._n = tally.count(self._domain.kept, self._reads)
            if self._type == "float":
                self._sum = tally.add(f"fsum({column}) {kept}", self._reads)
                self._plain = tally.add(f"sum({column}) {kept}", self._reads)
            else:
                # As text: the sum of whole numbers may be longer than any number of Arrow.
                self._sum = tally.add(f"CAST(sum({column}::BIGINT) {kept} AS VARCHAR)", self._reads)
        if stage == STAGES[1] and deviates:
            self._squares = tally
            known = {key: double(self.mean(key)) or "NULL::DOUBLE" for key in tally.scan.partitions}
            center = tally.scan.bind(self._center, known)
            deviation = f"({column}::DOUBLE - {identifier(center)})"
            self._square = tally.add(f"fsum({deviation} * {deviation}) {kept}", [*self._reads, center])

    def count(self, key: str) -> int:
        return self._tally.number(self._n, key)

    def sum(self, key: str) -> int | float:
        """Return the sum; 0 of nothing."""
        value = self._tally.value(self._sum, key)
        if self._type != "float":
            return int(value or 0)
        # Compensation turns infinities into no number.
        exact = 0.0 if value is None else float(value)
        return exact if math.isfinite(exact) else float(self._tally.value(self._plain, key))

    def mean(self, key: str) -> float:
        """Return the mean; NaN of nothing."""
        n_values = self.count(key)
        return float(self.sum(key)) / n_values if n_values else math.nan

    def stdev(self, key: str) -> float:
        """Return the standard deviation of a sample; NaN of fewer than two values."""
        n_values = self.count(key)
        if n_values < 2 or not math.isfinite(self.mean(key)):
            return math.nan
        return math.sqrt(self._squares.value(self._square, key) / (n_values - 1))


class Ranks:
    """Quantiles of a column of numbers, from the two values next to each."""

    def __init__(self, column: str, domain: Domain, quantiles: Sequence[float]) -> None:
        self._column, self._domain, self._quantiles = column, domain, list(quantiles)
        self._values: dict[str, dict[int, Any]] = {}
        self._counts: dict[str, int] = {}

    def read(self, scan: Scan) -> None:
        """Sort the column, on disk if it must be, and keep the values next to each quantile."""
        column = identifier(self._column)
        # As numpy places a quantile: between two values, the lower one first.
        places = [f"(n - 1) * {double(quantile * 100 / 100)}" for quantile in self._quantiles]
        wanted = ", ".join(f"floor({place}), ceil({place})" for place in places)
        found = scan.table(
            f"SELECT partition_key, place, {column} AS value, n FROM (SELECT partition_key, {column}, "
            f"row_number() OVER (PARTITION BY partition_key ORDER BY {column}) - 1 AS place, "
            f"count(*) OVER (PARTITION BY partition_key) AS n "
            f"FROM {scan.source([self._column, *self._domain.columns])} WHERE {self._domain.kept}) "
            f"WHERE place::DOUBLE IN ({wanted})"
        )
        for row in found.to_pylist():
            self._values.setdefault(row["partition_key"], {})[row["place"]] = row["value"]
            self._counts[row["partition_key"]] = row["n"]

    def quantile(self, key: str, quantile: float, *, way: str = "linear") -> Any:
        """Return a quantile as numpy's method of this name does; NaN of nothing."""
        if key not in self._values:
            return math.nan
        place = (self._counts[key] - 1) * (quantile * 100 / 100)
        below, above = self._values[key][math.floor(place)], self._values[key][math.ceil(place)]
        share = place - math.floor(place)
        if way == "linear":
            return _between(float(below), float(above), share)
        if way == "midpoint":
            return _between(float(below), float(above), 0.5 if share else 0.0)
        if way == "nearest":
            is_above = share > 0.5 or (share == 0.5 and math.floor(place) % 2 == 1)
        else:
            is_above = way == "higher"
        return above if is_above else below


def _between(below: float, above: float, share: float) -> float:
    """Return a value between two, as numpy computes it."""
    width = np.float64(above) - np.float64(below)
    with np.errstate(all="ignore"):
        return float(above - width * (1 - share) if share >= 0.5 else below + width * share)
