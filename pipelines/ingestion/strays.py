"""Find the day of rows whose time can't be read: that of their neighbour in the file.

A *stray* belongs to the partition of the row before it in its file that has a time; at the top of
a file, to that of the first row that has one. Where no row of a file has a time, no partition can
claim its rows.
"""

from __future__ import annotations

from itertools import pairwise

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

Longs = npt.NDArray[np.int64]
# "No day": no date is that many days from 1970.
_NONE = np.iinfo(np.int64).min


def place_strays(connection: duckdb.DuckDBPyConnection, dated: str) -> pa.Table:
    """Return where the strays of a relation belong; what is held in memory is three numbers a stray.

    Parameters
    ----------
    dated : str
        A query with the columns ``file`` and ``line`` (whole numbers) and ``day`` (DATE, null for a
        stray).

    Returns
    -------
    pyarrow.Table, shape (n strays, 3)
        ``file`` and ``line`` (int64), and ``place`` (date32; null in a file without any time).
    """
    columns = "CAST(file AS BIGINT) AS file, CAST(line AS BIGINT) AS line"
    days = f"coalesce(CAST(day - DATE '1970-01-01' AS BIGINT), {_NONE}) AS day"
    ordered = f"SELECT {columns}, {days} FROM ({dated}) ORDER BY file, line"  # noqa: S608
    walk = _Walk()
    for batch in connection.sql(ordered).to_arrow_reader():
        file, line, day = (column.to_numpy(zero_copy_only=False) for column in batch.columns)
        bounds = [0, *(np.flatnonzero(np.diff(file)) + 1).tolist(), len(file)]
        for start, stop in pairwise(bounds):
            if start < stop:
                walk.on(int(file[start]), line[start:stop], day[start:stop])
    return walk.table()


class _Walk:
    """Walks over files line by line, and remembers the day of the newest row that has one."""

    def __init__(self) -> None:
        self._file = -1
        self._day = _NONE
        self._found: list[tuple[int, Longs, Longs]] = []
        # Strays at the top of the present file: their day is still to come.
        self._waiting: list[Longs] = []

    def on(self, file: int, lines: Longs, days: Longs) -> None:
        if file != self._file:
            self._settle(_NONE)
            self._file, self._day = file, _NONE
        is_stray = days == _NONE
        newest = np.maximum.accumulate(np.where(is_stray, -1, np.arange(len(days))))
        if self._day == _NONE and newest[-1] >= 0:
            self._day = int(days[np.argmin(is_stray)])
            self._settle(self._day)
        if self._day == _NONE:
            self._waiting.append(lines)
            return
        places = np.where(newest >= 0, days[newest], self._day)
        if is_stray.any():
            self._found.append((file, lines[is_stray], places[is_stray]))
        self._day = int(places[-1])

    def table(self) -> pa.Table:
        self._settle(_NONE)
        files = [np.full(len(lines), file, np.int64) for file, lines, _ in self._found]
        places = np.concatenate([np.empty(0, np.int64), *(days for _, _, days in self._found)])
        known = pa.array(places, mask=places == _NONE).cast(pa.int32())
        return pa.table(
            {
                "file": np.concatenate([np.empty(0, np.int64), *files]),
                "line": np.concatenate([np.empty(0, np.int64), *(lines for _, lines, _ in self._found)]),
                "place": known.cast(pa.date32()),
            }
        )

    def _settle(self, day: int) -> None:
        for lines in self._waiting:
            self._found.append((self._file, lines, np.full(len(lines), day, np.int64)))
        self._waiting = []
