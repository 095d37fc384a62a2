"""Suites as Great Expectations' objects, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import great_expectations as gx
import pytest
import yaml
from generated_expectations import any_entry, entries
from great_expectations.core.expectation_suite import expectationSuiteSchema
from great_expectations.expectations.registry import get_expectation_impl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.config import DatasetConfig
from pipelines.validation.exchange import dump_suite, entries_of, from_gx, to_gx
from pipelines.validation.rules import expectation_types
from pipelines.validation.suite import Suite, read_suite

_FEW = settings(
    max_examples=4,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def _read(text: str, config: DatasetConfig) -> Suite:
    return read_suite(text, "expectations/meters_raw.yaml", config)


def _typed(value: Any) -> Any:
    """Return ``value`` such that what is equal is also of one type."""
    if isinstance(value, dict):
        return [(key, _typed(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [_typed(inner) for inner in value]
    return type(value).__name__, value


@pytest.mark.parametrize("kind", expectation_types())
@_FEW
@given(data=st.data())
def test_every_expectation_makes_the_round_trip(
    kind: str, config: DatasetConfig, data: st.DataObject
) -> None:
    written = [data.draw(entries(kind)), data.draw(any_entry)]
    text = dump_suite(written)
    suite = _read(text, config)
    assert _typed(entries_of(suite)) == _typed(written)
    assert _typed(from_gx(to_gx(suite))) == _typed(written)
    assert dump_suite(from_gx(to_gx(suite))) == text


@_FEW
@given(written=st.lists(any_entry, min_size=1, max_size=6))
def test_the_trip_through_the_json_of_great_expectations_loses_nothing(
    config: DatasetConfig, written: list[dict[str, Any]]
) -> None:
    suite = to_gx(_read(dump_suite(written), config))
    stored = gx.ExpectationSuite(**expectationSuiteSchema.load(suite.to_json_dict()))
    assert _typed(from_gx(stored)) == _typed(written)


def test_what_is_changed_in_great_expectations_comes_back_and_the_rest_stays_as_written(
    config: DatasetConfig,
) -> None:
    text = """
expectations:
  - type: expect_column_values_to_be_between
    severity: warning
    column: day
    min_value: 2013-01-01
    max_value: 2014-01-01
    mostly: 1
    row_condition: col("level") > 3
    condition_parser: great_expectations
"""
    suite = to_gx(_read(text, config))
    changed = suite.expectations[0].copy(
        update={"max_value": 5.5, "strict_max": True, "severity": "info", "row_condition": None}
    )
    changed = get_expectation_impl("expect_column_values_to_be_between")(**changed.dict(exclude_unset=True))
    (entry,) = from_gx(gx.ExpectationSuite(name="x", expectations=[changed]))
    assert yaml.safe_load(dump_suite([entry])) == {
        "expectations": [
            {
                "type": "expect_column_values_to_be_between",
                "severity": "info",
                "column": "day",
                "min_value": yaml.safe_load("2013-01-01"),
                "max_value": 5.5,
                "mostly": 1,
                "strict_max": True,
            }
        ]
    }


def test_a_suite_made_in_great_expectations_becomes_a_file_that_loads(
    config: DatasetConfig, make_suite: Callable[[str], Suite]
) -> None:
    made = gx.ExpectationSuite(
        name="theirs",
        expectations=[
            gx.expectations.ExpectColumnValuesToBeInSet(column="site", value_set=["a"], meta={"of": "them"}),
            gx.expectations.ExpectColumnQuantileValuesToBeBetween(
                column="level",
                quantile_ranges={"quantiles": [0.5], "value_ranges": [[0, 1]]},
                severity="info",
            ),
        ],
    )
    entries = from_gx(made)
    assert entries[0] == {
        "type": "expect_column_values_to_be_in_set",
        "severity": "critical",
        "column": "site",
        "value_set": ["a"],
        "meta": {"of": "them"},
    }
    assert entries_of(_read(dump_suite(entries), config)) == entries
