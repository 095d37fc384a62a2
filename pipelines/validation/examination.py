"""Run a suite over partitions with Great Expectations, and name the rows that are not as expected.

The context is ephemeral (a file context would be a second copy of the truth), the engine pandas.
Columns get the same pandas type whatever is in them, so that a partition is judged alike alone and
among others. An exception inside an expectation looks to Great Expectations like bad data; here it
is an :class:`~pipelines.errors.EngineError`, and no verdict.

One run over 900 rows costs about 0.2 s, nearly all of it overhead. Many partitions are therefore
screened in one run: expectations that look at each row for itself, or for its like, find among
other partitions all that they find in one alone. A partition in which the screening finds nothing
needs a run of its own only for the rest of the suite; any other is examined alone, in full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

import great_expectations as gx
import numpy as np
import pandas as pd
import pyarrow as pa
from great_expectations.core import ExpectationSuiteValidationResult
from great_expectations.util import convert_to_json_serializable

from pipelines.errors import EngineError
from pipelines.records import partition_date
from pipelines.validation.rules import POSITION, Rule
from pipelines.validation.suite import Suite

# What these find in a partition alone, they find in it among others too: they look at each row for
# itself, or for its like. Those about order, outliers or the table as a whole are not among them.
_SCREENABLE = frozenset(
    {
        "expect_column_pair_values_a_to_be_greater_than_b",
        "expect_column_pair_values_to_be_equal",
        "expect_column_pair_values_to_be_in_set",
        "expect_column_value_lengths_to_be_between",
        "expect_column_value_lengths_to_equal",
        "expect_column_values_to_be_between",
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_be_null",
        "expect_column_values_to_be_unique",
        "expect_column_values_to_match_regex",
        "expect_column_values_to_match_regex_list",
        "expect_column_values_to_match_strftime_format",
        "expect_column_values_to_not_be_in_set",
        "expect_column_values_to_not_be_null",
        "expect_column_values_to_not_match_regex",
        "expect_column_values_to_not_match_regex_list",
        "expect_compound_columns_to_be_unique",
        "expect_multicolumn_sum_to_equal",
        "expect_multicolumn_values_to_be_equal",
        "expect_select_column_values_to_be_unique_within_record",
    }
)
# Nullable types: an integer column with a null in it stays one of integers.
_PANDAS_TYPES: Mapping[pa.DataType, Any] = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
_MAX_OBSERVED_CHARS = 200


@dataclass(frozen=True)
class Finding:
    """How one expectation did on one partition.

    Parameters
    ----------
    rows : tuple of int
        Positions of the rows that are not as expected; empty where the expectation is not about rows.
    observed : str
        What was seen, in words; at most 200 characters.
    """

    rule: Rule
    is_met: bool
    rows: tuple[int, ...]
    observed: str


@dataclass(frozen=True)
class Examination:
    """All findings on one partition, in the order of the suite.

    Parameters
    ----------
    result : ExpectationSuiteValidationResult or None
        Great Expectations' own result; None where the screening found nothing amiss.
    """

    findings: tuple[Finding, ...]
    result: ExpectationSuiteValidationResult | None


class Examiner:
    """A suite, ready to run on any number of partitions.

    Parameters
    ----------
    suite : Suite
        The rules to hold partitions to.
    """

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}
        asset = context.data_sources.add_pandas("lake").add_dataframe_asset(suite.name)
        self._batches = asset.add_batch_definition_whole_dataframe("partition")
        self._screened = [rule for rule in suite.rules if _is_screenable(rule)]

    def screen(self, partitions: Mapping[str, pa.Table]) -> frozenset[str]:
        """Return the partitions in which the expectations that can be screened find nothing.

        Parameters
        ----------
        partitions : mapping of str to pyarrow.Table
            The rows of each partition key, as for :meth:`examine`.

        Returns
        -------
        frozenset of str
            For these, :meth:`examine` may be told ``is_screened``.
        """
        if len(partitions) < 2 or not self._screened:
            return frozenset()
        keys = list(partitions)
        whole = pa.concat_tables(partitions.values())
        ends = np.cumsum([partitions[key].num_rows for key in keys])
        try:
            result = self._run(whole, self._screened, keys[0])
            findings = _findings(result, self._screened, whole.num_rows)
        except EngineError:
            return frozenset()  # which of them it is, each one's own run will show
        found = np.array([row for finding in findings for row in finding.rows], dtype=np.int64)
        suspects = {keys[index] for index in np.unique(np.searchsorted(ends, found, side="right"))}
        return frozenset(keys) - suspects

    def examine(self, rows: pa.Table, partition_key: str, *, is_screened: bool = False) -> Examination:
        """Hold one partition to the suite.

        Parameters
        ----------
        rows : pyarrow.Table, shape (n, k)
            Row key, event time and the declared columns, by their declared types; ``n >= 1``.
        is_screened : bool
            Whether :meth:`screen` found nothing in it. The findings are the same either way.

        Raises
        ------
        EngineError
            If an expectation could not be evaluated; this says nothing about the data.
        """
        n_rows = rows.num_rows
        if is_screened:
            rest = [rule for rule in self._suite.rules if rule not in self._screened]
            found = _findings(self._run(rows, rest, partition_key), rest, n_rows) if rest else ()
            if all(finding.is_met and not finding.rows for finding in found):
                clean = [Finding(rule, True, (), _row_share(0, n_rows)) for rule in self._screened]
                findings = sorted([*found, *clean], key=lambda finding: finding.rule.position)
                return Examination(tuple(findings), None)
        result = self._run(rows, self._suite.rules, partition_key)
        return Examination(_findings(result, self._suite.rules, n_rows), result)

    def _run(
        self, rows: pa.Table, rules: Sequence[Rule], partition_key: str
    ) -> ExpectationSuiteValidationResult:
        suite = gx.ExpectationSuite(
            name=self._suite.name, expectations=[rule.expectation() for rule in rules]
        )
        try:
            batch = self._batches.get_batch(batch_parameters={"dataframe": _frame(rows)})
            return batch.validate(
                suite,
                # Positions identify rows even where row keys repeat.
                result_format={"result_format": "COMPLETE", "return_unexpected_index_query": False},
                expectation_parameters=_parameters(partition_key),
            )
        except Exception as error:
            raise EngineError(f"Great Expectations failed on {partition_key}: {error}") from error


def _is_screenable(rule: Rule) -> bool:
    # A parameter has another value in each partition; a row condition narrows what is counted.
    is_fixed = not any(isinstance(value, Mapping) for value in rule.arguments.values())
    return rule.type in _SCREENABLE and is_fixed and "row_condition" not in rule.arguments


def _frame(rows: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = rows.to_pandas(types_mapper=_PANDAS_TYPES.get, date_as_object=False)
    return frame


def _parameters(partition_key: str) -> dict[str, datetime]:
    day = datetime.combine(partition_date(partition_key), time())
    start = day.replace(tzinfo=UTC)
    return {"day_start": start, "day_end": start + timedelta(days=1), "day": day}


def _findings(
    result: ExpectationSuiteValidationResult, rules: Sequence[Rule], n_rows: int
) -> tuple[Finding, ...]:
    by_position = {found.expectation_config.meta[POSITION]: found for found in result.results}
    findings = []
    for rule in rules:
        found = by_position[rule.position]
        if (message := _exception_message(found.exception_info)) is not None:
            raise EngineError(
                f"{rule.title} could not be evaluated, which says nothing about the data: {message} "
                "Check its arguments against the types of its columns."
            )
        positions = found.result.get("unexpected_index_list")
        observed = _observed(found.result) if positions is None else _row_share(len(positions), n_rows)
        findings.append(Finding(rule, bool(found.success), tuple(map(int, positions or ())), observed))
    return tuple(findings)


def _observed(result: Mapping[str, Any]) -> str:
    value = result.get("observed_value")
    if value is not None:
        return str(convert_to_json_serializable(value))[:_MAX_OBSERVED_CHARS]
    # Expectations about the set of values observe what is missing from it, and what is beside it.
    parts = [
        f"{what} {sorted(map(str, result[name]))}"
        for what, name in (("missing", "partial_missing_list"), ("unexpected", "partial_unexpected_list"))
        if result.get(name)
    ]
    return "; ".join(parts)[:_MAX_OBSERVED_CHARS]


def _row_share(n_unexpected: int, n_rows: int) -> str:
    return f"{n_unexpected} of {n_rows} rows unexpected"


def _exception_message(info: Mapping[str, Any]) -> str | None:
    """Return what was raised inside an expectation; None if nothing was."""
    entries = [info] if "raised_exception" in info else list(info.values())
    return next((str(entry["exception_message"]) for entry in entries if entry["raised_exception"]), None)
