"""SQL that writes cells as JSON and reads them back: how a row stands in quarantine and in amendments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from pipelines.config import ColumnType
from pipelines.storage.sql import identifier, literal

#: How DuckDB names the declared types of columns.
SQL_TYPES: Mapping[ColumnType, str] = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "float": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMPTZ",
    "date": "DATE",
}


def json_value(value: str, kind: ColumnType) -> str:
    """Return SQL for ``value`` as JSON text: times in ISO 8601, never null, never NaN as a bare word.

    Parameters
    ----------
    value : str
        SQL of the type that ``kind`` is stored as.
    """
    match kind:
        case "timestamp":
            whole, fraction = "%Y-%m-%dT%H:%M:%S+00:00", "%Y-%m-%dT%H:%M:%S.%f+00:00"
            moment = f"CAST({value} AS TIMESTAMPTZ)"
            is_whole = f"microsecond({moment}) % 1000000 = 0"
            text = (
                f"to_json(CASE WHEN {is_whole} THEN strftime({moment}, {literal(whole)}) "
                f"ELSE strftime({moment}, {literal(fraction)}) END)"
            )
        case "float":
            word = f"to_json(CAST({value} AS VARCHAR))"  # JSON has no word for NaN
            text = f"CASE WHEN isfinite({value}) THEN to_json({value}) ELSE {word} END"
        case _:
            text = f"to_json({value})"
    return f"coalesce(CAST({text} AS VARCHAR), 'null')"


def json_row(types: Mapping[str, ColumnType]) -> str:
    """Return SQL for the JSON object of a row's columns, in their order."""
    return json_object({name: json_value(identifier(name), kind) for name, kind in types.items()})


def json_object(members: Mapping[str, str]) -> str:
    """Return SQL for a JSON object whose members are SQL of JSON text, never null."""
    # In groups: one expression of a thousand operands is more than DuckDB's parser likes.
    parts = [
        f"{literal((', ' if number else '{') + json_name(name))} || {value}"
        for number, (name, value) in enumerate(members.items())
    ]
    return f"concat({', '.join([*parts, literal('}')])})"


def json_name(name: str) -> str:
    """Return ``name`` as the beginning of a JSON member."""
    return json.dumps(name, ensure_ascii=False) + ": "


def json_list(values: Iterable[str]) -> str:
    """Return SQL for a JSON list of SQL of JSON text."""
    return f"concat('[', {', '.join(_separated(values))}, ']')"


def pointer(name: str) -> str:
    """Return the SQL string of the JSON pointer to a member, whatever signs its name has."""
    return literal("/" + name.replace("~", "~0").replace("/", "~1"))


def has_member(document: str, name: str) -> str:
    """Return SQL: whether a JSON object has a member; false where the document is null."""
    return f"coalesce(json_exists({document}, {pointer(name)}), false)"


def member_text(document: str, name: str) -> str:
    """Return SQL for a member's value as text; null where it is null or there is none."""
    return f"json_extract_string({document}, {pointer(name)})"


def _separated(values: Iterable[str]) -> list[str]:
    parts: list[str] = []
    for value in values:
        parts += [literal(", "), value] if parts else [value]
    return parts
