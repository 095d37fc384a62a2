"""Read the wanted partitions of a source, cast to the declared types and merged, one after the other.

A row belongs to the partition of its ``event_time``'s date. A row whose time can't be read, and a
record that is no row, are *strays*: each lands in the partition of its neighbour (see
:mod:`pipelines.ingestion.strays`) with a null ``event_time`` and the text in ``miscast``, so that
validation puts it into quarantine. Under a query that does not pass ``holdfast_line`` on, the order is
that of the query. A table without a time lands as a whole, or by the night that its files' names say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.errors import ConfigError
from pipelines.ingestion.calendar import source_date
from pipelines.ingestion.casting import Writing, cast_expression
from pipelines.ingestion.landed import Collector, Landed, landed_schema
from pipelines.ingestion.landing import KEY, MOMENT, PLACE, SHIFT, landing_query, needed_columns
from pipelines.ingestion.merging import Merger
from pipelines.ingestion.reading import LINE_COLUMN, REJECT_COLUMN, StagedFile
from pipelines.ingestion.sources import (
    DAY_COLUMN,
    FILE_COLUMN,
    FILES,
    ORDER_COLUMN,
    RELATION,
    Source,
    translated,
)
from pipelines.ingestion.strays import place_strays
from pipelines.records import partition_date
from pipelines.storage.sql import identifier

#: The "day" of rows that no day can claim.
NO_DAY = ""
#: The "file" that the result of a query of the user's is.
QUERY = ""
_STRAYS, _ROW = "holdfast_strays", "holdfast_row"


@dataclass
class Reading:
    """Reads one open source, as often as is needed.

    Parameters
    ----------
    source : Source
        As :func:`~pipelines.ingestion.sources.open_source` opens it.
    config : DatasetConfig
        What its rows are to become.
    """

    source: Source
    config: DatasetConfig
    _searched: set[str] = field(default_factory=set)
    _has_strays: bool = False
    _is_queried: bool = False

    def survey(self, files: Sequence[StagedFile]) -> dict[str, dict[str, tuple[int, str]]]:
        """Return what each of some files holds of each day: how many rows, and a digest of their text.

        Days are ISO dates; :data:`NO_DAY` has the rows that no day can claim.

        Parameters
        ----------
        files : sequence of StagedFile
            Under a query of the user's they are one, of the name :data:`QUERY`.

        Raises
        ------
        ConfigError
            If ``event_time`` does not compile over the source.
        """
        types = self.source.types
        cells = [identifier(name) for name in needed_columns(self.config, types)]
        query = (
            f"SELECT {ORDER_COLUMN}, {PLACE}, count(*), "  # noqa: S608
            f"sum(CAST(hash({', '.join([*cells, LINE_COLUMN, REJECT_COLUMN])}) AS HUGEINT)) "
            "FROM holdfast_placed GROUP BY ALL ORDER BY ALL"
        )
        names = {order: file.name for order, file in enumerate(self.source.files)}
        found: dict[str, dict[str, tuple[int, str]]] = {file.name: {} for file in files}
        with translated(f"Reading {self.source.name}"):
            self._prepare(files)
            for order, day, n_rows, total in self.source.connection.sql(query).fetchall():
                name = QUERY if self.source.has_query else names[order]
                found.setdefault(name, {})[_day_name(day)] = (int(n_rows), f"{total:x}")
        return {QUERY: found.get(QUERY, {})} if self.source.has_query else found

    def partitions(
        self, keys: Sequence[str], files: Sequence[StagedFile], *, scratch: Path
    ) -> Iterator[Landed]:
        """Yield the rows of some partitions, in one read of the source; each before the next is read.

        Parameters
        ----------
        keys : sequence of str
            The partitions, without repeats; those of which the source has nothing come last.
        files : sequence of StagedFile
            Where their rows may be.
        scratch : Path
            A folder for the rows of large partitions; they can be read for as long as it is there.

        Raises
        ------
        ConfigError
            If ``event_time`` does not compile over the source.
        SourceError, EngineError
            If the source can't be read, or DuckDB fails.
        """
        schema = landed_schema(self.config)
        merger = Merger()
        missing = dict.fromkeys(keys)
        collector: Collector | None = None
        with translated(f"Reading {self.source.name}"):
            for key, rows in self._landed(keys, files, merger):
                if collector is None or collector.key != key:
                    if collector is not None:
                        yield collector.landed(merger.counts)
                    collector = Collector(key, schema, scratch)
                    missing.pop(key)
                collector.add(rows)
        if collector is not None:
            yield collector.landed(merger.counts)
        for key in missing:
            yield Collector(key, schema, scratch).landed({})

    def _landed(
        self, keys: Sequence[str], files: Sequence[StagedFile], merger: Merger
    ) -> Iterator[tuple[str, pa.Table]]:
        if not files:
            return
        self._prepare(files)
        self._want(keys)
        query = landing_query(self.config, self.source.types)
        for batch in self.source.connection.sql(query).to_arrow_reader():
            yield from merger.take(pa.Table.from_batches([batch]))

    def _prepare(self, files: Sequence[StagedFile]) -> None:
        """Make ``holdfast_placed``: the rows of some files, each with the day that it belongs to."""
        chosen = self.source.narrowed(files)
        connection = self.source.connection
        if not self.source.has_query:
            _create_view(connection, "holdfast_dated", _dated(self.source, self.config))
        elif not self._is_queried:
            # A query may be dear, and need not give its rows in the same order twice.
            dated = _dated(self.source, self.config)
            connection.execute(f"CREATE TEMP TABLE holdfast_dated AS {dated}")
            self._is_queried = True
        if self.config.event_time is None:
            placed = f"SELECT *, {DAY_COLUMN} AS {PLACE} FROM holdfast_dated"  # noqa: S608
        else:
            self._search(chosen)
            placed = _placed(self.config, has_strays=self._has_strays)
        _create_view(connection, "holdfast_placed", placed)

    def _search(self, chosen: Source) -> None:
        """Find the strays of files that were not searched yet."""
        names = {file.name for file in chosen.files}
        if names <= self._searched:
            return
        self._searched = names
        connection = self.source.connection
        columns = f"{ORDER_COLUMN} AS file, {_ROW} AS line, CAST({MOMENT} AS DATE) AS day"
        dated = f"SELECT {columns} FROM holdfast_dated"  # noqa: S608
        stray = connection.sql(f"SELECT 1 FROM holdfast_dated WHERE {MOMENT} IS NULL LIMIT 1").fetchall()  # noqa: S608
        self._has_strays = bool(stray)
        if self._has_strays:
            connection.register("placed_strays", place_strays(connection, dated))
            connection.execute(f"CREATE OR REPLACE TEMP TABLE {_STRAYS} AS SELECT * FROM placed_strays")  # noqa: S608
            connection.unregister("placed_strays")

    def _want(self, keys: Sequence[str]) -> None:
        connection = self.source.connection
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE wanted ({KEY} VARCHAR, {PLACE} DATE, {SHIFT} INTEGER)"
        )
        days = {key: source_date(key, self.config.source.replay_year) for key in keys}
        values = ", ".join(
            f"('{key}', DATE '{day.isoformat()}', {(partition_date(key) - day).days})"
            for key, day in days.items()
        )
        connection.execute(f"INSERT INTO wanted VALUES {values}")  # noqa: S608 (real dates and numbers)


def _day_name(day: date | None) -> str:
    return NO_DAY if day is None else day.isoformat()


def _create_view(connection: duckdb.DuckDBPyConnection, name: str, query: str) -> None:
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {query}")


def _dated(source: Source, config: DatasetConfig) -> str:
    """Return the query of the needed cells with their time, and where each row comes from."""
    cells = [identifier(name) for name in needed_columns(config, source.types)]
    given = {
        name: f"{RELATION}.{name}" if name in source.provenance else f"CAST(NULL AS {kind})"
        for name, kind in ((FILE_COLUMN, "VARCHAR"), (LINE_COLUMN, "BIGINT"), (REJECT_COLUMN, "VARCHAR"))
    }
    has_file, has_line = FILE_COLUMN in source.provenance, LINE_COLUMN in source.provenance
    columns = [
        *cells,
        *(f"{value} AS {name}" for name, value in given.items()),
        f"{given[LINE_COLUMN] if has_line else 'row_number() OVER ()'} AS {_ROW}",
        f"coalesce({ORDER_COLUMN}, -1) AS {ORDER_COLUMN}" if has_file else f"0 AS {ORDER_COLUMN}",
        DAY_COLUMN if has_file else f"CAST(NULL AS DATE) AS {DAY_COLUMN}",
        f"{_moment(source, config)} AS {MOMENT}",
    ]
    files = f" LEFT JOIN {FILES} USING ({FILE_COLUMN})" if has_file else ""
    return f"SELECT {', '.join(columns)} FROM {RELATION}{files}"  # noqa: S608


def _moment(source: Source, config: DatasetConfig) -> str:
    """Return the SQL of a row's time, null where it can't be read; refuse one that can't compile."""
    time = config.event_time
    if time is None:
        return "CAST(NULL AS TIMESTAMP)"
    expression = identifier(time) if time in source.types else time
    writing = Writing.of(config.source, time)
    try:
        # By itself first: brackets could mend what is no expression.
        source.connection.sql(f"SELECT {expression} FROM {RELATION}")  # noqa: S608
        described = f"DESCRIBE SELECT TRY({expression}) FROM {RELATION}"  # noqa: S608
        source_type = str(source.connection.sql(described).fetchall()[0][1])
    except duckdb.Error as error:
        raise ConfigError(
            f"params.yaml: event_time {time!r} does not compile over the source, which has "
            f"{', '.join(list(source.types)[:20])}: {error}"
        ) from error
    return cast_expression(f"TRY({expression})", "timestamp", source_type=source_type, writing=writing)


def _placed(config: DatasetConfig, *, has_strays: bool) -> str:
    """Return the query of all rows with their day; files of a night hold that of the nights around it.

    A file whose name says its night may hold late rows of up to ``lookback_days`` before, and of the
    day after, as days begin at other hours elsewhere.
    """
    place, strays = f"CAST({MOMENT} AS DATE)", ""
    if has_strays:
        place = f"coalesce({place}, place)"
        # Null for a row that has a time, and so equal to no stray's.
        stray = f"CASE WHEN {MOMENT} IS NULL THEN {ORDER_COLUMN} END"
        strays = f" LEFT JOIN {_STRAYS} ON {_STRAYS}.file = {stray} AND {_STRAYS}.line = {_ROW}"
    reach = max(config.source.lookback_days, 1)
    return (
        f"SELECT holdfast_dated.*, {place} AS {PLACE} FROM holdfast_dated{strays} "  # noqa: S608
        f"WHERE {DAY_COLUMN} IS NULL OR {place} IS NULL "
        f"OR {place} BETWEEN {DAY_COLUMN} - {reach} AND {DAY_COLUMN} + 1"
    )
