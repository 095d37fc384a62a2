"""Rules about a column or the table as a whole, as DuckDB measures them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from great_expectations.constants import MAX_DISTINCT_VALUES

from pipelines.storage.sql import identifier
from pipelines.validation.engine.checks import STAGES, Check, RowCheck, Subject
from pipelines.validation.engine.literals import double
from pipelines.validation.engine.moments import Moments, Ranks
from pipelines.validation.engine.scan import Scan, Tally

# A column of other than a few values has no value that is common; more of them are not listed.
_MAX_MODES = 1000


class RowCountCheck(Check):
    """How many rows there are."""

    def ask(self, stage: int, tally: Tally) -> None:
        if stage == STAGES[0]:
            self._tally = tally
            tally.count(self.domain.condition, self.domain.columns)

    def metrics(self, partition_key: str) -> dict[str, Any]:
        name = self._tally.count(self.domain.condition)
        return {"table.row_count": self._tally.number(name, partition_key)}


class ExtremeCheck(Check):
    """The least or the greatest value."""

    def __init__(self, subject: Subject, name: str) -> None:
        super().__init__(subject)
        self._name = name

    def ask(self, stage: int, tally: Tally) -> None:
        if stage == STAGES[0]:
            (column,) = self.subject.columns
            self._tally = tally
            # There is one zero, whichever sign comes first.
            unsigned = " + 0::DOUBLE" if tally.scan.columns[column] == "float" else ""
            self._alias = tally.add(
                f"{self._name}({identifier(column)}) FILTER ({self.domain.kept}){unsigned}",
                [column, *self.domain.columns],
            )

    def metrics(self, partition_key: str) -> dict[str, Any]:
        return {f"column.{self._name}": self._tally.typed(self._alias, partition_key)}


class MomentCheck(Check):
    """The sum, the mean or the standard deviation."""

    def __init__(self, subject: Subject, metric: str, moments: Moments) -> None:
        super().__init__(subject)
        self._metric, self._moments = metric, moments

    def ask(self, stage: int, tally: Tally) -> None:
        self._moments.ask(stage, tally, deviates=self._metric == "standard_deviation")

    def metrics(self, partition_key: str) -> dict[str, Any]:
        moments = self._moments
        ways: Mapping[str, Callable[[str], float]] = {
            "sum": moments.sum,
            "mean": moments.mean,
            "standard_deviation": moments.stdev,
        }
        return {f"column.{self._metric}": ways[self._metric](partition_key)}


class MedianCheck(Check):
    """The median."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._ranks = Ranks(subject.columns[0], subject.domain, [0.5])

    def read(self, scan: Scan) -> None:
        self._ranks.read(scan)

    def metrics(self, partition_key: str) -> dict[str, Any]:
        return {"column.median": self._ranks.quantile(partition_key, 0.5, way="midpoint")}


class QuantileCheck(Check):
    """Several quantiles. Great Expectations' own run of this one fails on pandas."""

    def __init__(self, subject: Subject, quantiles: Sequence[float], way: str) -> None:
        super().__init__(subject)
        self._quantiles, self._way = list(quantiles), way
        self._ranks = Ranks(subject.columns[0], subject.domain, self._quantiles)

    def read(self, scan: Scan) -> None:
        self._ranks.read(scan)

    def metrics(self, partition_key: str) -> dict[str, Any]:
        values = [self._ranks.quantile(partition_key, each, way=self._way) for each in self._quantiles]
        return {"column.quantile_values": values}


class SpreadCheck(RowCheck):
    """Rows too far from the others: z-scores and outliers.

    Parameters
    ----------
    predicate : str
        SQL with ``{value}``, and ``{one}`` and ``{other}`` for the two limits.
    limits : callable
        The limits in a partition; None where it has nothing to measure against, and no row is too far.
    """

    stage = STAGES[2]

    def __init__(
        self,
        subject: Subject,
        predicate: str,
        measure: Moments | Ranks,
        limits: Callable[[str], tuple[float, float] | None],
    ) -> None:
        self._names = [f"holdfast_limit_{subject.rule.position}_{end}" for end in ("one", "other")]
        one, other = map(identifier, self._names)
        value = f"{identifier(subject.columns[0])}::DOUBLE"
        unexpected = f"coalesce({predicate.format(value=value, one=one, other=other)}, FALSE)"
        super().__init__(subject, unexpected, reads=self._names)
        self._measure, self._limits = measure, limits

    def read(self, scan: Scan) -> None:
        if isinstance(self._measure, Ranks):
            self._measure.read(scan)

    def ask(self, stage: int, tally: Tally) -> None:
        if isinstance(self._measure, Moments):
            self._measure.ask(stage, tally, deviates=True)
        if stage == self.stage:
            for end, name in enumerate(self._names):
                known = {key: self._limits(key) for key in tally.scan.partitions}
                texts = {key: double(pair[end]) if pair else None for key, pair in known.items()}
                tally.scan.bind(name, {key: text or "NULL::DOUBLE" for key, text in texts.items()})
        super().ask(stage, tally)


class DistinctCheck(Check):
    """How many values there are, how many of them are distinct, and how many are null."""

    def __init__(self, subject: Subject, *, counts_distinct: bool = True) -> None:
        super().__init__(subject)
        self._counts_distinct = counts_distinct
        self._distinct: Mapping[str, int] = {}

    def ask(self, stage: int, tally: Tally) -> None:
        if stage == STAGES[0]:
            self._tally = tally
            for which in (self.domain.condition, self.domain.kept):
                tally.count(which, [*self.subject.columns, *self.domain.columns])

    def read(self, scan: Scan) -> None:
        if self._counts_distinct:
            (column,) = self.subject.columns
            self._distinct = scan.counts(
                f"SELECT partition_key, count(*) FROM (SELECT DISTINCT partition_key, {identifier(column)} "
                f"FROM {scan.source([column, *self.domain.columns])} WHERE {self.domain.kept}) GROUP BY ALL"
            )

    def metrics(self, partition_key: str) -> dict[str, Any]:
        n_rows = self._tally.number(self._tally.count(self.domain.condition), partition_key)
        n_kept = self._tally.number(self._tally.count(self.domain.kept), partition_key)
        n_distinct = self._distinct.get(partition_key, 0)
        return {
            "column.distinct_values.count": n_distinct,
            "column.unique_proportion": n_distinct / n_kept if n_kept else 0,
            "column.non_null_proportion": n_kept / n_rows if n_rows else 0,
        }


class ModeCheck(Check):
    """The most common values, all of them if there are several."""

    def __init__(self, subject: Subject, within: str) -> None:
        super().__init__(subject)
        self._within = within
        self._modes: dict[str, list[Any]] = {}

    def read(self, scan: Scan) -> None:
        (name,) = self.subject.columns
        column = identifier(name)
        found = scan.table(
            f"SELECT partition_key, {column} AS value FROM (SELECT partition_key, {column}, count(*) AS n "
            f"FROM {scan.source([name, *self.domain.columns])} WHERE {self.domain.kept} "
            f"GROUP BY partition_key, {column} QUALIFY n = max(n) OVER (PARTITION BY partition_key)) "
            f"QUALIFY row_number() OVER (PARTITION BY partition_key ORDER BY {self._within} DESC, value) "
            f"<= {_MAX_MODES}"
        )
        for row in found.to_pylist():
            # There is one zero, whichever sign comes first.
            value = row["value"] + 0.0 if isinstance(row["value"], float) else row["value"]
            self._modes.setdefault(row["partition_key"], []).append(value)

    def metrics(self, partition_key: str) -> dict[str, Any]:
        return {"column.most_common_value": sorted(self._modes.get(partition_key, []))}


class SetCheck(Check):
    """The distinct values beside those expected, and the expected ones that are missing."""

    def __init__(self, subject: Subject, expected: Sequence[Any], texts: Sequence[str]) -> None:
        super().__init__(subject)
        self._expected, self._texts = set(expected), ", ".join(texts)
        self._beside: dict[str, tuple[int, list[Any]]] = {}
        self._present: dict[str, set[Any]] = {}

    def read(self, scan: Scan) -> None:
        (name,) = self.subject.columns
        column = identifier(name)
        within = f"{column} IN ({self._texts})" if self._texts else "FALSE"
        found = scan.table(
            f"SELECT partition_key, count(*) FILTER (NOT within) AS n, "
            f"min(value, {MAX_DISTINCT_VALUES}) FILTER (NOT within) AS beside, "
            "list(value) FILTER (within) AS present FROM "
            f"(SELECT DISTINCT partition_key, {column} AS value, {within} AS within "
            f"FROM {scan.source([name, *self.domain.columns])} WHERE {self.domain.kept}) GROUP BY ALL"
        )
        for row in found.to_pylist():
            self._beside[row["partition_key"]] = row["n"], row["beside"] or []
            self._present[row["partition_key"]] = set(row["present"] or [])

    def metrics(self, partition_key: str) -> dict[str, Any]:
        n_beside, beside = self._beside.get(partition_key, (0, []))
        missing = sorted(self._expected - self._present.get(partition_key, set()))
        return {
            "column.distinct_values.not_in_set.count": n_beside,
            "column.distinct_values.not_in_set": beside,
            "column.distinct_values.missing_from_column.count": len(missing),
            "column.distinct_values.missing_from_column": missing[:MAX_DISTINCT_VALUES],
        }
