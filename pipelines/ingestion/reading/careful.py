"""Read records one by one, by the rules of Python's csv module, where quotes are out of place.

A record on one line is what :mod:`csv` makes of it. A record of several lines must be written by
the book; else its first quote was never closed, and its first line is no record: reading goes on at
the next line, so that one stray quote costs one line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines.ingestion.reading.options import Dialect

UNCLOSED = "unclosed quote"


@dataclass(frozen=True)
class Record:
    """One record.

    Parameters
    ----------
    cells : list of str, or None
        None where the record is no row.
    line : int
        The index of its first line.
    n_lines : int
        How many lines it takes.
    """

    cells: list[str] | None
    line: int
    n_lines: int


class _Feed:
    """Gives lines to a csv reader, and a last one of its own, to see whether the reader asks for it."""

    def __init__(self, lines: Sequence[bytes]) -> None:
        self._lines = lines
        self.position = 0

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        position = self.position
        if position > len(self._lines):
            raise StopIteration
        self.position += 1
        return self._lines[position].decode() if position < len(self._lines) else "\n"


def split_lines(text: bytes, *, is_last: bool) -> list[bytes]:
    """Return the whole physical lines of a text, with their ends (LF, CR LF or CR)."""
    lines = text.splitlines(keepends=True)
    if lines and not is_last and not lines[-1].endswith(b"\n"):
        # A last CR may be half of a CR LF.
        lines.pop()
    return lines


def careful_records(
    lines: Sequence[bytes], dialect: Dialect, *, n_cells: int | None, is_last: bool
) -> Iterator[Record]:
    """Give the records of a text, blank ones too (without cells: an empty list).

    Parameters
    ----------
    lines : sequence of bytes
        Physical lines with their ends, UTF-8.
    n_cells : int, optional
        How many cells a row has. A record of several lines that has another number is taken for one
        whose quote was never closed.
    is_last : bool
        Whether nothing follows. Otherwise a record that is still open at the end is left out, for
        the caller to read again with what follows.
    """
    csv.field_size_limit(1 << 30)
    feed = _Feed(lines)
    reader = _reader(feed, dialect)
    while (start := feed.position) < len(lines):
        cells = next(reader)
        n_lines = feed.position - start
        is_open = feed.position > len(lines)
        if is_open and not is_last:
            return
        if n_lines == 1 or (
            not is_open and _is_by_the_book(lines[start : start + n_lines], cells, dialect, n_cells)
        ):
            yield Record(cells, start, n_lines)
            continue
        yield Record(None, start, 1)
        feed.position = start + 1
        reader = _reader(feed, dialect)


def cells_of(lines: Sequence[bytes], dialect: Dialect, *, strict: bool = False) -> list[str]:
    """Return the cells of the record that these lines are.

    Raises
    ------
    csv.Error
        If ``strict``, and a quote is out of place in it.
    """
    return next(_reader(iter([line.decode() for line in lines]), dialect, strict=strict))


def _reader(lines: Iterator[str], dialect: Dialect, *, strict: bool = False) -> Iterator[list[str]]:
    return csv.reader(
        lines,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote,
        escapechar=dialect.escape,
        quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        strict=strict,
        skipinitialspace=dialect.trim,
    )


def _is_by_the_book(lines: Sequence[bytes], cells: list[str], dialect: Dialect, n_cells: int | None) -> bool:
    if n_cells is not None and len(cells) != n_cells:
        return False
    try:
        cells_of(lines, dialect, strict=True)
    except csv.Error:
        return False
    return True
