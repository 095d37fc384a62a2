"""Rows judged by Great Expectations itself, on each distinct value once.

An expectation that looks at each row for itself finds of a value what it finds of every row with that
value. So where SQL would not mean quite the same, DuckDB finds the distinct values, spilling to disk
if there are many, Great Expectations judges them a batch at a time, and DuckDB finds their rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from pipelines.storage.sql import identifier
from pipelines.validation.engine.checks import RowCheck
from pipelines.validation.engine.columns import listed, typed_frame
from pipelines.validation.engine.findings import EngineName
from pipelines.validation.engine.gx import GreatExpectations
from pipelines.validation.engine.scan import Scan
from pipelines.validation.rules import Rule

_BATCH_ROWS = 100_000
_SCHEMA, _PARSEABLE = "expect_column_values_to_match_json_schema", "expect_column_values_to_be_json_parseable"


class JudgedCheck(RowCheck):
    """A rule whose unexpected values Great Expectations tells."""

    engine: EngineName = "great_expectations"

    def learn(self, table: str | None) -> None:
        """Know the unexpected values, which are in a table, and say so in SQL; None if there are none."""
        if table is None:
            return
        columns = self.subject.columns
        if len(columns) == 1:
            self.unexpected = f"({identifier(columns[0])} IN (SELECT {identifier(columns[0])} FROM {table}))"
            return
        same = " AND ".join(
            f"bad.{column} IS NOT DISTINCT FROM rows.{column}" for column in map(identifier, columns)
        )
        self.unexpected = f"(EXISTS (SELECT 1 FROM {table} AS bad WHERE {same}))"


def judge_distinct(scan: Scan, checks: Sequence[JudgedCheck], gx: GreatExpectations) -> list[str]:
    """Let Great Expectations judge the distinct values of each check; returns the tables made for it.

    Raises
    ------
    EngineError
        If an expectation could not be evaluated on them.
    """
    alike: dict[tuple[str, tuple[str, ...]], list[JudgedCheck]] = {}
    for check in checks:
        alike.setdefault((check.domain.kept, check.subject.columns), []).append(check)
    made = ["holdfast_distinct"] if alike else []
    for (kept, columns), group in alike.items():
        source = scan.source([*columns, *group[0].domain.columns])
        scan.connection.execute(
            "CREATE OR REPLACE TEMP TABLE holdfast_distinct AS "
            "SELECT row_number() OVER () AS holdfast_row, * "
            f"FROM (SELECT DISTINCT {listed(columns)} FROM {source} WHERE {kept})"
        )
        n_distinct = scan.number("SELECT count(*) FROM holdfast_distinct")
        bad = _bad_values(scan, columns, group, gx, n_distinct)
        made += bad.values()
        for check in group:
            check.learn(bad.get(check.rule.position))
    return made


def _bad_values(
    scan: Scan, columns: Sequence[str], group: Sequence[JudgedCheck], gx: GreatExpectations, n_distinct: int
) -> dict[int, str]:
    """Return, for each rule that finds any, the table of the values that it finds unexpected."""
    bad: dict[int, str] = {}
    for first in range(1, n_distinct + 1, _BATCH_ROWS):
        within = f"holdfast_row BETWEEN {first} AND {first + _BATCH_ROWS - 1}"
        values = scan.table(
            f"SELECT {listed(columns)} FROM holdfast_distinct WHERE {within} ORDER BY holdfast_row"
        )
        found = _unexpected(typed_frame(values), [check.rule for check in group], gx)
        for rule, rows in found.items():
            table = f"holdfast_bad_{rule}"
            makes = f"INSERT INTO {table}" if rule in bad else f"CREATE OR REPLACE TEMP TABLE {table} AS"
            chosen = ", ".join(str(first + row) for row in rows)
            scan.connection.execute(
                f"{makes} SELECT {listed(columns)} FROM holdfast_distinct WHERE holdfast_row IN ({chosen})"
            )
            bad[rule] = table
    return bad


def _unexpected(frame: pd.DataFrame, rules: Sequence[Rule], gx: GreatExpectations) -> dict[int, list[int]]:
    """Return the unexpected rows of a frame for each rule that finds any."""
    found = gx.unexpected(frame, [rule for rule in rules if rule.type != _SCHEMA])
    for rule in rules:
        if rule.type == _SCHEMA:
            # On a text that is no JSON Great Expectations fails, as if that were the engine's fault.
            parseable = replace(rule, type=_PARSEABLE, arguments={"column": rule.arguments["column"]})
            broken = gx.unexpected(frame, [parseable]).get(rule.position, [])
            whole = frame.drop(index=broken)
            others = gx.unexpected(whole.reset_index(drop=True), [rule]).get(rule.position, [])
            if rows := sorted([*broken, *whole.index[others].tolist()]):
                found[rule.position] = rows
    return found
