"""The raw partitions that ingestion recorded, and no others, as a relation in DuckDB."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import duckdb
import pyarrow as pa

from pipelines.config import ColumnType
from pipelines.errors import ConflictError
from pipelines.records import IngestionRecord
from pipelines.storage.digest import Content, plain_table
from pipelines.storage.lake import Lake
from pipelines.storage.sql import identifier
from pipelines.validation.verdict import OWN_TYPES

#: The relation of the raw rows, as they landed.
RAW = "holdfast_raw"


def row_types(declared: Mapping[str, ColumnType]) -> dict[str, ColumnType]:
    """Return the columns of a row as it stands in quarantine, in order."""
    return {"row_id": "string", "event_time": "timestamp", **declared, "miscast": "string"}


def attach_raw(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    dataset: str,
    ingestions: Mapping[str, IngestionRecord],
    declared: Iterable[str],
    *,
    version: int,
) -> dict[str, ConflictError]:
    """Make the view :data:`RAW` of some partitions, and name those that are not what ingestion recorded.

    Parameters
    ----------
    ingestions : mapping of str to IngestionRecord
        The newest one of each partition key.
    declared : iterable of str
        The dataset's columns.
    version : int
        Of the raw table: what is checked and what is read must be the same.

    Returns
    -------
    dict of str to ConflictError
        The partitions that hold something else: an ingestion is at work, or was cut off between
        its commit and its record.
    """
    lake.attach(connection, dataset, "raw", view=RAW, partitions=list(ingestions), version=version)
    schema = lake.schema(dataset, "raw", version=version)
    known = {*declared, *OWN_TYPES}
    gone = _all_null(connection, [name for name in schema.names if name not in known])
    contents = {
        key: Content(_without(schema, gone.get(key, frozenset())), record.n_rows, record.raw_digest)
        for key, record in ingestions.items()
    }
    as_recorded = lake.holds(dataset, "raw", contents, version=version)
    return {
        key: ConflictError(
            f"The raw partition {dataset} {key} is not the one that its newest ingestion recorded: "
            "another ingestion is at work, or was cut off. "
            f"Run `holdfast ingest {dataset} {key}`, then validate again."
        )
        for key in ingestions
        if key not in as_recorded
    }


def _all_null(connection: duckdb.DuckDBPyConnection, undeclared: list[str]) -> dict[str, frozenset[str]]:
    """Return what params.yaml no longer declares, where it is all null: there it was never landed."""
    if not undeclared:
        return {}
    counts = ", ".join(f"count({identifier(name)})" for name in undeclared)
    rows = connection.sql(f"SELECT partition_key, {counts} FROM {RAW} GROUP BY ALL").fetchall()  # noqa: S608
    return {
        str(key): frozenset(name for name, n in zip(undeclared, found, strict=True) if n == 0)
        for key, *found in rows
    }


def _without(schema: pa.Schema, names: frozenset[str]) -> pa.Schema:
    kept = pa.schema([field for field in schema if field.name not in names])
    return plain_table(kept.empty_table()).schema
