"""All the mistakes of a suite at once, each at its line; and which engine will run each rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal

import duckdb

from pipelines.config import DatasetConfig
from pipelines.errors import ConfigError
from pipelines.records import Record
from pipelines.storage.engine import connect
from pipelines.storage.sql import identifier
from pipelines.validation.checks import make_rule
from pipelines.validation.contradictions import Placed, find_contradictions
from pipelines.validation.engine.columns import columns_of
from pipelines.validation.engine.planning import STATIC, plan
from pipelines.validation.engine.scan import Scan
from pipelines.validation.entries import Entry, Problem, read_entries
from pipelines.validation.incidents import read_incidents
from pipelines.validation.judgements import judge_rule
from pipelines.validation.rules import Rule, Stage
from pipelines.validation.suite import SuiteColumnType, suite_columns

_VIEW = "holdfast_nothing"
_SQL_TYPES: dict[SuiteColumnType, str] = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "float": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMPTZ",
    "date": "DATE",
}


class LintFinding(Record):
    """One mistake, or one thing worth a second look, at a line and column from 1."""

    line: int
    column: int
    level: Literal["error", "warning"]
    message: str


class PlannedRule(Record):
    """Which engine runs a rule, and why not DuckDB where it is not DuckDB."""

    line: int
    rule: str
    severity: str
    engine: Literal["duckdb", "great_expectations"]
    note: str = ""


class LintReport(Record):
    """What is wrong with one file."""

    file: str
    n_rules: int
    findings: tuple[LintFinding, ...]
    engines: tuple[PlannedRule, ...] = ()

    @property
    def n_errors(self) -> int:
        """How many of the findings are mistakes for certain."""
        return sum(finding.level == "error" for finding in self.findings)


def lint_suite(text: str, where: str, config: DatasetConfig, stage: Stage = "raw") -> LintReport:
    """Return everything that is wrong with the text of a suite.

    Parameters
    ----------
    where : str
        The file, as messages name it.

    Returns
    -------
    LintReport
        Findings in the order of their lines; ``engines`` of the rules that can be run.
    """
    try:
        entries = read_entries(text, where)
    except ConfigError as error:
        return LintReport(file=where, n_rules=0, findings=(_of_file(error),))
    types = suite_columns(config, stage)
    problems: list[Problem] = []
    rules: list[Placed] = []
    for entry in entries:
        rule, wrong = make_rule(entry, types, stage)
        problems += wrong
        if rule is not None:
            rules.append((entry, rule))
            problems += judge_rule(entry, rule, types)
    problems += find_contradictions(rules)
    engines, unplanned = _planned(rules, types)
    # What the engine can't compare is mostly said above, in better words.
    said = {problem.line for problem in problems if problem.level == "error"}
    problems += [
        problem for entry, problem in unplanned if not said & _lines(entry.line, entry.marks.values())
    ]
    return LintReport(file=where, n_rules=len(entries), findings=_ordered(problems), engines=engines)


def lint_incidents(text: str, where: str) -> LintReport:
    """Return everything that is wrong with the text of a file of incidents."""
    try:
        found = read_incidents(text, where)
    except ConfigError as error:
        return LintReport(file=where, n_rules=0, findings=(_of_file(error),))
    problems = [problem for _, _, wrong in found for problem in wrong]
    times = Counter(incident for _, incident, _ in found if incident is not None)
    problems += [
        entry.problem("this incident is declared twice", level="warning")
        for entry, incident, _ in found
        if incident is not None and times[incident] > 1
    ]
    return LintReport(file=where, n_rules=len(found), findings=_ordered(problems))


def _ordered(problems: Iterable[Problem]) -> tuple[LintFinding, ...]:
    unique = sorted(set(problems), key=lambda each: (each.line, each.column, each.level, each.message))
    return tuple(
        LintFinding(
            line=each.line,
            column=each.column,
            level=each.level,
            message=each.message if each.message.endswith(("?", ".")) else f"{each.message}.",
        )
        for each in unique
    )


def _of_file(error: ConfigError) -> LintFinding:
    mark = getattr(error.__cause__, "problem_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return LintFinding(line=line, column=column, level="error", message=" ".join(str(error).split()))


def _lines(line: int, marks: Iterable[tuple[int, int]]) -> set[int]:
    return {line, *(line for line, _ in marks)}


def _planned(
    rules: Iterable[Placed], types: dict[str, SuiteColumnType]
) -> tuple[tuple[PlannedRule, ...], list[tuple[Entry, Problem]]]:
    """Ask the engine how it would run each rule over a table of no rows."""
    planned, wrong = [], []
    with connect(memory="256MB") as connection:
        columns = ", ".join(
            f"CAST(NULL AS {_SQL_TYPES[kind]}) AS {identifier(name)}" for name, kind in types.items()
        )
        connection.execute(
            f"CREATE TEMP VIEW {_VIEW} AS "
            f"SELECT '' AS partition_key, 0::BIGINT AS position, {columns} LIMIT 0"
        )
        scan = Scan(connection, _VIEW, ["2000-01-01"], columns_of(connection, _VIEW))
        for entry, rule in rules:
            try:
                planned.append(_plan(rule, scan))
            except (ConfigError, duckdb.Error) as error:
                wrong.append((entry, entry.problem(str(error).split("\n")[0])))
    return tuple(planned), wrong


def _plan(rule: Rule, scan: Scan) -> PlannedRule:
    engine: Literal["duckdb", "great_expectations"] = "great_expectations"
    note = "its arguments or its column are none that DuckDB provably judges alike"
    if rule.needs_reference:
        note = "decided when the champion's reference is known"
    elif rule.type in STATIC:
        note = "on the columns alone: it reads no rows"
    elif plan(rule, rule.expectation(), scan) is not None:
        engine, note = "duckdb", ""
    return PlannedRule(line=rule.line, rule=rule.title, severity=rule.severity, engine=engine, note=note)
