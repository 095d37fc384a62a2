"""Single rows of the lake, found without reading what they stand among."""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc

from pipelines.errors import ConfigError
from pipelines.records import partition_date
from pipelines.storage.digest import ROW_KEY
from pipelines.storage.lake import PARTITION_COLUMN, Lake


def partition_of(row_id: str) -> str:
    """Return the partition that a row id names: it begins with it.

    Raises
    ------
    ConfigError
        If it does not.

    Examples
    --------
    >>> partition_of("2013-07-04|AA|1141")
    '2013-07-04'
    """
    key = row_id.partition("|")[0]
    try:
        partition_date(key)
    except ConfigError:
        raise ConfigError(
            f"{row_id[:200]!r} is no row id: one begins with its night, such as '2013-07-04|...', and is in "
            "the column row_id of the tables `validated` and `predictions`."
        ) from None
    return key


def find_rows(lake: Lake, dataset: str, table: str, row_id: str) -> list[dict[str, Any]]:
    """Return the rows of a table that have an id, without their partition; none if there is no table."""
    if not lake.exists(dataset, table):
        return []
    found = lake.find(dataset, table, partition_of(row_id), row_id).drop_columns([PARTITION_COLUMN])
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def ids_near(lake: Lake, dataset: str, table: str, row_id: str, *, n: int = 3) -> list[str]:
    """Return the ids that follow one that is not there, as far as its partition has any."""
    if not lake.exists(dataset, table):
        return []
    ids = lake.read(dataset, table, partitions=[partition_of(row_id)], columns=[ROW_KEY])[ROW_KEY]
    following = ids.filter(pc.greater_equal(ids, row_id))
    return sorted(set(following.to_pylist()))[:n]
