"""Put rows in canonical order that are more than memory holds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.storage.digest import CanonicalStream, Content, canonical_order, plain_table
from pipelines.storage.engine import connect
from pipelines.storage.sql import identifier

_BATCH_ROWS = 131_072


@dataclass(frozen=True)
class Spool:
    """Rows in canonical order in a temporary file, and what they are."""

    path: Path
    content: Content

    def rows(self) -> pa.RecordBatchReader:
        """Return all rows, from their beginning, a batch at a time."""
        file = pq.ParquetFile(self.path, pre_buffer=False)
        return pa.RecordBatchReader.from_batches(self.content.schema, file.iter_batches(_BATCH_ROWS))


@contextmanager
def sorted_rows(rows: pa.RecordBatchReader, *, memory: str = "512MB") -> Iterator[Spool]:
    """Sort a stream in a bounded memory, by way of temporary files.

    Parameters
    ----------
    rows : pyarrow.RecordBatchReader
        Read to its end.
    memory : str
        What the sort may hold, such as ``512MB``.

    Yields
    ------
    Spool
        The rows in canonical order, with plain types and columns by name; it goes away with the
        context.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-") as scratch:
        path = Path(scratch) / "sorted.parquet"
        plain = plain_table(rows.schema.empty_table()).schema
        stream = CanonicalStream(plain)
        with pq.ParquetWriter(path, plain, compression="zstd") as writer:
            for ordered in _in_order(rows, plain, memory):
                stream.take(ordered)
                writer.write_table(ordered)
        yield Spool(path, stream.content)


def _in_order(rows: pa.RecordBatchReader, plain: pa.Schema, memory: str) -> Iterator[pa.Table]:
    batches = (batch for taken in rows for batch in plain_table(pa.Table.from_batches([taken])).to_batches())
    keys = ", ".join(f"{identifier(name)} ASC NULLS LAST" for name in canonical_order(plain.names))
    columns = ", ".join(identifier(name) for name in plain.names)
    with connect(memory=memory, threads=2) as connection:
        connection.register("unordered", pa.RecordBatchReader.from_batches(plain, batches))
        query = f"SELECT {columns} FROM unordered ORDER BY {keys}"  # noqa: S608 (quoted names)
        for batch in connection.sql(query).to_arrow_reader(_BATCH_ROWS):
            yield pa.Table.from_batches([batch]).cast(plain)
