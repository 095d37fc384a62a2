"""What is unexpected of one row, as SQL, where DuckDB judges it as Great Expectations does on pandas.

Each function returns SQL that is true of an unexpected row and false of any other; it is asked only
of rows that the expectation considers. None means that the SQL can't be trusted for these
arguments and types: then Great Expectations judges the distinct values itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from great_expectations.expectations.expectation import Expectation

from pipelines.config import ColumnType
from pipelines.storage.sql import identifier, literal
from pipelines.validation.engine.literals import compared, double, is_number, member, members, moment

# What pandas hands to Python's own engine, or what DuckDB's RE2 may read in another way.
_NOT_FOR_RE2 = re.compile(r"\(\?|\\[1-9AZCGQEpPxuUNz0]|\[\[|\0")
_MAX_SUMMED = 7


@dataclass(frozen=True)
class Parameter:
    """A bound that differs by partition: the column that has it, and what it can be compared with."""

    column: str
    type: ColumnType


@dataclass(frozen=True)
class Question:
    """What an expectation asks of rows: its object, its columns, and their types."""

    expectation: Expectation
    columns: tuple[str, ...]
    types: tuple[ColumnType, ...]
    bounds: Mapping[str, Parameter]

    def get(self, name: str) -> Any:
        """Return an argument, or its default; a value that differs by partition as a Parameter."""
        return self.bounds.get(name, getattr(self.expectation, name, None))

    @property
    def type(self) -> ColumnType | None:
        """The one type of all columns; None if they differ."""
        return self.types[0] if len(set(self.types)) == 1 else None

    @property
    def quoted(self) -> list[str]:
        return [identifier(column) for column in self.columns]


Predicate = Callable[[Question], str | None]


def between(question: Question) -> str | None:
    """Outside of two bounds, each of which may be missing or excluded."""
    (column,) = question.quoted
    low, high = question.get("min_value"), question.get("max_value")
    if low is None and high is None:
        return None
    parts = []
    for bound, is_strict, operator in (
        (low, question.get("strict_min"), ">"),
        (high, question.get("strict_max"), "<"),
    ):
        if bound is not None:
            part = _bounded(column, question.types[0], operator if is_strict else f"{operator}=", bound)
            if part is None:
                return None
            parts.append(part)
    return f"NOT ({' AND '.join(parts)})"


def in_set(question: Question) -> str | None:
    """Not one of a set."""
    within = _within(question)
    return None if within is None else f"NOT {within}"


def not_in_set(question: Question) -> str | None:
    """One of a set."""
    return _within(question)


def value_lengths(question: Question) -> str | None:
    """A text of other lengths; numbers count as they are written."""
    (column,), (type_,) = question.quoted, question.types
    if type_ not in ("string", "integer", "boolean"):
        return None
    length = f"length({column}::VARCHAR)"
    if (exact := question.get("value")) is not None:
        return compared(length, "!=", exact) if is_number(exact) else None
    low, high = question.get("min_value"), question.get("max_value")
    if not all(bound is None or is_number(bound) for bound in (low, high)):
        return None
    parts = []
    if low is not None:
        parts.append(compared(length, ">" if question.get("strict_min") else ">=", low))
    if high is not None:
        parts.append(compared(length, "<" if question.get("strict_max") else "<=", high))
    return f"NOT ({' AND '.join(parts)})" if parts else None


def match_regex(question: Question) -> str | None:
    """No match of a regular expression anywhere in the text."""
    found = _found(question, [question.get("regex")])
    return None if found is None else f"NOT {found[0]}"


def not_match_regex(question: Question) -> str | None:
    """A match of a regular expression."""
    found = _found(question, [question.get("regex")])
    return None if found is None else found[0]


def match_regex_list(question: Question) -> str | None:
    """No match of any, or not of all, of a list of regular expressions."""
    found = _found(question, question.get("regex_list"))
    if not found or question.get("match_on") not in ("any", "all"):
        return None
    joint = " OR " if question.get("match_on") == "any" else " AND "
    return f"NOT ({joint.join(found)})"


def not_match_regex_list(question: Question) -> str | None:
    """A match of one of a list of regular expressions."""
    found = _found(question, question.get("regex_list"))
    return f"({' OR '.join(found)})" if found else None


def pair_equal(question: Question) -> str | None:
    """Two values that are not the same."""
    return _pair(question, "=")


def pair_greater(question: Question) -> str | None:
    """A first value that is not greater than the second."""
    return _pair(question, ">=" if question.get("or_equal") else ">")


def pair_in_set(question: Question) -> str | None:
    """Two values that are none of a set of pairs."""
    pairs = question.get("value_pairs_set")
    if question.type not in ("string", "integer") or not pairs:
        return None
    either = []
    for pair in pairs:
        texts = [_null_or_member(value, question.type) for value in pair]
        if len(texts) != len(question.columns) or None in texts:
            return None
        parts = [
            f"{column} IS NOT DISTINCT FROM {text}"
            for column, text in zip(question.quoted, texts, strict=True)
        ]
        either.append(f"({' AND '.join(parts)})")
    return f"NOT ({' OR '.join(either)})"


def multicolumn_equal(question: Question) -> str | None:
    """Values that are not all the same; nulls are the same as nulls."""
    if question.type is None or (question.type in ("integer", "boolean") and not _is_whole(question)):
        return None
    first, *others = question.quoted
    parts = [f"{first} IS NOT DISTINCT FROM {other}" for other in others]
    return f"NOT ({' AND '.join(parts)})" if parts else "FALSE"


def multicolumn_sum(question: Question) -> str | None:
    """Numbers of which the sum is another."""
    total = question.get("sum_total")
    if not is_number(total) or len(question.columns) > _MAX_SUMMED:
        return None
    if question.type == "integer" and _is_whole(question):
        return compared(" + ".join(f"{column}::HUGEINT" for column in question.quoted), "!=", total)
    if question.type == "float" and (text := double(total)) is not None:
        return f"({' + '.join(question.quoted)}) IS DISTINCT FROM {text}"
    return None


def unique_within_record(question: Question) -> str | None:
    """Two values of the row that are the same; nulls are the same as nulls."""
    if question.type is None:
        return None
    quoted = question.quoted
    same = [
        f"{one} IS NOT DISTINCT FROM {other}"
        for place, one in enumerate(quoted)
        for other in quoted[place + 1 :]
    ]
    return f"({' OR '.join(same)})" if same else "FALSE"


def like(question: Question) -> str:
    """A text that is not like a pattern of SQL (``%`` any text, ``_`` one character)."""
    return f"NOT ({_like(question, [question.get('like_pattern')], ' OR ')})"


def not_like(question: Question) -> str:
    """A text that is like a pattern of SQL."""
    return _like(question, [question.get("like_pattern")], " OR ")


def like_list(question: Question) -> str:
    """A text that is like none, or not like all, of a list of patterns of SQL."""
    joint = " AND " if question.get("match_on") == "all" else " OR "
    return f"NOT ({_like(question, question.get('like_pattern_list'), joint)})"


def not_like_list(question: Question) -> str:
    """A text that is like one of a list of patterns of SQL."""
    return f"({_like(question, question.get('like_pattern_list'), ' OR ')})"


def is_reversed(low: Any, high: Any) -> bool:
    """Whether two bounds are the wrong way round, which Great Expectations refuses."""
    try:
        return bool(low > high)
    except TypeError:
        return False


#: Expectations that judge each row for itself.
ELEMENTWISE: Mapping[str, Predicate] = {
    "expect_column_pair_values_a_to_be_greater_than_b": pair_greater,
    "expect_column_pair_values_to_be_equal": pair_equal,
    "expect_column_pair_values_to_be_in_set": pair_in_set,
    "expect_column_value_lengths_to_be_between": value_lengths,
    "expect_column_value_lengths_to_equal": value_lengths,
    "expect_column_values_to_be_between": between,
    "expect_column_values_to_be_in_set": in_set,
    "expect_column_values_to_match_like_pattern": like,
    "expect_column_values_to_match_like_pattern_list": like_list,
    "expect_column_values_to_match_regex": match_regex,
    "expect_column_values_to_match_regex_list": match_regex_list,
    "expect_column_values_to_not_be_in_set": not_in_set,
    "expect_column_values_to_not_match_like_pattern": not_like,
    "expect_column_values_to_not_match_like_pattern_list": not_like_list,
    "expect_column_values_to_not_match_regex": not_match_regex,
    "expect_column_values_to_not_match_regex_list": not_match_regex_list,
    "expect_multicolumn_sum_to_equal": multicolumn_sum,
    "expect_multicolumn_values_to_be_equal": multicolumn_equal,
    "expect_select_column_values_to_be_unique_within_record": unique_within_record,
}


def _bounded(column: str, type_: ColumnType, operator: str, bound: Any) -> str | None:
    if isinstance(bound, Parameter):
        # A date is compared as the midnight that it begins with.
        value = column if type_ == "timestamp" else f"{column}::TIMESTAMP"
        return f"{value} {operator} {identifier(bound.column)}" if bound.type == type_ else None
    if type_ == "integer" and is_number(bound):
        return compared(column, operator, bound)
    if type_ == "float":
        text = double(bound)
    elif type_ == "string":
        text = member(bound, type_)
    elif type_ == "timestamp" and isinstance(bound, datetime) and bound.tzinfo is not None:
        text = moment(bound)
    elif type_ == "date" and isinstance(bound, datetime) and bound.tzinfo is None:
        column, text = f"{column}::TIMESTAMP", moment(bound)
    else:
        text = None
    return None if text is None else f"{column} {operator} {text}"


def _within(question: Question) -> str | None:
    (column,), (type_,) = question.quoted, question.types
    values = question.get("value_set")
    texts = None if values is None else members(values, type_)
    if texts is None:
        return None
    return f"({column} IN ({', '.join(texts)}))" if texts else "FALSE"


def _found(question: Question, patterns: Any) -> list[str] | None:
    if question.types[0] != "string" or not isinstance(patterns, list):
        return None
    if not all(isinstance(pattern, str) and not _NOT_FOR_RE2.search(pattern) for pattern in patterns):
        return None
    return [f"regexp_matches({question.quoted[0]}, {literal(pattern)})" for pattern in patterns]


def _pair(question: Question, operator: str) -> str | None:
    one, other = question.quoted
    are_nullable = bool({"integer", "boolean"} & set(question.types))
    if question.type is None or (are_nullable and not _is_whole(question)):
        return None
    return f"NOT coalesce({one} {operator} {other}, FALSE)"


def _is_whole(question: Question) -> bool:
    """Whether rows with a null are left out: on them pandas' nullable types are neither true nor false."""
    return str(question.get("ignore_row_if")) in ("either_value_is_missing", "any_value_is_missing")


def _null_or_member(value: Any, type_: ColumnType) -> str | None:
    return "NULL" if value is None else member(value, type_)


def _like(question: Question, patterns: list[str], joint: str) -> str:
    (column,) = question.quoted
    return joint.join(f"({column} LIKE {literal(pattern)})" for pattern in patterns)
