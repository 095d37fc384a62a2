"""A landed partition: in memory while it is small, in a temporary file where it is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.config import DatasetConfig
from pipelines.ingestion.landing import raw_columns
from pipelines.ingestion.merging import Counts
from pipelines.storage.columns import ARROW_TYPES

#: More rows than this make a partition large.
MAX_SMALL_ROWS = 200_000
_POSITION = "position"
_BATCH_ROWS = 131_072


def landed_schema(config: DatasetConfig) -> pa.Schema:
    """Return the columns of a landed partition: those of the raw table, then the labels."""
    own = {
        "row_id": pa.string(),
        "event_time": ARROW_TYPES["timestamp"],
        "miscast": pa.string(),
        "source_file": pa.string(),
        "source_line": pa.int64(),
    }
    declared = {name: ARROW_TYPES[kind] for name, kind in {**config.columns, **config.labels}.items()}
    types = own | declared
    names = [*raw_columns(config), *config.labels]
    return pa.schema([*((name, types[name]) for name in names), (_POSITION, pa.int64())])


@dataclass(frozen=True)
class Landed:
    """What a source holds of one partition.

    Parameters
    ----------
    key : str
        The partition's.
    counts : Counts
        What was merged on the way.
    n_rows : int
        Rows that landed.
    schema : pyarrow.Schema
        Of :func:`landed_schema`.
    store : pyarrow.Table or Path
        The rows, in canonical order: in memory, or a Parquet file.
    """

    key: str
    counts: Counts
    n_rows: int
    schema: pa.Schema
    store: pa.Table | Path

    @property
    def is_large(self) -> bool:
        """Whether the rows are in a file, as there are too many to hold."""
        return isinstance(self.store, Path)

    def raw(self, config: DatasetConfig) -> pa.RecordBatchReader:
        """Return the rows of the raw table, from their beginning."""
        return self._reader([*raw_columns(config), _POSITION])

    def labels(self, config: DatasetConfig) -> pa.RecordBatchReader:
        """Return the labels of the rows that have one: whose target is not null."""
        whole = self._reader(["row_id", *config.labels])
        labelled = (batch.filter(pc.is_valid(batch[config.target])) for batch in whole)
        return pa.RecordBatchReader.from_batches(whole.schema, labelled)

    def _reader(self, names: Sequence[str]) -> pa.RecordBatchReader:
        schema = pa.schema([self.schema.field(name) for name in names])
        if isinstance(self.store, pa.Table):
            batches: Iterator[pa.RecordBatch] = iter(self.store.select(names).to_batches())
        else:
            file = pq.ParquetFile(self.store, pre_buffer=False)
            batches = (
                batch.select(names).cast(schema)
                for batch in file.iter_batches(_BATCH_ROWS, columns=list(names))
            )
        return pa.RecordBatchReader.from_batches(schema, batches)


@dataclass
class Collector:
    """Collects the rows of one partition, and moves them to a file when they become too many.

    Parameters
    ----------
    key : str
        The partition's.
    schema : pyarrow.Schema
        Of :func:`landed_schema`.
    scratch : Path
        A folder for the file.
    """

    key: str
    schema: pa.Schema
    scratch: Path
    n_rows: int = 0
    _held: list[pa.Table] = field(default_factory=list)
    _writer: pq.ParquetWriter | None = None

    def add(self, rows: pa.Table) -> None:
        """Take the next rows, which come in canonical order, and number them."""
        numbers = pa.array(np.arange(self.n_rows, self.n_rows + rows.num_rows))
        plain = rows.select(self.schema.names[:-1]).append_column(_POSITION, numbers).cast(self.schema)
        self.n_rows += rows.num_rows
        self._held.append(plain)
        if self._writer is None and self.n_rows > MAX_SMALL_ROWS:
            self._writer = pq.ParquetWriter(self._path, self.schema, compression="zstd")
        if self._writer is not None:
            self._writer.write_table(pa.concat_tables(self._held))
            self._held.clear()

    def landed(self, counts: Mapping[str, Counts]) -> Landed:
        """Return the whole partition."""
        store: pa.Table | Path = self._path
        if self._writer is None:
            store = pa.concat_tables([self.schema.empty_table(), *self._held])
        else:
            self._writer.close()
        return Landed(self.key, counts.get(self.key, Counts()), self.n_rows, self.schema, store)

    @property
    def _path(self) -> Path:
        return self.scratch / f"{self.key}.parquet"
