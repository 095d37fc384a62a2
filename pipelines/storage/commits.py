"""What is committed to one Delta table: whole partitions, each commit all or nothing.

Of two writers at once one commits; the other looks again, and either finds its work done or tries anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from pipelines.errors import ConflictError, EngineError
from pipelines.records import PartitionVersion, partition_date
from pipelines.storage.columns import PARTITION_COLUMN
from pipelines.storage.digest import Content, canonical, content_of, table_digest
from pipelines.storage.files import ROW_GROUP_ROWS, write_files
from pipelines.storage.lazy import lazy_dataset
from pipelines.storage.present import held

Rows = Callable[[], pa.RecordBatchReader]

# What a reader has to hold at once is a row group.
_WRITER = WriterProperties(compression="SNAPPY", max_row_group_size=ROW_GROUP_ROWS)
# What was committed in between may be the same partition: look again, and let nothing be merged.
_ALONE = CommitProperties(max_commit_retries=0)
_repeated = retry(
    retry=retry_if_exception_type(CommitFailedError),
    stop=stop_after_attempt(8),
    wait=wait_random_exponential(multiplier=0.05, max=2.0),
    reraise=True,
)


@dataclass(frozen=True)
class Target:
    """A table to write to. Its methods raise ConflictError and EngineError, as those of the lake do.

    Parameters
    ----------
    uri : str
        Where the table lies, or will lie.
    name : str
        The table's, for its versions.
    options : mapping of str to str
        Passed to delta-rs, for S3.
    """

    uri: str
    name: str
    options: Mapping[str, str] = field(repr=False)

    def replace(self, partitions: Mapping[str, pa.Table]) -> list[PartitionVersion]:
        """Make tables the whole content of partitions, in one commit; those that hold it are left alone."""
        plain = {key: canonical(rows) for key, rows in partitions.items()}
        contents = {key: content_of(rows) for key, rows in plain.items()}

        def commit(table: DeltaTable, stale: Sequence[str]) -> None:
            rows = pa.concat_tables([_keyed(plain[key], key) for key in stale], promote_options="permissive")
            write_deltalake(
                table,
                rows,
                mode="overwrite",
                predicate=f"{PARTITION_COLUMN} IN ({', '.join(map(repr, stale))})",
                schema_mode="merge",
                writer_properties=_WRITER,
            )

        return self._replace(contents, commit)

    def replace_stream(self, partition_key: str, content: Content, rows: Rows) -> PartitionVersion:
        """Make rows, which come in canonical order, the whole content of one partition."""
        written: list[AddAction] = []

        def commit(table: DeltaTable, _: Sequence[str]) -> None:
            # Files that lost to another commit are as good for the next.
            if not written and content.n_rows:
                written.extend(write_files(rows(), partition_key, uri=self.uri, options=self.options))
            table.create_write_transaction(
                [*written],
                mode="overwrite",
                schema=_joined_schema(table, content.schema),
                partition_by=[PARTITION_COLUMN],
                partition_filters=[(PARTITION_COLUMN, "=", partition_key)],
                commit_properties=_ALONE,
            )

        return self._replace({partition_key: content}, commit)[0]

    def update(
        self, partition_key: str, change: Callable[[pa.Table], pa.Table], schema: pa.Schema
    ) -> PartitionVersion:
        """Replace a partition by what ``change`` makes of its rows, which have ``schema``."""
        partition_date(partition_key)
        with self._translated():
            return self._update(partition_key, change, schema)

    def _replace(
        self, contents: Mapping[str, Content], commit: Callable[[DeltaTable, Sequence[str]], None]
    ) -> list[PartitionVersion]:
        for key in contents:
            partition_date(key)  # keys go into a predicate: only real dates get there
        with self._translated():
            version = self._commit(contents, commit)
        return [
            self._version(key, content.digest, content.n_rows, version) for key, content in contents.items()
        ]

    @_repeated
    def _commit(
        self, contents: Mapping[str, Content], commit: Callable[[DeltaTable, Sequence[str]], None]
    ) -> int:
        is_there = DeltaTable.is_deltatable(self.uri, storage_options=dict(self.options))
        if not is_there:
            first = pa.unify_schemas(
                [content.schema for content in contents.values()], promote_options="permissive"
            )
            self._create(first)
        present = self._open()
        same = held(present, contents) if is_there else set()
        stale = [key for key in contents if key not in same]
        if is_there and not stale:
            return present.version()
        commit(present, stale)
        return self._open().version()

    @_repeated
    def _update(
        self, partition_key: str, change: Callable[[pa.Table], pa.Table], schema: pa.Schema
    ) -> PartitionVersion:
        if not DeltaTable.is_deltatable(self.uri, storage_options=dict(self.options)):
            self._create(schema)
        # What is read and what is replaced are of one version: another commit in between fails ours.
        present = self._open()
        found = lazy_dataset(present).to_table(filter=pc.field(PARTITION_COLUMN) == partition_key)
        # A column that the table does not have yet comes with this write.
        for column in schema:
            if column.name not in found.column_names:
                found = found.append_column(column.name, pa.nulls(found.num_rows, column.type))
        before = found.select(schema.names).cast(schema)
        after = canonical(change(before))
        digest = table_digest(after)
        if digest != table_digest(before):
            write_deltalake(
                present,
                _keyed(after, partition_key),
                mode="overwrite",
                predicate=f"{PARTITION_COLUMN} = '{partition_key}'",
                schema_mode="merge",
                writer_properties=_WRITER,
            )
        return self._version(partition_key, digest, after.num_rows, self._open().version())

    def _open(self) -> DeltaTable:
        return DeltaTable(self.uri, storage_options=dict(self.options))

    def _create(self, schema: pa.Schema) -> None:
        # Of two that create the table at once, one finds it made: then both replace partitions.
        DeltaTable.create(
            self.uri,
            schema=_keyed_schema(schema),
            mode="ignore",
            partition_by=[PARTITION_COLUMN],
            storage_options=dict(self.options),
        )

    def _version(self, partition_key: str, digest: str, n_rows: int, delta_version: int) -> PartitionVersion:
        return PartitionVersion(
            table=self.name,
            partition_key=partition_key,
            uri=self.uri,
            digest=digest,
            n_rows=n_rows,
            delta_version=delta_version,
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except CommitFailedError as error:
            raise ConflictError(f"Other writers kept changing {self.uri}; try again.") from error
        except (DeltaError, OSError, pa.ArrowInvalid) as error:
            raise EngineError(f"Can't write {self.uri}: {error}") from error


def _keyed(rows: pa.Table, partition_key: str) -> pa.Table:
    keys = pa.repeat(pa.scalar(partition_key, pa.string()), rows.num_rows)
    return rows.append_column(PARTITION_COLUMN, keys)


def _keyed_schema(schema: pa.Schema) -> pa.Schema:
    return schema.append(pa.field(PARTITION_COLUMN, pa.string()))


def _joined_schema(table: DeltaTable, schema: pa.Schema) -> pa.Schema:
    """Return the table's schema with the columns that rows of another one bring in."""
    present = pa.schema(table.schema().to_arrow())
    return pa.schema([*present, *(column for column in schema if column.name not in present.names)])
