"""The quarantine: every bad row as it came, with all the reasons that it is there, made in SQL.

Nothing here holds rows in Python. A *relation* is a view in DuckDB with ``partition_key`` and
``position`` (unique in its partition) beside a table's own columns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import duckdb
import pyarrow as pa

from pipelines.config import ColumnType
from pipelines.storage.sql import identifier, literal
from pipelines.validation.cells import json_list, json_row, json_value
from pipelines.validation.rules import Rule

QUARANTINE_SCHEMA = pa.schema(
    [
        ("quarantine_id", pa.string()),
        ("row_id", pa.string()),
        ("source_file", pa.string()),
        ("source_line", pa.int64()),
        ("reasons", pa.string()),
        ("row", pa.string()),
    ]
)
# Their own columns are called `holdfast_...`: any other name may be one of the dataset's.
#: What breaks which rule: ``(partition_key, position, holdfast_rule)``, the rule by its position.
BROKEN = "holdfast_broken"
#: What else keeps a row back: ``(partition_key, position, reason)``, ``reason`` a JSON object.
HELD_BACK = "holdfast_held_back"
#: The rule of a row that a person holds, whatever the suite says of it.
HELD_RULE = "held"
#: The rows that belong in quarantine: ``(partition_key, position)``.
BAD = "holdfast_bad"
#: The rows of the quarantine: ``partition_key`` and the columns of :data:`QUARANTINE_SCHEMA`.
QUARANTINE = "holdfast_quarantine"
_IDS = "holdfast_quarantine_ids"


def quarantine_id(types: Mapping[str, ColumnType]) -> str:
    """Return SQL for the key of a row in quarantine; ``holdfast_occurrence`` tells identical rows apart.

    Parameters
    ----------
    types : mapping of str to ColumnType
        The row's own columns. It has ``source_file`` and ``source_line`` too.
    """
    place = "coalesce(source_file, ''), coalesce(CAST(source_line AS VARCHAR), '')"
    return f"'q' || left(sha256(concat_ws(chr(10), {place}, {json_row(types)}, holdfast_occurrence)), 15)"


def numbered(relation: str, types: Mapping[str, ColumnType]) -> str:
    """Return a query that gives rows their ``quarantine_id``.

    The relation must hold all rows of a partition that have a ``row_id``, or none of them, so that
    identical rows are always counted alike.
    """
    identical = ", ".join(["source_file", "source_line", *map(identifier, types)])
    occurrence = f"row_number() OVER (PARTITION BY partition_key, {identical} ORDER BY position)"
    return (
        f"SELECT *, {quarantine_id(types)} AS quarantine_id "  # noqa: S608 (quoted names)
        f"FROM (SELECT *, {occurrence} AS holdfast_occurrence FROM {relation})"
    )


def mark_bad(
    connection: duckdb.DuckDBPyConnection, breaches: str, present: str, rules: Sequence[Rule], *, exempt: str
) -> None:
    """Make the tables :data:`BROKEN`, :data:`HELD_BACK` (of cells that could not be cast) and :data:`BAD`.

    Parameters
    ----------
    breaches : str
        ``(partition_key, position, rule)`` of every row-level rule that a row breaks.
    present : str
        The relation that was examined, with ``miscast``.
    exempt : str
        ``(partition_key, position)`` of the rows that people released from the rules.
    """
    binding = ", ".join(str(rule.position) for rule in rules if rule.severity != "info") or "NULL"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {BROKEN} AS "  # noqa: S608
        f"SELECT partition_key, position, rule AS holdfast_rule FROM {breaches} "
        f"ANTI JOIN {exempt} USING (partition_key, position) WHERE rule IN ({binding})"
    )
    reason = (
        """concat('{"rule": ', to_json('cast:' || name), ', "column": ', to_json(name), """
        """', "value": ', json_extract(miscast, '/' || replace(replace(name, '~', '~0'), '/', '~1')), """
        """', "severity": "warning"}')"""
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {HELD_BACK} AS "  # noqa: S608
        f"SELECT partition_key, position, 'cast:' || name AS rule, {reason} AS reason "
        "FROM (SELECT partition_key, position, miscast, unnest(json_keys(miscast)) AS name "
        f"FROM {present} WHERE miscast IS NOT NULL)"
    )
    collect_bad(connection)


def collect_bad(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the table :data:`BAD` anew from :data:`BROKEN` and :data:`HELD_BACK`."""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {BAD} AS SELECT DISTINCT partition_key, position FROM "  # noqa: S608
        f"(SELECT partition_key, position FROM {BROKEN} "
        f"UNION ALL SELECT partition_key, position FROM {HELD_BACK})"
    )


def build_quarantine(
    connection: duckdb.DuckDBPyConnection,
    *,
    raw: str,
    present: str,
    types: Mapping[str, ColumnType],
    rules: Sequence[Rule],
) -> None:
    """Make the table :data:`QUARANTINE` of the rows in :data:`BAD`.

    Parameters
    ----------
    raw : str
        The relation as it landed: rows are known by it.
    present : str
        The relation that was examined; the same, where nobody amended a row.
    types : mapping of str to ColumnType
        The columns of a row, in the order in which it is shown.
    """
    keys = f"SELECT partition_key, row_id FROM {raw} SEMI JOIN {BAD} USING (partition_key, position)"  # noqa: S608
    suspects = f"(SELECT * FROM {raw} WHERE (partition_key, row_id) IN ({keys}))"  # noqa: S608
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {_IDS} AS SELECT partition_key, position, quarantine_id "  # noqa: S608
        f"FROM ({numbered(suspects, types)}) SEMI JOIN {BAD} USING (partition_key, position)"
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {QUARANTINE} AS "  # noqa: S608
        f"WITH bad AS (SELECT * FROM {present} SEMI JOIN {BAD} USING (partition_key, position)), "
        f"reasons AS ({_reasons(rules, types)}) "
        "SELECT partition_key, quarantine_id, row_id, source_file, source_line, "
        f"'[' || holdfast_reasons || ']' AS reasons, {json_row(types)} AS row "
        f"FROM bad JOIN reasons USING (partition_key, position) JOIN {_IDS} USING (partition_key, position)"
    )


def quarantine_query(partition_key: str) -> str:
    """Return the query of one partition's quarantine, in canonical order."""
    return (
        f"SELECT {', '.join(QUARANTINE_SCHEMA.names)} FROM {QUARANTINE} "  # noqa: S608
        f"WHERE partition_key = {literal(partition_key)} ORDER BY row_id NULLS LAST, quarantine_id"
    )


def _reasons(rules: Sequence[Rule], types: Mapping[str, ColumnType]) -> str:
    """Return a query: one JSON list (without its brackets) of reasons a bad row, in the suite's order."""
    held_back = f"SELECT partition_key, position, 0 AS rule, rule AS name, reason FROM {HELD_BACK}"  # noqa: S608
    binding = [rule for rule in rules if rule.severity != "info" and rule.is_row_level]
    parts = [held_back]
    if binding:
        cases = " ".join(f"WHEN {rule.position} THEN {_reason(rule, types)}" for rule in binding)
        parts.append(
            f"SELECT partition_key, position, holdfast_rule AS rule, '' AS name, "  # noqa: S608
            f"CASE holdfast_rule {cases} END AS reason "
            f"FROM bad JOIN {BROKEN} USING (partition_key, position)"
        )
    return (
        "SELECT partition_key, position, string_agg(reason, ', ' ORDER BY rule, name) AS holdfast_reasons "  # noqa: S608
        f"FROM ({' UNION ALL '.join(parts)}) GROUP BY ALL"
    )


def _reason(rule: Rule, types: Mapping[str, ColumnType]) -> str:
    """Return SQL for the JSON of why a rule is broken, with the values of its columns in the row."""
    values = [json_value(identifier(name), types[name]) for name in rule.columns]
    value = values[0] if len(values) == 1 else json_list(values) if values else literal("null")
    head = json.dumps({"rule": rule.name, "column": ", ".join(rule.columns)}, ensure_ascii=False)[:-1]
    tail = f', "severity": {json.dumps(rule.severity)}}}'
    return f"concat({literal(head + ', ' + json.dumps('value') + ': ')}, {value}, {literal(tail)})"
