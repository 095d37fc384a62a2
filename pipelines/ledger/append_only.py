"""Have the database itself refuse to change or take away what is on record: the moves and the decisions.

Any program that opens the ledger with an ordinary statement is refused, ours included. Who owns the tables
can drop a trigger first: that is what the hash chain is for (:mod:`~pipelines.ledger.chain`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table, UniqueConstraint

from pipelines.ledger.schema import champions, decisions

#: The evidence that a move names is a decision, and so is a note about one: no decision ever changes.
APPEND_ONLY = (champions, decisions)
_FUNCTION = "holdfast_append_only"
_MESSAGE = "is append-only: nothing on record is changed or taken away"


def is_append_only(connection: Connection) -> bool:
    """Return whether every trigger is there."""
    return _found(connection).issuperset(name for table in APPEND_ONLY for name in _names(connection, table))


def make_append_only(connection: Connection) -> None:
    """Create the triggers that are not there; the caller sees to it that no other process does so."""
    found = _found(connection)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_postgresql_function())
    for table in APPEND_ONLY:
        for name in _names(connection, table):
            if name not in found:
                connection.exec_driver_sql(_statement(connection, table, name))


def _names(connection: Connection, table: Table) -> Sequence[str]:
    events = ["change"] if connection.dialect.name == "postgresql" else ["update", "delete", "replace"]
    return [f"{table.name}_refuses_{event}" for event in events]


def _found(connection: Connection) -> set[str]:
    if connection.dialect.name == "postgresql":
        places = ", ".join(f"'{table.name}'::regclass" for table in APPEND_ONLY)
        query = f"SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D' AND tgrelid IN ({places})"  # noqa: S608 - our own names
    else:
        tables = ", ".join(f"'{table.name}'" for table in APPEND_ONLY)
        query = f"SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ({tables})"  # noqa: S608 - our own names
    return set(connection.exec_driver_sql(query).scalars())


def _statement(connection: Connection, table: Table, name: str) -> str:
    if connection.dialect.name == "postgresql":
        # One that somebody disabled is there, and makes way. A statement is refused whatever rows it meets.
        return (
            f"CREATE OR REPLACE TRIGGER {name} BEFORE UPDATE OR DELETE OR TRUNCATE ON {table.name} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {_FUNCTION}()"
        )
    event = name.rpartition("_")[2]
    # REPLACE deletes what is in its way, and no trigger of deletions hears of it.
    when = (
        f"INSERT ON {table.name} WHEN {_is_taken(table)}"
        if event == "replace"
        else f"{event} ON {table.name}"
    )
    return f"CREATE TRIGGER {name} BEFORE {when} BEGIN SELECT RAISE(ABORT, '{table.name} {_MESSAGE}'); END"


def _is_taken(table: Table) -> str:
    keys = [[column.name for column in table.primary_key]]
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            keys.append([column.name for column in constraint.columns])
    same = (" AND ".join(f"{name} = NEW.{name}" for name in key) for key in keys)
    return " OR ".join(f"EXISTS (SELECT 1 FROM {table.name} WHERE {one})" for one in same)  # noqa: S608 - our own names


def _postgresql_function() -> str:
    # A violation of integrity, as on SQLite.
    return (
        f"CREATE OR REPLACE FUNCTION {_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE restrict_violation USING MESSAGE = TG_TABLE_NAME || ' {_MESSAGE}'; END $$"
    )
