"""The ledger's database: one engine, one way to begin a transaction, one way to say what went wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError

from pipelines.errors import ConflictError, EngineError
from pipelines.ledger.rows import aware
from pipelines.ledger.schema import metadata
from pipelines.ledger.upgrades import upgrade

__all__ = ["Database", "aware"]

_SQLITE_BUSY_SECONDS = 30
_CREATE_ATTEMPTS = 5


class Database:
    """The database of the ledger, with its schema in place.

    Parameters
    ----------
    url : str
        A SQLAlchemy URL; SQLite and PostgreSQL are supported. The schema is made at first use.

    Raises
    ------
    EngineError
        If the database can't be set up.
    """

    def __init__(self, url: str) -> None:
        self._engine = _connect(url)
        _create_schema(self._engine)

    def close(self) -> None:
        """Give back every connection."""
        self._engine.dispose()

    @contextmanager
    def transaction(self, purpose: str) -> Iterator[Connection]:
        """Begin a transaction that is committed at the end of the block, and undone where the block raises.

        Raises
        ------
        ConflictError
            If a constraint refuses what somebody else has just done.
        EngineError
            If the database fails.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError as error:
            raise ConflictError(f"Can't {purpose}: somebody else just did. Read it again.") from error
        except DBAPIError as error:
            raise EngineError(f"Can't {purpose}: the ledger's database failed: {error.orig}") from error


def _connect(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, connect_args={"timeout": _SQLITE_BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _tune(connection: Any, _record: Any) -> None:
        # Python's own transaction control would begin a read transaction that can't be upgraded
        # under contention; we begin immediate ones ourselves.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _create_schema(engine: Engine) -> None:
    for attempt in range(_CREATE_ATTEMPTS):
        try:
            metadata.create_all(engine)
            upgrade(engine)
        except DBAPIError as error:
            # Two processes that start at once may both try to create the tables.
            if attempt == _CREATE_ATTEMPTS - 1:
                raise EngineError(f"Can't set up the ledger: {error.orig}") from error
            time.sleep(0.2 * (attempt + 1))
        else:
            return
