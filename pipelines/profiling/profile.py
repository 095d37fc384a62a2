"""Profile the columns of a relation in DuckDB, in two scans and bounded memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import duckdb

from pipelines.config import ColumnType
from pipelines.storage.sql import identifier, literal

QUANTILES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
MAX_TOP = 100

# Up to so many distinct values are counted one by one.
_MAX_EXACT = 2_000
# How much of a text is kept as a value; a cell may be as long as its file.
_MAX_TEXT_CHARS = 300
# Columns that are aggregated in one scan: each has a sketch of its own in memory.
_COLUMNS_A_SCAN = 64

# Larger numbers are left out of mean and spread: the sum of their squares is no float.
_MAX_SQUARED = 1e140

_SQL_TYPES: dict[ColumnType, str] = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "float": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
}
_NUMERIC = ("integer", "float")

Value = str | int | float | bool | date | datetime


@dataclass(frozen=True)
class ColumnProfile:
    """What the cells of one column are like.

    Parameters
    ----------
    name : str
        The column.
    type : str
        Its declared type.
    n_rows, n_null : int
        Of the relation, and how many of its cells are null (or not finite).
    n_distinct : int
        Distinct values that are not null: exact up to 2,000, beyond that an estimate within a few
        per cent, at most ``n_rows - n_null``.
    minimum, maximum : value or None
        Typed; times are naive UTC. None where all is null.
    mean, stdev : float or None
        Of integers and floats (booleans count as 0 and 1) below 1e140; ``stdev`` is the sample's.
    quantiles : dict of float to float
        By :data:`QUANTILES`, for integers and floats with values; estimates of a t-digest.
    top : tuple of (value, count)
        The most frequent values and their exact counts, most frequent first, at most 100. Of a column
        of more than 2,000 distinct values only those that a sketch found frequent.
    min_length, max_length : int or None
        Of texts, in characters.
    """

    name: str
    type: ColumnType
    n_rows: int
    n_null: int
    n_distinct: int
    minimum: Value | None = None
    maximum: Value | None = None
    mean: float | None = None
    stdev: float | None = None
    quantiles: dict[float, float] = field(default_factory=dict)
    top: tuple[tuple[Value, int], ...] = ()
    min_length: int | None = None
    max_length: int | None = None

    @property
    def n_present(self) -> int:
        """How many cells are not null."""
        return self.n_rows - self.n_null

    @property
    def null_fraction(self) -> float:
        """The share of null cells, 0-1; 0 of no rows."""
        return self.n_null / self.n_rows if self.n_rows else 0.0


def profile_relation(
    connection: duckdb.DuckDBPyConnection, relation: str, types: Mapping[str, ColumnType]
) -> dict[str, ColumnProfile]:
    """Profile some columns of a relation.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        In the time zone UTC.
    relation : str
        The name of a table or view; it is quoted here.
    types : mapping of str to ColumnType
        The columns, and what each is; a cell that does not cast to it counts as null.

    Returns
    -------
    dict of str to ColumnProfile
        In the order of ``types``.

    Raises
    ------
    duckdb.Error
        If the relation or a column is not there, or the engine fails.

    Notes
    -----
    Two scans for each 64 columns: one for counts, sketches and moments, one that counts the
    frequent values exactly. Memory does not grow with the rows.
    """
    profiles: dict[str, ColumnProfile] = {}
    names = list(types)
    for start in range(0, len(names), _COLUMNS_A_SCAN):
        scanned = {name: types[name] for name in names[start : start + _COLUMNS_A_SCAN]}
        profiles |= _profile(connection, relation, scanned)
    return profiles


def _profile(
    connection: duckdb.DuckDBPyConnection, relation: str, types: Mapping[str, ColumnType]
) -> dict[str, ColumnProfile]:
    cells = {name: f"c{position}" for position, name in enumerate(types)}
    selected = ", ".join(f"{_cell(name, kind)} AS {cells[name]}" for name, kind in types.items())
    rows = f"(SELECT {selected} FROM {identifier(relation)})"  # noqa: S608
    measures = [f"{sql} AS {cell}_{name}" for cell, kind in zip(cells.values(), types.values(), strict=True)
                for name, sql in _measures(cell, kind).items()]  # fmt: skip
    first = _row(connection, f"SELECT count(*) AS n_rows, {', '.join(measures)} FROM {rows}")  # noqa: S608
    found = {name: {m: first[f"{cells[name]}_{m}"] for m in _measures("", types[name])} for name in types}
    counters = [f"{_counter(cells[name], types[name], found[name])} AS {cells[name]}" for name in types]
    counts = _row(connection, f"SELECT {', '.join(counters)} FROM {rows}")  # noqa: S608
    return {
        name: _assemble(name, kind, first["n_rows"], found[name], counts[cells[name]] or {})
        for name, kind in types.items()
    }


def _cell(name: str, kind: ColumnType) -> str:
    """Return SQL for a cell by its type; null where it is none, or not finite."""
    value = f"TRY_CAST({identifier(name)} AS {_SQL_TYPES[kind]})"
    return (
        f"CASE WHEN isfinite({value}) THEN {value} END" if kind in ("float", "timestamp", "date") else value
    )


def _measures(cell: str, kind: ColumnType) -> dict[str, str]:
    """Return the aggregates of the first scan, by name."""
    short = f"left({cell}, {_MAX_TEXT_CHARS})" if kind == "string" else cell
    measures = {
        "n": f"count({cell})",
        "distinct": f"approx_count_distinct({cell})",
        "min": f"min({short})",
        "max": f"max({short})",
        "top": f"approx_top_k({short}, {MAX_TOP})",
    }
    if kind == "string":
        measures |= {"shortest": f"min(length({cell}))", "longest": f"max(length({cell}))"}
    if kind in _NUMERIC or kind == "boolean":
        number = f"CAST({cell} AS DOUBLE)"
        # DuckDB raises where a square overflows; such values say nothing about a spread anyway.
        moderate = f"CASE WHEN abs({number}) < {_MAX_SQUARED} THEN {number} END"
        measures |= {"mean": f"avg({moderate})", "stdev": f"stddev_samp({moderate})"}
    if kind in _NUMERIC:
        measures["quantiles"] = f"approx_quantile(CAST({cell} AS DOUBLE), {list(QUANTILES)})"
    return measures


def _counter(cell: str, kind: ColumnType, found: Mapping[str, Any]) -> str:
    """Return SQL that counts the values of a column exactly: all of few, else the frequent ones."""
    short = f"left({cell}, {_MAX_TEXT_CHARS})" if kind == "string" else cell
    if found["distinct"] <= _MAX_EXACT or not found["top"]:
        return f"histogram({short})"
    listed = ", ".join(_constant(value, kind) for value in found["top"])
    return f"histogram(CASE WHEN {short} IN ({listed}) THEN {short} END)"


def _constant(value: Value, kind: ColumnType) -> str:
    return f"CAST({literal(str(value))} AS {_SQL_TYPES[kind]})"


def _assemble(
    name: str, kind: ColumnType, n_rows: int, found: Mapping[str, Any], counts: Mapping[Any, int]
) -> ColumnProfile:
    n_present = int(found["n"])
    is_complete = sum(counts.values()) == n_present
    top = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))[:MAX_TOP]
    quantiles: Sequence[float] = found.get("quantiles") or ()
    return ColumnProfile(
        name=name,
        type=kind,
        n_rows=n_rows,
        n_null=n_rows - n_present,
        n_distinct=len(counts) if is_complete else min(n_present, max(int(found["distinct"]), len(counts))),
        minimum=found["min"],
        maximum=found["max"],
        mean=found.get("mean"),
        stdev=found.get("stdev"),
        quantiles=dict(zip(QUANTILES, quantiles, strict=True)) if quantiles else {},
        top=tuple(top),
        min_length=found.get("shortest"),
        max_length=found.get("longest"),
    )


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, Any]:
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description or ()]
    (row,) = cursor.fetchall()
    return dict(zip(names, row, strict=True))
