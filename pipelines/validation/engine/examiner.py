"""Run a suite over partitions, and name the rows that are not as expected.

DuckDB runs every rule for which its answer is provably that of Great Expectations on pandas, all of
them and all partitions in one scan as far as can be; Great Expectations runs the rest, on only the
columns that they need. Either way its own code judges what was measured and builds the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from great_expectations.constants import MAX_RESULT_RECORDS
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.row_conditions import PassThroughCondition

from pipelines.errors import EngineError
from pipelines.validation.engine.checks import STAGES, Check, RowCheck, collect
from pipelines.validation.engine.columns import columns_of, listed, typed_frame
from pipelines.validation.engine.findings import BREACHES, Examination, Finding
from pipelines.validation.engine.gx import GreatExpectations, parameters_of
from pipelines.validation.engine.judging import JudgedCheck, judge_distinct
from pipelines.validation.engine.planning import STATIC, plan
from pipelines.validation.engine.results import (
    Outcome,
    Sample,
    finding_of,
    outcome_of,
    suite_result,
    trimmed,
)
from pipelines.validation.engine.scan import Scan, Tally
from pipelines.validation.rules import PARAMETER_KEY, Rule, named_values
from pipelines.validation.suite import Suite

if TYPE_CHECKING:
    from pipelines.validation.reference import ReferenceProfile

_Outcomes = dict[int, Outcome]


class Examiner:
    """A suite, ready to run on any number of partitions.

    Parameters
    ----------
    suite : Suite
        The rules to hold partitions to.
    reference : ReferenceProfile, optional
        What the training data looked like. Without it, rules that compare with it are not evaluated.
    """

    def __init__(self, suite: Suite, *, reference: ReferenceProfile | None = None) -> None:
        self._suite = suite
        self._rules = {rule.position: rule.resolve(reference) for rule in suite.rules}
        self._gx = GreatExpectations(suite.name)

    def examine(
        self, connection: duckdb.DuckDBPyConnection, view: str, partitions: Sequence[str]
    ) -> dict[str, Examination]:
        """Hold partitions to the suite.

        Leaves the temporary table :data:`~pipelines.validation.engine.findings.BREACHES`, newly
        made: every row of these partitions that breaks a row-level rule, of any severity.

        Parameters
        ----------
        connection : duckdb.DuckDBPyConnection
            As :func:`pipelines.storage.engine.connect` gives it: UTC, a memory limit, a scratch folder.
        view : str
            The name of a view with ``partition_key``, ``position`` (int64, unique in its partition),
            and every column that the suite may name; timestamps are TIMESTAMPTZ.
        partitions : sequence of str
            Partition keys; each has a row or more in the view.

        Returns
        -------
        dict of str to Examination
            One for each key, in their order.

        Raises
        ------
        EngineError
            If a rule could not be evaluated; names it, and says nothing about the data.
        ConfigError
            If a rule's arguments can't be compared with its columns.
        """
        with _as_engine_errors(f"the suite {self._suite.name}"):
            connection.execute(
                f"CREATE OR REPLACE TEMP TABLE {BREACHES} "
                "(partition_key VARCHAR, position BIGINT, rule INTEGER)"
            )
            if not partitions:
                return {}
            scan = Scan(connection, view, partitions, columns_of(connection, view))
            found = self._examine(scan)
        return {key: self._examination(found[key]) for key in scan.partitions}

    def _examine(self, scan: Scan) -> dict[str, _Outcomes]:
        rules = [rule for rule in self._rules.values() if rule is not None]
        if scan.is_single:
            rules = [_with_parameters(rule, scan.partitions[0]) for rule in rules]
        checks, static, others = self._sort(rules, scan)
        found: dict[str, _Outcomes] = {key: {} for key in scan.partitions}
        n_rows = self._run_checks(scan, checks, found)
        self._run_static(scan, static, found, n_rows)
        for key in scan.partitions if others else ():
            self._run_others(scan, key, [_with_parameters(rule, key) for rule in others], found[key])
        return found

    def _sort(self, rules: Sequence[Rule], scan: Scan) -> tuple[list[Check], list[Rule], list[Rule]]:
        """Return what DuckDB runs, what an empty table shows, and what is left to Great Expectations."""
        checks, static, others = [], [], []
        for rule in rules:
            if rule.type in STATIC and "row_condition" not in rule.arguments:
                static.append(rule)
                continue
            check = plan(rule, rule.expectation(), scan)
            if check is None:
                others.append(rule)
            else:
                checks.append(check)
        return checks, static, others

    def _run_checks(
        self, scan: Scan, checks: Sequence[Check], found: Mapping[str, _Outcomes]
    ) -> Mapping[str, int]:
        """Run what DuckDB runs; returns the number of rows of each partition."""
        made = judge_distinct(scan, [each for each in checks if isinstance(each, JudgedCheck)], self._gx)
        n_rows = _ask(scan, checks)
        by_row = [check for check in checks if isinstance(check, RowCheck)]
        collect(scan, by_row)
        samples = _samples(scan, by_row)
        for table in made:
            scan.connection.execute(f"DROP TABLE {table}")
        for check in checks:
            expectation = self._of_batch(check.expectation)
            is_varied = any(True for _ in named_values(check.rule.arguments, PARAMETER_KEY))
            for key in scan.partitions:
                if is_varied:
                    expectation = self._of_batch(_with_parameters(check.rule, key).expectation())
                sample = samples.get((key, check.rule.position))
                found[key][check.rule.position] = outcome_of(
                    check, expectation, key, sample=sample, n_rows=n_rows[key]
                )
        return n_rows

    def _run_static(
        self,
        scan: Scan,
        rules: Sequence[Rule],
        found: Mapping[str, _Outcomes],
        n_rows: Mapping[str, int],
    ) -> None:
        if not rules:
            return
        empty = typed_frame(scan.table(f"SELECT {listed(scan.columns)} FROM {scan.view} LIMIT 0"))
        results = self._gx.run(empty, rules)
        for rule in rules:
            result = results[rule.position]
            for key in scan.partitions:
                finding = finding_of(rule, result, n_rows=n_rows[key], engine="great_expectations")
                found[key][rule.position] = Outcome(finding, partial(trimmed, result, "great_expectations"))

    def _run_others(self, scan: Scan, key: str, rules: Sequence[Rule], found: _Outcomes) -> None:
        """Let Great Expectations run rules on one partition, and keep the rows that it finds."""
        columns = _needed(rules, scan)
        single = scan.alone(key)
        rows = single.table(
            f"SELECT position, {listed(columns)} FROM {single.source(columns)} ORDER BY position"
        )
        places = rows["position"]
        results = self._gx.run(typed_frame(rows.select(columns)), rules)
        for rule in rules:
            result = results[rule.position]
            finding = finding_of(rule, result, n_rows=rows.num_rows, engine="great_expectations")
            for name in ("unexpected_index_list", "partial_unexpected_index_list"):
                if name in result.result:
                    at = places.take(pa.array(result.result[name], pa.int64()))
                    result.result[name] = at.to_pylist()
            if finding.n_unexpected:
                bad = pa.table({"position": pa.array(result.result["unexpected_index_list"], pa.int64())})
                scan.connection.register("holdfast_found", bad)
                scan.connection.execute(
                    f"INSERT INTO {BREACHES} SELECT ?, position, ? FROM holdfast_found", [key, rule.position]
                )
                scan.connection.unregister("holdfast_found")
            short = trimmed(result, "great_expectations")
            found[rule.position] = Outcome(finding, partial(_same, short))

    def _of_batch(self, expectation: Expectation) -> Expectation:
        expectation.batch_id = self._gx.batch_id
        return expectation

    def _examination(self, outcomes: _Outcomes) -> Examination:
        findings = []
        for rule in self._suite.rules:
            outcome = outcomes.get(rule.position)
            findings.append(
                replace(outcome.finding, rule=rule)
                if outcome
                else Finding(
                    rule, True, 0, "not evaluated: there is no training reference", is_evaluated=False
                )
            )
        evaluated = [outcomes[rule.position] for rule in self._suite.rules if rule.position in outcomes]
        build = partial(suite_result, self._suite.name, evaluated, self._gx.batch_id)
        return Examination(tuple(findings), build)


def _ask(scan: Scan, checks: Sequence[Check]) -> dict[str, int]:
    """Take checks through all stages; returns the number of rows of each partition."""
    total = Tally(scan)
    total.count("TRUE")
    for stage in STAGES:
        tally = total if stage == STAGES[0] else Tally(scan)
        for check in checks if stage == STAGES[-1] else ():
            with _as_engine_errors(check.rule.title):
                check.read(scan)
        for check in checks:
            check.ask(stage, tally)
        tally.run()
    return {key: total.number(total.count("TRUE"), key) for key in scan.partitions}


def _same(result: Any) -> Any:
    return result


def _with_parameters(rule: Rule, partition_key: str) -> Rule:
    """Return a rule with the values of one partition."""
    if not any(True for _ in named_values(rule.arguments, PARAMETER_KEY)):
        return rule
    values = parameters_of(partition_key)

    def filled(value: Any) -> Any:
        if isinstance(value, Mapping):
            if PARAMETER_KEY in value:
                return values[value[PARAMETER_KEY]]
            return {name: filled(inner) for name, inner in value.items()}
        return [filled(inner) for inner in value] if isinstance(value, list) else value

    return replace(rule, arguments=filled(rule.arguments))


def _needed(rules: Sequence[Rule], scan: Scan) -> list[str]:
    """Return the columns that rules read, in the view's order; a text as a condition may name any."""
    needed: set[str] = set()
    for rule in rules:
        condition = getattr(rule.expectation(), "row_condition", None)
        needed |= set(rule.columns) or set(scan.columns)
        if condition is not None:
            said = (
                condition.pass_through_filter
                if isinstance(condition, PassThroughCondition)
                else repr(condition)
            )
            needed |= {column for column in scan.columns if column in said}
    return [column for column in scan.columns if column in needed]


def _samples(scan: Scan, checks: Sequence[RowCheck]) -> dict[tuple[str, int], Sample]:
    """Return the first unexpected rows of each check and partition, from one scan."""
    failed = [check for check in checks if any(map(check.n_unexpected, scan.partitions))]
    if not failed:
        return {}
    columns = list(dict.fromkeys(name for check in failed for name in check.subject.columns))
    first = (
        "SELECT partition_key, rule, unnest(places) AS position FROM (SELECT partition_key, rule, "
        f"min(position, {MAX_RESULT_RECORDS}) AS places FROM {BREACHES} GROUP BY partition_key, rule)"
    )
    rows = scan.table(
        f"SELECT partition_key, rule, position, {listed(columns)} FROM {scan.source(columns)} "
        f"JOIN ({first}) USING (partition_key, position) ORDER BY partition_key, rule, position"
    )
    found: dict[tuple[str, int], Sample] = {}
    start = 0
    owners = list(zip(rows["partition_key"].to_pylist(), rows["rule"].to_pylist(), strict=True))
    for end, owner in enumerate(owners, start=1):
        if end == len(owners) or owners[end] != owner:
            found[owner] = Sample(rows.slice(start, end - start))
            start = end
    return found


@contextmanager
def _as_engine_errors(what: str) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise EngineError(
            f"DuckDB could not run {what}, which says nothing about the data: "
            f"{str(error).splitlines()[0][:500]}"
        ) from error
