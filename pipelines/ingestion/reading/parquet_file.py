"""A Parquet file as a stream of record batches of bounded size, whatever it claims about itself.

Text is read as dictionaries: a page of few bytes can say one long value a million times over, and
is counted before it is written out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.errors import SchemaError
from pipelines.ingestion.reading.batches import StagedBatch
from pipelines.ingestion.reading.columns import as_staged, invalid_text, oversize, staged_type
from pipelines.ingestion.reading.options import ReadingOptions
from pipelines.ingestion.reading.packed import refuse_bomb
from pipelines.ingestion.reading.rejects import OVERSIZE, UNDECODABLE, Reject
from pipelines.ingestion.reading.schema import checked_names

# What damaged metadata leads Python code to.
_CONFUSED = (ValueError, IndexError, KeyError, TypeError, OverflowError)
_BATCH_ROWS, _BATCH_BYTES = 65_536, 16 << 20


class ParquetFile:
    """One Parquet file, read from its start to its end, once.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        What a person calls it.
    options : ReadingOptions
        What it may hold.

    Attributes
    ----------
    columns : tuple of str
        As its schema names them, renamed.
    schema : pyarrow.Schema
        Of the staged columns: nested values and others without a column type are text.

    Raises
    ------
    SchemaError
        If it is no Parquet file, or holds more than it may.
    """

    def __init__(self, path: Path, *, name: str, options: ReadingOptions) -> None:
        self._name = name
        self._options = options
        self._n_packed = path.stat().st_size
        with self._readable():
            names = pq.read_schema(path).names
            self.columns = checked_names(names, name=name, options=options)
            plain = pq.ParquetFile(path, memory_map=False)
            texts = [field.name for field in plain.schema_arrow if _is_text(field.type)]
            plain.close()
            self._file = pq.ParquetFile(path, read_dictionary=texts, buffer_size=1 << 20, pre_buffer=False)
            self.schema = pa.schema(
                (name, staged_type(field.type))
                for name, field in zip(self.columns, self._file.schema_arrow, strict=True)
            )

    def batches(self) -> Iterator[StagedBatch]:
        """Give the rows, and those that can't be taken."""
        n_rows = n_bytes = 0
        with self._readable():
            for batch in self._file.iter_batches(batch_size=self._batch_rows(), use_threads=False):
                lengths = np.zeros(batch.num_rows, dtype=np.int64)
                for column in batch.columns:
                    _require_sound(column)
                    lengths += _lengths(column)
                n_bytes += int(lengths.sum())
                refuse_bomb(
                    self._name,
                    n_packed=self._n_packed,
                    n_unpacked=n_bytes,
                    max_bytes=self._options.max_file_bytes,
                )
                for start, stop in _slices(lengths):
                    yield self._batch(batch.slice(start, stop - start), n_rows + start)
                n_rows += batch.num_rows

    def _batch(self, batch: pa.RecordBatch, n_before: int) -> StagedBatch:
        columns = [
            as_staged(column, field.type) for column, field in zip(batch.columns, self.schema, strict=True)
        ]
        lines = np.arange(n_before + 1, n_before + 1 + batch.num_rows)
        reasons: dict[int, str] = {}
        for column in columns:
            reasons |= dict.fromkeys(oversize(column, self._options.max_cell_bytes), OVERSIZE)
            reasons |= dict.fromkeys(invalid_text(column), UNDECODABLE)
        rejects = [Reject(int(lines[row]), reason, b"") for row, reason in sorted(reasons.items())]
        if reasons:
            kept = np.setdiff1d(np.arange(batch.num_rows), list(reasons))
            columns = [column.take(pa.array(kept)) for column in columns]
            lines = lines[kept]
        return StagedBatch.of_rows(self.columns, columns, lines=lines, rejects=rejects)

    def _batch_rows(self) -> int:
        """Return how many rows to read at a time, by what the file says that they take."""
        metadata = self._file.metadata
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        widest = max((group.total_byte_size / max(group.num_rows, 1) for group in groups), default=1)
        return int(np.clip(_BATCH_BYTES / max(widest, 1), 1, _BATCH_ROWS))

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowMemoryError, MemoryError):
            raise
        except (pa.ArrowException, OSError, *_CONFUSED) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            reason = " ".join(str(error).split())[:300].rstrip(".")
            raise SchemaError(
                f"{self._name} can't be read as Parquet: {reason}. It may be damaged or cut off."
            ) from error


def _require_sound(column: pa.Array) -> None:
    """Raise if a damaged file gave an array that points beyond itself."""
    if pa.types.is_dictionary(column.type):
        codes = pc.min_max(column.indices).as_py()
        if codes["max"] is not None and not 0 <= codes["min"] <= codes["max"] < len(column.dictionary):
            raise IndexError("a value is not in its dictionary")
    else:
        # Text that is no UTF-8 costs its row, not its file.
        column.validate(full=not _is_text(column.type))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _lengths(column: pa.Array) -> npt.NDArray[np.int64]:
    """Return how many bytes each cell of a column takes when it is written out."""
    if pa.types.is_dictionary(column.type):
        lengths = pc.fill_null(pc.binary_length(column.dictionary), 0).to_numpy(zero_copy_only=False)
        codes = pc.fill_null(column.indices, 0).to_numpy(zero_copy_only=False)
        return lengths[codes].astype(np.int64) if len(lengths) else np.zeros(len(column), dtype=np.int64)
    return np.full(len(column), column.nbytes // max(len(column), 1) + 1, dtype=np.int64)


def _slices(lengths: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Give runs of rows that are each below the bound, or a single row."""
    start = 0
    ends = np.cumsum(lengths)
    while start < len(lengths):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _BATCH_BYTES, side="right")))
        yield start, stop
        start = stop
