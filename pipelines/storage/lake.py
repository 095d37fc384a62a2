"""The lake: Delta tables of one dataset, written by whole partitions.

A write is one Delta commit: a reader sees the partition before or after it, never between. A
repeat of a write finds its own digest and commits nothing. Of two writers at once one commits;
the other reads again, and either finds its work done or tries anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from pipelines.errors import NotReadyError
from pipelines.records import PartitionVersion
from pipelines.storage.columns import PARTITION_COLUMN
from pipelines.storage.commits import Rows, Target
from pipelines.storage.digest import ROW_KEY, CanonicalStream, Content
from pipelines.storage.lazy import lazy_dataset
from pipelines.storage.present import changed_partitions, files_by_partition, held
from pipelines.storage.sorting import sorted_rows
from pipelines.storage.views import create_view

__all__ = ["PARTITION_COLUMN", "Lake"]


class Lake:
    """All Delta tables below one root.

    Parameters
    ----------
    root_uri : str
        A folder or an ``s3://bucket/prefix``; table ``t`` of dataset ``d`` lies at ``root/d/t``.
    storage_options : mapping of str to str, optional
        Passed to delta-rs, for S3.
    """

    def __init__(self, root_uri: str, storage_options: Mapping[str, str] | None = None) -> None:
        self._root = root_uri.rstrip("/")
        self._options = dict(storage_options or {})

    def uri(self, dataset: str, table: str) -> str:
        """Return the address of a table, whether or not it exists yet."""
        return f"{self._root}/{dataset}/{table}"

    def replace(self, dataset: str, table: str, partition_key: str, rows: pa.Table) -> PartitionVersion:
        """Make ``rows`` the whole content of one partition, atomically.

        Parameters
        ----------
        rows : pyarrow.Table, shape (n, k)
            Without the partition column. No rows is a valid content.

        Raises
        ------
        ConflictError
            If other writers won eight times in a row.
        EngineError
            If the store fails.
        """
        return self.replace_many(dataset, table, {partition_key: rows})[0]

    def replace_many(
        self, dataset: str, table: str, partitions: Mapping[str, pa.Table]
    ) -> list[PartitionVersion]:
        """Replace several partitions in one commit; those that already hold their rows are left alone.

        Parameters
        ----------
        partitions : mapping of str to pyarrow.Table
            The rows of each partition key, all of one schema.

        Returns
        -------
        list of PartitionVersion
            In the order of ``partitions``.
        """
        return self._target(dataset, table).replace(partitions)

    def replace_stream(self, dataset: str, table: str, partition_key: str, rows: Rows) -> PartitionVersion:
        """Make a stream of rows the whole content of one partition, atomically, in bounded memory.

        Parameters
        ----------
        rows : callable
            Gives the rows, without the partition column, from their beginning; called again where
            they are read again. In canonical order they are hashed and written as they come, else
            they are sorted first, by way of temporary files.

        Returns
        -------
        PartitionVersion
            With the digest that :func:`~pipelines.storage.digest.table_digest` gives the same rows.

        Raises
        ------
        ConflictError, EngineError
            As :meth:`replace`.
        """
        target = self._target(dataset, table)
        content = _ordered_content(rows())
        if content is not None:
            return target.replace_stream(partition_key, content, rows)
        with sorted_rows(rows()) as spool:
            return target.replace_stream(partition_key, spool.content, spool.rows)

    def _target(self, dataset: str, table: str) -> Target:
        return Target(self.uri(dataset, table), table, self._options)

    def exists(self, dataset: str, table: str) -> bool:
        """Return whether the table has ever been written."""
        return bool(DeltaTable.is_deltatable(self.uri(dataset, table), storage_options=self._options))

    def dataset(self, dataset: str, table: str, *, version: int | None = None) -> ds.Dataset:
        """Return the table as a lazy Arrow dataset, which DuckDB reads with pushdown.

        Parameters
        ----------
        version : int, optional
            A Delta version to travel back to; the newest by default.

        Raises
        ------
        NotReadyError
            If the table does not exist yet.
        """
        return lazy_dataset(self._open(dataset, table, version))

    def attach(
        self,
        connection: duckdb.DuckDBPyConnection,
        dataset: str,
        table: str,
        *,
        view: str,
        partitions: Sequence[str] | None = None,
        version: int | None = None,
    ) -> None:
        """Make some partitions of a table (all, by default) a temporary view in DuckDB.

        Parameters
        ----------
        connection : duckdb.DuckDBPyConnection
            Such as :func:`~pipelines.storage.engine.connect` opens.
        view : str
            What the view is called; one of that name is replaced. It has the table's columns and
            ``partition_key``, in no particular order of rows.
        version : int, optional
            A Delta version to travel back to; the newest by default.

        Raises
        ------
        NotReadyError
            If the table does not exist yet.
        """
        found = self._open(dataset, table, version)
        create_view(connection, found, view=view, partitions=partitions)

    def _open(self, dataset: str, table: str, version: int | None) -> DeltaTable:
        uri = self.uri(dataset, table)
        try:
            return DeltaTable(uri, version=version, storage_options=self._options)
        except TableNotFoundError as error:
            raise NotReadyError(
                f"{uri} does not exist yet: run `holdfast ingest {dataset}` first."
            ) from error

    def read(
        self,
        dataset: str,
        table: str,
        *,
        partitions: Iterable[str] | None = None,
        columns: Sequence[str] | None = None,
        version: int | None = None,
    ) -> pa.Table:
        """Read whole partitions; all of them by default.

        Returns
        -------
        pyarrow.Table, shape (n, k)
            With the column ``partition_key``, rows in canonical order within a partition.

        Raises
        ------
        NotReadyError
            If the table does not exist yet.
        """
        keys = None if partitions is None else list(partitions)
        # Looked up before any file becomes part of the dataset: a long history is not gone through.
        pruned = {} if keys is None else {"file_pruning_predicate": [(PARTITION_COLUMN, "in", keys)]}
        lazy = lazy_dataset(self._open(dataset, table, version), **pruned)
        chosen = None if keys is None else pc.field(PARTITION_COLUMN).isin(pa.array(keys, pa.string()))
        names = None if columns is None else list(dict.fromkeys([*columns, PARTITION_COLUMN]))
        found = lazy.to_table(columns=names, filter=chosen)
        return found.cast(pa.schema([_plain_field(field) for field in found.schema]))

    def find(self, dataset: str, table: str, partition_key: str, row_id: str) -> pa.Table:
        """Read the rows of a partition that have a row id: none, one, or of raw rows perhaps several.

        Files are ordered by it, so that a group of rows of the partition is read, however large the table.

        Raises
        ------
        NotReadyError
            If the table does not exist yet.
        """
        pruned = {"file_pruning_predicate": [(PARTITION_COLUMN, "=", partition_key)]}
        lazy = lazy_dataset(self._open(dataset, table, None), **pruned)
        chosen = (pc.field(PARTITION_COLUMN) == partition_key) & (pc.field(ROW_KEY) == row_id)
        found = lazy.to_table(filter=chosen)
        return found.cast(pa.schema([_plain_field(field) for field in found.schema]))

    def schema(self, dataset: str, table: str, *, version: int | None = None) -> pa.Schema:
        """Return the table's columns, by plain types, without the partition column.

        Raises
        ------
        NotReadyError
            If the table does not exist yet.
        """
        found = pa.schema(self._open(dataset, table, version).schema().to_arrow())
        return pa.schema([_plain_field(field) for field in found if field.name != PARTITION_COLUMN])

    def holds(
        self, dataset: str, table: str, contents: Mapping[str, Content], *, version: int | None = None
    ) -> set[str]:
        """Return the partition keys that hold exactly what ``contents`` says of them; in bounded memory.

        Raises
        ------
        NotReadyError
            If the table does not exist yet.
        """
        return held(self._open(dataset, table, version), contents)

    def update(
        self,
        dataset: str,
        table: str,
        partition_key: str,
        change: Callable[[pa.Table], pa.Table],
        *,
        schema: pa.Schema,
    ) -> PartitionVersion:
        """Replace a partition by what ``change`` makes of its rows; of two at once, none is lost.

        Parameters
        ----------
        change : callable
            Given the present rows (none, where there is no such partition), returns the wanted ones.
            Called again where another writer committed in between.
        schema : pyarrow.Schema
            Of the table, without the partition column.

        Raises
        ------
        ConflictError
            If other writers won eight times in a row.
        EngineError
            If the store fails.
        """
        return self._target(dataset, table).update(partition_key, change, schema)

    def version(self, dataset: str, table: str) -> int:
        """Return the table's newest Delta version; -1 if it does not exist."""
        if not self.exists(dataset, table):
            return -1
        return DeltaTable(self.uri(dataset, table), storage_options=self._options).version()

    def changed_since(self, dataset: str, table: str, version: int) -> set[str]:
        """Return the keys of partitions whose files have changed since a version of the table.

        The log of the table says so; no row is read. Every partition that has rows counts as changed where
        that version is not there (any more): -1, as :meth:`version` says of a table that does not exist.
        """
        if not self.exists(dataset, table):
            return set()
        try:
            before = self._open(dataset, table, version) if version >= 0 else None
        except DeltaError:  # cleaned up, or of a table that has been made anew
            before = None
        if before is None:
            return set(self.partition_keys(dataset, table))
        return changed_partitions(before, self._open(dataset, table, None))

    def file_digests(self, dataset: str, table: str) -> dict[str, str]:
        """Return a digest of the files of each partition, by the table's log; no row is read.

        A file of Delta Lake is written once: as long as a partition's digest is the same, so are its rows.
        """
        if not self.exists(dataset, table):
            return {}
        return files_by_partition(self._open(dataset, table, None))

    def partition_keys(self, dataset: str, table: str) -> list[str]:
        """Return the keys of all partitions that have rows, in order; none if there is no table."""
        if not self.exists(dataset, table):
            return []
        table_of_files = DeltaTable(self.uri(dataset, table), storage_options=self._options)
        return sorted({str(entry[PARTITION_COLUMN]) for entry in table_of_files.partitions()})


def _plain_field(field: pa.Field) -> pa.Field:
    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        kind = pa.string()
    return pa.field(field.name, kind)


def _ordered_content(rows: pa.RecordBatchReader) -> Content | None:
    """Return what a stream holds, if it comes in canonical order."""
    stream = CanonicalStream(rows.schema)
    for batch in rows:
        if not stream.take(pa.Table.from_batches([batch])):
            return None
    return stream.content
