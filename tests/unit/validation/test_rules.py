"""Rules: the values that stand for others, and the objects of Great Expectations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from pipelines.config import DatasetConfig
from pipelines.validation.reference import ReferenceProfile, learn
from pipelines.validation.rules import Rule
from pipelines.validation.suite import Suite, suite_columns

MakeSuite = Callable[[str], Suite]


@pytest.fixture
def reference(meters: Callable[..., pa.Table]) -> ReferenceProfile:
    """Return what a training on one night of meters saw."""
    rows = meters(4, level=[0.0, 1.0, 2.0, 3.0], site=["a", "a", "a", "b"])
    return learn({"raw": rows.append_column("partition_key", pa.repeat("2013-07-04", 4))})


def _rule(make_suite: MakeSuite, arguments: str) -> Rule:
    return make_suite(f"  - {{severity: warning, {arguments}}}\n").rules[0]


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        pytest.param(
            "type: expect_column_values_to_be_between, column: level, min_value: {$REFERENCE: mean}",
            "min_value",
            1.5,
            id="a-number",
        ),
        pytest.param(
            "type: expect_column_values_to_be_in_set, column: site, value_set: {$REFERENCE: levels}",
            "value_set",
            ["a", "b"],
            id="a-set",
        ),
        pytest.param(
            "type: expect_column_values_to_be_between, column: read_at, min_value: {$REFERENCE: min}",
            "min_value",
            datetime(2013, 7, 4, tzinfo=UTC),
            id="a-moment",
        ),
        pytest.param(
            "type: expect_table_row_count_to_be_between, min_value: {$REFERENCE: day_rows_min}",
            "min_value",
            4,
            id="of-the-table",
        ),
        pytest.param(
            "type: expect_column_quantile_values_to_be_between, column: level, "
            "quantile_ranges: {quantiles: [0.5], value_ranges: [[0, {$REFERENCE: max}]]}",
            "quantile_ranges",
            {"quantiles": [0.5], "value_ranges": [[0, 3.0]]},
            id="inside-a-list",
        ),
    ],
)
def test_a_reference_stands_for_what_the_training_saw(
    make_suite: MakeSuite, reference: ReferenceProfile, arguments: str, name: str, value: Any
) -> None:
    rule = _rule(make_suite, arguments)
    resolved = rule.resolve(reference)
    assert rule.needs_reference
    assert resolved is not None
    assert resolved.arguments[name] == value
    assert not resolved.needs_reference
    assert getattr(rule.expectation(reference), name) == value


def test_a_rule_without_a_value_to_hold_to_can_be_shown_and_not_run(
    make_suite: MakeSuite, reference: ReferenceProfile
) -> None:
    rule = _rule(
        make_suite, "type: expect_column_values_to_be_between, column: site, min_value: {$REFERENCE: mean}"
    )
    assert rule.resolve(None) is None
    assert rule.resolve(reference) is None
    assert rule.expectation().min_value == {"$PARAMETER": "reference of mean"}


def test_a_rule_without_a_reference_is_itself(make_suite: MakeSuite) -> None:
    rule = _rule(make_suite, "type: expect_column_to_exist, column: site, meta: {$REFERENCE: text}")
    assert not rule.needs_reference
    assert rule.resolve(None) is rule


@pytest.mark.parametrize(
    ("written", "condition"),
    [
        pytest.param(
            "row_condition: 'col(\"level\") > 3', condition_parser: great_expectations",
            "level > 3",
            id="text",
        ),
        pytest.param(
            "row_condition: 'level > 3', condition_parser: pandas", "PassThrough('level > 3')", id="query"
        ),
        pytest.param(
            "row_condition: {type: nullity, column: {name: level}, is_null: true}",
            "level IS NULL",
            id="object",
        ),
    ],
)
def test_a_row_condition_becomes_an_object_and_no_deprecated_text(
    make_suite: MakeSuite, written: str, condition: str
) -> None:
    rule = _rule(make_suite, f"type: expect_column_values_to_not_be_null, column: site, {written}")
    expectation = rule.expectation()
    assert repr(expectation.row_condition) == condition
    assert expectation.condition_parser is None


@pytest.mark.parametrize(
    ("stage", "update", "columns"),
    [
        pytest.param(
            "raw",
            {},
            ["row_id", "event_time", "site", "reading", "level", "is_open", "read_at", "day"],
            id="raw",
        ),
        pytest.param("features", {}, ["row_id", "event_time", "level"], id="features"),
        pytest.param(
            "predictions", {}, ["row_id", "event_time", "prediction", "model_version"], id="predictions"
        ),
        pytest.param(
            "predictions",
            {"task": "multiclass", "classes": ("a", "b", "c")},
            [
                "row_id",
                "event_time",
                "prediction",
                "probability_0",
                "probability_1",
                "probability_2",
                "model_version",
            ],
            id="multiclass",
        ),
    ],
)
def test_each_stage_has_its_columns(
    config: DatasetConfig, stage: Any, update: dict[str, Any], columns: list[str]
) -> None:
    types = suite_columns(config.model_copy(update=update), stage)
    assert list(types) == columns
    assert types.get("prediction", "float") == ("string" if update else "float")
