"""The canonical form of a table and its digest.

The same rows give the same digest whatever the order, chunking or library that wrote them:
columns are ordered by name, rows by row key, and the bytes hashed are those of a CSV in which a
null (empty) and an empty string (quoted) differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.storage.lines import write_lines

ROW_KEY = "row_id"


@dataclass(frozen=True)
class Content:
    """What a partition is, or is to be: its plain schema, how many rows, and their digest."""

    schema: pa.Schema
    n_rows: int
    digest: str


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
    plain = plain_table(table)
    if plain.num_rows < 2:
        return plain
    # Row keys may repeat in raw data: break ties by the other columns, so that order never matters.
    names = canonical_order(plain.column_names)
    is_keyed = names[:1] == [ROW_KEY] and _n_distinct(plain[ROW_KEY]) == plain.num_rows
    keys = [ROW_KEY] if is_keyed else names
    order = pc.sort_indices(plain, sort_keys=[(name, "ascending") for name in keys])
    return plain.take(order).combine_chunks()


def canonical_order(names: Iterable[str]) -> list[str]:
    """Return the columns by which rows are ordered, nulls last: the row key, then the others by name."""
    return sorted(names, key=lambda name: (name != ROW_KEY, name))


def plain_table(table: pa.Table) -> pa.Table:
    """Return ``table`` with plain types and its columns by name; rows stay as they are."""
    names = sorted(table.column_names)
    return pa.table([_plain(table[name]) for name in names], names=names)


def table_digest(table: pa.Table) -> str:
    """Return the SHA-256 of a table's content, in hex; the same for the same rows in any order.

    Parameters
    ----------
    table : pyarrow.Table, shape (n, k)
        As for :func:`canonical`.
    """
    return content_of(canonical(table)).digest


def content_of(plain: pa.Table) -> Content:
    """Return what a table is that :func:`canonical` gave."""
    lines = _LineHash(plain.schema)
    lines.update(plain)
    return Content(plain.schema, plain.num_rows, lines.hexdigest())


def stream_digest(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> str | None:
    """Return the :func:`table_digest` of rows that come in canonical order; never hold them all.

    Parameters
    ----------
    schema : pyarrow.Schema
        Of every batch.
    batches : iterable of pyarrow.RecordBatch

    Returns
    -------
    str or None
        None as soon as a row is out of the canonical order.
    """
    stream = CanonicalStream(schema)
    for batch in batches:
        if not stream.take(pa.Table.from_batches([batch], schema)):
            return None
    return stream.content.digest


class CanonicalStream:
    """Hashes the tables of one stream, and watches that their rows stay in canonical order.

    Parameters
    ----------
    schema : pyarrow.Schema
        Of every table.
    """

    def __init__(self, schema: pa.Schema) -> None:
        plain = plain_table(schema.empty_table())
        self._schema = plain.schema
        self._lines = _LineHash(plain.schema)
        self._keys = [(name, "ascending") for name in canonical_order(plain.column_names)]
        self._last: pa.Table | None = None
        self._n_rows = 0

    def take(self, rows: pa.Table) -> bool:
        """Hash the next rows; return False, and hash nothing, if they are out of order."""
        plain = plain_table(rows)
        if plain.num_rows == 0:
            return True
        joined = plain if self._last is None else pa.concat_tables([self._last, plain])
        if not self._is_in_order(joined):
            return False
        self._lines.update(plain)
        self._last = plain.slice(plain.num_rows - 1)
        self._n_rows += plain.num_rows
        return True

    @property
    def content(self) -> Content:
        """What has been taken so far."""
        return Content(self._schema, self._n_rows, self._lines.hexdigest())

    def _is_in_order(self, rows: pa.Table) -> bool:
        if self._keys and self._keys[0][0] == ROW_KEY:
            keys = rows[ROW_KEY].combine_chunks()
            # The usual case, and a quick one: every key is there, and larger than the one before.
            if pc.all(pc.less(keys.slice(0, len(keys) - 1), keys.slice(1)), skip_nulls=False).as_py():
                return True
        order = pc.sort_indices(rows, sort_keys=self._keys)
        return bool(np.array_equal(order.to_numpy(), np.arange(rows.num_rows)))


class _LineHash:
    """The hash of a schema and of the lines of its rows."""

    def __init__(self, schema: pa.Schema) -> None:
        self._hash = hashlib.sha256(str(schema).encode())

    def update(self, rows: pa.Table) -> None:
        write_lines(rows, self._hash.update)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def _n_distinct(column: pa.ChunkedArray) -> int:
    n_distinct: int = pc.count_distinct(column, mode="all").as_py()
    return n_distinct


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
