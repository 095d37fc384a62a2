"""SQL that casts the cells of a source to their declared types, exactly or not at all.

DuckDB's own casts are lenient: ``'3.7'`` becomes the integer 4, ``'nan'`` a float. Here a cell
either is a value of its type or is null, and then its text is kept beside it as *miscast*.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from pipelines.config import ColumnType
from pipelines.ingestion.sources import identifier, literal

# How much of a cell's text is kept; enough to recognise it, however long it was.
MAX_TEXT_CHARS = 200


def cast_expression(expression: str, kind: ColumnType) -> str:
    """Return SQL that casts ``expression`` to a declared type; null where that can't be done.

    Parameters
    ----------
    expression : str
        SQL of any type: text from CSV, typed values from Parquet or a query.
    kind : ColumnType
        An integer must be whole, a float finite, a time real; a time with an offset becomes UTC,
        one without is taken as UTC.
    """
    match kind:
        case "string":
            return f"CAST({expression} AS VARCHAR)"
        case "integer":
            whole = f"TRY_CAST({expression} AS BIGINT)"
            return f"CASE WHEN TRY_CAST({expression} AS DOUBLE) = CAST({whole} AS DOUBLE) THEN {whole} END"
        case "float":
            number = f"TRY_CAST({expression} AS DOUBLE)"
            return f"CASE WHEN isfinite({number}) THEN {number} END"
        case "boolean":
            return f"TRY_CAST({expression} AS BOOLEAN)"
        case "timestamp":
            # By way of a zoned type: the naive cast would drop an offset without a word.
            moment = f"TRY_CAST({expression} AS TIMESTAMPTZ)"
            return f"CASE WHEN isfinite({moment}) THEN CAST({moment} AS TIMESTAMP) END"
        case "date":
            day = f"TRY_CAST({expression} AS DATE)"
            return f"CASE WHEN isfinite({day}) THEN {day} END"


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
