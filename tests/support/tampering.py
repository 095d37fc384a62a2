"""Change a ledger behind its back, as whoever owns the database can."""

from __future__ import annotations

import sqlalchemy
from sqlalchemy import Connection, text

_TRIGGERS = {
    "sqlite": "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal",
}


def tamper(url: str, *statements: str) -> None:
    """Drop every trigger, then run statements."""
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.begin() as connection:
            drop_triggers(connection)
            for statement in statements:
                connection.execute(text(statement))
    finally:
        engine.dispose()


def drop_triggers(connection: Connection) -> None:
    """Drop every trigger of a ledger: nothing else keeps its owner from changing it."""
    dialect = connection.dialect.name
    for name, table in connection.execute(text(_TRIGGERS[dialect])).all():
        connection.execute(text(f"DROP TRIGGER {name}" + (f" ON {table}" if dialect == "postgresql" else "")))
