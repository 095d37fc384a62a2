"""Batches of staged rows, and the Parquet file that they are written to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.ingestion.reading.rejects import Reject
from pipelines.ingestion.reading.staged import LINE_COLUMN, REJECT_COLUMN, StagedFile

# A row group is what a reader holds at a time.
_GROUP_ROWS, _GROUP_BYTES = 122_880, 16 << 20
_METADATA_KEY = b"holdfast"


@dataclass(frozen=True)
class StagedBatch:
    """Rows and rejected records, in the order of their lines.

    Parameters
    ----------
    table : pyarrow.Table
        The source's columns, ``holdfast_line`` and ``holdfast_reject``.
    n_rejected, n_blank : int
        Rejected records in ``table``, and blank ones that are not.
    """

    table: pa.Table
    n_rejected: int = 0
    n_blank: int = 0

    @classmethod
    def of_rows(
        cls,
        names: Sequence[str],
        columns: Sequence[pa.Array],
        *,
        lines: npt.NDArray[np.int64],
        rejects: Sequence[Reject],
        n_blank: int = 0,
    ) -> StagedBatch:
        """Return the batch of these rows and these rejected records."""
        n_rows = len(lines)
        reasons = [pa.nulls(n_rows, pa.string()), pa.array([str(reject) for reject in rejects], pa.string())]
        places = [pa.array(lines, pa.int64()), pa.array([reject.line for reject in rejects], pa.int64())]
        whole = [pa.chunked_array([column, pa.nulls(len(rejects), column.type)]) for column in columns]
        table = pa.table(
            [*whole, pa.chunked_array(places), pa.chunked_array(reasons)],
            names=[*names, LINE_COLUMN, REJECT_COLUMN],
        )
        if rejects:
            table = table.take(pc.sort_indices(table[LINE_COLUMN]))
        return cls(table, n_rejected=len(rejects), n_blank=n_blank)


@dataclass(frozen=True)
class StagedContent:
    """What a staged Parquet file says of itself, in its footer."""

    columns: tuple[str, ...]
    n_rows: int
    n_rejected: int
    n_blank: int
    fingerprint: str

    def at(self, path: Path, *, name: str, day: date | None) -> StagedFile:
        """Return the staged file that holds this."""
        return StagedFile(path=path, name=name, day=day, **vars(self))


def write_staged(
    path: Path,
    batches: Iterable[StagedBatch],
    *,
    fields: Sequence[pa.Field],
    columns: Sequence[str],
    fingerprint: str,
) -> StagedContent:
    """Write batches to a Parquet file in row groups of bounded size; return what was written."""
    schema = pa.schema([*fields, (LINE_COLUMN, pa.int64()), (REJECT_COLUMN, pa.string())])
    n_rows = n_rejected = n_blank = 0
    waiting: list[pa.Table] = []
    with _writer(path, schema) as writer:
        for batch in batches:
            waiting.append(batch.table)
            n_rows += batch.table.num_rows
            n_rejected += batch.n_rejected
            n_blank += batch.n_blank
            if _is_enough(waiting):
                _flush(writer, waiting)
        _flush(writer, waiting)
        content = StagedContent(tuple(columns), n_rows, n_rejected, n_blank, fingerprint)
        writer.add_key_value_metadata({_METADATA_KEY: json.dumps(asdict(content))})
    return content


def read_content(path: Path) -> StagedContent | None:
    """Return what a staged file says of itself; None where there is no whole one."""
    try:
        metadata = pq.read_metadata(path).metadata or {}
        fields = json.loads(metadata[_METADATA_KEY])
        return StagedContent(**fields | {"columns": tuple(fields["columns"])})
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        return None


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    # Without dictionaries: writing is twice as fast, and zstd finds the repeats itself.
    return pq.ParquetWriter(
        path, schema, compression="zstd", compression_level=1, use_dictionary=False, write_statistics=False
    )


def _is_enough(waiting: Sequence[pa.Table]) -> bool:
    n_rows = sum(int(table.num_rows) for table in waiting)
    return n_rows >= _GROUP_ROWS or sum(int(table.nbytes) for table in waiting) >= _GROUP_BYTES


def _flush(writer: pq.ParquetWriter, waiting: list[pa.Table]) -> None:
    if waiting:
        writer.write_table(pa.concat_tables(waiting), row_group_size=_GROUP_ROWS)
        waiting.clear()
