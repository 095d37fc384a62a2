"""Row-level rules as DuckDB runs them: how many rows are unexpected, and which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from great_expectations.expectations.expectation import (
    ColumnMapExpectation,
    Expectation,
    MulticolumnMapExpectation,
)

from pipelines.storage.sql import identifier
from pipelines.validation.engine.columns import listed
from pipelines.validation.engine.findings import BREACHES, EngineName
from pipelines.validation.engine.scan import Scan, Tally
from pipelines.validation.rules import Rule

#: What is asked of all rows at once, what needs the answers to that, and what needs all answers.
STAGES = range(3)


@dataclass(frozen=True)
class Domain:
    """The rows that a rule considers.

    Parameters
    ----------
    condition : str
        SQL of the row condition; ``TRUE`` without one.
    kept : str
        SQL of the rows that are judged: of the row condition, without those that are left out for
        their nulls.
    columns : tuple of str
        All columns that the two name.
    """

    condition: str
    kept: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Subject:
    """A rule, its Great Expectations object, and what it is about.

    Parameters
    ----------
    columns : tuple of str
        As the expectation has them; reports show their values in this order.
    """

    rule: Rule
    expectation: Expectation
    columns: tuple[str, ...]
    domain: Domain


class Check:
    """One rule on its way through the scans.

    At each stage it may ask the tally of that stage for aggregates; before the last, it reads for
    itself what no aggregate can tell. Then it knows the metrics of each partition, by the names that
    Great Expectations has for them.
    """

    engine: EngineName = "duckdb"

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.rule = subject.rule
        self.expectation = subject.expectation
        self.domain = subject.domain

    def ask(self, stage: int, tally: Tally) -> None:
        """Ask for aggregates, knowing the answers of the stages before."""

    def read(self, scan: Scan) -> None:
        """Read for itself, between the second stage and the third."""

    def metrics(self, partition_key: str) -> dict[str, Any]:
        """Return the metrics of a partition; complete after the last stage."""
        raise NotImplementedError


class RowCheck(Check):
    """A rule that judges rows by a predicate.

    Parameters
    ----------
    unexpected : str
        SQL that is true of an unexpected row among those kept, and false of the others.
    judges_nulls : bool
        Whether rows that are left out for their nulls are judged too.
    """

    # When the number of unexpected rows can be asked for; None if a read of its own finds them.
    stage: int | None = 0

    def __init__(
        self, subject: Subject, unexpected: str, *, judges_nulls: bool = False, reads: Sequence[str] = ()
    ) -> None:
        super().__init__(subject)
        self.unexpected = unexpected
        self._judged = self.domain.condition if judges_nulls else self.domain.kept
        self._reads = tuple(reads)
        self._rows: Tally | None = None
        self._counted: tuple[Tally, str] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the predicate and the domain read."""
        return tuple(dict.fromkeys([*self.subject.columns, *self.domain.columns, *self._reads]))

    @property
    def bad(self) -> str:
        """SQL that is true of an unexpected row, and of no other."""
        return self.unexpected if self._judged == "TRUE" else f"({self._judged}) AND {self.unexpected}"

    def ask(self, stage: int, tally: Tally) -> None:
        if stage == STAGES[0]:
            self._rows = tally
            tally.count(self.domain.condition, self.domain.columns)
            tally.count(self.domain.kept, self.domain.columns)
        if stage == self.stage and self.unexpected != "FALSE":
            self._counted = tally, tally.count(self.bad, self.columns)

    def n_unexpected(self, partition_key: str) -> int:
        """Return how many rows of a partition are unexpected."""
        if self._counted is None:
            return 0
        tally, name = self._counted
        return tally.number(name, partition_key)

    @property
    def is_collected(self) -> bool:
        """Whether :attr:`bad` says which rows are unexpected; else they are in the table already."""
        return True

    def metrics(self, partition_key: str) -> dict[str, Any]:
        if self._rows is None:
            return {}
        n_rows = self._rows.number(self._rows.count(self.domain.condition), partition_key)
        n_kept = self._rows.number(self._rows.count(self.domain.kept), partition_key)
        name = self.expectation.map_metric
        return {
            "table.row_count": n_rows,
            "column_values.nonnull.unexpected_count": n_rows - n_kept,
            f"{name}.filtered_row_count": n_kept,
            f"{name}.unexpected_count": self.n_unexpected(partition_key),
        }

    def samples(self, frame: pd.DataFrame, positions: list[int]) -> dict[str, Any]:
        """Return the metrics that show unexpected rows, from the first of them."""
        name = self.expectation.map_metric
        columns = list(self.subject.columns)
        if isinstance(self.expectation, ColumnMapExpectation):
            values: list[Any] = list(frame[columns[0]])
        elif isinstance(self.expectation, MulticolumnMapExpectation):
            values = frame[columns].to_dict("records")
        else:
            # As Great Expectations takes them: numpy's values, which for times are without a zone.
            one, other = (frame[column].values for column in columns)
            values = list(zip(one, other, strict=True))
        return {f"{name}.unexpected_values": values, f"{name}.unexpected_index_list": positions}


class PlacedCheck(RowCheck):
    """A rule whose unexpected rows a query of its own finds, and keeps."""

    stage = None

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject, "FALSE")
        self._found: Mapping[str, int] = {}

    @property
    def is_collected(self) -> bool:
        return False

    def n_unexpected(self, partition_key: str) -> int:
        return self._found.get(partition_key, 0)

    def keep(self, scan: Scan, places: str) -> None:
        """Keep the rows that a query gives as partition_key and position."""
        scan.connection.execute(
            f"INSERT INTO {BREACHES} SELECT partition_key, position, {self.rule.position} FROM ({places})"
        )
        self._found = scan.counts(
            f"SELECT partition_key, count(*) FROM {BREACHES} WHERE rule = {self.rule.position} GROUP BY ALL"
        )


class UniqueCheck(PlacedCheck):
    """Rows that have the same values as another; nulls are the same as nulls."""

    def read(self, scan: Scan) -> None:
        source, quoted = scan.source(self.columns), listed(self.subject.columns)
        twins = f"holdfast_twins_{self.rule.position}"
        group = "twin" if scan.is_single else "partition_key, twin"
        # Most columns have no two values of one hash: 8 bytes a row find that out, whatever their size.
        scan.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {twins} AS SELECT twin FROM (SELECT partition_key, "
            f"hash({quoted}) AS twin FROM {source} WHERE {self.domain.kept}) "
            f"GROUP BY {group} HAVING count(*) > 1"
        )
        if scan.number(f"SELECT count(*) FROM {twins}"):
            self.keep(
                scan,
                f"SELECT partition_key, position FROM {source} WHERE ({self.domain.kept}) "
                f"AND hash({quoted}) IN (SELECT twin FROM {twins}) "
                f"QUALIFY count(*) OVER (PARTITION BY partition_key, {quoted}) > 1",
            )
        scan.connection.execute(f"DROP TABLE {twins}")


class OrderCheck(PlacedCheck):
    """Rows whose value is not after (or before) that of the row before, nulls apart."""

    def read(self, scan: Scan) -> None:
        (name,) = self.subject.columns
        column, sign = identifier(name), "<" if "decreasing" in self.rule.type else ">"
        is_strict = bool(getattr(self.expectation, "strictly", False))
        ordered = f"{column} {sign if is_strict else f'{sign}='} before"
        if scan.columns[name] == "float":
            # The difference of two infinities is no number, which pandas takes for that of a first row.
            ordered = f"({ordered}) OR (isinf({column}) AND {column} = before)"
        self.keep(
            scan,
            f"SELECT partition_key, position FROM (SELECT partition_key, position, {column}, "
            f"lag({column}) OVER (PARTITION BY partition_key ORDER BY position) AS before "
            f"FROM {scan.source(self.columns)} WHERE {self.domain.kept}) "
            f"WHERE before IS NOT NULL AND NOT ({ordered})",
        )


def collect(scan: Scan, checks: Sequence[RowCheck]) -> None:
    """Put the unexpected rows of checks in the table of breaches, in one scan."""
    failed = [
        check for check in checks if check.is_collected and any(map(check.n_unexpected, scan.partitions))
    ]
    if not failed:
        return
    columns = [name for check in failed for name in check.columns]
    names = {check.rule.position: check.bad for check in failed}
    flags = ", ".join(f"coalesce({bad}, FALSE) AS u{rule}" for rule, bad in names.items())
    rules = ", ".join(f"CASE WHEN u{rule} THEN {rule} END" for rule in names)
    scan.connection.execute(
        f"INSERT INTO {BREACHES} SELECT partition_key, position, unnest(rules) FROM (SELECT partition_key, "
        f"position, list_filter([{rules}], lambda rule: rule IS NOT NULL) AS rules FROM "
        f"(SELECT partition_key, position, {flags} FROM {scan.source(columns)}) "
        f"WHERE {' OR '.join(f'u{rule}' for rule in names)})"
    )
