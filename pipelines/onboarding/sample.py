"""A sample of a table, as the source wrote it: what everything else here looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import duckdb

from pipelines.storage.sql import identifier, literal

#: The relation of the sample's cells, and a place in it: the row's own number.
CELLS, PLACE = "holdfast_cells", "holdfast_place"
#: Of a larger table, so many rows from all over it are looked at.
MAX_ROWS = 400_000


@dataclass(frozen=True)
class Sample:
    """Rows of a table in a DuckDB, their columns under clean names.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Has the table :data:`CELLS`: the columns, text where the source is text, and :data:`PLACE`
        (BIGINT), which grows with the rows' order in the source.
    names : dict of str to str
        Each column's clean name to the one that the source gives it.
    types : dict of str to str
        Each column's DuckDB type.
    n_rows, n_total : int
        Of the sample, and of the source.
    decimal, thousands : str, str or None
        How numbers are written in text.
    starts : tuple of int
        The places at which the files begin, if there are several and all their rows are here.
    """

    connection: duckdb.DuckDBPyConnection
    names: dict[str, str]
    types: dict[str, str]
    n_rows: int
    n_total: int
    decimal: str = "."
    thousands: str | None = None
    starts: tuple[int, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the sample is the whole table."""
        return self.n_rows == self.n_total

    def is_text(self, name: str) -> bool:
        """Whether the source gives a column as text."""
        return self.types[name] == "VARCHAR"

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        return self.connection.execute(query).fetchall()

    def row(self, query: str) -> tuple[Any, ...]:
        """Return the one row of a query."""
        return self.rows(query)[0]

    def spread(self, name: str, size: int = 400) -> list[str]:
        """Return up to ``size`` different texts of a column, from all over the sample."""
        step = max(1, self.n_rows // (20 * size))
        cell = identifier(name)
        found = self.rows(
            f"SELECT {cell} AS holdfast_cell FROM {CELLS} WHERE {cell} IS NOT NULL "  # noqa: S608
            f"AND {PLACE} % {step} = 0 GROUP BY holdfast_cell ORDER BY hash(holdfast_cell) LIMIT {size}"
        )
        return [str(cell) for (cell,) in found]


def quoted(names: Sequence[str]) -> str:
    """Return names as a SQL list."""
    return ", ".join(identifier(name) for name in names)


def take_sample(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[Path],
    *,
    names: Mapping[str, str],
    max_rows: int = MAX_ROWS,
) -> Sample:
    """Load rows from all over some staged Parquet files into :data:`CELLS`.

    Parameters
    ----------
    files : sequence of Path
        In the order of delivery; they have ``holdfast_line`` and ``holdfast_reject`` beside the columns.
    names : mapping of str to str
        The source's columns that are wanted, and their clean names.
    max_rows : int
        Of more, every k-th is taken (by a hash, so that no rhythm of the rows is met).
    """
    listed = ", ".join(literal(str(path)) for path in files)
    rows = (
        f"read_parquet([{listed}], union_by_name = true, file_row_number = true, filename = 'holdfast_path')"
    )
    found = connection.execute(
        f"SELECT holdfast_path, count(*) FROM {rows} WHERE holdfast_reject IS NULL GROUP BY ALL"  # noqa: S608
    ).fetchall()
    counts = {str(path): int(n_rows) for path, n_rows in found}
    n_total = sum(counts.values())
    step = max(1, -(-n_total // max_rows))
    cells = ", ".join(f"{identifier(source)} AS {identifier(clean)}" for source, clean in names.items())
    chosen = "" if step == 1 else f"AND hash(holdfast_path, file_row_number) % {step} = 0"
    order = "ORDER BY list_position(" + f"[{listed}]" + ", holdfast_path), file_row_number"
    connection.execute(
        f"CREATE OR REPLACE TABLE {CELLS} AS SELECT {cells}, row_number() OVER ({order}) AS {PLACE} "  # noqa: S608
        f"FROM {rows} WHERE holdfast_reject IS NULL {chosen}"
    )
    sample = sample_of(connection, {clean: source for source, clean in names.items()}, n_total=n_total)
    if step > 1 or len(counts) < 2:
        return sample
    ends = accumulate(counts.get(str(path), 0) for path in files)
    return replace(sample, starts=(1, *(end + 1 for end in ends))[:-1])


def sample_of(connection: duckdb.DuckDBPyConnection, names: dict[str, str], *, n_total: int) -> Sample:
    """Return the sample that lies in :data:`CELLS` already."""
    described = connection.execute(f"DESCRIBE {CELLS}").fetchall()
    types = {str(row[0]): str(row[1]) for row in described if row[0] != PLACE}
    ((n_rows,),) = connection.execute(f"SELECT count(*) FROM {CELLS}").fetchall()  # noqa: S608
    return Sample(connection, {name: names[name] for name in types}, types, n_rows, n_total)
