"""Read the wanted partitions of a source, cast to the declared types; hold nothing else in memory.

A row belongs to the partition of its ``event_time``'s date. A row whose time can't be read is a
*stray*: it belongs to the partition of the row before it in its file that has a time (at the top
of a file: of the first that has one), and lands there with a null ``event_time`` and the text in
``miscast``, so that validation puts it into quarantine. Under a query of the user's, the order
is that of the query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import DatasetConfig
from pipelines.errors import ConfigError
from pipelines.ingestion.calendar import source_date
from pipelines.ingestion.casting import cast_expression
from pipelines.ingestion.landing import KEY, MOMENT, PLACE, SHIFT, landing_query, needed_columns
from pipelines.ingestion.sources import FILE_COLUMN, RELATION, Source, identifier, translated
from pipelines.records import partition_date
from pipelines.storage.columns import ARROW_TYPES


@dataclass(frozen=True)
class SourceRows:
    """What a source holds of some partitions.

    Parameters
    ----------
    rows : mapping of str to pyarrow.Table
        For every wanted partition, also an empty one: ``row_id``, ``event_time``, the declared
        columns and labels by their declared types, and ``miscast`` (the JSON of uncastable cells
        among the columns; null where there is none).
    incomplete : mapping of str to str
        Wanted partitions with rows from a file that lacks a declared column, and the sentence
        that says so.
    undated_file : str or None
        A file in which no row has a readable time: its rows belong to no partition.
    n_undated : int
        The rows of all such files.
    """

    rows: Mapping[str, pa.Table]
    incomplete: Mapping[str, str]
    undated_file: str | None
    n_undated: int


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
        If a file is broken as a whole: a line with too few cells, bytes that are not UTF-8.
    SourceError
        If a file can't be read.
    """
    cells = [identifier(name) for name in needed_columns(config, source.types)]
    file = FILE_COLUMN if source.names else "CAST(NULL AS VARCHAR)"
    moment = _moment(source, config)
    dated = f"SELECT {', '.join(cells)}, {file} AS {FILE_COLUMN}, {moment} AS {MOMENT} FROM {RELATION}"  # noqa: S608
    with translated(f"Reading {source.name}"):
        _create_wanted(source.connection, config, partitions)
        n_strays = _pick(source.connection, dated)
        undated = _place_strays(source.connection, dated, cells) if n_strays else {}
        landed = source.connection.sql(landing_query(config, source.types)).to_arrow_table()
        pairs = source.connection.sql(
            f"SELECT DISTINCT {KEY}, {FILE_COLUMN} FROM picked JOIN wanted USING ({PLACE}) ORDER BY ALL"  # noqa: S608
        ).fetchall()
    return SourceRows(
        rows=_split(landed, config, partitions),
        incomplete={key: source.incomplete[path] for key, path in pairs if path in source.incomplete},
        undated_file=next((source.names.get(path, source.name) for path in undated), None),
        n_undated=sum(undated.values()),
    )


def _moment(source: Source, config: DatasetConfig) -> str:
    """Return the SQL of a row's time, null where it can't be read; refuse one that can't compile."""
    is_column = config.event_time in source.types
    expression = identifier(config.event_time) if is_column else config.event_time
    try:
        # By itself first: brackets could mend what is no expression.
        source.connection.sql(f"SELECT {expression} FROM {RELATION}")  # noqa: S608
        moment = cast_expression(f"TRY({expression})", "timestamp")
        source.connection.sql(f"SELECT {moment} FROM {RELATION}")  # noqa: S608
    except duckdb.Error as error:
        raise ConfigError(
            f"params.yaml: event_time {config.event_time!r} does not compile over the source, which has "
            f"{', '.join(list(source.types)[:20])}: {error}"
        ) from error
    return moment


def _create_wanted(
    connection: duckdb.DuckDBPyConnection, config: DatasetConfig, partitions: Sequence[str]
) -> None:
    connection.execute(f"CREATE TEMP TABLE wanted ({KEY} VARCHAR, {PLACE} DATE, {SHIFT} INTEGER)")
    days = {key: source_date(key, config.source.replay_year) for key in partitions}
    values = ", ".join(
        f"('{key}', DATE '{day.isoformat()}', {(partition_date(key) - day).days})"
        for key, day in days.items()
    )
    connection.execute(f"INSERT INTO wanted VALUES {values}")  # noqa: S608 (real dates and numbers)


def _pick(connection: duckdb.DuckDBPyConnection, dated: str) -> int:
    """Keep the rows of the wanted days in table ``picked``; return how many rows have no time."""
    connection.execute(
        f"CREATE TEMP TABLE picked AS SELECT *, CAST({MOMENT} AS DATE) AS {PLACE} FROM ({dated}) "  # noqa: S608
        f"WHERE {MOMENT} IS NULL OR CAST({MOMENT} AS DATE) IN (SELECT {PLACE} FROM wanted)"
    )
    ((n_strays,),) = connection.sql(f"SELECT count(*) FROM picked WHERE {MOMENT} IS NULL").fetchall()  # noqa: S608
    return int(n_strays)


def _place_strays(connection: duckdb.DuckDBPyConnection, dated: str, cells: Sequence[str]) -> dict[str, int]:
    """Give each stray in ``picked`` the day of its neighbour; return the rows of files without any time.

    The source is read once more, in order. Only strays carry their cells through the window, so
    that what is held in memory stays a day and a number a row.
    """
    in_file = f"(PARTITION BY {FILE_COLUMN} ORDER BY position ROWS BETWEEN"
    connection.execute(f"""
        CREATE TEMP TABLE strays AS
        SELECT unnest(cells), {FILE_COLUMN}, day AS {MOMENT}, place AS {PLACE} FROM (
            SELECT cells, {FILE_COLUMN}, day, coalesce(
                last_value(day IGNORE NULLS) OVER {in_file} UNBOUNDED PRECEDING AND CURRENT ROW),
                first_value(day IGNORE NULLS) OVER {in_file} CURRENT ROW AND UNBOUNDED FOLLOWING)
            ) AS place
            FROM (
                SELECT {FILE_COLUMN}, CAST({MOMENT} AS DATE) AS day, row_number() OVER () AS position,
                    CASE WHEN {MOMENT} IS NULL THEN struct_pack({", ".join(cells)}) END AS cells
                FROM ({dated})
            )
        ) WHERE day IS NULL
    """)  # noqa: S608
    connection.execute(f"DELETE FROM picked WHERE {MOMENT} IS NULL")  # noqa: S608
    connection.execute(f"INSERT INTO picked BY NAME SELECT * FROM strays WHERE {PLACE} IS NOT NULL")  # noqa: S608
    undated = f"SELECT {FILE_COLUMN}, count(*) FROM strays WHERE {PLACE} IS NULL GROUP BY ALL ORDER BY ALL"  # noqa: S608
    return {str(path): int(count) for path, count in connection.sql(undated).fetchall()}


def _split(landed: pa.Table, config: DatasetConfig, partitions: Sequence[str]) -> dict[str, pa.Table]:
    """Cut the landed rows, which are ordered by partition, into one table a partition."""
    kinds = {**config.columns, **config.labels}
    types = {
        "row_id": pa.string(),
        "event_time": ARROW_TYPES["timestamp"],
        **{name: ARROW_TYPES[kind] for name, kind in kinds.items()},
        "miscast": pa.string(),
    }
    keys = landed[KEY]
    rows = landed.select(list(types)).cast(pa.schema(list(types.items())))
    found: dict[str, pa.Table] = {}
    start = 0
    for entry in pc.value_counts(keys).to_pylist():
        found[entry["values"]] = rows.slice(start, entry["counts"])
        start += entry["counts"]
    return {key: found.get(key, rows.slice(0, 0)) for key in partitions}
