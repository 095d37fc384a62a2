"""Great Expectations' own pandas engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import great_expectations as gx
import pandas as pd
from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult

from pipelines.errors import EngineError
from pipelines.records import partition_date
from pipelines.validation.rules import POSITION, Rule

#: Positions identify rows even where row keys repeat.
RESULT_FORMAT: Mapping[str, Any] = {"result_format": "COMPLETE", "return_unexpected_index_query": False}
_SOURCE = "lake"
_CONDITIONAL = ("row_condition", "condition_parser", "mostly")


class GreatExpectations:
    """Rules run by Great Expectations on pandas frames.

    The context is ephemeral: one of files would be a second copy of the truth.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False, "metric_calculations": False}
        asset = context.data_sources.add_pandas(_SOURCE).add_dataframe_asset(name)
        self._batches = asset.add_batch_definition_whole_dataframe("partition")

    @property
    def batch_id(self) -> str:
        """How Great Expectations names the batch in its results."""
        return f"{_SOURCE}-{self._name}"

    def run(
        self, frame: pd.DataFrame, rules: Sequence[Rule], parameters: Mapping[str, datetime] | None = None
    ) -> dict[int, ExpectationValidationResult]:
        """Hold a frame to rules; returns the result of each by its position.

        Raises
        ------
        EngineError
            If a rule could not be evaluated.
        """
        suite = gx.ExpectationSuite(name=self._name, expectations=[rule.expectation() for rule in rules])
        try:
            result: ExpectationSuiteValidationResult = self._batches.get_batch(
                batch_parameters={"dataframe": frame}
            ).validate(
                suite, result_format=dict(RESULT_FORMAT), expectation_parameters=dict(parameters or {})
            )
        except Exception as error:
            raise failure(rules, error) from error
        found = {each.expectation_config.meta[POSITION]: each for each in result.results}
        for rule in rules:
            if (said := _exception_message(found[rule.position].exception_info)) is not None:
                raise failure([rule], said)
        return found

    def unexpected(self, frame: pd.DataFrame, rules: Sequence[Rule]) -> dict[int, list[int]]:
        """Return the unexpected rows of a frame for each rule that finds any, whatever its row condition."""
        plain = [
            replace(
                rule,
                arguments={name: value for name, value in rule.arguments.items() if name not in _CONDITIONAL},
            )
            for rule in rules
        ]
        found = self.run(frame, plain) if plain else {}
        rows = {rule.position: found[rule.position].result["unexpected_index_list"] for rule in rules}
        return {rule: list(map(int, each)) for rule, each in rows.items() if each}


def parameters_of(partition_key: str) -> dict[str, datetime]:
    """Return the values that ``{$PARAMETER: name}`` stands for in a partition."""
    day = datetime.combine(partition_date(partition_key), time())
    start = day.replace(tzinfo=UTC)
    return {"day_start": start, "day_end": start + timedelta(days=1), "day": day}


def failure(rules: Sequence[Rule], why: object) -> EngineError:
    """Return the error that says that rules could not be evaluated."""
    titles = ", ".join(rule.title for rule in rules[:3]) + (" and others" if len(rules) > 3 else "")
    return EngineError(
        f"{titles} could not be evaluated, which says nothing about the data: {str(why)[:1000]} "
        "Check the arguments against the types of the columns."
    )


def _exception_message(info: Mapping[str, Any]) -> str | None:
    """Return what was raised inside an expectation; None if nothing was."""
    entries = [info] if "raised_exception" in info else list(info.values())
    return next((str(entry["exception_message"]) for entry in entries if entry["raised_exception"]), None)
