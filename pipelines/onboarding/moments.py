"""When the rows of a table happened: a column, or several that make up a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise

from pipelines.errors import ConfigError
from pipelines.onboarding.columns import TYPED, Column, Columns
from pipelines.onboarding.sample import CELLS, PLACE
from pipelines.storage.sql import identifier, literal

_TIME_WORDS = (
    "time",
    "date",
    "day",
    "stamp",
    "ts",
    "moment",
    "when",
    "at",
    "on",
    "created",
    "pickup",
    "start",
)
_LATER_WORDS = (
    "end",
    "dropoff",
    "updated",
    "closed",
    "resolved",
    "finish",
    "expir",
    "birth",
    "dob",
    "modified",
)
_PARTS = {
    "year": (("year", "yr", "yyyy", "jahr"), 1900, 2100),
    "month": (("month", "mnth", "mon", "mo", "mm"), 1, 12),
    "day": (("day", "dayofmonth", "day_of_month", "dom", "dd"), 1, 31),
    "hour": (("hour", "hr", "hours", "hh", "hour_of_day"), 0, 23),
    "minute": (("minute", "min", "mins"), 0, 59),
}
_MAX_NULL = 0.2
_EPOCHS = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}
_FIRST_EPOCH, _LAST_EPOCH = 631_152_000, 4_102_444_800  # 1990 and 2100


@dataclass(frozen=True)
class Moment:
    """When a row happened.

    Parameters
    ----------
    sql : str
        ``event_time`` for params.yaml: a column, or a DuckDB expression over the source's columns.
    columns : tuple of str
        That it is made of.
    meaning : str
        What it is, for a person.
    first, last : date
        Of the sample's rows.
    n_days : int
        Days that have rows.
    rows_a_day : tuple of int
        Of those days, in order.
    n_gaps, longest_gap : int
        Runs of days without a row, and the days of the longest.
    n_null : int
        Rows of the sample without a time.
    has_hours : bool
        Whether times of day differ.
    n_rows, n_moments : int
        Rows that have a time, and their different times.
    """

    sql: str
    columns: tuple[str, ...]
    meaning: str
    first: date
    last: date
    n_days: int
    rows_a_day: tuple[int, ...]
    n_gaps: int
    longest_gap: int
    n_null: int
    has_hours: bool
    n_rows: int
    n_moments: int


@dataclass(frozen=True)
class _Candidate:
    sql: str
    columns: tuple[str, ...]
    meaning: str


def find_moment(columns: Columns, asked: str | None, names: Mapping[str, str]) -> Moment | None:
    """Return when the rows happened; None if the table has no time.

    Parameters
    ----------
    asked : str, optional
        What the person says: a column, several between commas, an expression, or ``none``.
    names : mapping of str to str
        What the person may call each column, and its clean name.

    Raises
    ------
    ConfigError
        If what was asked for gives no time.
    """
    if asked is not None and asked.lower() in ("none", ""):
        return None
    candidates = _asked(columns, asked, names) if asked else _guessed(columns)
    for candidate in candidates:
        moment = _measure(columns, candidate)
        if moment is not None and (asked or moment.n_null <= _MAX_NULL * columns.sample.n_rows):
            return moment
    if asked:
        raise ConfigError(
            f"--time {asked!r} gives no time: name a column of dates, several (Date,Time), or a DuckDB "
            f"expression. Columns: {', '.join(list(columns.by_name)[:20])}."
        )
    return None


def moments_query(columns: Columns, moment: Moment) -> str:
    """Return the query that gives each row's place, and its ``event_time``."""
    relation, sql = _over(columns, moment.sql)
    return f"SELECT {PLACE}, TRY_CAST(TRY({sql}) AS TIMESTAMP) AS event_time FROM {relation}"  # noqa: S608


def _over(columns: Columns, sql: str) -> tuple[str, str]:
    """Return what an expression is evaluated over: a plain column is read by its declared type and format."""
    return (TYPED, identifier(sql)) if sql in columns.by_name else (CELLS, sql)


def _asked(columns: Columns, asked: str, names: Mapping[str, str]) -> list[_Candidate]:
    parts = [names.get(part.strip(), part.strip()) for part in asked.split(",")]
    if asked in names:
        parts = [names[asked]]
    if any(part not in columns.by_name for part in parts):
        mentioned = tuple(name for name in columns.by_name if name in asked)
        return [_Candidate(asked, mentioned, "the expression that was given")]
    found = [columns.by_name[part] for part in parts]
    if len(found) == 1:
        return [*_single(found[0]), *_epoch(found[0])]
    return [*_together(found), *_of_parts(found)]


def _guessed(columns: Columns) -> list[_Candidate]:
    """Return what may be the time, the likeliest first."""
    found = columns.typed
    single = sorted(
        (column for column in found if column.kind == "timestamp" and not _is_later(column)), key=_rank
    )
    candidates = [candidate for column in single for candidate in _single(column)]
    others = [candidate.columns[0] for candidate in candidates]
    if len(others) > 1:
        columns.doubts.append(
            f"{', '.join(others[:5])} all hold times; {others[0]} was taken for when a row happened. Is what "
            "the others tell known at that time?"
        )
    candidates += _together(found)
    dates = sorted((c for c in found if c.kind == "date" and not _is_later(c)), key=_rank)
    candidates += [candidate for column in dates for candidate in _single(column)]
    candidates += _of_parts(found)
    for column in found:
        if any(word in column.name.lower() for word in ("time", "date", "epoch", "ts", "stamp")):
            candidates += _epoch(column)
    return candidates


def _is_later(column: Column) -> bool:
    return any(word in column.name.lower() for word in _LATER_WORDS)


def _rank(column: Column) -> tuple[int, int]:
    name = column.name.lower()
    return (not any(word in name for word in _TIME_WORDS), column.profile.n_null)


def _single(column: Column) -> Iterator[_Candidate]:
    if column.kind in ("timestamp", "date") and column.profile.n_present:
        written = f" written {column.written.format}" if column.written and column.written.format else ""
        yield _Candidate(column.name, (column.name,), f"the {column.kind} {column.name}{written}")


def _epoch(column: Column) -> Iterator[_Candidate]:
    if column.kind != "integer" or column.profile.minimum is None:
        return
    low, high = int(column.profile.quantiles[0.01]), int(column.profile.quantiles[0.99])
    for unit, scale in _EPOCHS.items():
        if _FIRST_EPOCH * scale < low <= high < _LAST_EPOCH * scale:
            number = f"TRY_CAST({identifier(column.name)} AS BIGINT)"
            sql = f"make_timestamp({number} * {1_000_000 // scale})"
            yield _Candidate(sql, (column.name,), f"{column.name}, {unit} since 1970")


def _together(found: Sequence[Column]) -> list[_Candidate]:
    """Return the pairs of a date and a time of day, or of a date and an hour."""
    dates = sorted((column for column in found if column.kind == "date"), key=_rank)
    times = [column for column in found if column.written and column.written.kind == "time"]
    hours = [column for column in found if _is_part(column, "hour")]
    candidates = []
    for day in dates[:2]:
        for time in times[:1]:
            text = f"{identifier(day.name)} || ' ' || {identifier(time.name)}"
            form = f"{_form(day)} {_form(time)}"
            candidates.append(
                _Candidate(
                    f"try_strptime({text}, {literal(form)})",
                    (day.name, time.name),
                    f"{day.name} and {time.name} together, written {form}",
                )
            )
        for hour in hours[:1]:
            sql = f"{_day_sql(day)} + to_hours(TRY_CAST({identifier(hour.name)} AS BIGINT))"
            candidates.append(
                _Candidate(sql, (day.name, hour.name), f"{day.name}, and {hour.name} as its hour")
            )
    return candidates


def _form(column: Column) -> str:
    own = column.written.format if column.written else None
    return own or "%Y-%m-%d"


def _day_sql(day: Column) -> str:
    if day.written is not None and day.written.format:
        return f"try_strptime({identifier(day.name)}, {literal(day.written.format)})"
    return f"TRY_CAST({identifier(day.name)} AS TIMESTAMP)"


def _of_parts(found: Sequence[Column]) -> list[_Candidate]:
    """Return the time that columns of years, months, days and so on make up."""
    parts: dict[str, str] = {}
    for part in _PARTS:
        match = next((column for column in found if _is_part(column, part)), None)
        if match is None:
            break
        parts[part] = match.name
    if "month" not in parts:
        return []
    marks = {"year": "%Y", "month": "%m", "day": "%d", "hour": "%H", "minute": "%M"}
    form = "-".join(marks[part] for part in parts)
    sql = f"try_strptime(concat_ws('-', {', '.join(map(identifier, parts.values()))}), {literal(form)})"
    return [_Candidate(sql, tuple(parts.values()), f"made of {', '.join(parts.values())}")]


def _is_part(column: Column, part: str) -> bool:
    words, least, most = _PARTS[part]
    low, high = column.profile.minimum, column.profile.maximum
    return (
        column.kind == "integer"
        and column.name.lower() in words
        and isinstance(low, int)
        and isinstance(high, int)
        and least <= low
        and high <= most
    )


def _measure(columns: Columns, candidate: _Candidate) -> Moment | None:
    """Return what the sample's rows are like in time; None if the expression gives none."""
    import duckdb

    sample = columns.sample
    relation, sql = _over(columns, candidate.sql)
    try:
        days = sample.rows(
            # A time beyond the calendar's years is none.
            f"SELECT CASE WHEN year(moment) BETWEEN 1 AND 9999 THEN CAST(moment AS DATE) END AS day, "  # noqa: S608
            f"count(*), count(DISTINCT moment) FROM "
            f"(SELECT TRY_CAST(TRY({sql}) AS TIMESTAMP) AS moment FROM {relation}) "
            "GROUP BY day ORDER BY day NULLS LAST"
        )
        (n_times,) = sample.row(
            f"SELECT count(DISTINCT CAST(TRY_CAST(TRY({sql}) AS TIMESTAMP) AS TIME)) FROM {relation}"  # noqa: S608
        )
    except duckdb.Error:
        return None
    n_null = sum(n for day, n, _ in days if day is None)
    known = [(day, n, m) for day, n, m in days if day is not None]
    if not known:
        return None
    gaps = [(b[0] - a[0]).days - 1 for a, b in pairwise(known) if (b[0] - a[0]).days > 1]
    return Moment(
        sql=candidate.sql,
        columns=candidate.columns,
        meaning=candidate.meaning,
        first=_day(known[0][0]),
        last=_day(known[-1][0]),
        n_days=len(known),
        rows_a_day=tuple(n for _, n, _ in known),
        n_gaps=len(gaps),
        longest_gap=max(gaps, default=0),
        n_null=n_null,
        has_hours=n_times > 1,
        n_rows=sum(n for _, n, _ in known),
        n_moments=sum(m for *_, m in known),
    )


def _day(value: date | datetime) -> date:
    return value.date() if isinstance(value, datetime) else value
