"""Rows of a database to columns of one type each, though no batch alone can tell the type."""

from __future__ import annotations

import datetime as dt
import decimal
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.ingestion.reading.batches import StagedBatch, StagedContent, write_staged
from pipelines.ingestion.reading.columns import as_text, oversize
from pipelines.ingestion.reading.options import ReadingOptions
from pipelines.ingestion.reading.rejects import OVERSIZE, Reject
from pipelines.ingestion.reading.schema import checked_names

_MICROSECONDS = pa.timestamp("us")
_MOMENTS = pa.timestamp("us", tz="UTC")
_MAX_DIGITS = 38


class Spool:
    """Batches of rows in a file, each with the types that its own values have.

    Parameters
    ----------
    path : Path
        The file; begun anew, so that nothing of an earlier read stays.
    names : sequence of str
        Of the columns.
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self._path = path
        self._names = list(names)
        self._types: list[pa.DataType] = [pa.null()] * len(self._names)
        self._n_batches = 0
        path.write_bytes(b"")

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Take the next rows in."""
        columns = [column_of(values) for values in zip(*rows, strict=True)]
        self._types = [joined(known, new.type) for known, new in zip(self._types, columns, strict=True)]
        batch = pa.RecordBatch.from_arrays(columns, [str(place) for place in range(len(columns))])
        with self._path.open("ab") as file, pa.ipc.new_stream(file, batch.schema) as writer:
            writer.write_batch(batch)
        self._n_batches += 1

    def write(self, target: Path, *, name: str, options: ReadingOptions) -> StagedContent:
        """Write all rows to a staged file, each column with the one type that holds its values.

        Raises
        ------
        SchemaError
            If the columns' names can't be taken.
        """
        columns = checked_names(self._names, name=name, options=options)
        types = [pa.string() if pa.types.is_null(kind) else kind for kind in self._types]
        fields = [pa.field(column, kind) for column, kind in zip(columns, types, strict=True)]
        return write_staged(
            target,
            self._batches(fields, options.max_cell_bytes),
            fields=fields,
            columns=columns,
            fingerprint=self._fingerprint(),
        )

    def _fingerprint(self) -> str:
        digest = hashlib.sha256(json.dumps(self._names).encode())
        with self._path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
        return f"sha256:{digest.hexdigest()}"

    def _batches(self, fields: Sequence[pa.Field], max_cell_bytes: int) -> Iterator[StagedBatch]:
        n_rows = 0
        names = [field.name for field in fields]
        with pa.OSFile(str(self._path)) as file:
            for _ in range(self._n_batches):
                # To the stream's end, behind which the next one starts.
                (batch,) = pa.ipc.open_stream(file)
                columns = [
                    _cast(column, field.type) for column, field in zip(batch.columns, fields, strict=True)
                ]
                lines = np.arange(n_rows + 1, n_rows + 1 + batch.num_rows)
                n_rows += batch.num_rows
                yield _staged(columns, names, lines, max_cell_bytes)


def column_of(values: Sequence[Any]) -> pa.Array:
    """Return values as a column of the one type that holds them; text where they are of several."""
    kinds = {type(value) for value in values} - {type(None)}
    if kinds <= {int, bool, float, str, dt.date, decimal.Decimal, dt.datetime, dt.time} and len(kinds) == 1:
        with suppress(pa.ArrowException, OverflowError):
            return _of_kind(values, next(iter(kinds)))
    if kinds == {int, float}:
        return pa.array(values, pa.float64())
    return pa.array([as_text(value) for value in values], pa.string() if kinds else pa.null())


def _of_kind(values: Sequence[Any], kind: type) -> pa.Array:
    if kind is dt.datetime:
        n_aware = sum(value is not None and value.tzinfo is not None for value in values)
        if n_aware in (0, sum(value is not None for value in values)):
            return pa.array(values, _MOMENTS if n_aware else _MICROSECONDS)
        return pa.array([as_text(value) for value in values], pa.string())
    types = {
        int: pa.int64(),
        bool: pa.bool_(),
        float: pa.float64(),
        str: pa.string(),
        dt.date: pa.date32(),
        dt.time: pa.time64("us"),
    }
    if kind is decimal.Decimal and not all(value is None or value.is_finite() for value in values):
        # NaN and infinity, which a database's numbers may be, are no decimals.
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array(values, types.get(kind))


def joined(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the type that holds the values of both; text where there is no other."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if pa.types.is_decimal(one) and pa.types.is_decimal(other):
        return _decimal(max(_whole(one), _whole(other)), max(one.scale, other.scale))
    kinds = {one, other}
    if kinds == {pa.int64(), pa.float64()}:
        return pa.float64()
    if kinds == {pa.date32(), _MICROSECONDS}:
        return _MICROSECONDS
    for kind, second in ((one, other), (other, one)):
        if pa.types.is_decimal(kind) and second == pa.int64():
            return _decimal(max(_whole(kind), 19), kind.scale)
    return pa.string()


def _whole(kind: pa.DataType) -> int:
    return int(kind.precision - kind.scale)


def _decimal(n_whole: int, scale: int) -> pa.DataType:
    return pa.decimal128(n_whole + scale, scale) if n_whole + scale <= _MAX_DIGITS else pa.string()


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind) and not pa.types.is_string(column.type):
        return pa.array([as_text(value) for value in column.to_pylist()], kind)
    return column.cast(kind)


def _staged(
    columns: Sequence[pa.Array], names: Sequence[str], lines: npt.NDArray[np.int64], limit: int
) -> StagedBatch:
    too_long = sorted({row for column in columns for row in oversize(column, limit)})
    rejects = [Reject(int(lines[row]), OVERSIZE, b"") for row in too_long]
    if too_long:
        kept = np.setdiff1d(np.arange(len(lines)), too_long)
        columns = [column.take(pa.array(kept)) for column in columns]
        lines = lines[kept]
    return StagedBatch.of_rows(names, columns, lines=lines, rejects=rejects)
