"""The SQL of a landed row: its key, its time, its cells by their declared types, and what is miscast.

It reads two temporary tables that :mod:`pipelines.ingestion.partitions` fills: ``picked`` (the
rows as the source has them) and ``wanted`` (the partitions, and the days that they read).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pipelines.config import ColumnType, DatasetConfig
from pipelines.ingestion.casting import MAX_TEXT_CHARS, cast_expression, json_member, miscast_members, text_of
from pipelines.ingestion.sources import identifier, literal

# Columns that the reading adds to the source's own.
KEY, PLACE, MOMENT, SHIFT = "holdfast_key", "holdfast_place", "holdfast_moment", "holdfast_shift"


def landing_query(config: DatasetConfig, types: Mapping[str, str]) -> str:
    """Return the query that gives every picked row as it lands, under each partition that wants it.

    Parameters
    ----------
    config : DatasetConfig
        Its ``columns``, ``labels``, ``key`` and ``event_time``.
    types : mapping of str to str
        The source's columns and their DuckDB types.

    Notes
    -----
    In the replay calendar, dates and times move with the partition: all of them by the days
    between the partition and the day that it reads.
    """
    declared: dict[str, ColumnType] = {**config.columns, **config.labels}
    cast_names = {name: f"holdfast_cast_{position}" for position, name in enumerate(declared)}
    casts = [
        f"{cast_expression(identifier(name), kind)} AS {cast_names[name]}" for name, kind in declared.items()
    ]
    values = {name: _shifted(cast_names[name], kind) for name, kind in declared.items()}
    members = miscast_members({name: cast_names[name] for name in config.columns}, types)
    members.append(
        f"CASE WHEN {MOMENT} IS NULL THEN {json_member('event_time', _time_text(config, types))} END"
    )
    landed = [
        f"{_row_id(config.key, values)} AS row_id",
        f"{MOMENT} + to_days({SHIFT}) AS event_time",
        *(f"{value} AS {identifier(name)}" for name, value in values.items()),
        f"nullif('{{' || concat_ws(', ', {', '.join(members)}) || '}}', '{{}}') AS miscast",
        f"{KEY}",
    ]
    cast_rows = f"SELECT *, {', '.join(casts)} FROM picked JOIN wanted USING ({PLACE})"  # noqa: S608
    return f"SELECT {', '.join(landed)} FROM ({cast_rows}) ORDER BY {KEY}"  # noqa: S608


def needed_columns(config: DatasetConfig, types: Mapping[str, str]) -> list[str]:
    """Return the columns of the source that a landed row is made of; no other is read."""
    return list(dict.fromkeys([*config.columns, *config.labels, *_time_columns(config, types)]))


def _row_id(key: Sequence[str], values: Mapping[str, str]) -> str:
    # A key cell that could not be cast still tells rows apart by its text.
    cells = [f"coalesce(CAST({values[name]} AS VARCHAR), {text_of(name)}, '')" for name in key]
    return f"concat_ws('|', {KEY}, {', '.join(cells)})"


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


def _time_columns(config: DatasetConfig, types: Mapping[str, str]) -> list[str]:
    if config.event_time in types:
        return [config.event_time]
    return [name for name in types if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", config.event_time, re.I)]
