"""Records to columns of text, and the records that are no rows set aside with their reason."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pipelines.ingestion.reading.careful import UNCLOSED, careful_records, cells_of
from pipelines.ingestion.reading.decoding import MARKER_BYTES
from pipelines.ingestion.reading.options import ReadingOptions
from pipelines.ingestion.reading.records import Records
from pipelines.ingestion.reading.rejects import NUL, OVERSIZE, UNDECODABLE, Reject, ragged

# The careful way holds Python objects, so it goes in small slices.
_SLICE_BYTES = 1 << 20
_SPACES = " \t"


@dataclass(frozen=True)
class Cells:
    """Rows and rejected records of one block.

    Parameters
    ----------
    columns : list of pyarrow.Array of string
        One per column, equally long; a missing cell is null.
    lines : ndarray of int64
        The line on which each row starts; the block's first line is 0.
    rejects : list of Reject
        With lines of the same kind.
    n_blank : int
        Records whose every cell is empty.
    """

    columns: list[pa.Array]
    lines: npt.NDArray[np.int64]
    rejects: list[Reject]
    n_blank: int


def parse_records(text: bytes, records: Records, *, n_columns: int, options: ReadingOptions) -> Cells | None:
    """Return the cells of well-formed records; None if one of several lines is ragged.

    Such a record may be one whose quote was never closed, which the careful way finds out.
    """
    rows = np.flatnonzero(~records.is_blank)
    uneven: dict[int, int] = {}
    table = _parse(text, records, uneven, n_columns=n_columns, options=options)
    if options.dialect.trim:
        table = pa.table([_trimmed(column, options) for column in table.columns], names=table.column_names)
    if uneven and records.spans_lines()[rows[list(uneven)]].any():
        return None
    reasons = {row: ragged(n_cells, n_columns) for row, n_cells in uneven.items()}
    is_even = np.ones(len(rows), dtype=np.bool_)
    is_even[list(uneven)] = False
    even = np.flatnonzero(is_even)
    reasons |= _oversize(table, records, even, rows, options.max_cell_bytes)
    numbers = np.full(len(records.ends), -1, dtype=np.int64)
    numbers[rows] = np.arange(len(rows))
    reasons |= {int(numbers[record]): reason for record, reason in _unfit(text, records)}
    starts, ends, lines = records.starts[rows], records.ends[rows], records.lines[rows]
    empty = _empty(text, table, even, options, (starts, ends))
    empty |= {row for row in reasons if _is_empty(text[starts[row] : ends[row]], options)}
    rejects = [
        Reject(int(lines[row]), reason, text[starts[row] : ends[row]])
        for row, reason in reasons.items()
        if row not in empty
    ]
    dropped = np.isin(even, [*reasons, *empty])
    if dropped.any():
        table = table.filter(pa.array(~dropped))
    return Cells(
        columns=[column.combine_chunks() for column in table.columns],
        lines=lines[even[~dropped]],
        rejects=rejects,
        n_blank=len(empty) + int(records.is_blank.sum()),
    )


def parse_carefully(
    lines: Sequence[bytes], *, n_columns: int, options: ReadingOptions, is_last: bool
) -> Iterator[tuple[Cells, int]]:
    """Give the cells of records whose quotes are out of place, and how many lines they took so far."""
    rows: list[list[str]] = []
    starts: list[int] = []
    rejects: list[Reject] = []
    n_blank = n_bytes = done = 0

    def taken() -> tuple[Cells, int]:
        columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
        columns = columns or [pa.array([], pa.string())] * n_columns
        columns = [_without_missing(column, options) for column in columns]
        return Cells(columns, np.array(starts, dtype=np.int64), list(rejects), n_blank), done

    for record in careful_records(lines, options.dialect, n_cells=n_columns, is_last=is_last):
        text = b"".join(lines[record.line : record.line + record.n_lines])
        done = record.line + record.n_lines
        if record.cells is not None and not any(trimmed(record.cells, options)):
            n_blank += 1
        elif reason := _reason(record.cells, text, n_columns, options):
            rejects.append(Reject(record.line, reason, text))
        else:
            assert record.cells is not None  # noqa: S101 - else it had a reason
            rows.append(trimmed(record.cells, options))
            starts.append(record.line)
        n_bytes += len(text)
        if n_bytes > _SLICE_BYTES:
            yield taken()
            rows, starts, rejects, n_blank, n_bytes = [], [], [], 0, 0
    yield taken()


def _reason(cells: list[str] | None, text: bytes, n_columns: int, options: ReadingOptions) -> str | None:
    if cells is None:
        return UNCLOSED
    if len(cells) != n_columns:
        return ragged(len(cells), n_columns)
    if b"\0" in text:
        return NUL
    if MARKER_BYTES in text:
        return UNDECODABLE
    limit = options.max_cell_bytes
    if len(text) > limit and any(len(cell.encode()) > limit for cell in cells):
        return OVERSIZE
    return None


def _parse(
    text: bytes, records: Records, uneven: dict[int, int], *, n_columns: int, options: ReadingOptions
) -> pa.Table:
    """Return the rows of the right number of cells; note the others in ``uneven``, by number."""

    def note(row: pyarrow.csv.InvalidRow) -> str:
        uneven[row.number - 1] = row.actual_columns
        return "skip"

    names = [str(position) for position in range(n_columns)]
    if records.is_blank.all():
        return pa.table({name: pa.array([], pa.string()) for name in names})
    body = pa.py_buffer(text).slice(0, records.n_bytes)
    return pyarrow.csv.read_csv(
        pa.BufferReader(body),
        # One block: rows are numbered within a block.
        read_options=pyarrow.csv.ReadOptions(
            column_names=names, use_threads=False, block_size=max(records.n_bytes + 1, 1024)
        ),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=options.dialect.delimiter,
            quote_char=options.dialect.quote or False,
            escape_char=options.dialect.escape or False,
            newlines_in_values=bool(records.spans_lines().any()),
            invalid_row_handler=note,
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=["", *options.missing],
            strings_can_be_null=not options.dialect.trim,
            quoted_strings_can_be_null=True,
            check_utf8=False,  # the decoder has looked
        ),
    )


def trimmed(cells: list[str], options: ReadingOptions) -> list[str]:
    """Return cells without the spaces around them, where those are no part of them."""
    return [cell.strip(_SPACES) for cell in cells] if options.dialect.trim else cells


def _trimmed(column: pa.ChunkedArray, options: ReadingOptions) -> pa.ChunkedArray:
    return _without_missing(pc.utf8_trim(column, characters=_SPACES), options)


def _without_missing(column: Any, options: ReadingOptions) -> Any:
    missing = pa.array(["", *options.missing], pa.string())
    return pc.if_else(pc.is_in(column, missing), pa.scalar(None, pa.string()), column)


def _unfit(text: bytes, records: Records) -> Iterator[tuple[int, str]]:
    """Give the records that hold a byte that no text holds."""
    for mark, reason in ((b"\0", NUL), (MARKER_BYTES, UNDECODABLE)):
        if mark in text:
            places = [found.start() for found in re.finditer(re.escape(mark), text[: records.n_bytes])]
            for record in np.unique(np.searchsorted(records.ends, places, side="right")):
                yield int(record), reason


def _oversize(
    table: pa.Table, records: Records, even: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], limit: int
) -> dict[int, str]:
    lengths = np.diff(np.concatenate(([0], records.ends)))[rows]
    if not (lengths > limit).any():
        return {}
    found: set[int] = set()
    for column in table.columns:
        is_long = pc.fill_null(pc.greater(pc.binary_length(column), limit), False)
        found.update(even[np.flatnonzero(is_long.to_numpy())].tolist())
    return dict.fromkeys(found, OVERSIZE)


def _empty(
    text: bytes,
    table: pa.Table,
    even: npt.NDArray[np.int64],
    options: ReadingOptions,
    bounds: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
) -> set[int]:
    """Return the rows that have no cell but empty ones; a missing-value token is a cell."""
    if any(column.null_count == 0 for column in table.columns):
        return set()
    is_null = np.ones(len(even), dtype=np.bool_)
    for column in table.columns:
        is_null &= column.is_null().to_numpy()
    starts, ends = bounds
    candidates = even[is_null].tolist()
    return {row for row in candidates if _is_empty(text[starts[row] : ends[row]], options)}


def _is_empty(record: bytes, options: ReadingOptions) -> bool:
    dialect = options.dialect
    marks = dialect.delimiter + (dialect.quote or "") + "\r\n" + (_SPACES if dialect.trim else "")
    if record.strip(marks.encode()):
        return False
    if dialect.quote is None or dialect.quote.encode() not in record:
        return True
    return not any(trimmed(cells_of([record], dialect), options))
