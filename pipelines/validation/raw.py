"""Read the raw partitions that ingestion recorded, and no others."""

from __future__ import annotations

from collections.abc import Container, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import ConflictError
from pipelines.records import IngestionRecord
from pipelines.storage.digest import table_digest
from pipelines.storage.lake import PARTITION_COLUMN, Lake

_OWN_COLUMNS = frozenset({"row_id", "event_time", "miscast"})


def read_raw(
    lake: Lake, dataset: str, ingestions: Mapping[str, IngestionRecord], declared: Container[str]
) -> tuple[dict[str, pa.Table], dict[str, ConflictError]]:
    """Return the raw rows of each partition, if they are the ones that its ingestion recorded.

    Parameters
    ----------
    ingestions : mapping of str to IngestionRecord
        The newest one of each partition key.
    declared : container of str
        The dataset's columns.

    Returns
    -------
    dict of str to pyarrow.Table
        The rows of each partition, without the partition column; perhaps none.
    dict of str to ConflictError
        The partitions that hold something else: an ingestion is at work, or was cut off between
        its commit and its record.
    """
    found = lake.read(dataset, "raw", partitions=ingestions)
    raw: dict[str, pa.Table] = {}
    conflicts: dict[str, ConflictError] = {}
    for key, ingestion in ingestions.items():
        rows = found.filter(pc.equal(found[PARTITION_COLUMN], key)).drop_columns([PARTITION_COLUMN])
        rows = _without_undeclared(rows, declared)
        is_empty = rows.num_rows == ingestion.n_rows == 0
        if is_empty or table_digest(rows) == ingestion.raw_digest:
            raw[key] = rows
        else:
            conflicts[key] = ConflictError(
                f"The raw partition {dataset} {key} is not the one that its newest ingestion recorded: "
                "another ingestion is at work, or was cut off. "
                f"Run `holdfast ingest {dataset} {key}`, then validate again."
            )
    return raw, conflicts


def read_partition(lake: Lake, dataset: str, table: str, partition_key: str) -> pa.Table | None:
    """Return the rows of one partition, without the partition column; None if it has none."""
    if not lake.exists(dataset, table):
        return None
    rows = lake.read(dataset, table, partitions=[partition_key])
    return rows.drop_columns([PARTITION_COLUMN]) if rows.num_rows else None


def _without_undeclared(rows: pa.Table, declared: Container[str]) -> pa.Table:
    """Drop what params.yaml no longer declares: it stays in the table, all null in newer partitions."""
    gone = [
        name
        for name in rows.column_names
        if name not in declared and name not in _OWN_COLUMNS and rows[name].null_count == rows.num_rows
    ]
    return rows.drop_columns(gone)
