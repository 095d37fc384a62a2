"""Amend rows in quarantine: release them, repair cells, or take that back; then validate the night anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines.config import ColumnType
from pipelines.errors import ConfigError
from pipelines.ingestion.casting import cast_expression
from pipelines.records import AmendmentRecord, ValidationRecord
from pipelines.runtime import Runtime
from pipelines.steps.amending import Request, fetch_before, keep, revalidate, write
from pipelines.steps.quarantine import VIEW, chosen, editable_columns, quarantined
from pipelines.validation import changes
from pipelines.validation.edits import EDIT_SCHEMA, Problems, edits_of, read_edits

__all__ = ["Request", "release", "repair", "undo"]

_KINDS: tuple[ColumnType, ...] = ("string", "integer", "float", "boolean", "timestamp", "date")
_MAX_NAMED = 5
_PUBLISHED = "holdfast_published_ids"


def release(
    request: Request,
    *,
    runtime: Runtime,
    ids: Sequence[str] = (),
    rule: str | None = None,
    is_all: bool = False,
) -> AmendmentRecord:
    """Free rows from the rules about rows, and from a hold, as they are; validate the night anew.

    Parameters
    ----------
    ids, rule, is_all
        Exactly one: the rows of some keys, those that break a rule, or all in quarantine.

    Returns
    -------
    AmendmentRecord
        Rows that were chosen by a rule, or altogether, and can't be released stay, and are named.

    Raises
    ------
    ConfigError
        If a row that is named by its key is not there, or can't be released: a cell of it is of
        another type, or its row_id would be there twice. Nothing was written.
    NotReadyError, ConflictError, EngineError
        As :func:`~pipelines.steps.validate.validate`.
    """
    _require_one(ids=bool(ids), rule=rule is not None, all=is_all)
    with quarantined(request.dataset, request.partition_key, runtime=runtime) as connection:
        fetch_before(connection, request, runtime)
        known = f"SELECT quarantine_id FROM {VIEW} WHERE {chosen(rule, ids)}"  # noqa: S608 (quoted values)
        asked = f"{known} UNION ALL SELECT quarantine_id FROM {changes.BEFORE} WHERE action IN ('release', 'hold') AND {chosen(None, ids)}"  # noqa: S608, E501
        changes.request(connection, asked if ids else known)
        if ids:
            _require_known(connection, request, ids)
        _attach_published(connection, request, runtime)
        refused = changes.not_releasable(connection, VIEW, _PUBLISHED)
        if refused and ids:
            named = "; ".join(f"{key}: {why}" for key, why in refused[:_MAX_NAMED])
            raise ConfigError(f"{request.where}: {len(refused)} rows can't be released. {named}.")
        by = request.signature()
        write(request, runtime, lambda before: changes.released(connection, VIEW, before, by))
        record = revalidate(request, "release", connection, runtime)
    left = tuple(f"{key}: {why}" for key, why in refused[:_MAX_NAMED])
    more = (f"and {len(refused) - _MAX_NAMED} more",) if len(refused) > _MAX_NAMED else ()
    return keep(record.model_copy(update={"not_released": (*left, *more)}), runtime)


def repair(
    request: Request,
    *,
    runtime: Runtime,
    path: Path | None = None,
    cells: Mapping[str, Mapping[str, str | None]] | None = None,
    is_dry_run: bool = False,
) -> AmendmentRecord | int:
    """Replace cells of rows in quarantine, and validate the night anew.

    Parameters
    ----------
    path : Path, optional
        An edited export, ``.jsonl`` or ``.csv``: only cells that differ are amended.
    cells : mapping, optional
        In place of a file: of each ``quarantine_id`` the columns to set, and their texts.
    is_dry_run : bool
        Look for problems, and write nothing.

    Returns
    -------
    AmendmentRecord, or int
        In a dry run: how many rows would be amended.

    Raises
    ------
    ConfigError
        If a row or column is not known, or a text is not of its column's type: all is told with its
        line, and nothing was written.
    NotReadyError, ConflictError, EngineError
        As :func:`~pipelines.steps.validate.validate`.
    """
    _require_one(file=path is not None, set=cells is not None)
    problems = Problems()
    columns = editable_columns(request.dataset, runtime)
    with quarantined(request.dataset, request.partition_key, runtime=runtime) as connection:
        edits = read_edits(path, columns, problems) if path else edits_of(cells or {}, columns, problems)
        _take(connection, edits)
        fetch_before(connection, request, runtime)
        kinds: dict[str, ColumnType] = {"event_time": "timestamp", **runtime.dataset(request.dataset).columns}
        casts = {kind: cast_expression(changes.CELL, kind) for kind in _KINDS}
        changes.take_edits(connection, VIEW, kinds=kinds, casts=casts, problems=problems)
        problems.refuse(str(path) if path else "--set")
        if is_dry_run:
            return changes.n_changed(connection)
        by = request.signature()
        write(request, runtime, lambda before: changes.repaired(connection, VIEW, before, by))
        return keep(revalidate(request, "repair", connection, runtime), runtime)


def undo(
    request: Request, *, runtime: Runtime, ids: Sequence[str] = (), is_all: bool = False
) -> AmendmentRecord:
    """Take amendments back, and validate the night anew: it is as it was before them.

    Raises
    ------
    ConfigError
        If a row has no amendment, nor is in quarantine.
    NotReadyError, ConflictError, EngineError
        As :func:`~pipelines.steps.validate.validate`.
    """
    _require_one(ids=bool(ids), all=is_all)
    with quarantined(request.dataset, request.partition_key, runtime=runtime) as connection:
        fetch_before(connection, request, runtime)
        amended = f"SELECT quarantine_id FROM {changes.BEFORE}"  # noqa: S608 (fixed names)
        known = f"{amended} UNION ALL SELECT quarantine_id FROM {VIEW}"  # noqa: S608
        changes.request(connection, f"FROM ({known}) WHERE {chosen(None, ids)}" if ids else amended)
        if ids:
            _require_known(connection, request, ids)
        write(request, runtime, lambda before: changes.undone(connection, before))
        return keep(revalidate(request, "undo", connection, runtime), runtime)


def _require_one(**given: bool) -> None:
    if sum(given.values()) != 1:
        raise ConfigError(f"Say exactly one of: {', '.join(given)}.")


def _take(connection: duckdb.DuckDBPyConnection, edits: Iterable[pa.RecordBatch]) -> None:
    connection.register("holdfast_given", EDIT_SCHEMA.empty_table())
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {changes.EDITS} AS FROM holdfast_given")
    for batch in edits:
        connection.register("holdfast_given", pa.Table.from_batches([batch]))
        connection.execute(f"INSERT INTO {changes.EDITS} FROM holdfast_given")
    connection.unregister("holdfast_given")


def _attach_published(connection: duckdb.DuckDBPyConnection, request: Request, runtime: Runtime) -> None:
    """Show the row keys that are published; of a refused night nothing is."""
    newest = runtime.ledger.latest(ValidationRecord, request.dataset, request.partition_key)
    if newest is None or newest.validated_digest is None:
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {_PUBLISHED} AS SELECT '' AS row_id WHERE false")
        return
    runtime.lake.attach(
        connection, request.dataset, "validated", view=_PUBLISHED, partitions=[request.partition_key]
    )


def _require_known(connection: duckdb.DuckDBPyConnection, request: Request, ids: Sequence[str]) -> None:
    rows = connection.sql(f"SELECT quarantine_id FROM {changes.REQUESTED}").fetchall()  # noqa: S608
    if unknown := sorted(set(ids) - {str(key) for (key,) in rows}):
        raise ConfigError(
            f"{request.where} has no row {', '.join(unknown[:_MAX_NAMED])} in quarantine: "
            f"`holdfast quarantine show {request.where}` lists them."
        )
