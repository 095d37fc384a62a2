"""SQL that casts the cells of a source to their declared types, exactly or not at all.

DuckDB's own casts are lenient: ``'3.7'`` becomes the integer 4, ``'1_000'`` a thousand, ``'nan'`` a
float. Here a cell either is a value of its type or is null, and then its text is kept beside it as
*miscast*.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.config import ColumnType, SourceConfig
from pipelines.storage.sql import identifier, literal

# How much of a cell's text is kept; enough to recognise it, however long it was.
MAX_TEXT_CHARS = 200
_TRUE, _FALSE = ("true", "yes", "t", "y", "1", "1.0"), ("false", "no", "f", "n", "0", "0.0")
_TIMES = ("DATE", "TIMESTAMP")
# From here on neighbouring whole numbers are one and the same as floats.
_MAX_EXACT = 2**53


@dataclass(frozen=True)
class Writing:
    """How the text of one column's cells is written.

    Parameters
    ----------
    decimal, thousands : str
        The marks within numbers; thousands, where they are marked at all, stand in groups of three.
    time_format : str, optional
        Of dates and times, in the words of strptime; ISO 8601 without it.
    """

    decimal: str = "."
    thousands: str | None = None
    time_format: str | None = None

    @classmethod
    def of(cls, source: SourceConfig, column: str) -> Writing:
        """Return how a source writes the text of a column."""
        return cls(source.csv.decimal, source.csv.thousands, source.formats.get(column))


def cast_expression(
    expression: str, kind: ColumnType, *, source_type: str = "VARCHAR", writing: Writing | None = None
) -> str:
    """Return SQL that casts ``expression`` to a declared type; null where that can't be done.

    Parameters
    ----------
    expression : str
        SQL of a cell.
    kind : ColumnType
        An integer must be whole (``3.0`` and ``3e2`` are), a float finite; a boolean is true, false,
        yes, no, t, f, y, n, 1 or 0, in any case; a time is real, in the years 1 to 9999, and becomes
        UTC (one without an offset is of the session's time zone); a date has no time but midnight.
    source_type : str
        The expression's DuckDB type; ``VARCHAR`` is text as somebody wrote it.
    writing : Writing, optional
        How that text is written; values of other types know no marks and formats.
    """
    written = writing or Writing()
    is_text = source_type == "VARCHAR"
    match kind:
        case "string":
            return f"CAST({expression} AS VARCHAR)"
        case "integer":
            return _integer(_number(expression, written) if is_text else expression)
        case "float":
            number = f"TRY_CAST({_number(expression, written) if is_text else expression} AS DOUBLE)"
            return f"CASE WHEN isfinite({number}) THEN {number} END"
        case "boolean":
            return _boolean(expression)
        case "timestamp":
            # By way of a zoned type: the naive cast would drop an offset without a word.
            moment = _moment(expression, "TIMESTAMPTZ", source_type, written)
            naive = f"timezone('UTC', {moment})"
            return f"CASE WHEN isfinite({moment}) AND year({naive}) BETWEEN 1 AND 9999 THEN {naive} END"
        case "date":
            moment = _moment(expression, "TIMESTAMP", source_type, written)
            is_day = f"isfinite({moment}) AND {moment} = date_trunc('day', {moment})"
            return f"CASE WHEN {is_day} AND year({moment}) BETWEEN 1 AND 9999 THEN CAST({moment} AS DATE) END"


def _number(text: str, written: Writing) -> str:
    """Return SQL for the text of a number in SQL's own way of writing; null where it is no number."""
    if written.decimal == "." and written.thousands is None:
        return f"CASE WHEN NOT contains({text}, '_') THEN {text} END"
    decimal, plain = re.escape(written.decimal), text
    digits = r"\d+"
    if written.thousands is not None:
        digits = rf"(\d+|\d{{1,3}}({re.escape(written.thousands)}\d{{3}})+)"
        plain = f"replace({plain}, {literal(written.thousands)}, '')"
    pattern = rf"\s*[+-]?({digits}({decimal}\d*)?|{decimal}\d+)([eE][+-]?\d+)?\s*"
    plain = f"replace({plain}, {literal(written.decimal)}, '.')"
    return f"CASE WHEN regexp_full_match({text}, {literal(pattern)}) THEN {plain} END"


def _integer(number: str) -> str:
    whole, value = f"TRY_CAST({number} AS BIGINT)", f"TRY_CAST({number} AS DOUBLE)"
    is_exact = (
        f"abs({value}) < {_MAX_EXACT} OR "
        rf"regexp_full_match(CAST({number} AS VARCHAR), '\s*[+-]?\d+([.]0*)?\s*')"
    )
    return f"CASE WHEN {value} = CAST({whole} AS DOUBLE) AND ({is_exact}) THEN {whole} END"


def _boolean(expression: str) -> str:
    text = f"lower(trim(CAST({expression} AS VARCHAR)))"
    true, false = (", ".join(literal(word) for word in words) for words in (_TRUE, _FALSE))
    return f"CASE WHEN {text} IN ({true}) THEN true WHEN {text} IN ({false}) THEN false END"


def _moment(expression: str, kind: str, source_type: str, written: Writing) -> str:
    if source_type.startswith(_TIMES):
        return f"TRY_CAST({expression} AS {kind})"
    text = f"trim(CAST({expression} AS VARCHAR))"
    if written.time_format is not None and source_type == "VARCHAR":
        return f"TRY_CAST(try_strptime({text}, {literal(written.time_format)}) AS {kind})"
    # DuckDB knows words for times (`epoch`); a real one begins with a digit.
    return f"CASE WHEN {text} BETWEEN '0' AND ':' THEN TRY_CAST({text} AS {kind}) END"


def text_of(column: str) -> str:
    """Return SQL for the beginning of a cell as text; null where the cell is null."""
    return f"left(CAST({identifier(column)} AS VARCHAR), {MAX_TEXT_CHARS})"


def miscast_members(cast_columns: Mapping[str, str], types: Mapping[str, str]) -> list[str]:
    """Return SQL for the JSON members of a row's miscast cells, null for a cell that is well.

    Parameters
    ----------
    cast_columns : mapping of str to str
        Source column to the SQL of its cast value.
    types : mapping of str to str
        The source columns' DuckDB types; a NaN in a column of floats is no value, so not miscast.
    """
    members = []
    for column, cast_value in cast_columns.items():
        cell = identifier(column)
        is_there = f"{cell} IS NOT NULL"
        if types[column] in ("FLOAT", "DOUBLE"):
            is_there += f" AND NOT isnan({cell})"
        members.append(
            f"CASE WHEN {is_there} AND {cast_value} IS NULL THEN {json_member(column, text_of(column))} END"
        )
    return members


def json_member(name: str, value: str) -> str:
    """Return SQL for the JSON member ``"name": value``, where ``value`` is SQL that gives text."""
    return f"{literal(json.dumps(name, ensure_ascii=False) + ': ')} || CAST(to_json({value}) AS VARCHAR)"
