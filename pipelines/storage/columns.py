"""How tables are partitioned, and how the declared types of columns are stored."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from pipelines.config import ColumnType

#: The column by which every table is partitioned.
PARTITION_COLUMN = "partition_key"

ARROW_TYPES: Mapping[ColumnType, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "float": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
}
