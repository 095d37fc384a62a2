"""Which engine runs a rule, and how: the registry of what DuckDB does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import duckdb
from great_expectations.expectations.expectation import (
    ColumnPairMapExpectation,
    Expectation,
    MulticolumnMapExpectation,
)

from pipelines.config import ColumnType
from pipelines.errors import ConfigError
from pipelines.storage.sql import identifier
from pipelines.validation.engine.builders import (
    NUMBERS,
    Build,
    distinct,
    extreme,
    median,
    most_common,
    outliers,
    plain,
    quantiles,
    summed_up,
    types_of,
    value_set,
    z_score,
)
from pipelines.validation.engine.checks import Check, Domain, OrderCheck, RowCheck, Subject, UniqueCheck
from pipelines.validation.engine.conditions import condition_sql
from pipelines.validation.engine.gx import parameters_of
from pipelines.validation.engine.judging import JudgedCheck
from pipelines.validation.engine.literals import moment
from pipelines.validation.engine.measures import RowCountCheck
from pipelines.validation.engine.predicates import ELEMENTWISE, Parameter, Question, is_reversed
from pipelines.validation.engine.queries import ComparisonCheck, OtherTableCheck, UnexpectedRowsCheck
from pipelines.validation.engine.scan import Scan
from pipelines.validation.rules import PARAMETER_KEY, Rule, named_values

#: What these find depends on the columns and their types alone: an empty table shows it.
STATIC = frozenset(
    {
        "expect_column_to_exist",
        "expect_column_values_to_be_in_type_list",
        "expect_column_values_to_be_of_type",
        "expect_table_column_count_to_be_between",
        "expect_table_column_count_to_equal",
        "expect_table_columns_to_match_ordered_list",
        "expect_table_columns_to_match_set",
    }
)
#: What SQL can't say of one value, and Great Expectations judges for each distinct value once.
JUDGED = frozenset(
    {
        "expect_column_values_to_be_dateutil_parseable",
        "expect_column_values_to_be_json_parseable",
        "expect_column_values_to_match_json_schema",
        "expect_column_values_to_match_strftime_format",
    }
)
# A time is written with or without its hours, as all the others of its column need it, and a zero with
# its sign, which a distinct value has lost.
_WRITTEN_ALIKE = ("regex", "value_lengths", "strftime", "dateutil", "json")


def plan(rule: Rule, expectation: Expectation, scan: Scan) -> Check | None:
    """Return how DuckDB runs a rule; None where Great Expectations must.

    Parameters
    ----------
    rule : Rule
        Without values that differ by partition where there is only one.
    expectation : Expectation
        Its Great Expectations object.

    Raises
    ------
    ConfigError
        If its arguments can't be compared with its columns.
    """
    build = PUSHED_DOWN.get(rule.type)
    columns = _columns(expectation)
    types = [scan.columns.get(column) for column in columns]
    domain = _domain(expectation, columns, scan)
    if build is None or domain is None or None in types or _has_foreign_parameters(rule):
        return None
    _check_types(rule, expectation, types)
    return build(Subject(rule, expectation, columns, domain), scan)


def _columns(expectation: Expectation) -> tuple[str, ...]:
    """Return the columns of an expectation in its own order."""
    if (several := getattr(expectation, "column_list", None)) is not None:
        return tuple(map(str, several))
    names = [getattr(expectation, name, None) for name in ("column", "column_A", "column_B")]
    return tuple(str(name) for name in names if name is not None)


def _domain(expectation: Expectation, columns: tuple[str, ...], scan: Scan) -> Domain | None:
    condition, used = "TRUE", set[str]()
    if (row_condition := getattr(expectation, "row_condition", None)) is not None:
        if (found := condition_sql(row_condition, scan.columns)) is None:
            return None
        condition, used = found
    kept = _kept(expectation, [identifier(column) for column in columns])
    if kept is None:
        return None
    both = " AND ".join(part for part in (condition, kept) if part != "TRUE") or "TRUE"
    return Domain(condition, both, tuple(dict.fromkeys([*columns, *sorted(used)])))


def _kept(expectation: Expectation, quoted: list[str]) -> str | None:
    """Return SQL of the rows that are not left out for their nulls."""
    nulls = [f"{column} IS NULL" for column in quoted]
    present = [f"{column} IS NOT NULL" for column in quoted]
    if isinstance(expectation, ColumnPairMapExpectation | MulticolumnMapExpectation):
        return {
            "both_values_are_missing": f"NOT ({' AND '.join(nulls)})",
            "all_values_are_missing": f"NOT ({' AND '.join(nulls)})",
            "either_value_is_missing": f"({' AND '.join(present)})",
            "any_value_is_missing": f"({' AND '.join(present)})",
            "neither": "TRUE",
            "never": "TRUE",
        }.get(str(getattr(expectation, "ignore_row_if", "")))
    return present[0] if len(present) == 1 else "TRUE"


def _has_foreign_parameters(rule: Rule) -> bool:
    """Whether a value differs by partition, other than a bound of single values."""
    is_bound = rule.type == "expect_column_values_to_be_between"
    return any(True for _ in named_values(rule.arguments, PARAMETER_KEY)) and not is_bound


def _check_types(rule: Rule, expectation: Expectation, types: list[Any]) -> None:
    """Refuse what can't be compared, whatever the data."""
    wanted = _WANTED.get(rule.type)
    wrong = [type_ for type_ in types if wanted is not None and type_ not in wanted]
    if wanted is not None and wrong:
        raise ConfigError(f"{rule.title} needs columns of type {' or '.join(wanted)}, not {wrong[0]}.")
    if rule.type in _BOUNDED:
        bounds = {name: getattr(expectation, name) for name in ("min_value", "max_value")}
        for name, value in bounds.items():
            if value is not None and not _fits(value, types[0]):
                raise ConfigError(f"{rule.title}: `{name}` {value!r} can't be compared with a {types[0]}.")
        if is_reversed(bounds["min_value"], bounds["max_value"]):
            raise ConfigError(f"{rule.title}: `min_value` is greater than `max_value`.")
    if rule.type == "expect_column_pair_values_a_to_be_greater_than_b" and len(set(map(_family, types))) > 1:
        raise ConfigError(f"{rule.title}: a {types[0]} can't be compared with a {types[1]}.")


def _family(type_: ColumnType) -> str:
    return {"string": "text", "timestamp": "time", "date": "time"}.get(type_, "number")


def _fits(value: Any, type_: ColumnType) -> bool:
    kinds = {"text": str, "time": str | date | Mapping, "number": int | float}
    return isinstance(value, kinds[_family(type_)])


def _elementwise(subject: Subject, scan: Scan) -> Check | None:
    types = tuple(types_of(scan, subject.columns))
    question = Question(subject.expectation, subject.columns, types, _bounds(subject.rule, scan))
    predicate = ELEMENTWISE[subject.rule.type](question)
    if predicate is not None and _is_understood(predicate, subject, scan):
        return RowCheck(subject, predicate, reads=[bound.column for bound in question.bounds.values()])
    return None if question.bounds else _judged(subject, scan)


def _judged(subject: Subject, scan: Scan) -> Check | None:
    is_written = any(part in subject.rule.type for part in _WRITTEN_ALIKE)
    if is_written and {"timestamp", "date", "float"} & set(types_of(scan, subject.columns)):
        return None
    return JudgedCheck(subject, "FALSE")


def _pair_in_set(subject: Subject, scan: Scan) -> Check | None:
    # Great Expectations counts by the row condition here, and judges without it.
    return None if subject.domain.condition != "TRUE" else _elementwise(subject, scan)


def _bounds(rule: Rule, scan: Scan) -> dict[str, Parameter]:
    """Bind the values that differ by partition."""
    found = {}
    for argument, value in rule.arguments.items():
        if isinstance(value, Mapping) and PARAMETER_KEY in value:
            name = str(value[PARAMETER_KEY])
            column = scan.bind(
                f"holdfast_{name}", {key: moment(parameters_of(key)[name]) for key in scan.partitions}
            )
            found[argument] = Parameter(column, "date" if name == "day" else "timestamp")
    return found


def _is_understood(predicate: str, subject: Subject, scan: Scan) -> bool:
    """Whether DuckDB takes a regular expression; some are for Python alone."""
    if "regex" not in subject.rule.type:
        return True
    try:
        scan.table(f"SELECT {predicate} FROM (SELECT '' AS {identifier(subject.columns[0])})")
    except duckdb.InvalidInputException:
        return False
    return True


def _null(subject: Subject, _: Scan) -> Check:
    column = identifier(subject.columns[0])
    sign = "IS NULL" if "not_be_null" in subject.rule.type else "IS NOT NULL"
    return RowCheck(subject, f"({column} {sign})", judges_nulls=True)


_BUILDS: Mapping[str, Build] = {
    "expect_column_distinct_values_to_be_in_set": value_set,
    "expect_column_distinct_values_to_contain_set": value_set,
    "expect_column_distinct_values_to_equal_set": value_set,
    "expect_column_max_to_be_between": extreme("max"),
    "expect_column_mean_to_be_between": summed_up("mean"),
    "expect_column_median_to_be_between": median,
    "expect_column_min_to_be_between": extreme("min"),
    "expect_column_most_common_value_to_be_in_set": most_common,
    "expect_column_proportion_of_non_null_values_to_be_between": distinct(counts_distinct=False),
    "expect_column_proportion_of_unique_values_to_be_between": distinct(),
    "expect_column_quantile_values_to_be_between": quantiles,
    "expect_column_stdev_to_be_between": summed_up("standard_deviation"),
    "expect_column_sum_to_be_between": summed_up("sum"),
    "expect_column_unique_value_count_to_be_between": distinct(),
    "expect_column_value_z_scores_to_be_less_than": z_score,
    "expect_column_values_to_be_decreasing": plain(OrderCheck),
    "expect_column_values_to_be_increasing": plain(OrderCheck),
    "expect_column_values_to_be_null": _null,
    "expect_column_values_to_be_unique": plain(UniqueCheck),
    "expect_column_values_to_not_be_null": _null,
    "expect_column_values_to_not_be_outliers": outliers,
    "expect_compound_columns_to_be_unique": plain(UniqueCheck),
    "expect_query_results_to_match_comparison": plain(ComparisonCheck),
    "expect_table_row_count_to_be_between": plain(RowCountCheck),
    "expect_table_row_count_to_equal": plain(RowCountCheck),
    "expect_table_row_count_to_equal_other_table": plain(OtherTableCheck),
    "unexpected_rows_expectation": plain(UnexpectedRowsCheck),
}
#: Every expectation that DuckDB runs where its arguments allow, and how.
PUSHED_DOWN: Mapping[str, Build] = {
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    **dict.fromkeys(JUDGED, _judged),
    **_BUILDS,
    "expect_column_pair_values_to_be_in_set": _pair_in_set,
}
_BOUNDED = frozenset(
    {
        "expect_column_max_to_be_between",
        "expect_column_min_to_be_between",
        "expect_column_values_to_be_between",
    }
)
_WANTED: Mapping[str, tuple[str, ...]] = {
    "expect_column_mean_to_be_between": (*NUMBERS, "boolean", "timestamp", "date"),
    "expect_column_median_to_be_between": (*NUMBERS, "boolean", "timestamp", "date"),
    "expect_column_quantile_values_to_be_between": NUMBERS,
    "expect_column_stdev_to_be_between": (*NUMBERS, "boolean", "timestamp", "date"),
    "expect_column_sum_to_be_between": (*NUMBERS, "boolean"),
    "expect_column_value_z_scores_to_be_less_than": (*NUMBERS, "boolean"),
    "expect_column_values_to_be_decreasing": (*NUMBERS, "timestamp", "date"),
    "expect_column_values_to_be_increasing": (*NUMBERS, "timestamp", "date"),
    "expect_column_values_to_not_be_outliers": (*NUMBERS, "boolean"),
    **dict.fromkeys(
        (
            "expect_column_values_to_match_like_pattern",
            "expect_column_values_to_match_like_pattern_list",
            "expect_column_values_to_not_match_like_pattern",
            "expect_column_values_to_not_match_like_pattern_list",
            "expect_column_values_to_be_dateutil_parseable",
            "expect_column_values_to_match_strftime_format",
        ),
        ("string",),
    ),
}
