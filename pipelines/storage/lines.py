"""Rows as the lines of a CSV, to be hashed: nulls are empty, strings are quoted, there is no header.

``pyarrow.csv`` defines the text. It takes twenty times as long for a time in UTC as for one without a
zone, which would be the larger part of what a digest costs; so many rows with such times are put
together here, byte for byte alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

# Rows whose text is held at a time.
_ROWS_AT_ONCE = 16_384
# With fewer times than this there is nothing to win.
_MIN_TIMES = 500
_TIME = pa.timestamp("us", "UTC")
# The microseconds of the years 1 to 9999, which are written with four digits.
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
_OPTIONS = csv.WriteOptions(include_header=False, quoting_style="needed")


def write_lines(rows: pa.Table, write: Callable[[bytes | memoryview], object]) -> None:
    """Hand the text of some rows on, many lines at a time.

    Parameters
    ----------
    rows : pyarrow.Table, shape (n, k)
        Of the plain types of :func:`~pipelines.storage.digest.canonical`. Without columns it has no lines.
    write : callable
        Takes the next bytes.
    """
    for batch in rows.to_batches(max_chunksize=_ROWS_AT_ONCE) if rows.num_columns else ():
        n_times = sum(batch.num_rows for kind in batch.schema.types if kind == _TIME)
        if n_times >= _MIN_TIMES:
            write(_lines(batch))
        # Of a batch without rows pyarrow would write what its buffer held before.
        elif batch.num_rows:
            csv.write_csv(batch, _Sink(write), _OPTIONS)


@dataclass
class _Sink:
    """A write-only file that hands on what is written to it."""

    take: Callable[[bytes | memoryview], object]
    closed: bool = False

    def write(self, data: bytes) -> int:
        self.take(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: there is no buffer."""

    def close(self) -> None:
        self.closed = True


def _lines(batch: pa.RecordBatch) -> memoryview:
    parts: list[pa.Array | pa.Scalar] = []
    between = ""
    for column in batch.columns:
        before, cells, after = _cells(column)
        parts += [_text(between + before), cells]
        between = after + ","
    parts.append(_text(between[:-1] + "\n"))
    return memoryview(pc.binary_join_element_wise(*parts, _text("")).buffers()[2])


def _cells(column: pa.Array) -> tuple[str, pa.Array, str]:
    """Return the text of a column, empty where it is null, and what comes before and after every cell."""
    before = after = ""
    if pa.types.is_string(column.type):
        cells, before, after = column.cast(pa.large_string()), '"', '"'
        if pc.any(pc.match_substring(cells, '"')).as_py():
            cells = pc.replace_substring(cells, '"', '""')
    elif column.type == _TIME and _is_usual(column):
        cells, after = column.cast(pa.timestamp("us")).cast(pa.large_string()), "Z"
    else:
        cells = column.cast(pa.large_string())
    if not column.null_count:
        return before, cells, after
    if before or after:
        cells = pc.binary_join_element_wise(_text(before), cells, _text(after), _text(""))
    return "", cells.fill_null(""), ""


def _text(value: str) -> pa.Scalar:
    return pa.scalar(value, pa.large_string())


def _is_usual(times: pa.Array) -> bool:
    span = pc.min_max(times.cast(pa.int64())).as_py()
    return span["min"] is None or (span["min"] >= _FIRST and span["max"] <= _LAST)
