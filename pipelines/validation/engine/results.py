"""Great Expectations' results, from metrics: its own code turns the one into the other."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import great_expectations as gx
import pyarrow as pa
from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.expectation_configuration import parse_result_format
from great_expectations.util import convert_to_json_serializable
from great_expectations.validator.validation_statistics import calc_validation_statistics

from pipelines.validation.engine.checks import Check, RowCheck
from pipelines.validation.engine.columns import typed_frame
from pipelines.validation.engine.findings import EngineName, Finding
from pipelines.validation.engine.gx import RESULT_FORMAT, failure
from pipelines.validation.rules import Rule

_FORMAT = parse_result_format(dict(RESULT_FORMAT))
# Of all unexpected rows; the table of breaches has them, and the result its partial lists.
_WHOLE_LISTS = ("unexpected_list", "unexpected_index_list")
_MAX_OBSERVED_CHARS = 200


@dataclass(frozen=True)
class Outcome:
    """What a rule found in a partition, and how to build Great Expectations' result of it."""

    finding: Finding
    build: Callable[[], ExpectationValidationResult]


@dataclass(frozen=True)
class Sample:
    """The first unexpected rows of a rule in a partition."""

    rows: pa.Table

    def metrics(self, check: RowCheck) -> dict[str, Any]:
        """Return what Great Expectations shows of them."""
        return check.samples(typed_frame(self.rows), self.rows["position"].to_pylist())


def outcome_of(
    check: Check, expectation: Expectation, partition_key: str, *, sample: Sample | None, n_rows: int
) -> Outcome:
    """Return what a check found in a partition.

    Raises
    ------
    EngineError
        If Great Expectations can't judge the metrics.
    """
    metrics = {**_no_samples(check), **check.metrics(partition_key)}

    def build() -> ExpectationValidationResult:
        shown = sample.metrics(check) if sample and isinstance(check, RowCheck) else {}
        return _result(check, expectation, {**metrics, **shown})

    if isinstance(check, RowCheck):
        n_unexpected = check.n_unexpected(partition_key)
        # Whatever share must hold, it does where nothing is unexpected.
        is_met = n_unexpected == 0 or bool(_judged(check, expectation, metrics)["success"])
        finding = Finding(check.rule, is_met, n_unexpected, row_share(n_unexpected, n_rows), check.engine)
        return Outcome(finding, build)
    result = build()
    return Outcome(finding_of(check.rule, result, n_rows=n_rows, engine=check.engine), lambda: result)


def finding_of(
    rule: Rule, result: ExpectationValidationResult, *, n_rows: int, engine: EngineName
) -> Finding:
    """Return the finding that one of Great Expectations' results tells."""
    positions = result.result.get("unexpected_index_list")
    n_unexpected = len(positions or ())
    observed = _observed(result.result) if positions is None else row_share(n_unexpected, n_rows)
    return Finding(rule, bool(result.success), n_unexpected, observed, engine)


def trimmed(result: ExpectationValidationResult, engine: EngineName) -> ExpectationValidationResult:
    """Return a copy without the lists of all unexpected rows, that says which engine ran it."""
    short = {name: value for name, value in result.result.items() if name not in _WHOLE_LISTS}
    return ExpectationValidationResult(
        success=bool(result.success),
        expectation_config=copy.deepcopy(result.expectation_config),
        result=short,
        meta={**result.meta, "engine": engine},
        exception_info=result.exception_info,
    )


def suite_result(name: str, outcomes: Sequence[Outcome], batch_id: str) -> ExpectationSuiteValidationResult:
    """Return the result of a suite on a partition, in the suite's order."""
    results = [outcome.build() for outcome in outcomes]
    engines = [outcome.finding.engine for outcome in outcomes]
    statistics = calc_validation_statistics(results)
    return ExpectationSuiteValidationResult(
        success=statistics.success,
        results=results,
        suite_name=name,
        statistics={
            "evaluated_expectations": statistics.evaluated_expectations,
            "successful_expectations": statistics.successful_expectations,
            "unsuccessful_expectations": statistics.unsuccessful_expectations,
            "success_percent": statistics.success_percent,
        },
        meta={
            "great_expectations_version": gx.__version__,
            "active_batch_definition": {
                "datasource_name": batch_id.removesuffix(f"-{name}"),
                "data_connector_name": "fluent",
                "data_asset_name": name,
                "batch_identifiers": {},
            },
            "engines": {engine: engines.count(engine) for engine in sorted(set(engines))},
        },
        batch_id=batch_id,
    )


def row_share(n_unexpected: int, n_rows: int) -> str:
    """Return in words how many rows are unexpected."""
    return f"{n_unexpected} of {n_rows} rows unexpected"


def _result(
    check: Check, expectation: Expectation, metrics: Mapping[str, Any]
) -> ExpectationValidationResult:
    raw = _judged(check, expectation, metrics)
    result = ExpectationValidationResult(
        success=bool(raw["success"]),
        expectation_config=expectation.configuration,
        result=_plain(raw.get("result", {})),
    )
    return trimmed(result, check.engine)


def _judged(check: Check, expectation: Expectation, metrics: Mapping[str, Any]) -> dict[str, Any]:
    try:
        raw: dict[str, Any] = expectation._validate(
            metrics=dict(metrics),
            runtime_configuration={"result_format": dict(_FORMAT)},
            execution_engine=None,
        )
    except Exception as error:
        raise failure([check.rule], error) from error
    return raw


def _plain(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result in which quantiles were found in range by Python's truth, not numpy's."""
    details = result.get("details")
    if details and "success_details" in details:
        plain = [bool(each) for each in details["success_details"]]
        return {**result, "details": {**details, "success_details": plain}}
    return dict(result)


def _no_samples(check: Check) -> dict[str, Any]:
    if not isinstance(check, RowCheck):
        return {}
    name = check.expectation.map_metric
    return {f"{name}.unexpected_values": [], f"{name}.unexpected_index_list": []}


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
