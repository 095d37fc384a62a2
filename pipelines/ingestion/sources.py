"""Open a source: its staged tables as DuckDB views, and over them one relation with a row an event."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import duckdb

from pipelines.config import DatasetConfig, Settings, SourceConfig
from pipelines.errors import ConfigError, EngineError, HoldfastError, SchemaError, SourceError
from pipelines.ingestion.reading import LINE_COLUMN, REJECT_COLUMN, StagedFile, stage_source
from pipelines.storage.engine import connect
from pipelines.storage.sql import identifier, literal

#: The relation that is read, and the column in it that names the file a row comes from.
RELATION, FILE_COLUMN = "holdfast_source", "holdfast_file"
#: The table of all files: their names, their order of delivery, and the night that each is of.
FILES, ORDER_COLUMN, DAY_COLUMN = "holdfast_files", "holdfast_order", "holdfast_day"

_PROVENANCE = (FILE_COLUMN, LINE_COLUMN, REJECT_COLUMN)
# The lake's writer needs as much again, and DuckDB gives its memory back when it is closed.
_MEMORY = "384MB"
_WRONG_QUERY = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ParserException,
    duckdb.SyntaxException,
)


@dataclass(frozen=True)
class Source:
    """An open source.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Its view :data:`RELATION` has one row an event.
    name : str
        What a person calls the relation: the query's file, or the table.
    types : mapping of str to str
        The columns of the relation (without those that say where a row comes from) and their
        DuckDB types; VARCHAR where they come from CSV.
    provenance : frozenset of str
        Which of ``holdfast_file``, ``holdfast_line`` and ``holdfast_reject`` the relation has; a
        query of the user's may not pass them on.
    files : tuple of StagedFile
        In the order of delivery, without those that are refused as a whole.
    refused : tuple of StagedFile
        Those that are.
    incomplete : mapping of str to str
        The names of files that lack a declared column, and the sentence that says so.
    has_query : bool
        Whether the rows are those of a query, and not of one table's files.
    """

    connection: duckdb.DuckDBPyConnection
    name: str
    types: Mapping[str, str]
    provenance: frozenset[str]
    files: tuple[StagedFile, ...]
    refused: tuple[StagedFile, ...]
    incomplete: Mapping[str, str]
    has_query: bool

    @property
    def is_by_day(self) -> bool:
        """Whether the source was asked for single days, and may have others."""
        return any(file.day is not None for file in (*self.files, *self.refused))

    def narrowed(self, files: Sequence[StagedFile]) -> Source:
        """Return the source with nothing but some of its files; with a query, the source as it is."""
        if self.has_query:
            return self
        present = {name for file in files for name in file.columns}
        columns = [
            f"CAST({identifier(name) if name in present else 'NULL'} AS {kind}) AS {identifier(name)}"
            for name, kind in self.types.items()
        ]
        query = f"SELECT {', '.join([*columns, *_PROVENANCE])} FROM ({_table_query(files)})"  # noqa: S608
        _create_view(self.connection, RELATION, query, self.name)
        return replace(self, files=tuple(files))


@contextmanager
def open_source(config: DatasetConfig, settings: Settings, *, days: Sequence[date]) -> Iterator[Source]:
    """Open the source of a dataset for reading.

    Parameters
    ----------
    config : DatasetConfig
        Its ``source`` is read, its declared columns must be there.
    settings : Settings
        ``sources`` and ``project`` are where the paths start from.
    days : sequence of date
        The days that are wanted of a source that is asked by day.

    Raises
    ------
    ConfigError
        If the query does not compile, or a package is not there.
    SchemaError
        If no file has a declared column; names the nearest one that there is. If only some files
        lack it, their partitions are refused when they are read, and the others go on. Also if no
        file can be read, or under a query any of them can't.
    SourceError
        If a file is not there or can't be opened.
    """
    source = config.source
    with (
        stage_source(source, settings, days=days, keep_refused=True) as tables,
        connect(memory=_MEMORY, threads=2) as opened,
    ):
        _set_zone(opened, source)
        files = [file for table in tables.values() for file in table if file.refusal is None]
        refused = [file for table in tables.values() for file in table if file.refusal is not None]
        _require_readable(source, files, refused)
        _create_files(opened, files)
        if source.sql is not None:
            types, what = _open_query(opened, source, tables, settings.project)
        else:
            what = f"table {next(iter(tables))!r}"
            types = _open_table(opened, files, what) if files else _no_columns(config)
        provenance = frozenset(name for name in _PROVENANCE if name in types)
        plain = {name: kind for name, kind in types.items() if name not in _PROVENANCE}
        _require_columns(config, plain, files[-1].name if files and source.sql is None else what)
        yield Source(
            connection=opened,
            name=what,
            types=plain,
            provenance=provenance,
            files=tuple(files),
            refused=tuple(refused),
            incomplete=_incomplete(config, files),
            has_query=source.sql is not None,
        )


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn DuckDB's errors into ours: a wrong query, an unreadable source, or wrong data.

    Raises
    ------
    ConfigError, SourceError, EngineError, SchemaError
        With ``what`` it was about, and DuckDB's own message.
    """
    try:
        yield
    except duckdb.Error as error:
        raise _translate(error, what) from error


def _translate(error: duckdb.Error, what: str) -> HoldfastError:
    message = f"{what}: {str(error).strip()}"
    if isinstance(error, _WRONG_QUERY):
        return ConfigError(message)
    if isinstance(error, duckdb.IOException):
        return SourceError(message)
    if isinstance(error, duckdb.OutOfMemoryException | duckdb.InternalException | duckdb.InterruptException):
        return EngineError(message)
    return SchemaError(message)


def _set_zone(connection: duckdb.DuckDBPyConnection, source: SourceConfig) -> None:
    # A time without an offset is then of this zone, in our casts as in the user's query.
    with translated(f"source.timezone {source.timezone}"):
        connection.execute(f"SET TimeZone = {literal(source.timezone)}")


def _require_readable(
    source: SourceConfig, files: Sequence[StagedFile], refused: Sequence[StagedFile]
) -> None:
    # Without a query, the nights of the other files can go on.
    can_go_on = source.sql is None and (files or any(file.day for file in refused))
    if not refused or can_go_on:
        return
    first = refused[0]
    others = f" (and {len(refused) - 1} more files)" if len(refused) > 1 else ""
    raise SchemaError(f"{first.name}: {first.refusal}{others}")


def _create_files(connection: duckdb.DuckDBPyConnection, files: Sequence[StagedFile]) -> None:
    connection.execute(
        f"CREATE TEMP TABLE {FILES} (holdfast_path VARCHAR, {FILE_COLUMN} VARCHAR, "
        f"{ORDER_COLUMN} INTEGER, {DAY_COLUMN} DATE)"
    )
    # Two names of one file (two tables made of it, a link) are one delivery.
    rows = {str(file.path): [file.name, order, file.day] for order, file in reversed(list(enumerate(files)))}
    if rows:
        values = [[path, *row] for path, row in rows.items()]
        connection.executemany(f"INSERT INTO {FILES} VALUES (?, ?, ?, ?)", values)  # noqa: S608


def _open_table(
    connection: duckdb.DuckDBPyConnection, files: Sequence[StagedFile], what: str
) -> dict[str, str]:
    _create_view(connection, RELATION, _table_query(files), what)
    return _describe(connection, what)


def _open_query(
    connection: duckdb.DuckDBPyConnection,
    source: SourceConfig,
    tables: Mapping[str, Sequence[StagedFile]],
    project: Path,
) -> tuple[dict[str, str], str]:
    """Make the user's query the relation; records that are no rows come along only if it passes them on."""
    query, what = _query(source, project)
    for table, files in tables.items():
        if not files:
            raise SourceError(f"Table {table!r}: there is no file of the days that are wanted.")
        _require_one_header(files)
        _create_view(connection, table, _table_query(files), f"table {table!r}")
    _create_view(connection, RELATION, query, what)
    types = _describe(connection, what)
    if REJECT_COLUMN not in types:
        for table, files in tables.items():
            rows = f"{_table_query(files)} WHERE {REJECT_COLUMN} IS NULL"
            _create_view(connection, table, rows, f"table {table!r}")
        _create_view(connection, RELATION, query, what)
    return types, what


def _create_view(connection: duckdb.DuckDBPyConnection, name: str, query: str, what: str) -> None:
    with translated(what):
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {identifier(name)} AS {query}")


def _table_query(files: Sequence[StagedFile]) -> str:
    """Return the query over all files of a table: its columns, and where each row comes from."""
    paths = ", ".join(literal(path) for path in dict.fromkeys(str(file.path) for file in files))
    return (
        f"SELECT staged.* EXCLUDE (holdfast_path, {LINE_COLUMN}, {REJECT_COLUMN}), "  # noqa: S608
        f"{FILES}.{FILE_COLUMN}, staged.{LINE_COLUMN}, staged.{REJECT_COLUMN} "
        f"FROM read_parquet([{paths}], union_by_name = true, filename = 'holdfast_path') AS staged "
        f"JOIN {FILES} USING (holdfast_path)"
    )


def _query(source: SourceConfig, project: Path) -> tuple[str, str]:
    """Return the query that gives the events, and what to call it in an error."""
    assert source.sql is not None, "only called where there is a query"  # noqa: S101
    path, what = project / source.sql, f"source.sql {source.sql}"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{what} can't be read: {error}") from error
    with translated(what):
        statements = duckdb.extract_statements(text)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ConfigError(f"{what} must be exactly one SELECT.")
    return statements[0].query.strip().rstrip(";"), what


def _describe(connection: duckdb.DuckDBPyConnection, what: str) -> dict[str, str]:
    with translated(what):
        rows = connection.sql(f"DESCRIBE {RELATION}").fetchall()
    return {str(row[0]): str(row[1]) for row in rows}


def _no_columns(config: DatasetConfig) -> dict[str, str]:
    """Return the columns of a table of which no file is there: as they are declared."""
    return dict.fromkeys([*_declared(config), *_PROVENANCE], "VARCHAR")


def _require_one_header(files: Sequence[StagedFile]) -> None:
    first = files[0]
    for file in files:
        if missing := [name for name in first.columns if name not in file.columns]:
            raise SchemaError(f"{file.name}: {_absent(missing[0], file.columns)} {first.name} has it.")
        if extra := [name for name in file.columns if name not in first.columns]:
            raise SchemaError(f"{file.name} has a column {extra[0]!r} that {first.name} has not.")


def _require_columns(config: DatasetConfig, types: Mapping[str, str], where: str) -> None:
    for name in _declared(config):
        if name not in types:
            raise SchemaError(f"{where}: {_absent(name, types)}")


def _incomplete(config: DatasetConfig, files: Sequence[StagedFile]) -> dict[str, str]:
    if config.source.sql is not None:
        return {}
    found = {}
    for file in files:
        if missing := [name for name in _declared(config) if name not in file.columns]:
            found[file.name] = f"{file.name}: {_absent(missing[0], file.columns)}"
    return found


def _declared(config: DatasetConfig) -> list[str]:
    version = [config.source.version] if config.source.version else []
    return list(dict.fromkeys([*config.columns, *config.labels, *version]))


def _absent(name: str, present: Iterable[str]) -> str:
    names = sorted(present)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    nearest = f"the nearest one is {close[0]!r}" if close else f"it has {', '.join(names[:12])}"
    return f"there is no column {name!r}; {nearest}."
