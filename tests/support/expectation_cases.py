"""Random tables and random suites: one expectation of every type that DuckDB runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from pipelines.config import ColumnType
from pipelines.storage.columns import ARROW_TYPES
from pipelines.validation.rules import Rule

PARTITION = "2013-07-04"
#: Each type twice, for pairs; ``whole`` and ``real`` are of moderate numbers, the others of any.
COLUMNS: Mapping[str, ColumnType] = {
    "text": "string",
    "other text": "string",
    "whole": "integer",
    "any_whole": "integer",
    "real": "float",
    "any_real": "float",
    "flag": "boolean",
    "other_flag": "boolean",
    "moment": "timestamp",
    "other_moment": "timestamp",
    "day": "date",
    "other_day": "date",
    "document": "string",
}
TEXTS = [
    *(
        "",
        "a",
        "A",
        "ab",
        "abc",
        "aab",
        "é",
        "日本",
        "a\n",
        " a",
        "1",
        "12",
        "-3",
        "2013-07-04",
        "x_y",
        "a%b",
    ),
    *("2013-07-04 10:00", "{}", "[1", '{"a": 1}', "%", "_", "\t", "straße", "𝒳", "a'b", '"', "null", "a\0b"),
]
WHOLES = [-3, -1, 0, 1, 2, 3, 5, 10]
ANY_WHOLES = [*WHOLES, -(2**63), 2**63 - 1, 2**53, 2**53 + 1]
# Sums of these are exact, in whatever order.
REALS = [-2.25, -0.0, 0.0, 0.125, 0.5, 1.0, 1.5, 2.0, 3.75]
ANY_REALS = [*REALS, 0.1, 0.2, 0.3, 1e308, -1e308, 5e-324, 1e16, float("inf"), float("-inf"), float("nan")]
MOMENTS = [
    datetime(2013, 7, 4, tzinfo=UTC),
    datetime(2013, 7, 4, 12, 30, tzinfo=UTC),
    datetime(2013, 7, 4, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(2013, 7, 5, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(2260, 1, 1, tzinfo=UTC),
]
DAYS = [date(2013, 7, 3), date(2013, 7, 4), date(2013, 7, 5), date(1900, 1, 1), date(2900, 12, 31)]
POOLS: Mapping[str, list[Any]] = {
    "text": TEXTS,
    "other text": TEXTS[:8],
    "whole": WHOLES,
    "any_whole": ANY_WHOLES,
    "real": REALS,
    "any_real": ANY_REALS,
    "flag": [False, True],
    "other_flag": [False, True],
    "moment": MOMENTS,
    "other_moment": MOMENTS,
    "day": DAYS,
    "other_day": DAYS,
    "document": ["1", "{}", '{"a": 1}', "[]", '"a"', "1.5", "null"],
}
PAIRS = [
    ("text", "other text"),
    ("whole", "any_whole"),
    ("real", "any_real"),
    ("flag", "other_flag"),
    ("moment", "other_moment"),
    ("day", "other_day"),
]
REGEXES = [
    *(
        "a",
        "^a",
        "a$",
        "^a+b?$",
        r"\d",
        r"\w+",
        r"\s",
        r"\bab\b",
        "[^a]",
        ".",
        "^$",
        "é",
        "a|b",
        "(a)(b)",
        "b{1,2}",
    ),
    *("(?=a)a", r"(a)\1", "(?i)A", r"a\Z", r"^\D", "[[:alpha:]]", "a.b", "^[a-c]{2,}$"),
]
MOSTLY = [None, 0.0, 0.3, 0.5, 0.75, 0.9, 1.0]
CONDITIONS = [
    'col("whole") > 1',
    'col("text") == "a"',
    'col("text") != "a"',
    'col("real") <= 0.5',
    'col("any_whole").notnull()',
    {"type": "nullity", "column": {"name": "other text"}, "is_null": True},
    {"type": "comparison", "column": {"name": "whole"}, "operator": "!=", "parameter": 2},
    {"type": "comparison", "column": {"name": "real"}, "operator": "!=", "parameter": 1.5},
    {"type": "comparison", "column": {"name": "text"}, "operator": "IN", "parameter": ["a", "é", "a'b"]},
    {"type": "comparison", "column": {"name": "text"}, "operator": "NOT_IN", "parameter": ["a", ""]},
    {"type": "comparison", "column": {"name": "whole"}, "operator": "NOT_IN", "parameter": [1, 2]},
    {
        "type": "or",
        "conditions": [
            {"type": "comparison", "column": {"name": "whole"}, "operator": ">=", "parameter": 2},
            {"type": "comparison", "column": {"name": "text"}, "operator": "<", "parameter": "b"},
        ],
    },
    {
        "type": "and",
        "conditions": [
            {"type": "comparison", "column": {"name": "any_whole"}, "operator": "!=", "parameter": 1},
            {"type": "nullity", "column": {"name": "real"}, "is_null": False},
        ],
    },
]


@st.composite
def tables(draw: st.DrawFn, *, max_rows: int = 24) -> pa.Table:
    """Draw a table of all columns, with nulls and repetitions."""
    n_rows = draw(st.integers(1, max_rows))
    columns = {}
    for name, type_ in COLUMNS.items():
        pool = draw(st.lists(st.sampled_from([*POOLS[name], None]), min_size=1, max_size=6))
        values = draw(st.lists(st.sampled_from(pool), min_size=n_rows, max_size=n_rows))
        columns[name] = pa.array(values, ARROW_TYPES[type_])
    return pa.table(columns)


def _column(*types: ColumnType, apart: tuple[str, ...] = ()) -> st.SearchStrategy[str]:
    fit = [name for name, type_ in COLUMNS.items() if (not types or type_ in types) and name not in apart]
    return st.sampled_from(fit)


def _bound(column: str) -> list[Any]:
    """Return what a bound of a column may be: also numbers between its values, and times of another zone."""
    if COLUMNS[column] == "date":
        return [datetime(day.year, day.month, day.day) for day in DAYS]
    if COLUMNS[column] in ("integer", "float"):
        return [-2.5, -1, 0, 0.5, 1, 2, 2.0, 3, 2**53 + 1, -(2**70), float("inf")]
    return [value for value in POOLS[column] if value != ""]


@st.composite
def _bounds(draw: st.DrawFn, column: str) -> dict[str, Any]:
    ends = sorted(draw(st.lists(st.sampled_from(_bound(column)), min_size=2, max_size=2)))
    given = draw(st.sampled_from([("min_value",), ("max_value",), ("min_value", "max_value")]))
    found = {name: ends[name == "max_value"] for name in given}
    for name in ("strict_min", "strict_max"):
        if draw(st.booleans()):
            found[name] = True
    return found


def _values(column: str, *, max_size: int = 4) -> st.SearchStrategy[list[Any]]:
    pool = [value for value in POOLS[column] if value == value]
    if COLUMNS[column] in ("timestamp", "date"):
        pool = _bound(column)
    strange = {"integer": [1.0, 2.5], "float": [1, 2], "string": [1]}.get(COLUMNS[column], [])
    return st.lists(st.sampled_from([*pool, *strange]), min_size=1, max_size=max_size)


@st.composite
def _with_column(
    draw: st.DrawFn,
    column: st.SearchStrategy[str],
    arguments: Callable[[str], st.SearchStrategy[dict[str, Any]]] = lambda _: st.just({}),
) -> dict[str, Any]:
    name = draw(column)
    return {"column": name, **draw(arguments(name))}


def _fixed(**strategies: st.SearchStrategy[Any]) -> Callable[[str], st.SearchStrategy[dict[str, Any]]]:
    return lambda _: st.fixed_dictionaries(strategies)


def _between(low: float, high: float, n: int = 9) -> st.SearchStrategy[dict[str, Any]]:
    ends = [low + (high - low) * step / n for step in range(n + 1)]
    pairs = st.tuples(st.sampled_from(ends), st.sampled_from(ends)).map(sorted)
    return pairs.map(lambda pair: {"min_value": pair[0], "max_value": pair[1]})


def _pair(apart: tuple[str, ...] = ()) -> st.SearchStrategy[dict[str, Any]]:
    def ways(pair: tuple[str, str]) -> st.SearchStrategy[dict[str, Any]]:
        # Pandas' nullable types are neither true nor false of a null, on which GX fails.
        is_nullable = COLUMNS[pair[0]] in ("integer", "boolean")
        kept = (
            ["either_value_is_missing"]
            if is_nullable
            else ["both_values_are_missing", "either_value_is_missing", "neither"]
        )
        return st.sampled_from(kept).map(
            lambda way: {"column_A": pair[0], "column_B": pair[1], "ignore_row_if": way}
        )

    return st.sampled_from([pair for pair in PAIRS if pair[0] not in apart]).flatmap(ways)


@st.composite
def _pair_in_set(draw: st.DrawFn) -> dict[str, Any]:
    one, other = draw(st.sampled_from([*PAIRS[:4], ("text", "whole")]))
    pairs = draw(
        st.lists(
            st.tuples(st.sampled_from([*POOLS[one], None]), st.sampled_from([*POOLS[other], None])),
            min_size=1,
            max_size=4,
        )
    )
    way = draw(st.sampled_from(["both_values_are_missing", "either_value_is_missing", "neither"]))
    return {"column_A": one, "column_B": other, "value_pairs_set": pairs, "ignore_row_if": way}


@st.composite
def _several(draw: st.DrawFn, *, is_whole: bool = False) -> dict[str, Any]:
    columns = list(draw(st.sampled_from([*PAIRS, ("text", "whole"), ("text", "real", "day")])))
    ways = (
        ["any_value_is_missing"] if is_whole else ["all_values_are_missing", "any_value_is_missing", "never"]
    )
    return {"column_list": columns, "ignore_row_if": draw(st.sampled_from(ways))}


@st.composite
def _sums(draw: st.DrawFn) -> dict[str, Any]:
    columns = draw(st.sampled_from([["whole", "any_whole"], ["real", "any_real"], ["whole", "real"]]))
    total = draw(st.sampled_from([0, 1, 2, 3.0, 0.5, 0.25, 0.6, 0.1, -1]))
    return {"column_list": columns, "sum_total": total, "ignore_row_if": "any_value_is_missing"}


@st.composite
def _lengths(draw: st.DrawFn) -> dict[str, Any]:
    column = draw(_column("string", "integer", "float", "boolean"))
    low, high = sorted(draw(st.lists(st.sampled_from([0, 1, 2, 3, 5, 10]), min_size=2, max_size=2)))
    given = draw(
        st.sampled_from([{"min_value": low}, {"max_value": high}, {"min_value": low, "max_value": high}])
    )
    return {"column": column, **given, "strict_min": draw(st.booleans()), "strict_max": draw(st.booleans())}


_MODERATE = _column("integer", "float", apart=("any_whole", "any_real"))
_SETS = _column("string", "integer", "float", apart=("any_real",)).flatmap(
    lambda name: _values(name).map(lambda values: {"column": name, "value_set": values})
)
_MATCH_ON = st.sampled_from(["any", "all"])
_LIKES = ["a%", "%b", "_", "%", "a_c", "%é%", "x\\_y", "", "a%b", "%'%"]

#: Arguments for every expectation that DuckDB runs and that Great Expectations' pandas engine has.
ARGUMENTS: Mapping[str, st.SearchStrategy[dict[str, Any]]] = {
    "expect_column_distinct_values_to_be_in_set": _SETS,
    "expect_column_distinct_values_to_contain_set": _SETS,
    "expect_column_distinct_values_to_equal_set": _SETS,
    "expect_column_max_to_be_between": _with_column(
        _column("integer", "float", "timestamp", apart=("any_real",)), _bounds
    ),
    "expect_column_mean_to_be_between": _with_column(_MODERATE, lambda _: _between(-3, 10)),
    "expect_column_median_to_be_between": _with_column(_MODERATE, lambda _: _between(-3, 10)),
    "expect_column_min_to_be_between": _with_column(
        _column("integer", "float", "timestamp", apart=("any_real",)), _bounds
    ),
    "expect_column_most_common_value_to_be_in_set": _with_column(
        _column("string", "integer", "float", apart=("any_real",)),
        lambda name: st.fixed_dictionaries(
            {"value_set": _values(name), "ties_okay": st.sampled_from([True, False, None])}
        ),
    ),
    "expect_column_pair_values_a_to_be_greater_than_b": st.builds(
        lambda pair, or_equal: {**pair, "or_equal": or_equal}, _pair(), st.sampled_from([True, False, None])
    ),
    "expect_column_pair_values_to_be_equal": _pair(),
    "expect_column_pair_values_to_be_in_set": _pair_in_set(),
    "expect_column_proportion_of_non_null_values_to_be_between": _with_column(
        _column(), lambda _: _between(0, 1)
    ),
    "expect_column_proportion_of_unique_values_to_be_between": _with_column(
        _column(), lambda _: _between(0, 1)
    ),
    "expect_column_stdev_to_be_between": _with_column(_MODERATE, lambda _: _between(0, 5)),
    "expect_column_sum_to_be_between": _with_column(_MODERATE, lambda _: _between(-9, 30)),
    "expect_column_unique_value_count_to_be_between": _with_column(_column(), lambda _: _between(0, 9)),
    "expect_column_value_lengths_to_be_between": _lengths(),
    "expect_column_value_lengths_to_equal": _with_column(
        _column("string", "integer", "float", "boolean"), _fixed(value=st.sampled_from([0, 1, 2, 3]))
    ),
    "expect_column_value_z_scores_to_be_less_than": _with_column(
        _MODERATE, _fixed(threshold=st.sampled_from([0.9, 1.1, 1.6, 2.3]), double_sided=st.booleans())
    ),
    "expect_column_values_to_be_between": _with_column(
        _column("integer", "float", "timestamp", "date"), _bounds
    ),
    "expect_column_values_to_be_dateutil_parseable": _with_column(_column("string")),
    "expect_column_values_to_be_decreasing": _with_column(
        _column("integer", "float", "timestamp", "date", apart=("any_whole",)),
        _fixed(strictly=st.sampled_from([True, False, None])),
    ),
    "expect_column_values_to_be_in_set": _with_column(
        _column(), lambda name: _values(name).map(lambda values: {"value_set": values})
    ),
    "expect_column_values_to_be_increasing": _with_column(
        _column("integer", "float", "timestamp", "date", apart=("any_whole",)),
        _fixed(strictly=st.sampled_from([True, False, None])),
    ),
    "expect_column_values_to_be_json_parseable": _with_column(_column("string")),
    "expect_column_values_to_be_null": _with_column(_column()),
    "expect_column_values_to_be_unique": _with_column(_column()),
    "expect_column_values_to_match_json_schema": _with_column(
        st.just("document"), _fixed(json_schema=st.sampled_from([{"type": "object"}, {"type": "integer"}]))
    ),
    "expect_column_values_to_match_regex": _with_column(
        _column("string", "integer", "float", "boolean"), _fixed(regex=st.sampled_from(REGEXES))
    ),
    "expect_column_values_to_match_regex_list": _with_column(
        _column("string"),
        _fixed(regex_list=st.lists(st.sampled_from(REGEXES), min_size=1, max_size=3), match_on=_MATCH_ON),
    ),
    "expect_column_values_to_match_strftime_format": _with_column(
        _column("string"), _fixed(strftime_format=st.sampled_from(["%Y-%m-%d", "%d", "%Y-%m-%d %H:%M"]))
    ),
    "expect_column_values_to_not_be_in_set": _with_column(
        _column(), lambda name: _values(name).map(lambda values: {"value_set": values})
    ),
    "expect_column_values_to_not_be_null": _with_column(_column()),
    "expect_column_values_to_not_be_outliers": _with_column(
        _MODERATE,
        _fixed(method=st.sampled_from(["iqr", "std"]), multiplier=st.sampled_from([0.6, 1.1, 1.5, 2.3])),
    ),
    "expect_column_values_to_not_match_regex": _with_column(
        _column("string", "integer", "float", "boolean"), _fixed(regex=st.sampled_from(REGEXES))
    ),
    "expect_column_values_to_not_match_regex_list": _with_column(
        _column("string"), _fixed(regex_list=st.lists(st.sampled_from(REGEXES), min_size=1, max_size=3))
    ),
    "expect_compound_columns_to_be_unique": _several(),
    "expect_multicolumn_sum_to_equal": _sums(),
    "expect_multicolumn_values_to_be_equal": _several(is_whole=True),
    "expect_select_column_values_to_be_unique_within_record": _several(),
    "expect_table_row_count_to_be_between": _between(0, 9),
    "expect_table_row_count_to_equal": st.fixed_dictionaries({"value": st.integers(0, 9)}),
}
_HAVE_MOSTLY = ("column_values", "column_value_", "pair", "compound", "multicolumn", "select_column")


@st.composite
def suites(draw: st.DrawFn) -> list[Rule]:
    """Draw one rule of every type, some with a share that must hold, some with a row condition."""
    rules = []
    for position, (type_, strategy) in enumerate(ARGUMENTS.items(), start=1):
        arguments = dict(draw(strategy))
        if (
            any(part in type_ for part in _HAVE_MOSTLY)
            and (mostly := draw(st.sampled_from(MOSTLY))) is not None
        ):
            arguments["mostly"] = mostly
        if draw(st.integers(0, 2)) == 0:
            condition = draw(st.sampled_from(CONDITIONS))
            arguments["row_condition"] = condition
            if isinstance(condition, str):
                arguments["condition_parser"] = "great_expectations"
        names = ("column", "column_A", "column_B")
        columns = tuple(arguments[name] for name in names if name in arguments) or tuple(
            arguments.get("column_list", ())
        )
        rules.append(Rule(type_, type_, position, "warning", columns, arguments))
    return rules


@st.composite
def queries(draw: st.DrawFn, types: tuple[str, ...]) -> list[Rule]:
    """Draw one rule with patterns of SQL of each of these types, on the column ``text``."""
    rules = []
    for position, type_ in enumerate(types, start=1):
        arguments: dict[str, Any] = {"column": "text"}
        if type_.endswith("_list"):
            arguments["like_pattern_list"] = draw(st.lists(st.sampled_from(_LIKES), min_size=1, max_size=3))
        else:
            arguments["like_pattern"] = draw(st.sampled_from(_LIKES))
        if type_.endswith("to_match_like_pattern_list"):
            arguments["match_on"] = draw(_MATCH_ON)
        if (mostly := draw(st.sampled_from(MOSTLY))) is not None:
            arguments["mostly"] = mostly
        rules.append(Rule(type_, type_, position, "warning", ("text",), arguments))
    return rules
