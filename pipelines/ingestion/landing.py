"""The SQL of a landed row: its key, its time, its cells by their declared types, and where it comes from.

It reads the relation ``holdfast_placed`` (the rows as the source has them, each with the day that
it belongs to) and the table ``wanted`` (the partitions, and the days that they read); both are made by
:mod:`pipelines.ingestion.partitions`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from pipelines.config import ColumnType, DatasetConfig
from pipelines.ingestion.casting import (
    MAX_TEXT_CHARS,
    Writing,
    cast_expression,
    json_member,
    miscast_members,
    text_of,
)
from pipelines.ingestion.reading import LINE_COLUMN, REJECT_COLUMN
from pipelines.ingestion.sources import FILE_COLUMN, ORDER_COLUMN
from pipelines.storage.digest import canonical_order
from pipelines.storage.sql import identifier, literal

# Columns that the reading adds to the source's own.
KEY, PLACE, MOMENT, SHIFT = "holdfast_key", "holdfast_place", "holdfast_moment", "holdfast_shift"
# What tells which rows of one key stay, and whether those that go differ from them.
MARK, CONTENT, UNKEYED = "holdfast_mark", "holdfast_content", "holdfast_unkeyed"
# A version is compared by its value; where it has no declared type, as a number and then as text.
_VERSION, _VERSION_TEXT = "holdfast_version", "holdfast_version_text"
#: The member of ``miscast`` under which the text of a record that is no row is kept.
RECORD = "record"


def landing_query(config: DatasetConfig, types: Mapping[str, str]) -> str:
    """Return the query that gives every placed row as it lands, under each partition that wants it.

    Parameters
    ----------
    config : DatasetConfig
        Its ``columns``, ``labels``, ``key`` and ``event_time``.
    types : mapping of str to str
        The source's columns and their DuckDB types.

    Returns
    -------
    str
        Ordered by partition and row key; of rows of one key the newest come first: by
        ``source.version``, then by file. Rows that no rule tells apart are in canonical order.

    Notes
    -----
    In the replay calendar, dates and times move with the partition: all of them by the days
    between the partition and the day that it reads.
    """
    declared: dict[str, ColumnType] = {**config.columns, **config.labels}
    cast_names = {name: f"holdfast_cast_{position}" for position, name in enumerate(declared)}
    casts = [f"{cast_of(config, name, kind, types)} AS {cast_names[name]}" for name, kind in declared.items()]
    values = {name: _shifted(cast_names[name], kind) for name, kind in declared.items()}
    landed = [
        f"{_base_id(config, values)} AS row_id",
        f"{_event_time(config)} AS event_time",
        *(f"{value} AS {identifier(name)}" for name, value in values.items()),
        f"{_miscast(config, cast_names, types)} AS miscast",
        f"{FILE_COLUMN} AS source_file",
        f"{LINE_COLUMN} AS source_line",
        *_marks(config, cast_names, types),
        f"{KEY}, {ORDER_COLUMN}, {REJECT_COLUMN} IS NOT NULL AS {REJECT_COLUMN}",
    ]
    cast_rows = f"SELECT *, {', '.join(casts)} FROM holdfast_placed JOIN wanted ON {_belongs(config)}"  # noqa: S608
    rows = f"SELECT {', '.join(landed)} FROM ({cast_rows})"  # noqa: S608
    if not config.key:
        rows = _numbered(rows)
    given = [*raw_columns(config), *config.labels, MARK, CONTENT, UNKEYED, KEY, ORDER_COLUMN, REJECT_COLUMN]
    return f"SELECT {', '.join(map(identifier, given))} FROM ({rows}) ORDER BY {_order(config)}"  # noqa: S608


def cast_of(config: DatasetConfig, name: str, kind: ColumnType, types: Mapping[str, str]) -> str:
    """Return the SQL of a source column's value by a declared type."""
    writing = Writing.of(config.source, name)
    return cast_expression(identifier(name), kind, source_type=types[name], writing=writing)


def needed_columns(config: DatasetConfig, types: Mapping[str, str]) -> list[str]:
    """Return the columns of the source that a landed row is made of; no other is read."""
    version = [config.source.version] if config.source.version else []
    return list(dict.fromkeys([*config.columns, *config.labels, *version, *_time_columns(config, types)]))


def raw_columns(config: DatasetConfig) -> list[str]:
    """Return the columns of the raw table that the landing query gives; ``position`` comes with the order."""
    return ["row_id", "event_time", *config.columns, "miscast", "source_file", "source_line"]


def _belongs(config: DatasetConfig) -> str:
    if config.event_time is None:
        return f"coalesce(holdfast_placed.{PLACE} = wanted.{PLACE}, true)"
    return f"holdfast_placed.{PLACE} = wanted.{PLACE}"


def _event_time(config: DatasetConfig) -> str:
    return f"CAST({KEY} AS TIMESTAMP)" if config.event_time is None else f"{MOMENT} + to_days({SHIFT})"


def _base_id(config: DatasetConfig, values: Mapping[str, str]) -> str:
    """Return the SQL of a row's key; without key columns, of what it holds."""
    names = config.key or tuple(config.columns)
    # A cell that could not be cast still tells rows apart by its text.
    cells = [f"coalesce(CAST({values[name]} AS VARCHAR), {text_of(name)})" for name in names]
    if config.key:
        known = ", ".join(f"coalesce({cell}, '')" for cell in cells)
    else:
        known = f"left(md5(CAST(to_json([{', '.join(cells)}]) AS VARCHAR)), 16)"
    record = f"'{RECORD}:' || left(md5({REJECT_COLUMN}), 16)"
    return (
        f"CASE WHEN {REJECT_COLUMN} IS NULL THEN concat_ws('|', {KEY}, {known}) "
        f"ELSE concat_ws('|', {KEY}, {record}) END"
    )


def _numbered(rows: str) -> str:
    """Number the rows that hold the same, each file's by itself: the second is the second everywhere."""
    alike = f"PARTITION BY row_id, {ORDER_COLUMN} ORDER BY source_line"
    return f"SELECT * REPLACE (row_id || '|' || row_number() OVER ({alike}) AS row_id) FROM ({rows})"  # noqa: S608


def _miscast(config: DatasetConfig, cast_names: Mapping[str, str], types: Mapping[str, str]) -> str:
    members = miscast_members({name: cast_names[name] for name in config.columns}, types)
    if config.event_time is not None:
        time_text = _time_text(config, types)
        members.append(f"CASE WHEN {MOMENT} IS NULL THEN {json_member('event_time', time_text)} END")
    cells = f"nullif('{{' || concat_ws(', ', {', '.join(members)}) || '}}', '{{}}')"
    record = json_member(RECORD, f"left({REJECT_COLUMN}, {MAX_TEXT_CHARS})")
    return f"CASE WHEN {REJECT_COLUMN} IS NULL THEN {cells} ELSE '{{' || {record} || '}}' END"


def _marks(config: DatasetConfig, cast_names: Mapping[str, str], types: Mapping[str, str]) -> Iterator[str]:
    """Yield the SQL of what merging goes by."""
    version, text = _newness(config, types)
    yield f"{version} AS {_VERSION}"
    yield f"{text} AS {_VERSION_TEXT}"
    yield f"hash({version}, {text}) AS {MARK}"
    yield f"hash({', '.join([REJECT_COLUMN, *cast_names.values()])}) AS {CONTENT}"
    # Rows that lack a part of their key can't be told to be one and the same.
    lacks = [f"({cast_names[name]} IS NULL AND {identifier(name)} IS NULL)" for name in config.key]
    yield f"{REJECT_COLUMN} IS NULL AND ({' OR '.join(lacks) or 'false'}) AS {UNKEYED}"


def _newness(config: DatasetConfig, types: Mapping[str, str]) -> tuple[str, str]:
    version = config.source.version
    if version is None:
        return "NULL", "NULL"
    kind = {**config.columns, **config.labels}.get(version)
    if kind is not None:
        return cast_of(config, version, kind, types), "NULL"
    cell = identifier(version)
    return f"TRY_CAST(CAST({cell} AS VARCHAR) AS DOUBLE)", f"CAST({cell} AS VARCHAR)"


def _order(config: DatasetConfig) -> str:
    first = [f"{KEY}, row_id"]
    if config.source.version is not None:
        first += [f"{_VERSION} DESC NULLS LAST", f"{_VERSION_TEXT} DESC NULLS LAST"]
    others = canonical_order(raw_columns(config))[1:]
    last = [f"{identifier(name)} ASC NULLS LAST" for name in [*others, *sorted(config.labels)]]
    return ", ".join([*first, f"{ORDER_COLUMN} DESC", *last])


def _shifted(value: str, kind: ColumnType) -> str:
    if kind == "timestamp":
        return f"({value} + to_days({SHIFT}))"
    return f"({value} + {SHIFT})" if kind == "date" else value


def _time_text(config: DatasetConfig, types: Mapping[str, str]) -> str:
    """Return SQL for what the source holds where a time should be: ``day=2013-13-01, hour=7``."""
    cells = [
        f"{literal(name + '=')} || coalesce({text_of(name)}, 'null')" for name in _time_columns(config, types)
    ]
    return f"left(concat_ws(', ', {', '.join(cells) or literal('')}), {MAX_TEXT_CHARS})"


def _time_columns(config: DatasetConfig, types: Mapping[str, str]) -> Sequence[str]:
    time = config.event_time
    if time is None:
        return []
    if time in types:
        return [time]
    return [name for name in types if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", time, re.IGNORECASE)]
