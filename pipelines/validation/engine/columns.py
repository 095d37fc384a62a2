"""The columns of a view: their declared types, in DuckDB and in pandas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from pipelines.config import ColumnType
from pipelines.storage.sql import identifier

_TYPES: Mapping[str, ColumnType] = {
    "VARCHAR": "string",
    "BIGINT": "integer",
    "DOUBLE": "float",
    "BOOLEAN": "boolean",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
    "DATE": "date",
}
# Nullable types: an integer column with a null in it stays one of integers.
_PANDAS_TYPES: Mapping[pa.DataType, Any] = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
#: Columns of the view that say where a row is, and are not examined.
PLACE = ("partition_key", "position")


def columns_of(connection: duckdb.DuckDBPyConnection, view: str) -> dict[str, ColumnType | None]:
    """Return the columns to examine, in order, with their types; None for a type that is not declarable."""
    described = connection.execute(f"DESCRIBE {identifier(view)}").fetchall()
    return {row[0]: _TYPES.get(row[1]) for row in described if row[0] not in PLACE}


def typed_frame(rows: pa.Table) -> pd.DataFrame:
    """Return rows as Great Expectations is given them: by declared type, whatever is in them."""
    frame: pd.DataFrame = rows.to_pandas(types_mapper=_PANDAS_TYPES.get, date_as_object=False)
    return frame


def listed(columns: Iterable[str]) -> str:
    """Return columns quoted and joined by commas."""
    return ", ".join(map(identifier, columns))
