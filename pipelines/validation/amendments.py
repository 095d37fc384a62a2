"""What people decided about single rows: released as they are, repaired cell by cell, or held.

Validation examines the raw rows with their amendments. A *release* frees a row from the rules about
rows; a *repair* replaces cells, and the row is examined like any other. A *hold* keeps a row in
quarantine whatever the rules say (:mod:`pipelines.validation.holds`). An amendment names a row by
its ``quarantine_id``, which hangs on the row's own content: when the source corrects the row, the
amendment finds it no more, and lies idle.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from pipelines.config import ColumnType, DatasetConfig
from pipelines.storage.engine import connect
from pipelines.storage.lake import Lake
from pipelines.storage.sql import identifier, literal
from pipelines.validation.cells import SQL_TYPES, has_member, json_name, member_text
from pipelines.validation.quarantine import BAD, HELD_BACK, collect_bad, numbered
from pipelines.validation.raw import RAW, row_types

TABLE = "amendments"
AMENDMENTS_SCHEMA = pa.schema(
    [
        ("quarantine_id", pa.string()),
        ("row_id", pa.string()),
        ("action", pa.string()),
        ("cells", pa.string()),
        ("row", pa.string()),
        ("actor", pa.string()),
        ("reason", pa.string()),
        ("amended_at", pa.timestamp("us", tz="UTC")),
        # The columns for whose sake the row is held, as a JSON list; null: it is not held.
        ("held", pa.string()),
    ]
)
#: The relation that is examined: the raw rows, amended.
PRESENT = "holdfast_present"
#: Rows that people released: ``(partition_key, position)``.
EXEMPT = "holdfast_exempt"
#: What keeps an amended row in quarantine whose row_id is there already.
TWICE = "amendment:row_id"
#: The raw rows that amendments found, amended; with the columns :data:`HELD` and :data:`WHY`.
AMENDED = "holdfast_amended"
#: The columns for whose sake a row is held, as a JSON list, and what the person said who held it.
HELD, WHY = "holdfast_held", "holdfast_why"
_WANTED, _CLASHING = "holdfast_amendments", "holdfast_clashing"
# Any other name may be a column of the dataset.
_ACTION, _CELLS, _RELEASED = "holdfast_action", "holdfast_cells", "holdfast_is_released"
_PLACE = ("partition_key", "position", "source_file", "source_line")


@dataclass(frozen=True)
class Applied:
    """The amendments of one partition: the digest of them all, and how many rows they found."""

    digest: str | None = None
    n_repaired: int = 0
    n_released: int = 0
    n_held: int = 0


def apply_amendments(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    dataset: str,
    config: DatasetConfig,
    partitions: Sequence[str],
) -> dict[str, Applied]:
    """Make the view :data:`PRESENT` and the table :data:`EXEMPT` over the view of the raw rows.

    Returns
    -------
    dict of str to Applied
        Of every partition, also one without amendments.
    """
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {EXEMPT} (partition_key VARCHAR, position BIGINT)")
    columns = ", ".join(map(identifier, [*_PLACE, *row_types(config.columns)]))
    digests = _fetch(connection, lake, dataset, partitions)
    if not digests:
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {PRESENT} AS SELECT {columns} FROM {RAW}")  # noqa: S608
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {AMENDED} AS FROM {PRESENT} LIMIT 0")
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {_CLASHING} AS FROM {AMENDED}")
        return dict.fromkeys(partitions, Applied())
    _amend(connection, config)
    _set_clashes_aside(connection)
    connection.execute(
        f"INSERT INTO {EXEMPT} SELECT partition_key, position FROM {AMENDED} WHERE {_RELEASED}"  # noqa: S608
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {PRESENT} AS "  # noqa: S608
        f"SELECT {columns} FROM {RAW} ANTI JOIN {AMENDED} USING (partition_key, position) "
        f"UNION ALL SELECT {columns} FROM {AMENDED}"
    )
    counts = connection.sql(
        f"SELECT partition_key, count(*) FILTER ({_CELLS} IS NOT NULL), count(*) FILTER ({_RELEASED}), "  # noqa: S608
        f"count(*) FILTER ({HELD} IS NOT NULL) "
        f"FROM {AMENDED} GROUP BY ALL"
    ).fetchall()
    found = {str(key): [int(n) for n in numbers] for key, *numbers in counts}
    return {key: Applied(digests.get(key), *found.get(key, ())) for key in partitions}


def _set_clashes_aside(connection: duckdb.DuckDBPyConnection) -> None:
    """Take out of the amended rows those whose new key another row has; make the table of them.

    They stay as they landed. Applied, they would make the rule of unique keys throw out the other row,
    which may be a good one.
    """
    renamed = f"SELECT * FROM {AMENDED} WHERE row_id IS DISTINCT FROM holdfast_id"  # noqa: S608
    others = (
        f"SELECT partition_key, row_id FROM {RAW} ANTI JOIN {AMENDED} USING (partition_key, position) "  # noqa: S608
        f"SEMI JOIN ({renamed}) USING (partition_key, row_id) UNION ALL "
        f"SELECT partition_key, row_id FROM {AMENDED} GROUP BY ALL HAVING count(*) > 1"
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {_CLASHING} AS SELECT partition_key, position, row_id "  # noqa: S608
        f"FROM ({renamed}) SEMI JOIN ({others}) USING (partition_key, row_id)"
    )
    connection.execute(
        f"DELETE FROM {AMENDED} WHERE (partition_key, position) IN "  # noqa: S608
        f"(SELECT partition_key, position FROM {_CLASHING})"
    )


def has_amended_rows(connection: duckdb.DuckDBPyConnection, partition_key: str) -> bool:
    """Return whether an amendment found a row of a partition."""
    query = f"SELECT 1 FROM {AMENDED} WHERE partition_key = ? LIMIT 1"  # noqa: S608
    return bool(connection.execute(query, [partition_key]).fetchall())


def hold_back_twins(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep amended rows in quarantine whose ``row_id`` would be published twice.

    The suite need not ask for unique keys; what people do by hand must not make a row out of two.
    """
    twins = (
        f"SELECT partition_key, row_id FROM {PRESENT} ANTI JOIN {BAD} USING (partition_key, position) "  # noqa: S608
        f"WHERE (partition_key, row_id) IN (SELECT partition_key, row_id FROM {AMENDED}) "
        "GROUP BY ALL HAVING count(*) > 1"
    )
    reason = (
        f"""concat('{{"rule": "{TWICE}", "column": "row_id", "value": ', to_json(row_id), """
        """', "severity": "critical"}')"""
    )
    connection.execute(
        f"INSERT INTO {HELD_BACK} SELECT partition_key, position, {literal(TWICE)}, {reason} FROM "  # noqa: S608
        f"(SELECT partition_key, position, row_id FROM {AMENDED} SEMI JOIN ({twins}) "
        f"USING (partition_key, row_id) ANTI JOIN {BAD} USING (partition_key, position) "
        f"UNION ALL SELECT partition_key, position, row_id FROM {_CLASHING})"
    )
    collect_bad(connection)


def digest_in_force(lake: Lake, dataset: str, partition_key: str) -> str | None:
    """Return the digest of all amendments of a partition, as a validation sees them; None without any."""
    with connect() as connection:
        return _fetch(connection, lake, dataset, [partition_key]).get(partition_key)


def attach_amendments(
    connection: duckdb.DuckDBPyConnection, lake: Lake, dataset: str, partitions: Sequence[str], *, view: str
) -> None:
    """Make a view of the amendments of some partitions, by :data:`AMENDMENTS_SCHEMA`; maybe without rows."""
    if not lake.exists(dataset, TABLE):
        connection.register(f"{view}_none", AMENDMENTS_SCHEMA.empty_table())
        none = f"SELECT '' AS partition_key, * FROM {view}_none"  # noqa: S608
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS {none}")
        return
    lake.attach(connection, dataset, TABLE, view=f"{view}_found", partitions=list(partitions))
    # A table of before there were holds has no column for them.
    lacks = "" if "held" in lake.schema(dataset, TABLE).names else ", CAST(NULL AS VARCHAR) AS held"
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {view} AS SELECT *{lacks} FROM {view}_found")  # noqa: S608


def _digest_of(rows: str) -> str:
    """Return SQL for the digest of all amendments of a partition: what was decided, not by whom or when."""
    parts = f"concat_ws(chr(31), quarantine_id, {_ACTION}, coalesce({_CELLS}, 'null'), {HELD})"
    return f"sha256(string_agg(sha256({parts}), '' ORDER BY quarantine_id)) FROM {rows}"


def _fetch(
    connection: duckdb.DuckDBPyConnection, lake: Lake, dataset: str, partitions: Sequence[str]
) -> dict[str, str]:
    """Make a table of the amendments of some partitions; return the digest of each that has any."""
    if not set(partitions).intersection(lake.partition_keys(dataset, TABLE)):
        return {}
    attach_amendments(connection, lake, dataset, partitions, view=f"{_WANTED}_view")
    # What is left of a hold that was lifted says nothing any more.
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {_WANTED} AS "  # noqa: S608
        f"SELECT partition_key, quarantine_id, row_id, action AS {_ACTION}, cells AS {_CELLS}, "
        f"held AS {HELD}, reason AS {WHY} FROM {_WANTED}_view WHERE action <> 'hold' OR held IS NOT NULL"
    )
    rows = connection.sql(f"SELECT partition_key, {_digest_of(_WANTED)} GROUP BY ALL").fetchall()
    return {str(key): str(digest) for key, digest in rows}


def _amend(connection: duckdb.DuckDBPyConnection, config: DatasetConfig) -> None:
    """Make the table of the rows that amendments found, amended."""
    keys = f"SELECT partition_key, row_id FROM {_WANTED}"  # noqa: S608
    candidates = f"(SELECT * FROM {RAW} WHERE (partition_key, row_id) IN ({keys}))"  # noqa: S608
    types = row_types(config.columns)
    found = (
        f"SELECT raw.*, {_ACTION}, {_CELLS}, {HELD}, {WHY} FROM ({numbered(candidates, types)}) AS raw "  # noqa: S608
        f"JOIN {_WANTED} USING (partition_key, quarantine_id)"
    )
    cells = {name: _new_cell(identifier(name), name, kind) for name, kind in config.columns.items()}
    replaced = ", ".join(f"{value} AS {identifier(name)}" for name, value in cells.items())
    old = ", ".join(
        [*_PLACE, "row_id AS holdfast_id", "event_time AS holdfast_time", "miscast", _CELLS, HELD, WHY]
    )
    amended = (
        f"SELECT {old}, {replaced}, {_ACTION} = 'release' AS {_RELEASED} "  # noqa: S608
        f"FROM ({found})"
    )
    moment = _new_event_time(connection, config, amended)
    timed = f"SELECT *, {moment} AS event_time FROM ({amended})"  # noqa: S608
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {AMENDED} AS "  # noqa: S608
        f"SELECT * EXCLUDE (miscast), {_new_row_id(config)} AS row_id, {_new_miscast(config)} AS miscast "
        f"FROM ({timed})"
    )


def _new_cell(old: str, name: str, kind: ColumnType) -> str:
    cast = f"TRY_CAST({member_text(_CELLS, name)} AS {SQL_TYPES[kind]})"
    return f"CASE WHEN {has_member(_CELLS, name)} THEN {cast} ELSE {old} END"


def _new_event_time(connection: duckdb.DuckDBPyConnection, config: DatasetConfig, amended: str) -> str:
    """Return SQL for the time of an amended row: as set, or as its repaired columns say, or as it was."""
    written = _new_cell("NULL", "event_time", "timestamp")
    if config.event_time is None:
        return f"coalesce({written}, holdfast_time)"
    named = [
        name
        for name in config.columns
        if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", config.event_time, re.IGNORECASE)
    ]
    is_column = config.event_time in config.columns
    expression = identifier(config.event_time) if is_column else config.event_time
    computed = f"TRY_CAST(TRY({expression}) AS TIMESTAMPTZ)"
    try:
        connection.sql(f"SELECT {computed} FROM ({amended})")  # noqa: S608
    except duckdb.Error:
        named = []  # it needs columns of the source that are not declared
    is_touched = " OR ".join(has_member(_CELLS, name) for name in named) or "false"
    derived = f"CASE WHEN {is_touched} THEN {computed if named else 'NULL'} END"
    return f"coalesce({written}, {derived}, holdfast_time)"


def _new_row_id(config: DatasetConfig) -> str:
    """Return SQL for the row key: made anew, as ingestion makes it, where a cell of the key was repaired."""
    if not config.key:
        return "holdfast_id"
    cells = []
    for name in config.key:
        is_moment = config.columns[name] == "timestamp"
        value = f"({identifier(name)} AT TIME ZONE 'UTC')" if is_moment else identifier(name)
        cells.append(f"coalesce(CAST({value} AS VARCHAR), {member_text('miscast', name)}, '')")
    is_touched = " OR ".join(has_member(_CELLS, name) for name in config.key)
    return (
        f"CASE WHEN {is_touched} THEN concat_ws('|', partition_key, {', '.join(cells)}) ELSE holdfast_id END"
    )


def _new_miscast(config: DatasetConfig) -> str:
    """Return SQL for what is still no value: cells that no repair set, and those that one set wrongly."""
    members = []
    for name, kind in config.columns.items():
        text, value = member_text(_CELLS, name), identifier(name)
        wrong = f"{has_member(_CELLS, name)} AND {text} IS NOT NULL AND {value} IS NULL"
        members.append(
            f"CASE WHEN {wrong if kind != 'string' else 'false'} THEN {_member(name, text)} "
            f"WHEN {has_member('miscast', name)} AND NOT {has_member(_CELLS, name)} "
            f"THEN {_member(name, member_text('miscast', name))} END"
        )
    # A repair is a person's own reading of a record that could not be parsed.
    left = {"event_time": "event_time IS NULL", "record": f"{_CELLS} IS NULL"}
    for name, is_left in left.items():
        text = member_text("miscast", name)
        members.append(
            f"CASE WHEN {has_member('miscast', name)} AND {is_left} THEN {_member(name, text)} END"
        )
    return f"nullif('{{' || concat_ws(', ', {', '.join(members)}) || '}}', '{{}}')"


def _member(name: str, text: str) -> str:
    return f"{literal(json_name(name))} || CAST(to_json({text}) AS VARCHAR)"
