"""Generated entries of suites: every expectation, with arguments of every kind that it takes."""

# ruff: noqa: E501 - one argument a line

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, get_args

from great_expectations.expectations.registry import get_expectation_impl
from hypothesis import strategies as st

from pipelines.validation.checks import arguments_of
from pipelines.validation.rules import expectation_types

COLUMNS = ("site", "reading", "level", "is_open", "read_at", "day")

_texts = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=12)
_floats = st.floats(allow_nan=False, allow_infinity=False, width=32)
_dates = st.dates(date(1990, 1, 1), date(2040, 1, 1))
_moments = st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1), timezones=st.sampled_from([UTC, None]))
_cells = st.one_of(_texts, st.integers(-(2**60), 2**60), _floats, st.booleans(), _dates, _moments)
_column = st.sampled_from(COLUMNS)
_columns = st.lists(_column, min_size=2, max_size=4, unique=True)
_parameter = st.sampled_from(["day_start", "day_end", "day"]).map(lambda name: {"$PARAMETER": name})
_reference = st.sampled_from(["min", "max", "q0.99"]).map(lambda name: {"$REFERENCE": name})
_patterns = st.sampled_from(["^[A-Z]{2}$", "a|b", "(?i)x+", r"\d+\s", "é$"])
_likes = st.sampled_from(["a%", "_b", "%é%", "!%x"])
_query = st.just("SELECT * FROM {batch} WHERE level > 1")
_weights = st.lists(st.floats(0.1, 1.0), min_size=1, max_size=4).map(
    lambda found: [weight / sum(found) for weight in found]
)


def _comparison() -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda name, operator, value: {
            "type": "comparison",
            "column": {"name": name},
            "operator": operator,
            "parameter": value,
        },
        _column,
        st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
        st.one_of(_texts, st.integers(-5, 5), _floats, _moments),
    )


_nullity = st.builds(
    lambda name, is_null: {"type": "nullity", "column": {"name": name}, "is_null": is_null},
    _column,
    st.booleans(),
)
_conditions = st.one_of(
    _comparison(),
    _nullity,
    st.builds(
        lambda kind, parts: {"type": kind, "conditions": parts},
        st.sampled_from(["and", "or"]),
        st.lists(st.one_of(_comparison(), _nullity), min_size=2, max_size=3),
    ),
    st.just({"type": "pass_through", "pass_through_filter": "level > 3 and site == 'north'"}),
)
_condition_arguments = st.one_of(
    st.just({}),
    _conditions.map(lambda condition: {"row_condition": condition}),
    st.just({"row_condition": 'col("level") > 3', "condition_parser": "great_expectations"}),
    st.just({"row_condition": "level > 3", "condition_parser": "pandas"}),
)

_BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "column": _column,
    "column_A": _column,
    "column_B": _column,
    "column_list": _columns,
    "column_set": _columns,
    "mostly": st.one_of(st.sampled_from([0, 1]), st.floats(0, 1)),
    "value_set": st.one_of(st.lists(_cells, min_size=1, max_size=4), st.just({"$REFERENCE": "levels"})),
    "value_pairs_set": st.lists(st.tuples(_cells, _cells).map(list), max_size=3),
    "strict_min": st.booleans(),
    "strict_max": st.booleans(),
    "ties_okay": st.booleans(),
    "or_equal": st.booleans(),
    "strictly": st.booleans(),
    "double_sided": st.booleans(),
    "exact_match": st.booleans(),
    "bucketize_data": st.booleans(),
    "allow_relative_error": st.booleans(),
    "regex": _patterns,
    "regex_list": st.lists(_patterns, min_size=1, max_size=3),
    "match_on": st.sampled_from(["any", "all"]),
    "like_pattern": _likes,
    "like_pattern_list": st.lists(_likes, min_size=1, max_size=3),
    "escape": st.just("!"),
    "strftime_format": st.sampled_from(["%Y-%m-%d", "%d/%m/%y %H:%M"]),
    "type_": st.sampled_from(["int64", "str", "VARCHAR"]),
    "type_list": st.lists(st.sampled_from(["int64", "str", "VARCHAR"]), min_size=1, max_size=2),
    "json_schema": st.sampled_from([{"type": "object"}, {"$schema": "x", "properties": {"a": {"type": "null"}}}]),
    "method": st.sampled_from(["iqr", "std"]),
    "multiplier": st.one_of(st.integers(1, 4), st.floats(0.5, 9)),
    "threshold": st.one_of(st.integers(0, 9), st.floats(0, 9), _reference),
    "internal_weight_holdout": st.floats(0, 0.4),
    "tail_weight_holdout": st.floats(0, 0.4),
    "column_index": st.integers(0, 9),
    "other_table_name": _texts,
    "base_query": _query,
    "comparison_query": st.just("SELECT 1"),
    "comparison_data_source_name": _texts,
    "unexpected_rows_query": _query,
    "partition_object": st.one_of(
        _weights.map(lambda found: {"values": [str(n) for n in range(len(found))], "weights": found}),
        _weights.map(lambda found: {"bins": list(range(len(found) + 1)), "weights": found}),
        st.just({"$REFERENCE": "distribution"}),
    ),
    "quantile_ranges": st.lists(st.floats(0, 1), min_size=1, max_size=3, unique=True).map(
        lambda levels: {"quantiles": sorted(levels), "value_ranges": [[None, 3], [1, 2.5], [0, {"$REFERENCE": "max"}]][: len(levels)]}
    ),
}  # fmt: skip
_EXPLAINING: dict[str, st.SearchStrategy[Any]] = {
    "notes": st.one_of(_texts, st.lists(_texts, min_size=1, max_size=2)),
    "description": _texts,
    "meta": st.dictionaries(
        _texts, st.one_of(_texts, st.integers(), _dates, st.lists(st.integers(), max_size=2)), max_size=2
    ),
}


def entries(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy of entries of one expectation type, which a suite takes."""
    fields = get_expectation_impl(kind).__fields__
    names = sorted(arguments_of(kind) - _EXPLAINING.keys() - {"row_condition", "condition_parser"})
    # Many ask for a lower or an upper bound: a lower one there always is.
    if kind == "expect_table_row_count_to_be_between":
        names.remove("max_value")  # it wants it above the minimum
    required = [name for name in names if fields[name].required or name in ("min_value", "type_list")]
    optional = [name for name in names if name not in required]
    own = st.fixed_dictionaries(
        {name: _argument(kind, name) for name in required},
        optional={name: _argument(kind, name) for name in optional},
    )
    conditions = _condition_arguments if "row_condition" in fields else st.just({})
    return st.builds(
        lambda severity, own, condition, explaining: {
            "type": kind,
            "severity": severity,
            **own,
            **condition,
            **explaining,
        },
        st.sampled_from(["critical", "warning", "info"]),
        own,
        conditions,
        st.fixed_dictionaries({}, optional=_EXPLAINING),
    )


any_entry = st.sampled_from(expectation_types()).flatmap(entries)


def _argument(kind: str, name: str) -> st.SearchStrategy[Any]:
    if name == "ignore_row_if":
        outer = get_expectation_impl(kind).__fields__[name].outer_type_
        wanted = get_args(get_args(outer)[0]) or get_args(outer)
        return st.sampled_from([part for part in wanted if isinstance(part, str)] or ["never"])
    if name in _BY_NAME:
        return _BY_NAME[name]
    takes = get_args(get_expectation_impl(kind).__fields__[name].outer_type_)
    chosen: list[st.SearchStrategy[Any]] = [st.integers(0, 2**40), _reference]
    if float in takes:
        chosen.append(_floats)
    if date in takes:
        chosen += [_dates, _moments, _parameter]
    return st.one_of(chosen)
