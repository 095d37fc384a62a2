"""The lake: Delta tables of one dataset, written by whole partitions.

A write is one Delta commit: a reader sees the partition before or after it, never between. A
repeat of a write finds its own digest and commits nothing. Of two writers at once one commits;
the other reads again, and either finds its work done or tries anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from pipelines.errors import ConflictError, EngineError, NotReadyError
from pipelines.records import PartitionVersion, partition_date
from pipelines.storage.digest import canonical, table_digest

PARTITION_COLUMN = "partition_key"


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
            If other writers won five times in a row.
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
        for key in partitions:
            partition_date(key)  # keys go into a predicate: only real dates get there
        plain = {key: canonical(rows) for key, rows in partitions.items()}
        digests = {key: table_digest(rows) for key, rows in plain.items()}
        try:
            version = self._commit(dataset, table, plain, digests)
        except CommitFailedError as error:
            raise ConflictError(
                f"Other writers kept changing {self.uri(dataset, table)}; try again."
            ) from error
        except (DeltaError, OSError, pa.ArrowInvalid) as error:
            raise EngineError(f"Can't write {self.uri(dataset, table)}: {error}") from error
        return [
            PartitionVersion(
                table=table,
                partition_key=key,
                uri=self.uri(dataset, table),
                digest=digests[key],
                n_rows=rows.num_rows,
                delta_version=version,
            )
            for key, rows in plain.items()
        ]

    @retry(
        retry=retry_if_exception_type(CommitFailedError),
        stop=stop_after_attempt(8),
        wait=wait_random_exponential(multiplier=0.05, max=2.0),
        reraise=True,
    )
    def _commit(
        self, dataset: str, table: str, plain: Mapping[str, pa.Table], digests: Mapping[str, str]
    ) -> int:
        present = self._present_digests(dataset, table, list(plain))
        stale = [key for key in plain if present.get(key) != digests[key]]
        uri = self.uri(dataset, table)
        if not stale:
            return DeltaTable(uri, storage_options=self._options).version()
        whole = pa.concat_tables(
            [
                plain[key].append_column(PARTITION_COLUMN, pa.array([key] * plain[key].num_rows, pa.string()))
                for key in stale
            ],
            promote_options="permissive",
        )
        if not self.exists(dataset, table):
            # Of two that create the table at once, one finds it made: then both replace partitions.
            DeltaTable.create(
                uri,
                schema=whole.schema,
                mode="ignore",
                partition_by=[PARTITION_COLUMN],
                storage_options=self._options,
            )
        keys = ", ".join(f"'{key}'" for key in stale)
        write_deltalake(
            uri,
            whole,
            mode="overwrite",
            predicate=f"{PARTITION_COLUMN} IN ({keys})",
            schema_mode="merge",
            storage_options=self._options,
        )
        return DeltaTable(uri, storage_options=self._options).version()

    def _present_digests(self, dataset: str, table: str, keys: Sequence[str]) -> dict[str, str]:
        """Return the digest of each of ``keys`` that has rows; an empty one is as good as absent."""
        if not self.exists(dataset, table):
            return {}
        found = self.read(dataset, table, partitions=keys)
        empty = found.slice(0, 0).drop_columns([PARTITION_COLUMN])
        digests = dict.fromkeys(keys, table_digest(empty))
        for key in pc.unique(found[PARTITION_COLUMN]).to_pylist():
            rows = found.filter(pc.equal(found[PARTITION_COLUMN], key)).drop_columns([PARTITION_COLUMN])
            digests[key] = table_digest(rows)
        return digests

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
        uri = self.uri(dataset, table)
        try:
            return DeltaTable(uri, version=version, storage_options=self._options).to_pyarrow_dataset()
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
        lazy = self.dataset(dataset, table, version=version)
        keys = None if partitions is None else pa.array(list(partitions), pa.string())
        chosen = None if keys is None else pc.field(PARTITION_COLUMN).isin(keys)
        names = None if columns is None else list(dict.fromkeys([*columns, PARTITION_COLUMN]))
        found = lazy.to_table(columns=names, filter=chosen)
        return found.cast(pa.schema([_plain_field(field) for field in found.schema]))

    def version(self, dataset: str, table: str) -> int:
        """Return the table's newest Delta version; -1 if it does not exist."""
        if not self.exists(dataset, table):
            return -1
        return DeltaTable(self.uri(dataset, table), storage_options=self._options).version()

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
