"""Write the Parquet files of one large partition, in the order of their rows; a commit adds them later.

delta-rs's own writer deals batches out to several at work: it holds a gigabyte on the way, and rows
come out in another order, so that who reads them would have to sort them again.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction
from pyarrow import fs

from pipelines.storage.columns import PARTITION_COLUMN
from pipelines.storage.digest import plain_table

ROW_GROUP_ROWS = 131_072
# A file grows up to the end of the row group with which it becomes larger than this.
_FILE_BYTES = 64 * 1024**2


def write_files(
    rows: pa.RecordBatchReader, partition_key: str, *, uri: str, options: Mapping[str, str]
) -> list[AddAction]:
    """Write rows as files of a partition that belong to no version of the table yet.

    Parameters
    ----------
    rows : pyarrow.RecordBatchReader
        Without the partition column; some at least.
    uri : str
        The table's; it exists.
    options : mapping of str to str
        Passed to delta-rs, for S3.

    Returns
    -------
    list of AddAction
        What a commit needs to add them. By name, the files are in the order of their rows.
    """
    store = fs.PyFileSystem(DeltaStorageHandler(uri, dict(options)))
    schema = plain_table(rows.schema.empty_table()).schema
    written = uuid.uuid4()
    actions: list[AddAction] = []
    groups = _row_groups(rows)
    group = next(groups, None)
    while group is not None:
        name = f"part-{len(actions):05}-{written}.snappy.parquet"
        path = f"{PARTITION_COLUMN}={partition_key}/{name}"
        n_rows = 0
        with store.open_output_stream(path) as sink:
            with pq.ParquetWriter(sink, schema, compression="snappy") as writer:
                while group is not None and sink.tell() < _FILE_BYTES:
                    writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
                    n_rows += group.num_rows
                    group = next(groups, None)
            n_bytes = sink.tell()
        actions.append(_added(path, partition_key, n_bytes=n_bytes, n_rows=n_rows))
    return actions


def _row_groups(rows: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Yield the rows with plain types, as many at a time as make a row group."""
    held: list[pa.Table] = []
    for batch in rows:
        held.append(plain_table(pa.Table.from_batches([batch])))
        if sum(table.num_rows for table in held) >= ROW_GROUP_ROWS:
            joined = pa.concat_tables(held)
            n_whole = joined.num_rows - joined.num_rows % ROW_GROUP_ROWS
            yield from (joined.slice(start, ROW_GROUP_ROWS) for start in range(0, n_whole, ROW_GROUP_ROWS))
            held = [joined.slice(n_whole)]
    if sum(table.num_rows for table in held):
        yield pa.concat_tables(held)


def _added(path: str, partition_key: str, *, n_bytes: int, n_rows: int) -> AddAction:
    return AddAction(
        path=path,
        size=n_bytes,
        partition_values={PARTITION_COLUMN: partition_key},
        modification_time=int(time.time() * 1000),
        data_change=True,
        stats=json.dumps({"numRecords": n_rows}),
    )
