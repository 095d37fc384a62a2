"""The canonical form of a table and its digest.

The same rows give the same digest whatever the order, chunking or library that wrote them:
columns are ordered by name, rows by row key, and the bytes hashed are those of a CSV in which a
null (empty) and an empty string (quoted) differ.
"""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

ROW_KEY = "row_id"


def canonical(table: pa.Table) -> pa.Table:
    """Return ``table`` with plain types, columns by name, and rows by row key and content.

    Parameters
    ----------
    table : pyarrow.Table, shape (n, k)
        Columns of strings, numbers, booleans, dates or timestamps; nulls allowed.

    Returns
    -------
    pyarrow.Table, shape (n, k)
        Strings as ``string``, timestamps as ``timestamp[us, UTC]`` (naive ones are taken as
        UTC), no pandas metadata.
    """
    names = sorted(table.column_names)
    columns = [_plain(table[name]) for name in names]
    plain = pa.table(columns, names=names)
    if plain.num_rows < 2:
        return plain
    # Row keys may repeat in raw data: break ties by the other columns, so that order never matters.
    keys = [ROW_KEY] if ROW_KEY in names else []
    if not keys or pc.count_distinct(plain[ROW_KEY], mode="all").as_py() != plain.num_rows:
        keys += [name for name in names if name not in keys]
    order = pc.sort_indices(plain, sort_keys=[(name, "ascending") for name in keys])
    return plain.take(order).combine_chunks()


def table_digest(table: pa.Table) -> str:
    """Return the SHA-256 of a table's content, in hex; the same for the same rows in any order.

    Parameters
    ----------
    table : pyarrow.Table, shape (n, k)
        As for :func:`canonical`.
    """
    plain = canonical(table)
    sink = _HashSink()
    sink.write(str(plain.schema).encode())
    if plain.num_columns:
        csv.write_csv(plain, sink, csv.WriteOptions(include_header=False, quoting_style="needed"))
    return sink.hexdigest()


class _HashSink:
    """A write-only file that keeps nothing but the hash of what is written to it."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.closed = False

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: there is no buffer."""

    def close(self) -> None:
        self.closed = True

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type))
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_timestamp(kind):
        naive = column.cast(pa.timestamp("us"), safe=False) if kind.tz is None else column
        return naive.cast(pa.timestamp("us", tz="UTC"), safe=False)
    return column
