"""The partitions under examination, as SQL reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from pipelines.config import ColumnType
from pipelines.storage.sql import identifier, literal
from pipelines.validation.engine.columns import typed_frame


class Scan:
    """Some partitions of a view, and values that differ between them.

    A float that is no number is null here, as it is in pandas.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        view: str,
        partitions: Sequence[str],
        columns: Mapping[str, ColumnType | None],
    ) -> None:
        self.connection = connection
        self.partitions = tuple(partitions)
        self.columns = dict(columns)
        self._name = view
        self.view = identifier(view)
        self._bound: dict[str, Mapping[str, str]] = {}

    @property
    def is_single(self) -> bool:
        """Whether there is one partition, so that rows need not be grouped."""
        return len(self.partitions) == 1

    def alone(self, partition_key: str) -> Scan:
        """Return the scan of one of the partitions."""
        return Scan(self.connection, self._name, [partition_key], self.columns)

    @property
    def key(self) -> str:
        """What selects the partition key of a group."""
        return f"{literal(self.partitions[0])} AS partition_key" if self.is_single else "partition_key"

    @property
    def by(self) -> str:
        """The clause that groups by partition; none for a single one, which is one group."""
        return "" if self.is_single else "GROUP BY partition_key"

    def bind(self, name: str, values: Mapping[str, str]) -> str:
        """Make a column of one SQL literal a partition; returns its name, which no column of the view has."""
        self._bound[name] = values
        return name

    def source(self, columns: Iterable[str]) -> str:
        """Return a subquery of the rows: partition_key, position, these columns and bound ones."""
        wanted = dict.fromkeys(columns)
        own = [self._read(name) for name in wanted if name not in self._bound]
        bound = [name for name in wanted if name in self._bound]
        if self.is_single:
            (key,) = map(literal, self.partitions)
            own += [f"{self._bound[name][self.partitions[0]]} AS {identifier(name)}" for name in bound]
            chosen = ", ".join([f"{key} AS partition_key", "position", *own])
            return f"(SELECT {chosen} FROM {self.view} WHERE partition_key = {key}) AS rows"
        chosen = ", ".join(["partition_key", "position", *own, *map(identifier, bound)])
        values = ", ".join(
            f"({', '.join([literal(key), *(self._bound[name][key] for name in bound)])})"
            for key in self.partitions
        )
        names = ", ".join(["partition_key", *map(identifier, bound)])
        return (
            f"(SELECT {chosen} FROM {self.view} JOIN (VALUES {values}) AS bound({names}) "
            "USING (partition_key)) AS rows"
        )

    def table(self, sql: str) -> pa.Table:
        """Run a query and return its rows."""
        return self.connection.sql(sql).to_arrow_table()

    def number(self, sql: str) -> int:
        """Run a query of one number, to its end: an unfinished one is in the way of the next."""
        ((value,),) = self.connection.execute(sql).fetchall()
        return int(value)

    def counts(self, sql: str) -> dict[str, int]:
        """Run a query of partition keys and counts; partitions that it leaves out have none."""
        found = dict.fromkeys(self.partitions, 0)
        found.update({key: int(count) for key, count in self.connection.execute(sql).fetchall()})
        return found

    def _read(self, name: str) -> str:
        column = identifier(name)
        if self.columns[name] == "float":
            return f"CASE WHEN NOT isnan({column}) THEN {column} END AS {column}"
        return column


class Tally:
    """Aggregates that are asked for one by one, and computed in one scan."""

    def __init__(self, scan: Scan) -> None:
        self.scan = scan
        self._aliases: dict[str, str] = {}
        self._columns: dict[str, None] = {}
        self._rows: dict[str, int] = {}
        self._table: pa.Table | None = None
        self._typed: pd.DataFrame | None = None

    def add(self, aggregate: str, columns: Iterable[str] = ()) -> str:
        """Ask for an aggregate over columns; returns the name to read it by."""
        self._columns.update(dict.fromkeys(columns))
        return self._aliases.setdefault(aggregate, f"a{len(self._aliases)}")

    def count(self, condition: str, columns: Iterable[str] = ()) -> str:
        """Ask for the number of rows of which a condition holds."""
        return self.add("count(*)" if condition == "TRUE" else f"count(*) FILTER ({condition})", columns)

    def run(self) -> None:
        """Compute what was asked for."""
        if not self._aliases:
            return
        chosen = ", ".join(f"{aggregate} AS {alias}" for aggregate, alias in self._aliases.items())
        scan = self.scan
        self._table = scan.table(f"SELECT {scan.key}, {chosen} FROM {scan.source(self._columns)} {scan.by}")
        self._rows = {key: row for row, key in enumerate(self._table["partition_key"].to_pylist())}

    def value(self, name: str, partition_key: str) -> Any:
        """Return an aggregate of one partition; None where it has no row."""
        row = self._rows.get(partition_key)
        return None if self._table is None or row is None else self._table[name][row].as_py()

    def number(self, name: str, partition_key: str) -> int:
        """Return a count of one partition."""
        return int(self.value(name, partition_key) or 0)

    def typed(self, name: str, partition_key: str) -> Any:
        """Return an aggregate of one partition as the value that pandas would give."""
        if self._table is None or partition_key not in self._rows:
            return None
        if self._typed is None:
            self._typed = typed_frame(self._table)
        return self._typed[name].iloc[self._rows[partition_key]]
