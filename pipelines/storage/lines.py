"""Rows as the lines of a CSV, to be hashed: byte for byte those that ``pyarrow.csv`` writes.

That one takes twenty times as long for a time in UTC as for one without a zone, which would be the
larger part of what a digest costs.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

# Rows whose text is held at a time.
_ROWS_AT_ONCE = 16_384
# The microseconds of the years 1 to 9999, which are written with four digits.
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999


def csv_lines(rows: pa.Table) -> Iterator[memoryview]:
    """Yield the text of some rows, many lines at a time: no header; nulls empty, strings quoted.

    Parameters
    ----------
    rows : pyarrow.Table, shape (n, k)
        Of the plain types of :func:`~pipelines.storage.digest.canonical`. Without columns it has no lines.
    """
    for batch in rows.to_batches(max_chunksize=_ROWS_AT_ONCE) if rows.num_columns else ():
        if batch.num_rows:
            cells = [_cells(column) for column in batch.columns]
            cells[-1] = pc.binary_join_element_wise(cells[-1], _text("\n"), _text(""))
            lines = pc.binary_join_element_wise(*cells, _text(","))
            yield memoryview(pa.concat_arrays([lines]).buffers()[2] or b"")


def _text(value: str) -> pa.Scalar:
    return pa.scalar(value, pa.large_string())


def _cells(column: pa.Array) -> pa.Array:
    """Return the text of a column, empty where it is null."""
    kind = column.type
    if pa.types.is_string(kind):
        text = column.cast(pa.large_string())
        doubled = pc.replace_substring(text, '"', '""') if _any(pc.match_substring(text, '"')) else text
        cells = pc.binary_join_element_wise(_text('"'), doubled, _text('"'), _text(""))
    elif pa.types.is_timestamp(kind) and _is_usual(column):
        text = column.cast(pa.timestamp("us")).cast(pa.large_string())
        cells = pc.binary_join_element_wise(text, _text("Z"), _text(""))
    else:
        cells = column.cast(pa.large_string())
    return cells.fill_null("")


def _any(answers: pa.Array) -> bool:
    return bool(pc.any(answers).as_py())


def _is_usual(times: pa.Array) -> bool:
    if times.type != pa.timestamp("us", "UTC"):
        return False
    span = pc.min_max(times.cast(pa.int64())).as_py()
    return span["min"] is None or (span["min"] >= _FIRST and span["max"] <= _LAST)
