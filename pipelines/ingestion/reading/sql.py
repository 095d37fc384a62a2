"""Tables and queries of a database, through SQLAlchemy: read-only, streamed, whole or not at all."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import exc

from pipelines.errors import ConfigError, HoldfastError, SchemaError, SourceError
from pipelines.ingestion.reading.environment import from_environment
from pipelines.ingestion.reading.options import options_of
from pipelines.ingestion.reading.queries import Query, queries_of
from pipelines.ingestion.reading.retrying import persistently, without_cause, without_secrets
from pipelines.ingestion.reading.sql_rows import Spool
from pipelines.ingestion.reading.staged import StagedFile

if TYPE_CHECKING:
    from pipelines.config import Settings, SourceConfig
    from pipelines.ingestion.reading.options import ReadingOptions

_FETCHED_ROWS = 2_000
# SQLite tells a person's mistakes and its own failures by the same class.
_MISTAKES = re.compile(
    r"no such|syntax error|readonly|unrecognized token|incomplete input|ambiguous column", re.I
)
_DAMAGED = re.compile(r"not a database|malformed", re.I)


def stage_tables(
    source: SourceConfig, settings: Settings, *, days: Sequence[date], scratch: Path
) -> dict[str, list[StagedFile]]:
    """Read each table of a database into a staged file (each night's, where its query is bound to one).

    Raises
    ------
    ConfigError
        If a statement is no SELECT, or the database does not know what it names.
    SourceError
        If the database can't be reached, or the connection is lost again and again.
    """
    database = _Database(source, settings)
    try:
        return {
            table: [
                database.stage(query, scratch / f"{table}-{number}.parquet")
                for number, query in enumerate(queries_of(table, location, days))
            ]
            for table, location in source.tables.items()
        }
    finally:
        database.close()


class _Database:
    """A database that is only read."""

    def __init__(self, source: SourceConfig, settings: Settings) -> None:
        self._options: ReadingOptions = options_of(source.model_copy(update={"kind": "parquet"}))
        self._url = _url_of(from_environment(source.url or "", key="source.url"))
        self._engine = _engine(self._url, settings.sources)
        self._secrets = (self._url.password or "",)

    def close(self) -> None:
        self._engine.dispose()

    def stage(self, query: Query, target: Path) -> StagedFile:
        """Stage the rows of a query; a read that breaks starts anew, and nothing of it is kept."""
        what = f"Reading {query.name} from {self._url.render_as_string(hide_password=True)}"
        try:
            spool = persistently(
                lambda: self._read(query, target.with_suffix(".spool")),
                what=what,
                is_transient=_may_pass,
                secrets=self._secrets,
            )
            content = spool.write(target, name=query.name, options=self._options)
        except exc.SQLAlchemyError as error:
            raise self._refusal(what, error) from without_cause(error, self._secrets)
        return content.at(target, name=query.name, day=query.day)

    def _read(self, query: Query, path: Path) -> Spool:
        with self._engine.connect() as connection, connection.begin():
            self._require_reading_only(connection)
            statement, values = query.statement(connection)
            rows = connection.execution_options(yield_per=_FETCHED_ROWS).execute(statement, values)
            cursor = rows.cursor
            try:
                spool = Spool(path, list(rows.keys()))
                for batch in rows.partitions():
                    spool.add(batch)
            finally:
                # SQLAlchemy leaves the cursor of a lost connection open.
                with suppress(Exception):
                    cursor.close()
        return spool

    def _require_reading_only(self, connection: sa.Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            connection.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")
        elif connection.dialect.name in ("mysql", "mariadb"):
            connection.exec_driver_sql("SET time_zone = '+00:00'")

    def _refusal(self, what: str, error: exc.SQLAlchemyError) -> HoldfastError:
        cause = error.orig if isinstance(error, exc.DBAPIError) and error.orig is not None else error
        reason = without_secrets(str(cause), self._secrets)
        if _DAMAGED.search(reason):
            return SchemaError(f"{what}: {reason}. The file may be damaged.")
        if isinstance(error, exc.DataError):
            return SchemaError(f"{what}: {reason}")
        if isinstance(error, exc.DBAPIError):
            return ConfigError(f"{what}: {reason}. Mend source.tables in params.yaml; the read is read-only.")
        return SourceError(f"{what}: {reason}")


def _may_pass(error: BaseException) -> bool:
    if not isinstance(error, exc.DBAPIError):
        return False
    if error.connection_invalidated or isinstance(error, exc.InterfaceError):
        return True
    return isinstance(error, exc.OperationalError) and not _MISTAKES.search(str(error.orig))


def _url_of(text: str) -> sa.URL:
    try:
        return sa.make_url(text)
    except exc.ArgumentError as error:
        # The text may hold a password, so it is not said.
        raise ConfigError(
            "source.url is no address of a database, such as postgresql+psycopg://host/name."
        ) from error


def _engine(url: sa.URL, sources: Path) -> sa.Engine:
    try:
        if url.get_backend_name() != "sqlite":
            return sa.create_engine(url, poolclass=sa.NullPool)
        path = sources / (url.database or "")
        if not path.is_file():
            raise SourceError(
                f"There is no SQLite database {path}. Put it there, or set HOLDFAST_SOURCES to the "
                "folder that holds it."
            )
        return sa.create_engine("sqlite://", creator=lambda: _read_only(path), poolclass=sa.NullPool)
    except (exc.NoSuchModuleError, ModuleNotFoundError) as error:
        raise ConfigError(
            f"source.url: {url.drivername!r} needs a driver that is not installed: {error}"
        ) from error


def _read_only(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
    connection.execute("PRAGMA query_only = ON")
    return connection
