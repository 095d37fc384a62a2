"""Rows that are held: a night whose data shows a fault stays in quarantine until a person lets it go."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from pipelines.config import ColumnType
from pipelines.storage.sql import identifier, literal
from pipelines.validation.amendments import AMENDED, HELD, WHY
from pipelines.validation.cells import json_row, json_value
from pipelines.validation.quarantine import HELD_BACK, HELD_RULE, collect_bad, numbered
from pipelines.validation.raw import RAW

#: All rows of the attached partitions as they landed: ``quarantine_id``, ``row_id`` and ``row``.
SUSPECTS = "holdfast_suspects"
_COLUMNS = f"""from_json({HELD}, '["VARCHAR"]')"""
_MAX_WHY_CHARS = 200


def hold_back(connection: duckdb.DuckDBPyConnection, types: Mapping[str, ColumnType]) -> None:
    """Add the rows that are held to those that belong in quarantine, with one reason a column.

    Parameters
    ----------
    types : mapping of str to ColumnType
        The columns of a row. A hold may name others, or none: the rows are held all the same.
    """
    query = f"SELECT DISTINCT unnest({_COLUMNS}) FROM {AMENDED} WHERE {HELD} IS NOT NULL ORDER BY 1"  # noqa: S608
    for (name,) in connection.sql(query).fetchall():
        value = json_value(identifier(name), types[name]) if name in types else literal("null")
        reason = (
            f"""concat('{{"rule": "{HELD_RULE}", "column": ', to_json({literal(name)}), ', "value": ', """
            f"""{value}, ', "severity": "critical", "why": ', to_json(left({WHY}, {_MAX_WHY_CHARS})), '}}')"""
        )
        connection.execute(
            f"INSERT INTO {HELD_BACK} SELECT partition_key, position, {literal(f'{HELD_RULE}({name})')}, "  # noqa: S608
            f"{reason} FROM {AMENDED} WHERE list_contains({_COLUMNS}, {literal(name)})"
        )
    collect_bad(connection)


def make_suspects(connection: duckdb.DuckDBPyConnection, types: Mapping[str, ColumnType]) -> None:
    """Make the table :data:`SUSPECTS` of the view of the raw rows."""
    rows = numbered(RAW, types)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {SUSPECTS} AS "  # noqa: S608
        f"SELECT quarantine_id, row_id, {json_row(types)} AS row FROM ({rows})"
    )
