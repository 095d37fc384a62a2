"""What changed between two versions of a suite."""

# ruff: noqa: E501 - one case a line

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipelines.validation.compare import compare_suites
from pipelines.validation.suite import Suite

MakeSuite = Callable[[str], Suite]


def _level(arguments: str, severity: str = "warning") -> str:
    return f"  - {{type: expect_column_values_to_be_between, severity: {severity}, column: level, {arguments}}}\n"


def _site(values: str, kind: str = "expect_column_values_to_be_in_set") -> str:
    return f"  - {{type: {kind}, severity: warning, column: site, value_set: [{values}]}}\n"


@pytest.mark.parametrize(
    ("old", "new", "effects"),
    [
        pytest.param(_level("min_value: 0"), _level("min_value: 1"), ["tightened"], id="higher-minimum"),
        pytest.param(_level("min_value: 0"), _level("min_value: -1"), ["loosened"], id="lower-minimum"),
        pytest.param(_level("max_value: 3"), _level("max_value: 2"), ["tightened"], id="lower-maximum"),
        pytest.param(_level("min_value: 0"), _level("min_value: 0, max_value: 2"), ["tightened"], id="a-new-bound"),
        pytest.param(_level("min_value: 0, max_value: 2"), _level("min_value: 0"), ["loosened"], id="a-bound-less"),
        pytest.param(_level("min_value: 0, mostly: 0.9"), _level("min_value: 0"), ["tightened"], id="all-rows"),
        pytest.param(_level("min_value: 0"), _level("min_value: 0, mostly: 0.9"), ["loosened"], id="most-rows"),
        pytest.param(_level("min_value: 0"), _level("min_value: 0, strict_min: true"), ["tightened"], id="strict"),
        pytest.param(_level("min_value: 0"), _level("min_value: 0", "critical"), ["severity"], id="severity"),
        pytest.param(_level("min_value: 0"), _level("min_value: 0, notes: why"), ["explained"], id="notes"),
        pytest.param(_level("min_value: 0"), _level("min_value: {$REFERENCE: min}"), ["changed"], id="reference"),
        pytest.param(_level("min_value: 0, max_value: 2"), _level("min_value: 1, max_value: 3"), ["tightened", "loosened"], id="both"),
        pytest.param(_level("min_value: 0"), _level("min_value: 0, row_condition: {type: nullity, column: {name: site}, is_null: true}"), ["loosened"], id="fewer-rows"),
        pytest.param(_site("a, b"), _site("a"), ["tightened"], id="smaller-set"),
        pytest.param(_site("a"), _site("b, a"), ["loosened"], id="larger-set"),
        pytest.param(_site("a"), _site("b"), ["changed"], id="another-set"),
        pytest.param(_site("a, b"), _site("b, a"), ["explained"], id="reordered-set"),
        pytest.param(_site("a", "expect_column_values_to_not_be_in_set"), _site("a, b", "expect_column_values_to_not_be_in_set"), ["tightened"], id="more-forbidden"),
    ],
)  # fmt: skip
def test_a_change_is_named_by_its_effect(
    make_suite: MakeSuite, old: str, new: str, effects: list[str]
) -> None:
    found = compare_suites(make_suite(old), make_suite(new), old_name="a", new_name="b")
    assert [(change.kind, list(change.effects)) for change in found.changes] == [("changed", effects)]
    assert found.is_same == (effects == ["explained"])


def test_order_comments_and_layout_change_nothing(make_suite: MakeSuite) -> None:
    old = make_suite(_level("min_value: 0") + _site("a") + _level("max_value: 9", "critical"))
    new = make_suite("  # said\n" + _level("max_value: 9", "critical") + _site("a") + _level("min_value: 0"))
    assert compare_suites(old, new, old_name="a", new_name="b").changes == ()


def test_rules_that_come_and_go_are_named_with_their_values(make_suite: MakeSuite) -> None:
    old, new = make_suite(_level("min_value: 0") + _site("a")), make_suite(_site("a") + _site("b"))
    found = compare_suites(old, new, old_name="a", new_name="b")
    assert [(change.kind, change.line) for change in found.changes] == [("added", 3), ("removed", 2)]
    assert found.changes[0].changes[0].new == ["b"]
    assert found.changes[1].changes[0].old == 0
    assert {change.kind for change in compare_suites(None, old, old_name="a", new_name="b").changes} == {
        "added"
    }
