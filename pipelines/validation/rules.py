"""One expectation of a suite: checked against Great Expectations and the dataset, then made its object."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Literal, NoReturn, get_args

from great_expectations.compatibility.pydantic import ValidationError
from great_expectations.expectations.expectation import (
    ColumnMapExpectation,
    ColumnPairMapExpectation,
    Expectation,
    MulticolumnMapExpectation,
)
from great_expectations.expectations.registry import (
    get_expectation_impl,
    list_registered_expectation_implementations,
)

from pipelines.errors import ConfigError

Severity = Literal["critical", "warning", "info"]

#: What ``{$PARAMETER: name}`` may name: the partition's first moment and the one after its last
#: (for columns of type timestamp), and its day (for columns of type date).
PARAMETERS = ("day_start", "day_end", "day")

#: Results come back in another order than the suite's: this key of their ``meta`` says which is which.
POSITION = "position"

_ROW_LEVEL = (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation)
_COLUMN_ARGUMENTS = ("column", "column_A", "column_B", "column_list", "column_set")
# The runner decides these; in a suite they would change what is found.
_RESERVED = frozenset(
    {"id", "batch_id", "catch_exceptions", "rendered_content", "result_format", "severity", "windows"}
)
# These ask a SQL engine, or another table; partitions are examined in memory, one by one.
_NEEDS_SQL = frozenset(
    {
        "expect_column_values_to_match_like_pattern",
        "expect_column_values_to_match_like_pattern_list",
        "expect_column_values_to_not_match_like_pattern",
        "expect_column_values_to_not_match_like_pattern_list",
        "expect_query_results_to_match_comparison",
        "expect_table_row_count_to_equal_other_table",
    }
)
# These compare integers or booleans across columns, which fails where one of them is null.
_NEEDS_WHOLE_ROWS: Mapping[str, str] = {
    "expect_column_pair_values_a_to_be_greater_than_b": "either_value_is_missing",
    "expect_column_pair_values_to_be_equal": "either_value_is_missing",
    "expect_multicolumn_sum_to_equal": "any_value_is_missing",
    "expect_multicolumn_values_to_be_equal": "any_value_is_missing",
}


@dataclass(frozen=True)
class Place:
    """Where in a suite an expectation stands: its file, its position from 1, and its line."""

    file: str
    position: int
    line: int

    def refuse(self, what: str) -> NoReturn:
        """Raise the ConfigError that names this place."""
        end = "" if what.endswith(("?", ".")) else "."
        raise ConfigError(f"{self.file}, expectation {self.position} (line {self.line}): {what}{end}")


@dataclass(frozen=True)
class Rule:
    """One expectation of a suite.

    Parameters
    ----------
    name : str
        The expectation's type; with ``#position`` where the suite has it twice on the same columns.
    columns : tuple of str
        The columns that it looks at; none for one about the table as a whole.
    arguments : mapping
        Great Expectations' arguments, without the severity.
    """

    name: str
    type: str
    position: int
    severity: Severity
    columns: tuple[str, ...]
    arguments: Mapping[str, Any]

    @property
    def column(self) -> str | None:
        """The columns as one text; None for an expectation about the table."""
        return ", ".join(self.columns) or None

    @property
    def title(self) -> str:
        """The rule as people name it: its type and columns."""
        return f"{self.name}({self.column})" if self.columns else self.name

    @property
    def bounds(self) -> dict[str, Any]:
        """What is expected of the columns: the arguments without those that name them or explain."""
        apart = (*_COLUMN_ARGUMENTS, "meta", "notes", "description")
        return {name: value for name, value in self.arguments.items() if name not in apart}

    @property
    def is_row_level(self) -> bool:
        """Whether rows are judged one by one, so that bad ones can be named."""
        return issubclass(get_expectation_impl(self.type), _ROW_LEVEL)

    def expectation(self) -> Expectation:
        """Return a new Great Expectations object; its ``meta`` has the rule's position."""
        arguments = dict(self.arguments)
        meta = {**(arguments.pop("meta", None) or {}), POSITION: self.position}
        return get_expectation_impl(self.type)(severity=self.severity, meta=meta, **arguments)


def make_rule(content: Mapping[str, Any], *, types: Mapping[str, str], place: Place) -> Rule:
    """Return the rule that one entry of a suite declares.

    Parameters
    ----------
    content : mapping
        ``type``, ``severity``, and Great Expectations' arguments.
    types : mapping of str to str
        Every column that may be named, and its declared type.

    Raises
    ------
    ConfigError
        If the type, an argument, a column, a parameter or the severity is missing, unknown or wrong.
    """
    arguments = {str(key): _as_moment(value) for key, value in content.items()}
    kind = str(arguments.pop("type", ""))
    severity = arguments.pop("severity", None)
    _check_type(kind, place)
    if severity not in get_args(Severity):
        place.refuse(f"{kind} needs a `severity`: critical, warning or info")
    columns = tuple(dict.fromkeys(_columns(arguments)))
    for column in columns:
        if column not in types:
            place.refuse(f"{kind}: unknown column `{column}`.{_nearest(column, types)}")
    for name in _parameter_names(arguments):
        if name not in PARAMETERS:
            place.refuse(f"{kind}: unknown $PARAMETER `{name}`.{_nearest(name, PARAMETERS)}")
    whole = _NEEDS_WHOLE_ROWS.get(kind)
    is_nullable = any(types[column] in ("integer", "boolean") for column in columns)
    if whole and is_nullable and arguments.get("ignore_row_if") != whole:
        place.refuse(f"{kind} fails on a null among integers or booleans; add `ignore_row_if: {whole}`")
    if any(types[column] == "timestamp" for column in columns):
        arguments = {key: _aware(value) for key, value in arguments.items()}
    rule = Rule(
        name=kind,
        type=kind,
        position=place.position,
        severity=severity,
        columns=columns,
        arguments=arguments,
    )
    _check_arguments(rule, place)
    return rule


def _check_type(kind: str, place: Place) -> None:
    known = [name for name in list_registered_expectation_implementations() if name.startswith("expect_")]
    if kind not in known:
        place.refuse(f"unknown expectation type `{kind}`.{_nearest(kind, known)}")
    if kind in _NEEDS_SQL:
        place.refuse(f"{kind} needs a SQL engine, and partitions are examined in memory")


def _check_arguments(rule: Rule, place: Place) -> None:
    fields = set(get_expectation_impl(rule.type).__fields__) - _RESERVED
    for name in rule.arguments:
        if name not in fields:
            place.refuse(f"{rule.type} has no argument `{name}`.{_nearest(name, fields)}")
    try:
        rule.expectation()
    except ValidationError as error:
        # Great Expectations tries several types in turn and complains once for each: the first counts.
        said = {str(problem["loc"][0]): str(problem["msg"]) for problem in reversed(error.errors())}
        if len(said) > 1:
            said.pop("__root__", None)
        problems = [text if name == "__root__" else f"`{name}`: {text}" for name, text in said.items()]
        place.refuse(f"{rule.type}: {'; '.join(sorted(problems))}")


def _columns(arguments: Mapping[str, Any]) -> Iterable[str]:
    for name in _COLUMN_ARGUMENTS:
        value = arguments.get(name) or ()
        yield from [value] if isinstance(value, str) else [str(column) for column in value]


def _parameter_names(value: Any) -> Iterable[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from [str(inner)] if key == "$PARAMETER" else _parameter_names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _parameter_names(inner)


def _as_moment(value: Any) -> Any:
    """Return ``value`` with each plain date as its midnight: Great Expectations compares moments only."""
    if isinstance(value, list):
        return [_as_moment(inner) for inner in value]
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time())
    return value


def _aware(value: Any) -> Any:
    """Return ``value`` with naive moments taken as UTC, as everywhere in the lake."""
    if isinstance(value, list):
        return [_aware(inner) for inner in value]
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


def _nearest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f" Did you mean `{close[0]}`?" if close else f" Known: {', '.join(names[:12])}."
