"""Columns of any Arrow type to those that are staged: plain values, or text."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import SchemaError


def staged_type(kind: pa.DataType) -> pa.DataType:
    """Return the type that a column of ``kind`` is staged with."""
    if pa.types.is_dictionary(kind):
        return staged_type(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return pa.string()
    if pa.types.is_float16(kind):
        return pa.float32()
    plain = (
        pa.types.is_boolean,
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_date,
        pa.types.is_time,
        pa.types.is_timestamp,
        pa.types.is_decimal128,
    )
    return kind if any(is_kind(kind) for is_kind in plain) else pa.string()


def as_staged(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return a column with its staged type: bytes that are text as text, nested values as JSON.

    Raises
    ------
    SchemaError
        If its values can't be told as text.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if column.type == kind:
        return column
    if pa.types.is_large_string(column.type) or pa.types.is_float16(column.type):
        return column.cast(kind)
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), kind)
    try:
        return pa.array([as_text(value) for value in column.to_pylist()], kind)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise SchemaError(f"Values of type {column.type} can't be told as text: {error}") from error


def invalid_text(column: pa.Array) -> list[int]:
    """Return the positions of a column's cells that are no UTF-8; empty for other columns."""
    if not pa.types.is_string(column.type):
        return []
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        values = column.cast(pa.binary()).to_pylist()
        return [row for row, value in enumerate(values) if value is not None and not _is_utf8(value)]
    return []


def oversize(column: pa.Array, limit: int) -> list[int]:
    """Return the positions of a column's cells of text that are longer than ``limit`` bytes."""
    if not pa.types.is_string(column.type) or column.nbytes <= limit:
        return []
    is_long = pc.fill_null(pc.greater(pc.binary_length(column), limit), False)
    return [int(row) for row in np.flatnonzero(is_long.to_numpy(zero_copy_only=False))]


def as_text(value: object) -> str | None:
    """Return any value as text: bytes decoded, nested values as JSON, null as null."""
    if value is None:
        return None
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode(errors="backslashreplace")
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
