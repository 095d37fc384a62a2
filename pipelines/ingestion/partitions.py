"""Read the wanted partitions of a source, cast to the declared types; hold nothing else in memory.

A row belongs to the partition of its ``event_time``'s date. A row whose time can't be read
belongs to that of the row before it in its file that has one (at the top of a file: of the first
that has one), with a null ``event_time`` and the text in ``miscast``, so that validation puts it
into quarantine. Under a query of the user's, the order is the query's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import ColumnType, DatasetConfig
from pipelines.errors import ConfigError
from pipelines.ingestion.calendar import source_date
from pipelines.ingestion.casting import (
    ARROW_TYPES,
    MAX_TEXT_CHARS,
    cast_expression,
    json_member,
    miscast_expression,
    text_of,
)
from pipelines.ingestion.sources import (
    FILE_COLUMN,
    RELATION,
    Source,
    identifier,
    literal,
    translated,
)
from pipelines.records import partition_date

_MOMENT, _PLACE, _SHIFT, _KEY = "holdfast_moment", "holdfast_place", "holdfast_shift", "holdfast_key"


@dataclass(frozen=True)
class SourceRows:
    """What a source holds of some partitions.

    Parameters
    ----------
    rows : mapping of str to pyarrow.Table
        For every wanted partition, also an empty one: ``row_id``, ``event_time``, the declared
        columns and labels by their declared types, and ``miscast`` (JSON of uncastable cells, of
        columns only; null where there are none).
    refused : mapping of str to str
        Wanted partitions with rows of a file that lacks a declared column, and the sentence that
        says so.
    undated_files : tuple of str
        Files in which no row at all has a readable time: their rows belong to no partition.
    n_undated : int
        The rows of those files.
    """

    rows: Mapping[str, pa.Table]
    refused: Mapping[str, str]
    undated_files: tuple[str, ...] = ()
    n_undated: int = 0


def read_partitions(source: Source, config: DatasetConfig, partitions: Sequence[str]) -> SourceRows:
    """Return the rows of some partitions, in one read of the source.

    Parameters
    ----------
    partitions : sequence of str
        Keys, without repeats, in any order.

    Raises
    ------
    ConfigError
        If ``event_time`` does not compile over the source.
    SchemaError
        If a file is broken as a whole (a line with too many cells, bytes that are not UTF-8).
    SourceError
        If a file can't be read.
    """
    _check_event_time(source, config)
    connection = source.connection
    with translated(f"Reading {config.description!r}"):
        _create_wanted(connection, config, partitions)
        n_strays = _pick(source, config)
        undated = _place_strays(source, config) if n_strays else {}
        table = connection.execute(_landing_query(source, config)).to_arrow_table()
        incomplete = connection.execute(
            f"SELECT DISTINCT {_KEY}, {FILE_COLUMN} FROM picked JOIN wanted USING ({_PLACE}) "  # noqa: S608
            f"WHERE {FILE_COLUMN} IS NOT NULL ORDER BY ALL"
        ).fetchall()
    return SourceRows(
        rows=_split(table.cast(_schema(config)), partitions),
        refused={key: source.incomplete[file] for key, file in incomplete if file in source.incomplete},
        undated_files=tuple(source.names.get(file, "the query's result") for file in undated),
        n_undated=sum(undated.values()),
    )
