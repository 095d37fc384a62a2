"""From what people ask for to amendments: which rows, which cells really change, and what can't be done.

All of it is SQL over the quarantine of one night and its amendments so far; the cells of the rows are
never held in Python.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import duckdb
import pyarrow as pa

from pipelines.config import ColumnType
from pipelines.storage.sql import literal
from pipelines.validation.amendments import AMENDMENTS_SCHEMA
from pipelines.validation.edits import Problems
from pipelines.validation.quarantine import HELD_RULE

#: Rows that a request names: ``(quarantine_id)``.
REQUESTED = "holdfast_requested"
#: The night's amendments before the request.
BEFORE = "holdfast_amendments_before"
#: Edited rows, as :func:`~pipelines.validation.edits.read_edits` gives them.
EDITS = "holdfast_edits"
#: What stands for a cell's text in the SQL that casts it.
CELL = "holdfast_cell"
_CHANGED, _KNOWN, _KINDS = "holdfast_changed", "holdfast_known", "holdfast_kinds"
_MAX_TOLD = 20


def take_edits(
    connection: duckdb.DuckDBPyConnection,
    view: str,
    *,
    kinds: Mapping[str, ColumnType],
    casts: Mapping[ColumnType, str],
    problems: Problems,
) -> None:
    """Find the cells that edits change; make the table :data:`REQUESTED` of the edited rows.

    Parameters
    ----------
    view : str
        The night's quarantine.
    kinds : mapping of str to ColumnType
        The cells that may be edited, and their types.
    casts : mapping of ColumnType to str
        SQL that casts the text :data:`CELL`, and is null where that can't be done.
    problems : Problems
        Gets unknown and repeated rows, and texts that are not of their column's type.
    """
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {_KNOWN} AS "  # noqa: S608
        f"SELECT quarantine_id, coalesce(b.row, q.row) AS row, b.cells FROM {BEFORE} AS b "
        f"FULL JOIN {view} AS q USING (quarantine_id)"
    )
    _tell(
        connection,
        f"SELECT line, 'there is no row ' || left(quarantine_id, 20) || ' in quarantine' FROM {EDITS} "  # noqa: S608
        f"ANTI JOIN {_KNOWN} USING (quarantine_id)",
        problems,
    )
    _tell(
        connection,
        "SELECT max(line), 'the row ' || left(quarantine_id, 20) || ' is there already, in line ' "  # noqa: S608
        f"|| min(line) FROM {EDITS} GROUP BY quarantine_id HAVING count(*) > 1",
        problems,
    )
    _make_kinds(connection, kinds)
    _make_changed(connection, casts)
    _tell(
        connection,
        "SELECT line, name || ' must be of type ' || kind || ', and ' || CAST(to_json(left(value, 40)) "  # noqa: S608
        f"AS VARCHAR) || ' is not' FROM {_CHANGED} WHERE value IS NOT NULL AND plain IS NULL",
        problems,
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {REQUESTED} AS SELECT DISTINCT quarantine_id FROM {EDITS}"  # noqa: S608
    )


def repaired(
    connection: duckdb.DuckDBPyConnection, view: str, before: pa.Table, by: Mapping[str, str]
) -> pa.Table:
    """Return the night's amendments with the changed cells laid over those that were there.

    Parameters
    ----------
    before : pyarrow.Table
        The amendments that are in force, by :data:`~pipelines.validation.amendments.AMENDMENTS_SCHEMA`.
    by : mapping of str to str
        ``actor``, ``reason`` and ``amended_at``.
    """
    connection.register("holdfast_before", before)
    merged = (
        f"SELECT quarantine_id, name, plain, 1 AS age FROM {_CHANGED} UNION ALL "  # noqa: S608
        "SELECT quarantine_id, name, json_extract_string(cells, '/' || replace(replace(name, '~', '~0'), "
        "'/', '~1')), 2 AS age FROM (SELECT quarantine_id, cells, unnest(json_keys(cells)) AS name "
        f"FROM holdfast_before SEMI JOIN {_CHANGED} USING (quarantine_id) WHERE cells IS NOT NULL)"
    )
    newest = (
        "SELECT quarantine_id, name, arg_min(coalesce('=' || plain, '-'), age) AS cell "  # noqa: S608
        f"FROM ({merged}) GROUP BY ALL"
    )
    cells = (
        "SELECT quarantine_id, '{' || string_agg(to_json(name) || ': ' || "  # noqa: S608
        "CASE WHEN cell = '-' THEN 'null' ELSE CAST(to_json(cell[2:]) AS VARCHAR) END, ', ' ORDER BY name) "
        f"|| '}}' AS cells FROM ({newest}) GROUP BY quarantine_id"
    )
    query = (
        "SELECT c.quarantine_id, coalesce(b.row_id, q.row_id) AS row_id, 'repair' AS action, c.cells, "  # noqa: S608
        f"coalesce(b.row, q.row) AS row, {_by(by)}, NULL AS held FROM ({cells}) AS c "
        f"LEFT JOIN holdfast_before AS b USING (quarantine_id) LEFT JOIN {view} AS q USING (quarantine_id)"
    )
    return _laid_over(connection, query)


def released(
    connection: duckdb.DuckDBPyConnection, view: str, before: pa.Table, by: Mapping[str, str]
) -> pa.Table:
    """Return the night's amendments with a release of each requested row; a repair of it stays.

    A row that is there for a hold's sake alone is held no longer, and that is all: the rules about rows
    still apply to it.
    """
    connection.register("holdfast_before", before)
    action = f"CASE WHEN {is_held_only('q.reasons')} THEN coalesce(b.action, 'hold') ELSE 'release' END"
    query = (
        f"SELECT q.quarantine_id, coalesce(b.row_id, q.row_id) AS row_id, {action} AS action, b.cells, "  # noqa: S608
        f"coalesce(b.row, q.row) AS row, {_by(by)}, NULL AS held "
        f"FROM {view} AS q SEMI JOIN {REQUESTED} USING (quarantine_id) "
        "LEFT JOIN holdfast_before AS b USING (quarantine_id) "
        "WHERE b.action IS DISTINCT FROM 'release' OR b.held IS NOT NULL"
    )
    return _laid_over(connection, query)


def undone(connection: duckdb.DuckDBPyConnection, before: pa.Table) -> pa.Table:
    """Return the night's amendments without those of the requested rows."""
    connection.register("holdfast_before", before)
    kept = f"SELECT * FROM holdfast_before ANTI JOIN {REQUESTED} USING (quarantine_id)"  # noqa: S608
    return connection.sql(kept).to_arrow_table().cast(AMENDMENTS_SCHEMA)


def not_releasable(connection: duckdb.DuckDBPyConnection, view: str, published: str) -> list[tuple[str, str]]:
    """Take the requested rows that can't be released out of :data:`REQUESTED`; return them, with the cause.

    Parameters
    ----------
    published : str
        A relation of the ``row_id`` that are published now.

    Returns
    -------
    list of (str, str)
        ``quarantine_id`` and why; at most 1,000.
    """
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE holdfast_refused AS "  # noqa: S608
        'SELECT quarantine_id, CASE WHEN contains(reasons, \'"rule": "cast:\') '
        "THEN 'a cell is of another type: repair it' "
        "ELSE 'its row_id would be there twice: ' || left(row_id, 80) "
        f"END AS why FROM {view} SEMI JOIN {REQUESTED} USING (quarantine_id) "
        'WHERE contains(reasons, \'"rule": "cast:\') '
        f"OR (NOT {is_held_only('reasons')} AND (row_id IN (SELECT row_id FROM {published}) "
        f"OR row_id IN (SELECT row_id FROM {view} SEMI JOIN {REQUESTED} USING (quarantine_id) "
        "GROUP BY row_id HAVING count(*) > 1)))"
    )
    connection.execute(
        f"DELETE FROM {REQUESTED} WHERE quarantine_id IN (SELECT quarantine_id FROM holdfast_refused)"  # noqa: S608
    )
    rows = connection.sql(
        "SELECT quarantine_id, why FROM holdfast_refused ORDER BY ALL LIMIT 1000"
    ).fetchall()
    return [(str(key), str(why)) for key, why in rows]


def held(
    connection: duckdb.DuckDBPyConnection,
    suspects: str,
    before: pa.Table,
    columns: Sequence[str],
    by: Mapping[str, str],
) -> pa.Table:
    """Return the night's amendments with a hold of each requested row; a repair or a release of it stays.

    Parameters
    ----------
    suspects : str
        A relation of all rows of the night: ``quarantine_id``, ``row_id`` and ``row``.
    columns : sequence of str
        For whose sake the rows are held, beside those that they are held for already.
    """
    connection.register("holdfast_before", before)
    named = f"[{', '.join(map(literal, columns))}]::VARCHAR[]"
    already = """coalesce(from_json(b.held, '["VARCHAR"]'), []::VARCHAR[])"""
    query = (
        "SELECT s.quarantine_id, s.row_id, coalesce(b.action, 'hold') AS action, b.cells, "  # noqa: S608
        f"coalesce(b.row, s.row) AS row, {_by(by)}, "
        f"CAST(to_json(list_sort(list_distinct(list_concat({already}, {named})))) AS VARCHAR) AS held "
        f"FROM {suspects} AS s SEMI JOIN {REQUESTED} USING (quarantine_id) "
        "LEFT JOIN holdfast_before AS b USING (quarantine_id)"
    )
    return _laid_over(connection, query)


def lifted(connection: duckdb.DuckDBPyConnection, before: pa.Table, by: Mapping[str, str]) -> pa.Table:
    """Return the night's amendments without any hold; what else was said of a row stays."""
    connection.register("holdfast_before", before)
    query = (
        f"SELECT quarantine_id, row_id, action, cells, row, {_by(by)}, NULL AS held "  # noqa: S608
        "FROM holdfast_before WHERE held IS NOT NULL"
    )
    return _laid_over(connection, query)


def is_held_only(reasons: str) -> str:
    """Return SQL: whether a row is in quarantine for a hold's sake, and breaks no rule."""
    names = f"list_transform(json_extract({reasons}, '$[*]'), lambda r: json_extract_string(r, '/rule'))"
    return f"(list_distinct({names}) = [{literal(HELD_RULE)}])"


def request(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """Make the table :data:`REQUESTED` of a query's ``quarantine_id``; return how many."""
    keys = f"SELECT DISTINCT quarantine_id FROM ({query})"  # noqa: S608 (a query of ours)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {REQUESTED} AS {keys}")
    return n_requested(connection)


def n_requested(connection: duckdb.DuckDBPyConnection) -> int:
    """Return how many rows are requested."""
    ((n,),) = connection.sql(f"SELECT count(*) FROM {REQUESTED}").fetchall()  # noqa: S608
    return int(n)


def requested_digest(connection: duckdb.DuckDBPyConnection) -> str:
    """Return a digest of the keys of all requested rows."""
    keys = "string_agg(quarantine_id, ' ' ORDER BY quarantine_id)"
    ((digest,),) = connection.sql(f"SELECT sha256(coalesce({keys}, '')) FROM {REQUESTED}").fetchall()  # noqa: S608
    return str(digest)


def _make_kinds(connection: duckdb.DuckDBPyConnection, kinds: Mapping[str, ColumnType]) -> None:
    table = pa.table({"name": list(kinds), "kind": list(kinds.values())})
    connection.register("holdfast_kinds_given", table)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {_KINDS} AS FROM holdfast_kinds_given")
    connection.unregister("holdfast_kinds_given")


def _make_changed(connection: duckdb.DuckDBPyConnection, casts: Mapping[ColumnType, str]) -> None:
    """Make a table of the cells that edits change: as written, and in the plain form of their type."""
    path = "'/' || replace(replace(name, '~', '~0'), '/', '~1')"
    old_cell = f"json_extract_string(row, {path})"
    old_text = f"json_extract_string(json_extract_string(row, '/miscast'), {path})"
    was = (
        f"CASE WHEN cells IS NOT NULL AND json_exists(cells, {path}) THEN json_extract_string(cells, {path}) "
        f"ELSE coalesce({old_cell}, {old_text}) END"
    )
    exploded = (
        "SELECT line, quarantine_id, row, cells, holdfast_cells, unnest(json_keys(holdfast_cells)) AS name "  # noqa: S608
        f"FROM {EDITS} JOIN {_KNOWN} USING (quarantine_id)"
    )
    written = (
        f"SELECT line, quarantine_id, name, kind, json_extract_string(holdfast_cells, {path}) AS value, "  # noqa: S608
        f"{was} AS was FROM ({exploded}) JOIN {_KINDS} USING (name)"
    )
    # Most cells of an export come back as they were: only the others are cast.
    touched = f"SELECT * FROM ({written}) WHERE coalesce(value, '') <> coalesce(was, '')"  # noqa: S608
    plain, plain_before = _plain(casts, "value"), _plain(casts, "was")
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {_CHANGED} AS SELECT * EXCLUDE (was_plain) FROM "  # noqa: S608
        f"(SELECT *, {plain} AS plain, {plain_before} AS was_plain FROM ({touched})) "
        "WHERE plain IS DISTINCT FROM was_plain OR value IS NULL OR plain IS NULL"
    )


def _plain(casts: Mapping[ColumnType, str], text: str) -> str:
    cases = " ".join(
        f"WHEN {literal(kind)} THEN CAST({cast.replace(CELL, text)} AS VARCHAR)"
        for kind, cast in casts.items()
    )
    return f"CASE kind {cases} END"


def _tell(connection: duckdb.DuckDBPyConnection, query: str, problems: Problems) -> None:
    ((n,),) = connection.sql(f"SELECT count(*) FROM ({query})").fetchall()  # noqa: S608
    told = connection.sql(f"{query} ORDER BY 1 LIMIT {_MAX_TOLD}").fetchall()
    for line, what in told:
        problems.add(int(line), str(what))
    problems.n += max(int(n) - len(told), 0)


def _by(by: Mapping[str, str]) -> str:
    moment = datetime.fromisoformat(by["amended_at"]).isoformat()
    return (
        f"{literal(by['actor'])} AS actor, {literal(by['reason'])} AS reason, "
        f"TIMESTAMPTZ {literal(moment)} AS amended_at"
    )


def _laid_over(connection: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    """Return the amendments before, with those of a query in place of what was said about the same rows.

    One that says nothing new keeps its author and its time.
    """
    connection.execute(f"CREATE OR REPLACE TEMP TABLE holdfast_new AS {query}")
    connection.execute(
        "DELETE FROM holdfast_new WHERE (quarantine_id, action, coalesce(cells, ''), coalesce(held, '')) IN "
        "(SELECT (quarantine_id, action, coalesce(cells, ''), coalesce(held, '')) FROM holdfast_before)"
    )
    names = ", ".join(AMENDMENTS_SCHEMA.names)
    found = connection.sql(
        f"SELECT {names} FROM holdfast_new UNION ALL "  # noqa: S608
        f"SELECT {names} FROM holdfast_before ANTI JOIN holdfast_new USING (quarantine_id)"
    )
    return found.to_arrow_table().cast(AMENDMENTS_SCHEMA)


def n_changed(connection: duckdb.DuckDBPyConnection) -> int:
    """Return how many rows the edits change."""
    ((n,),) = connection.sql(f"SELECT count(DISTINCT quarantine_id) FROM {_CHANGED}").fetchall()  # noqa: S608
    return int(n)
