"""What a Delta table already holds: found out without holding a large partition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable

from pipelines.records import digest_of
from pipelines.storage.columns import PARTITION_COLUMN
from pipelines.storage.digest import CanonicalStream, Content, plain_table, table_digest
from pipelines.storage.lazy import lazy_dataset
from pipelines.storage.sorting import sorted_rows

# Rows that are read and hashed at a time.
BATCH_ROWS = 131_072
# Partitions up to this many rows are read together and put in order in memory.
_MAX_ROWS_AT_ONCE = 200_000


def held(table: DeltaTable, wanted: Mapping[str, Content]) -> set[str]:
    """Return the partition keys whose content is already the wanted one; no rows are as good as none.

    A column that only the table has does not count where the partition has no value in it.
    """
    names = {field.name for field in table.schema().fields} - {PARTITION_COLUMN}
    counts = row_counts(table)
    alike = {
        key: content
        for key, content in wanted.items()
        if set(content.schema.names) <= names and counts.get(key, 0) in (content.n_rows, None)
    }
    large = {key for key, content in alike.items() if content.n_rows > _MAX_ROWS_AT_ONCE}
    small = [key for key, content in alike.items() if content.n_rows and key not in large]
    found = {key for key, content in alike.items() if content.n_rows == 0 and key not in counts}
    if small:
        rows = lazy_dataset(table).to_table(filter=pc.field(PARTITION_COLUMN).isin(small))
        found |= {
            key
            for key, chosen in _by_partition(rows).items()
            if _digest_of(chosen, alike[key].schema) == alike[key].digest
        }
    return found | {
        key for key in large if _stream_digest_of(table, key, alike[key].schema) == alike[key].digest
    }


def row_counts(table: DeltaTable) -> dict[str, int | None]:
    """Return the rows of each partition that has files; None where a file does not say how many."""
    actions = pa.table(table.get_add_actions(flatten=True))
    counts: dict[str, int | None] = {}
    for action in actions.select([f"partition.{PARTITION_COLUMN}", "num_records"]).to_pylist():
        key, n_rows = action.values()
        before = counts.get(key, 0)
        counts[key] = None if before is None or n_rows is None else before + n_rows
    return counts


def changed_partitions(before: DeltaTable, after: DeltaTable) -> set[str]:
    """Return the keys of partitions whose files are not the same in two versions of a table."""
    return {key for key, _ in _files(before) ^ _files(after)}


def files_by_partition(table: DeltaTable) -> dict[str, str]:
    """Return a digest of the names, sizes and times of each partition's files."""
    actions = pa.table(table.get_add_actions(flatten=True))
    wanted = actions.select([f"partition.{PARTITION_COLUMN}", "path", "size_bytes", "modification_time"])
    files: dict[str, list[list[str]]] = {}
    for key, *file in sorted(zip(*wanted.to_pydict().values(), strict=True)):
        files.setdefault(str(key), []).append([str(part) for part in file])
    return {key: digest_of(found) for key, found in files.items()}


def partition_files(table: DeltaTable, partition_key: str) -> ds.Dataset:
    """Return one partition as a lazy dataset, its files in the order in which a write made them."""
    lazy = lazy_dataset(table, file_pruning_predicate=[(PARTITION_COLUMN, "=", partition_key)])
    fragments = sorted(lazy.get_fragments(), key=lambda fragment: str(fragment.path))
    return ds.FileSystemDataset(fragments, lazy.schema, lazy.format, lazy.filesystem)


def batches_of(lazy: ds.Dataset, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a dataset in the order of its files, little ahead of who reads them."""
    yield from lazy.to_batches(
        columns=list(columns),
        batch_size=BATCH_ROWS,
        batch_readahead=1,
        fragment_readahead=1,
        use_threads=False,
    )


def _files(table: DeltaTable) -> set[tuple[str, str]]:
    actions = pa.table(table.get_add_actions(flatten=True))
    found = actions.select([f"partition.{PARTITION_COLUMN}", "path"]).to_pydict()
    return set(zip(*found.values(), strict=True))


def _by_partition(rows: pa.Table) -> dict[str, pa.Table]:
    """Cut rows that come file by file into partitions."""
    keys = pc.run_end_encode(rows[PARTITION_COLUMN].combine_chunks().cast(pa.string()))
    ends = keys.run_ends.to_pylist()
    parts: dict[str, list[pa.Table]] = {}
    for key, start, stop in zip(keys.values.to_pylist(), [0, *ends], ends, strict=False):
        parts.setdefault(key, []).append(rows.slice(start, stop - start))
    return {key: pa.concat_tables(found) for key, found in parts.items()}


def _digest_of(rows: pa.Table, schema: pa.Schema) -> str | None:
    return table_digest(rows.select(schema.names)) if _has_no_more(rows, schema) else None


def _stream_digest_of(table: DeltaTable, key: str, schema: pa.Schema) -> str | None:
    lazy = partition_files(table, key)
    stream = CanonicalStream(schema)
    for batch in batches_of(lazy, lazy.schema.names):
        rows = pa.Table.from_batches([batch])
        if not _has_no_more(rows, schema) or not plain_table(rows.select(schema.names)).schema.equals(schema):
            return None
        if not stream.take(rows.select(schema.names)):
            return _sorted_digest_of(lazy, schema)
    return stream.content.digest


def _sorted_digest_of(lazy: ds.Dataset, schema: pa.Schema) -> str:
    """Return the digest of rows that another writer left in an order of its own."""
    chosen = pa.schema([lazy.schema.field(name) for name in schema.names])
    with sorted_rows(pa.RecordBatchReader.from_batches(chosen, batches_of(lazy, schema.names))) as spool:
        return spool.content.digest


def _has_no_more(rows: pa.Table, schema: pa.Schema) -> bool:
    others = set(rows.column_names) - {*schema.names, PARTITION_COLUMN}
    return all(rows[name].null_count == rows.num_rows for name in others)
