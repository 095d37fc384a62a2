"""Open a source: its tables as DuckDB views, and over them one relation with a row an event."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import duckdb

from pipelines.config import DatasetConfig, Settings, SourceConfig
from pipelines.errors import ConfigError, EngineError, HoldfastError, SchemaError, SourceError
from pipelines.ingestion.files import SourceFile, locate

# The relation that is read, and the column in it that says which file a row comes from.
RELATION = "holdfast_source"
FILE_COLUMN = "holdfast_file"

# One thread: a night's read takes about a second, runs beside other tasks, and keeps the rows' order.
_ENGINE: dict[str, str | int | float | list[str]] = {
    "threads": 1,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
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
        Its view :data:`RELATION` has one row an event; :data:`FILE_COLUMN` is the file that the
        row comes from, null under a query of the user's.
    name : str
        What a person calls the relation: the query's file, or the table.
    types : mapping of str to str
        The columns of the relation (without the file's) and their DuckDB types; VARCHAR where
        they come from CSV.
    names : mapping of str to str
        What a person calls each file that ``FILE_COLUMN`` may hold.
    incomplete : mapping of str to str
        Files that lack a declared column, and the sentence that says so.
    """

    connection: duckdb.DuckDBPyConnection
    name: str
    types: Mapping[str, str]
    names: Mapping[str, str]
    incomplete: Mapping[str, str]


@contextmanager
def open_source(config: DatasetConfig, settings: Settings) -> Iterator[Source]:
    """Open the source of a dataset for reading.

    Parameters
    ----------
    config : DatasetConfig
        Its ``source`` is read, its declared columns must be there.
    settings : Settings
        ``sources`` and ``project`` are where the paths start from.

    Raises
    ------
    ConfigError
        If the query does not compile, or a package is not there.
    SchemaError
        If no file has a declared column; names the nearest one that there is. If only some files
        lack it, their partitions are refused when they are read, and the others go on.
    SourceError
        If a file is not there or can't be opened.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-source-") as scratch:
        tables = locate(config.source, sources=settings.sources, scratch=Path(scratch))
        with duckdb.connect(config={**_ENGINE, "temp_directory": scratch}) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            has_query = config.source.sql is not None
            for table, files in tables.items():
                if has_query:
                    _require_one_header(files)
                view = _view(config.source, files, with_file=not has_query)
                _create_view(connection, table, view, f"table {table!r}")
            query, what = _query(config.source, settings.project)
            _create_view(connection, RELATION, query, what)
            types = _describe(connection, what)
            files = [] if has_query else [file for located in tables.values() for file in located]
            _require_columns(config, types, what if has_query else files[-1].name)
            yield Source(
                connection=connection,
                name=what,
                types=types,
                names={str(file.path): file.name for file in files},
                incomplete={str(file.path): lack for file in files if (lack := _lack(config, file))},
            )


def identifier(name: str) -> str:
    """Return ``name`` quoted as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return ``text`` quoted as a SQL string."""
    return "'" + text.replace("'", "''") + "'"


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


def _create_view(connection: duckdb.DuckDBPyConnection, name: str, query: str, what: str) -> None:
    with translated(what):
        connection.execute(f"CREATE TEMP VIEW {identifier(name)} AS {query}")


def _query(config: SourceConfig, project: Path) -> tuple[str, str]:
    """Return the query that gives the events, and what to call it in an error."""
    if config.sql is None:
        (table,) = config.tables
        return f"SELECT * FROM {identifier(table)}", f"table {table!r}"  # noqa: S608
    path, what = project / config.sql, f"source.sql {config.sql}"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{what} can't be read: {error}") from error
    with translated(what):
        statements = duckdb.extract_statements(text)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ConfigError(f"{what} must be exactly one SELECT.")
    return statements[0].query.strip().rstrip(";"), what


def _view(config: SourceConfig, files: Sequence[SourceFile], *, with_file: bool) -> str:
    """Return the query over all files of a table; files of one header are read in one scan."""
    runs = groupby(files, key=lambda file: file.columns)
    scans = [_scan(config, columns, list(run), with_file=with_file) for columns, run in runs]
    return " UNION ALL BY NAME ".join(f"SELECT * FROM {scan}" for scan in scans)  # noqa: S608


def _scan(
    config: SourceConfig, columns: Sequence[str], files: Sequence[SourceFile], *, with_file: bool
) -> str:
    options = ["[" + ", ".join(literal(str(file.path)) for file in files) + "]"]
    if with_file:
        options.append(f"filename = {literal(FILE_COLUMN)}")
    if config.kind == "parquet":
        return f"read_parquet({', '.join(options)})"
    declared = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in columns)
    options += [
        f"columns = {{{declared}}}",
        "auto_detect = false",
        "header = true",
        f"delim = {literal(config.csv.delimiter)}",
        "quote = '\"'",
        "escape = '\"'",
        "nullstr = [" + ", ".join(literal(token) for token in config.missing or ("",)) + "]",
    ]
    return f"read_csv({', '.join(options)})"


def _describe(connection: duckdb.DuckDBPyConnection, what: str) -> dict[str, str]:
    with translated(what):
        rows = connection.sql(f"DESCRIBE {RELATION}").fetchall()
    return {str(row[0]): str(row[1]) for row in rows if row[0] != FILE_COLUMN}


def _require_one_header(files: Sequence[SourceFile]) -> None:
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


def _lack(config: DatasetConfig, file: SourceFile) -> str | None:
    missing = [name for name in _declared(config) if name not in file.columns]
    return f"{file.name}: {_absent(missing[0], file.columns)}" if missing else None


def _declared(config: DatasetConfig) -> list[str]:
    return [*config.columns, *config.labels]


def _absent(name: str, present: Iterable[str]) -> str:
    names = sorted(present)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    nearest = f"the nearest one is {close[0]!r}" if close else f"it has {', '.join(names[:12])}"
    return f"there is no column {name!r}; {nearest}."
