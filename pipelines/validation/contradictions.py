"""What the rules of one suite say together: the same twice, or what no data can meet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.records import digest_of
from pipelines.validation.entries import Entry, Problem
from pipelines.validation.judgements import comparable
from pipelines.validation.rules import Rule

# What a rule speaks of: those of one subject on one column can contradict each other.
_SUBJECTS: Mapping[str, str] = {
    "expect_column_values_to_be_between": "value",
    "expect_column_values_to_be_in_set": "value",
    "expect_column_values_to_not_be_in_set": "value",
    "expect_column_distinct_values_to_be_in_set": "value",
    "expect_table_row_count_to_be_between": "rows",
    "expect_table_row_count_to_equal": "rows",
    "expect_column_unique_value_count_to_be_between": "distinct values",
    "expect_column_value_lengths_to_be_between": "lengths",
    "expect_column_value_lengths_to_equal": "lengths",
    "expect_column_proportion_of_non_null_values_to_be_between": "non-null share",
    "expect_column_mean_to_be_between": "mean",
    "expect_column_median_to_be_between": "median",
    "expect_column_max_to_be_between": "max",
    "expect_column_min_to_be_between": "min",
    "expect_column_sum_to_be_between": "sum",
    "expect_column_stdev_to_be_between": "stdev",
}
_NULL, _NOT_NULL = "expect_column_values_to_be_null", "expect_column_values_to_not_be_null"

Placed = tuple[Entry, Rule]


def find_contradictions(rules: Sequence[Placed]) -> Iterator[Problem]:
    """Yield duplicates, as warnings, and pairs of rules that no data can meet, as errors."""
    yield from _duplicates(rules)
    for group in _grouped(rules).values():
        for index, (entry, rule) in enumerate(group):
            for other_entry, other in group[:index]:
                if why := _conflict(other, rule):
                    first = f"expectation {other.position} (line {other_entry.line})"
                    yield entry.problem(f"{rule.type} contradicts {first}: {why}")


def _duplicates(rules: Sequence[Placed]) -> Iterator[Problem]:
    seen: dict[str, Entry] = {}
    for entry, rule in rules:
        key = digest_of([rule.type, rule.columns, {"mostly": 1, **rule.bounds}])
        first = seen.setdefault(key, entry)
        if first is not entry:
            said = f"{rule.type} says the same as expectation {first.position} (line {first.line})"
            yield entry.problem(said, level="warning")


def _grouped(rules: Sequence[Placed]) -> dict[str, list[Placed]]:
    groups: dict[str, list[Placed]] = {}
    for entry, rule in rules:
        subject = "nulls" if rule.type in (_NULL, _NOT_NULL) else _SUBJECTS.get(rule.type)
        if subject is not None and rule.severity != "info" and not rule.needs_reference:
            key = digest_of([subject, rule.columns, rule.arguments.get("row_condition")])
            groups.setdefault(key, []).append((entry, rule))
    return groups


def _conflict(one: Rule, other: Rule) -> str | None:
    """Return why two rules about one subject can't both hold; None if they may."""
    if {one.type, other.type} == {_NULL, _NOT_NULL}:
        return "one asks for nulls, the other for none"
    sets = [rule.arguments["value_set"] for rule in (one, other) if _is_positive_set(rule)]
    lows, highs = [], []
    for rule in (one, other):
        low, high = _bounds(rule)
        lows.append(low)
        highs.append(high)
    if len(sets) == 2 and not any(value in sets[1] for value in sets[0]):
        return "the two sets have no value in common"
    if len(sets) == 1:
        forbidden = next((r.arguments["value_set"] for r in (one, other) if "_not_be_in_set" in r.type), None)
        if isinstance(forbidden, list):
            return (
                "every value of the set is forbidden there" if all(v in forbidden for v in sets[0]) else None
            )
        low = next((value for value in lows if value is not None), None)
        high = next((value for value in highs if value is not None), None)
        outside = [v for v in sets[0] if _is_below(v, low) or _is_below(high, v)]
        return "every value of the set is outside the bounds" if len(outside) == len(sets[0]) else None
    if _is_below(highs[0], lows[1]) or _is_below(highs[1], lows[0]):
        return "nothing is within the bounds of both"
    return None


def _is_positive_set(rule: Rule) -> bool:
    is_set = "_in_set" in rule.type and "_not_" not in rule.type
    return is_set and isinstance(rule.arguments.get("value_set"), list) and bool(rule.arguments["value_set"])


def _bounds(rule: Rule) -> tuple[Any, Any]:
    if "value" in rule.arguments:
        return rule.arguments["value"], rule.arguments["value"]
    return rule.arguments.get("min_value"), rule.arguments.get("max_value")


def _is_below(one: Any, other: Any) -> bool:
    return comparable(one, other) and bool(one < other)
