"""Hold an Arrow table, features or predictions, to a suite; and split off the rows that break it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.config import ColumnType
from pipelines.storage.digest import ROW_KEY
from pipelines.storage.engine import connect
from pipelines.storage.lake import PARTITION_COLUMN
from pipelines.storage.sql import identifier
from pipelines.validation.engine import BREACHES, Examination, Examiner
from pipelines.validation.quarantine import (
    BAD,
    QUARANTINE_SCHEMA,
    build_quarantine,
    mark_bad,
    quarantine_query,
)
from pipelines.validation.suite import Suite

if TYPE_CHECKING:
    from pipelines.validation.reference import ReferenceProfile

#: A view of where rows came from: ``row_id``, ``source_file`` and ``source_line``.
ORIGIN = "holdfast_stage_origin"

# Relations in DuckDB: the rows as they came, what the suite may look at, rows with their origin, and the
# rows that people released from its rules: of a stage, none can be.
_ROWS, _EXAMINED, _TRACED, _EXEMPT = (
    f"holdfast_stage_{name}" for name in ("rows", "examined", "traced", "exempt")
)
_MEMORY = "1GB"


@dataclass(frozen=True)
class Split:
    """What an examination made of one partition of a table.

    Parameters
    ----------
    passed : pyarrow.Table, shape (n - q, k)
        The rows that break no rule that is more than information, in their order.
    quarantine : pyarrow.Table, shape (q, 6)
        The others, as the raw partition's quarantine has them.
    """

    passed: pa.Table
    quarantine: pa.Table
    examination: Examination


def split_rows(
    connection: duckdb.DuckDBPyConnection,
    rows: pa.Table,
    partition_key: str,
    *,
    suite: Suite,
    types: Mapping[str, ColumnType],
    reference: ReferenceProfile | None,
) -> Split:
    """Examine the rows of one partition, and split off the bad ones.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        With the view :data:`ORIGIN`.
    rows : pyarrow.Table, shape (n, k)
        With ``row_id``; ``n >= 1``.
    types : mapping of str to ColumnType
        The columns that the suite may name.

    Raises
    ------
    EngineError
        If an expectation could not be evaluated.
    """
    keyed = _without(rows, PARTITION_COLUMN).append_column(
        PARTITION_COLUMN, pa.repeat(partition_key, rows.num_rows)
    )
    _register(connection, keyed, types)
    found = Examiner(suite, reference=reference).examine(connection, _EXAMINED, [partition_key])
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {_TRACED} AS "  # noqa: S608
        f"SELECT {_ROWS}.*, source_file, source_line, CAST(NULL AS VARCHAR) AS miscast FROM {_ROWS} "
        f"LEFT JOIN (SELECT {ROW_KEY}, min_by(source_file, source_line) AS source_file, "
        f"min(source_line) AS source_line FROM {ORIGIN} GROUP BY {ROW_KEY}) USING ({ROW_KEY})"
    )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {_EXEMPT} (partition_key VARCHAR, position BIGINT)")
    mark_bad(connection, BREACHES, _TRACED, suite.rules, exempt=_EXEMPT)
    is_bad = _mask(connection, BAD, rows.num_rows)
    quarantine = QUARANTINE_SCHEMA.empty_table()
    if is_bad.any():
        build_quarantine(connection, raw=_TRACED, present=_TRACED, types=types, rules=suite.rules)
        quarantine = connection.sql(quarantine_query(partition_key)).to_arrow_table().cast(QUARANTINE_SCHEMA)
    return Split(rows.filter(pa.array(~is_bad)), quarantine, found[partition_key])


def broken_rows(
    rows: pa.Table, partitions: Sequence[str], *, suite: Suite, types: Mapping[str, ColumnType]
) -> npt.NDArray[np.bool_]:
    """Return which rows of some partitions break a row-level rule that is more than information.

    Rules against a training's reference are left aside: this is for the rows of a training itself.

    Parameters
    ----------
    rows : pyarrow.Table, shape (n, k)
        With ``partition_key``; each of ``partitions`` has a row or more.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    binding = [
        rule
        for rule in suite.rules
        if rule.is_row_level and rule.severity != "info" and not rule.needs_reference
    ]
    if not binding:
        return np.zeros(rows.num_rows, dtype=np.bool_)
    with connect(memory=_MEMORY) as connection:
        _register(connection, rows, types)
        examiner = Examiner(replace(suite, rules=tuple(binding)))
        examiner.examine(connection, _EXAMINED, partitions)
        return _mask(connection, BREACHES, rows.num_rows)


def _register(
    connection: duckdb.DuckDBPyConnection, keyed: pa.Table, types: Mapping[str, ColumnType]
) -> None:
    """Give DuckDB the rows, known by their place in the table."""
    numbered = keyed.append_column("position", pa.array(np.arange(keyed.num_rows)))
    connection.register(_ROWS, numbered)
    columns = ", ".join(map(identifier, [PARTITION_COLUMN, "position", *types]))
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {_EXAMINED} AS SELECT {columns} FROM {_ROWS}")  # noqa: S608


def _mask(connection: duckdb.DuckDBPyConnection, relation: str, n_rows: int) -> npt.NDArray[np.bool_]:
    found = connection.sql(f"SELECT DISTINCT position FROM {relation}").to_arrow_table()["position"]  # noqa: S608
    is_in = np.zeros(n_rows, dtype=np.bool_)
    is_in[found.to_numpy()] = True
    return is_in


def _without(rows: pa.Table, column: str) -> pa.Table:
    return rows.drop_columns([column]) if column in rows.column_names else rows
