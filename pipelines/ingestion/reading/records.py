"""Split text into records, and say at which physical line each of them starts.

The fast way finds all records of a block at once: a line end is a record's end where an even number
of quotes stands before it. That is right if each quote is where it belongs, which is checked. Where
one is not, :mod:`pipelines.ingestion.reading.careful` reads the block record by record.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.ingestion.reading.options import Dialect

_LF, _CR = 10, 13
_Positions = npt.NDArray[np.int64]
_Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Records:
    """The whole records at the start of a text.

    Parameters
    ----------
    ends : ndarray of int64, shape (n,)
        Where each record ends, its line end included; it starts where the one before ends.
    lines : ndarray of int64, shape (n,)
        The physical line on which it starts; the text's first line is 0.
    n_lines : int
        Physical lines that the records take.
    is_blank : ndarray of bool, shape (n,)
        Whether it is an empty line.
    """

    ends: _Positions
    lines: _Positions
    n_lines: int
    is_blank: npt.NDArray[np.bool_]

    @property
    def n_bytes(self) -> int:
        """Return how many bytes the records take."""
        return int(self.ends[-1]) if len(self.ends) else 0

    @property
    def starts(self) -> _Positions:
        """Return where each record starts."""
        return np.concatenate(([0], self.ends[:-1])).astype(np.int64)

    def spans_lines(self) -> npt.NDArray[np.bool_]:
        """Return which records take more than one line."""
        return np.diff(np.append(self.lines, self.n_lines)) > 1


def split_records(text: bytes, dialect: Dialect, *, is_last: bool) -> Records | None:
    """Return the whole records at the start of a text, or None where a quote is out of place.

    Parameters
    ----------
    text : bytes
        UTF-8; starts where a record starts.
    is_last : bool
        Whether nothing follows; the text must end with a line end then.
    """
    view = np.frombuffer(text, dtype=np.uint8)
    line_ends = _line_ends(text, view, is_last)
    quotes = _positions(text, view, dialect.quote)
    escaped = _escaped(text, view, dialect.escape)
    if escaped is not None:
        quotes = quotes[~escaped[quotes]]
    is_end = np.ones(len(line_ends), dtype=np.bool_) if escaped is None else ~escaped[line_ends]
    if len(quotes):
        is_end &= np.searchsorted(quotes, line_ends) % 2 == 0
    records = _records(view, line_ends, np.flatnonzero(is_end))
    if is_last and records.n_bytes < len(text):
        return None
    quotes = quotes[: np.searchsorted(quotes, records.n_bytes)]
    return records if _are_in_place(view, quotes, escaped, dialect) else None


def _positions(text: bytes, view: _Bytes, mark: str | None) -> _Positions:
    if mark is None or mark.encode() not in text:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(view == ord(mark))


def _line_ends(text: bytes, view: _Bytes, is_last: bool) -> _Positions:
    """Return where each line has its last byte: LF, or CR without an LF after it."""
    line_feeds = np.flatnonzero(view == _LF)
    if b"\r" not in text:
        return line_feeds
    returns = np.flatnonzero(view == _CR)
    if returns[-1] == len(view) - 1 and not is_last:
        # Whether an LF follows is not known yet.
        returns = returns[:-1]
    followed = view[np.minimum(returns + 1, len(view) - 1)] == _LF
    return np.sort(np.concatenate((line_feeds, returns[~followed])))


def _escaped(text: bytes, view: _Bytes, escape: str | None) -> npt.NDArray[np.bool_] | None:
    """Return which bytes stand behind an escape mark that is not escaped itself; None if none does."""
    marks = _positions(text, view, escape)
    if not len(marks):
        return None
    # In a run of marks every second one is escaped, and what follows a run of odd length.
    is_first = np.concatenate(([True], np.diff(marks) > 1))
    first = np.maximum.accumulate(np.where(is_first, np.arange(len(marks)), 0))
    acting = marks[(np.arange(len(marks)) - first) % 2 == 0]
    escaped = np.zeros(len(view) + 1, dtype=np.bool_)
    escaped[acting + 1] = True
    return escaped[:-1]


def _are_in_place(
    view: _Bytes, quotes: _Positions, escaped: npt.NDArray[np.bool_] | None, dialect: Dialect
) -> bool:
    """Return whether each quote opens a cell, closes one, or is half of a doubled one."""
    if not len(quotes):
        return True
    delimiter = ord(dialect.delimiter)
    opening, closing = quotes[0::2], quotes[1::2]
    before, after = opening - 1, closing + 1
    # Before the first byte and behind the last one there is a line end, in effect.
    opens = np.isin(view[before], (delimiter, _LF, _CR)) | (opening == 0)
    if escaped is not None:
        opens &= ~escaped[before] | (opening == 0)
    doubled = opening[1:] == after[:-1]
    opens[1:] |= doubled
    closes = np.isin(view[after], (delimiter, _LF, _CR))
    closes[:-1] |= doubled
    return bool(opens.all() and closes.all())


def _records(view: _Bytes, line_ends: _Positions, ending: _Positions) -> Records:
    ends = line_ends[ending] + 1
    lines = np.concatenate(([0], ending[:-1] + 1)).astype(np.int64)[: len(ending)]
    starts = np.concatenate(([0], ends[:-1])).astype(np.int64)[: len(ends)]
    lengths = ends - starts
    is_blank = lengths == 1
    if (short := np.flatnonzero(lengths == 2)).size:
        is_blank[short] = np.isin(view[starts[short]], (_CR,))
    n_lines = int(ending[-1]) + 1 if len(ending) else 0
    return Records(ends=ends, lines=lines, n_lines=n_lines, is_blank=is_blank)
