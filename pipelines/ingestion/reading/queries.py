"""What is asked of a database: a table, or a SELECT, for each night where it is bound to one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from pipelines.errors import ConfigError

_BINDS = ("start", "end", "day")
# What a statement says, without its quoted parts and comments.
_ASIDE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.S)
_TABLE = re.compile(r"[^\s.;'\"(),]+(\.[^\s.;'\"(),]+)?")
_BIND = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")


@dataclass(frozen=True)
class Query:
    """One read of a database.

    Parameters
    ----------
    name : str
        What a person calls it.
    text : str
        A SELECT, or the name of a table, with or without its schema.
    binds : tuple of str
        The parameters that it has, of ``start``, ``end`` and ``day``.
    day : date, optional
        What they are bound to.
    """

    name: str
    text: str
    binds: tuple[str, ...] = ()
    day: date | None = None

    def statement(self, connection: sa.Connection) -> tuple[sa.Executable, dict[str, Any]]:
        """Return what to execute, and the values of its parameters."""
        if _TABLE.fullmatch(self.text):
            return _table_statement(self.text, connection), {}
        values = self._values(connection.dialect.name == "sqlite")
        # A colon in a quoted text is no parameter.
        text = _ASIDE.sub(lambda aside: aside[0].replace(":", "\\:"), self.text)
        return sa.text(text), {name: values[name] for name in self.binds}

    def _values(self, is_sqlite: bool) -> dict[str, Any]:
        if self.day is None:
            return {}
        following = self.day + timedelta(days=1)
        if is_sqlite:
            # Its times are text. A bare date sorts before each time of its day, however that is written.
            return {"start": str(self.day), "end": str(following), "day": str(self.day)}
        return {
            "start": datetime.combine(self.day, time()),
            "end": datetime.combine(following, time()),
            "day": self.day,
        }


def queries_of(table: str, location: str, days: Sequence[date]) -> list[Query]:
    """Return the reads that a table takes: one for each night if its query is bound, else one.

    Raises
    ------
    ConfigError
        If ``location`` is neither a table's name nor one SELECT, or binds an unknown parameter.
    """
    text = location.strip().rstrip(";").strip()
    if _TABLE.fullmatch(text):
        return [Query(text, text)]
    plain = _ASIDE.sub(" ", text)
    if not re.match(r"\s*\(*\s*(select|with)\b", plain, re.I) or ";" in plain:
        raise ConfigError(f"source.tables.{table} must be the name of a table or exactly one SELECT.")
    binds = tuple(dict.fromkeys(_BIND.findall(plain)))
    if unknown := [name for name in binds if name not in _BINDS]:
        raise ConfigError(f"source.tables.{table} binds :{unknown[0]}; known are :start, :end and :day.")
    if not binds:
        return [Query(table, text)]
    return [Query(f"{table} of {day}", text, binds, day) for day in sorted(set(days))]


def _table_statement(name: str, connection: sa.Connection) -> sa.Executable:
    schema, _, table = name.rpartition(".")
    try:
        columns = sa.inspect(connection).get_columns(table, schema=schema or None)
        keys = sa.inspect(connection).get_pk_constraint(table, schema=schema or None)["constrained_columns"]
    except exc.NoSuchTableError as error:
        known = sa.inspect(connection).get_table_names(schema=schema or None)
        raise ConfigError(
            f"The database has no table {name!r}; it has {', '.join(sorted(known)[:12]) or 'none'}."
        ) from error
    selected = sa.table(table, *(sa.column(column["name"]) for column in columns), schema=schema or None)
    # In the order of the key, rows have the same numbers each time.
    return sa.select(selected).order_by(*(selected.c[key] for key in keys))
