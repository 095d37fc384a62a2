"""Whether a rule makes sense: does it always fail, can it ever, and are its values of its column's type?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from pipelines.validation.entries import Entry, Level, Problem
from pipelines.validation.reference import TABLE_NAMES
from pipelines.validation.rules import PARAMETER_KEY, REFERENCE_KEY, Rule, named_values

_COUNTS = ("row_count", "column_count", "unique_value_count", "value_lengths")
_SHARES = ("proportion_of_non_null_values", "proportion_of_unique_values")
_ANYTHING = frozenset({"", ".*", "^.*$", "(?s).*", "^", "$", ".*$", "^.*"})
_TEXTUAL = ("regex", "like_pattern", "value_lengths", "strftime", "json", "dateutil")
_NUMERIC_NAMES = ("mean", "stdev", "day_mean_min", "day_mean_max")
_KINDS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int, float),
    "float": (int, float),
    "boolean": (bool,),
    "timestamp": (date, str),
    "date": (date, str),
}
# Of a column of this type, these compare values of the column with their bounds.
_VALUE_BOUNDS = (
    "expect_column_values_to_be_between",
    "expect_column_max_to_be_between",
    "expect_column_min_to_be_between",
    "expect_column_mean_to_be_between",
    "expect_column_median_to_be_between",
)


def judge_rule(entry: Entry, rule: Rule, types: Mapping[str, str]) -> Iterator[Problem]:
    """Yield what does not make sense in one rule that can be run.

    Parameters
    ----------
    entry : Entry
        Where the rule stands.
    types : mapping of str to str
        The type of each column.
    """
    yield from _judge_bounds(entry, rule)
    yield from _judge_shape(entry, rule)
    yield from _judge_distribution(entry, rule)
    yield from _judge_types(entry, rule, types)
    if rule.is_row_level and rule.arguments.get("mostly") == 0:
        yield entry.problem(f"{rule.type} can never fail: `mostly` is 0", "mostly", "warning")


def comparable(low: Any, high: Any) -> bool:
    """Whether two bounds can be compared: both there, both of one kind."""
    if isinstance(low, bool) or isinstance(high, bool):
        return False
    if isinstance(low, int | float) and isinstance(high, int | float):
        return not (math.isnan(low) or math.isnan(high))
    if isinstance(low, datetime) and isinstance(high, datetime):
        return (low.tzinfo is None) == (high.tzinfo is None)
    return False


def _judge_bounds(entry: Entry, rule: Rule) -> Iterator[Problem]:
    low: Any = rule.arguments.get("min_value")
    high: Any = rule.arguments.get("max_value")
    is_strict = bool(rule.arguments.get("strict_min") or rule.arguments.get("strict_max"))
    if comparable(low, high):
        if low > high:
            said = f"{rule.type} always fails: `min_value` {low} is above `max_value` {high}"
            yield entry.problem(said, "min_value")
        elif low == high and is_strict:
            yield entry.problem(f"{rule.type} always fails: nothing is strictly between {low} and {high}")
    is_share = any(name in rule.type for name in _SHARES)
    if not is_share and not any(name in rule.type for name in _COUNTS):
        return
    top = 1.0 if is_share else math.inf
    if (comparable(high, 0) and high < 0) or (comparable(low, top) and low > top):
        what = "a share is from 0 to 1" if is_share else "a count is never below 0"
        yield entry.problem(
            f"{rule.type} always fails: {what}", "max_value" if comparable(high, 0) else "min_value"
        )
    is_open_below = low is None or (comparable(low, 0) and low <= 0 and not rule.arguments.get("strict_min"))
    is_open_above = high is None or (comparable(high, top) and high >= top)
    if is_open_below and is_open_above and "between" in rule.type:
        yield entry.problem(
            f"{rule.type} can never fail: its bounds leave nothing out", "min_value", "warning"
        )


def _judge_shape(entry: Entry, rule: Rule) -> Iterator[Problem]:
    for name in (
        "value_set",
        "value_pairs_set",
        "regex_list",
        "like_pattern_list",
        "type_list",
        "column_list",
    ):
        found = rule.arguments.get(name)
        if isinstance(found, list) and not found:
            level: Level = "warning" if "_not_" in rule.type else "error"
            what = "can never fail" if level == "warning" else "always fails"
            yield entry.problem(f"{rule.type} {what}: `{name}` is empty", name, level)
        if name == "value_set" and isinstance(found, list):
            twice = [value for index, value in enumerate(found) if _is_in(value, found[:index])]
            if twice:
                yield entry.problem(f"{rule.type}: `{name}` has {twice[0]!r} twice", name, "warning")
    if rule.arguments.get("regex") in _ANYTHING:
        is_not = "_not_" in rule.type
        what = "always fails" if is_not else "can never fail"
        said = f"{rule.type} {what}: the pattern is found in every text"
        yield entry.problem(said, "regex", "error" if is_not else "warning")
    if rule.arguments.get("column_A") is not None and len(rule.columns) == 1:
        yield entry.problem(f"{rule.type} compares `{rule.columns[0]}` with itself", "column_B", "warning")


def _is_in(value: Any, others: Sequence[Any]) -> bool:
    return any(type(other) is type(value) and other == value for other in others)


def _judge_distribution(entry: Entry, rule: Rule) -> Iterator[Problem]:
    ranges = rule.arguments.get("quantile_ranges")
    if isinstance(ranges, Mapping):
        yield from _judge_quantiles(entry, rule, ranges)
    distribution = rule.arguments.get("partition_object")
    if not isinstance(distribution, Mapping) or REFERENCE_KEY in distribution:
        return
    weights = distribution.get("weights")
    places = distribution.get("bins", distribution.get("values"))
    if not isinstance(weights, list) or not isinstance(places, list):
        said = "`partition_object` needs `weights`, and `values` or `bins`, each a list"
        yield entry.problem(f"{rule.type}: {said}", "partition_object")
        return
    wanted = len(weights) + ("bins" in distribution)
    if len(places) != wanted:
        what = "one more edge in `bins` than" if "bins" in distribution else "as many `values` as"
        yield entry.problem(f"{rule.type}: `partition_object` needs {what} `weights`", "partition_object")
    numbers = [weight for weight in weights if isinstance(weight, int | float)]
    if len(numbers) != len(weights) or not math.isclose(sum(numbers), 1.0, abs_tol=1e-6):
        yield entry.problem(f"{rule.type}: the `weights` must add up to 1", "partition_object")


def _judge_quantiles(entry: Entry, rule: Rule, ranges: Mapping[str, Any]) -> Iterator[Problem]:
    name = "quantile_ranges"
    levels, pairs = ranges.get("quantiles"), ranges.get("value_ranges")
    if (
        set(ranges) != {"quantiles", "value_ranges"}
        or not isinstance(levels, list)
        or not isinstance(pairs, list)
    ):
        yield entry.problem(f"{rule.type}: `{name}` needs two lists, `quantiles` and `value_ranges`", name)
        return
    if len(levels) != len(pairs) or any(not isinstance(pair, list) or len(pair) != 2 for pair in pairs):
        yield entry.problem(f"{rule.type}: `{name}` needs a pair in `value_ranges` for each quantile", name)
        return
    if any(not isinstance(level, int | float) or not 0 <= level <= 1 for level in levels):
        yield entry.problem(f"{rule.type}: each of the `quantiles` is from 0 to 1", name)
    for level, (low, high) in zip(levels, pairs, strict=True):
        if comparable(low, high) and low > high:
            yield entry.problem(f"{rule.type} always fails: at quantile {level}, {low} is above {high}", name)


def _judge_types(entry: Entry, rule: Rule, types: Mapping[str, str]) -> Iterator[Problem]:
    if len(rule.columns) != 1:
        return
    (column,) = rule.columns
    kind = types[column]
    if kind != "string" and any(part in rule.type for part in _TEXTUAL):
        yield entry.problem(
            f"{rule.type} is about text, and `{column}` is of type {kind}", "column", "warning"
        )
    for name in ("value_set", "min_value", "max_value"):
        if name != "value_set" and rule.type not in _VALUE_BOUNDS:
            continue
        value = rule.arguments.get(name)
        for cell in value if isinstance(value, list) else [value]:
            if problem := _mismatch(cell, kind):
                yield entry.problem(f"{rule.type}: `{name}`: {problem} `{column}`, of type {kind}", name)
                break
    yield from _judge_stand_ins(entry, rule, column, kind)


def _mismatch(cell: Any, kind: str) -> str | None:
    if cell is None or isinstance(cell, Mapping):
        return None
    is_bool_among_others = isinstance(cell, bool) and kind != "boolean"
    if isinstance(cell, _KINDS[kind]) and not is_bool_among_others:
        return None
    if isinstance(cell, bool) and kind == "string":
        return f"YAML reads {cell} where it finds yes, no, on or off without quotes; write a text for"
    return f"{str(cell)[:40]!r} is {type(cell).__name__}, which is never equal to a value of"


def _judge_stand_ins(entry: Entry, rule: Rule, column: str, kind: str) -> Iterator[Problem]:
    for argument, value in rule.bounds.items():
        for name in named_values(value, PARAMETER_KEY):
            wanted = "date" if name == "day" else "timestamp"
            if kind != wanted:
                said = f"{rule.type}: $PARAMETER `{name}` is a {wanted}, and `{column}` is of type {kind}"
                yield entry.problem(said, argument)
        for name in named_values(value, REFERENCE_KEY):
            is_number = kind in ("integer", "float", "boolean")
            is_unknown = (name in _NUMERIC_NAMES or name.startswith("q")) and not is_number
            is_unknown |= name in ("min", "max") and kind == "string"
            is_unknown |= name == "levels" and kind in ("float", "timestamp", "date")
            if is_unknown and name not in TABLE_NAMES:
                said = f"{rule.type} is never evaluated: no training learns the `{name}` of a {kind}"
                yield entry.problem(said, argument, "warning")
