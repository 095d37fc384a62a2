"""Compute features by a dataset's own point-in-time query, in DuckDB.

The query sees two tables. ``events`` has the published rows (``row_id``, ``event_time``, the
declared columns) and ``labels`` the labels that are known (``row_id``, the declared labels), both
with ``partition_key`` (text) and ``partition_date`` (a date); times are UTC, without a zone.
``getvariable('label_delay_days')`` is the delay: of an event's partition D, only labels of
partitions up to ``D - label_delay_days`` may be used, and no event after D, within the last
``history_days``. It returns ``row_id`` and every declared feature, one row an event; rows of
partitions that were not asked for are left aside.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import DatasetConfig
from pipelines.errors import ConfigError
from pipelines.records import partition_range, shift_partition
from pipelines.storage.lake import PARTITION_COLUMN, Lake

_ENGINE: dict[str, str | int | float | list[str]] = {
    "threads": 1,  # keeps the rows in order, so that repeats give the same bytes
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}

_ORDER = [(PARTITION_COLUMN, "ascending"), ("row_id", "ascending")]


def load_features(
    lake: Lake, dataset: str, *, config: DatasetConfig, project: Path, partitions: Sequence[str]
) -> pa.Table:
    """Return the features of some published partitions, from the lake.

    Parameters
    ----------
    lake : Lake
        Read: ``validated`` and ``labels`` of the partitions and of the ``history_days`` before.
    project : Path
        What ``config.features.sql`` starts from.
    partitions : sequence of str
        Keys; of one that is not published there are no rows. Labels after the newest of them
        minus ``label_delay_days`` are not read, even where they are in the lake.

    Returns
    -------
    pyarrow.Table
        As :func:`compute_features`.

    Raises
    ------
    NotReadyError
        If nothing has been published, or no label landed, yet.
    ConfigError
        If the query can't be read, does not run, or gives something else.
    """
    if not partitions:
        raise ConfigError(f"No partition of {dataset} was asked for.")
    sql = read_query(config, project)
    keys = _with_history(partitions, config.features.history_days)
    known = [key for key in keys if key <= shift_partition(max(partitions), -config.label_delay_days)]
    events = lake.read(dataset, "validated", partitions=keys)
    labels = lake.read(dataset, "labels", partitions=known)
    return compute_features(events, labels, config=config, sql=sql, partitions=partitions)


def read_query(config: DatasetConfig, project: Path) -> str:
    """Return the text of a dataset's features query.

    Raises
    ------
    ConfigError
        If the file can't be read.
    """
    try:
        return (project / config.features.sql).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"features.sql {config.features.sql} can't be read: {error}") from error


def compute_features(
    events: pa.Table, labels: pa.Table, *, config: DatasetConfig, sql: str, partitions: Sequence[str]
) -> pa.Table:
    """Return the features of the events of some partitions; a pure function of its arguments.

    Parameters
    ----------
    events : pyarrow.Table
        ``row_id``, ``event_time``, ``partition_key`` and the declared columns, of the partitions
        and of their history.
    labels : pyarrow.Table
        ``row_id``, ``partition_key`` and the declared labels, as far as they are known.
    sql : str
        The text of the query; see the module.
    partitions : sequence of str
        The keys whose events are wanted.

    Returns
    -------
    pyarrow.Table, shape (n_events, 3 + n_features)
        ``row_id``, ``partition_key``, ``event_time``, then ``config.features.columns``: numeric
        ones float64 (null where not finite), categorical ones string; ordered by partition and
        row key.

    Raises
    ------
    ConfigError
        If the query does not run, lacks a feature, or does not give each event exactly once.
    """
    wanted = events.filter(pc.is_in(events[PARTITION_COLUMN], pa.array(list(partitions), pa.string())))
    wanted = wanted.select(["row_id", PARTITION_COLUMN, "event_time"])
    found = _run(events, labels, config=config, sql=sql)
    found = found.filter(pc.is_in(found["row_id"], wanted["row_id"].combine_chunks()))
    n_keys = pc.count_distinct(found["row_id"]).as_py()
    if not found.num_rows == n_keys == wanted.num_rows:
        raise ConfigError(
            f"features.sql {config.features.sql} must give each event exactly once: for {wanted.num_rows} "
            f"events it gives {found.num_rows} rows with {n_keys} keys. Left join what may be missing, and "
            "group what may be several."
        )
    wanted = wanted.sort_by(_ORDER)
    places = pc.index_in(wanted["row_id"], value_set=found["row_id"].combine_chunks())
    aligned = found.take(places.combine_chunks())
    names = list(config.features.columns)
    columns = [*wanted.columns, *aligned.select(names).columns]
    return pa.table(columns, names=[*wanted.column_names, *names]).combine_chunks()


def _run(events: pa.Table, labels: pa.Table, *, config: DatasetConfig, sql: str) -> pa.Table:
    """Return ``row_id`` and the features, by their types, of all rows that the query gives."""
    what = f"features.sql {config.features.sql}"
    with duckdb.connect(config=_ENGINE) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET VARIABLE label_delay_days = {config.label_delay_days}")
        for name, table in {"events": events, "labels": labels}.items():
            # In one order, however the lake's files lie: a sum of floats depends on it.
            connection.register(f"holdfast_{name}", _without_zones(table.sort_by(_ORDER)))
            connection.execute(
                f"CREATE TEMP VIEW {name} AS "  # noqa: S608
                f"SELECT *, CAST({PARTITION_COLUMN} AS DATE) AS partition_date FROM holdfast_{name}"
            )
        try:
            statements = duckdb.extract_statements(sql)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise ConfigError(f"{what} must be exactly one SELECT.")
            result = connection.sql(statements[0].query).to_arrow_table()
        except duckdb.Error as error:
            raise ConfigError(f"{what}: {str(error).strip()}") from error
    columns = {"row_id": _column(result, "row_id", pa.string(), what)}
    for name in config.features.numeric:
        values = _column(result, name, pa.float64(), what)
        columns[name] = pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))
    for name in config.features.categorical:
        columns[name] = _column(result, name, pa.string(), what)
    return pa.table(columns)


def _column(result: pa.Table, name: str, kind: pa.DataType, what: str) -> pa.ChunkedArray:
    if result.column_names.count(name) > 1:
        raise ConfigError(f"{what} gives the column {name!r} more than once.")
    if name not in result.column_names:
        close = difflib.get_close_matches(name, result.column_names, n=1, cutoff=0.5)
        nearest = (
            f"the nearest is {close[0]!r}" if close else f"it gives {', '.join(result.column_names[:20])}"
        )
        raise ConfigError(f"{what} gives no column {name!r}; {nearest}.")
    try:
        return result[name].cast(kind, safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ConfigError(f"{what}: column {name!r} can't be {kind}: {error}") from error


def _without_zones(table: pa.Table) -> pa.Table:
    """Return the table with its UTC times as plain ones, so that SQL's date functions just work."""
    plain = [
        pa.field(field.name, pa.timestamp("us")) if pa.types.is_timestamp(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(plain))


def _with_history(partitions: Sequence[str], history_days: int) -> list[str]:
    return sorted(
        {day for key in partitions for day in partition_range(shift_partition(key, -history_days), key)}
    )
