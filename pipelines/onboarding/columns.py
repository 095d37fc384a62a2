"""What each column of a sample holds: its type, its missing-value marks, the cells that do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pipelines.config import ColumnType
from pipelines.onboarding.dates import Written, how_dates_are_written, moment_sql
from pipelines.onboarding.numbers import (
    LIKELY_MARKS,
    SURE_MARKS,
    number_marks,
    number_sql,
    sentinels,
    texts_of,
)
from pipelines.onboarding.sample import CELLS, Sample
from pipelines.profiling import ColumnProfile, profile_relation
from pipelines.storage.sql import identifier, literal

#: The relation of the sample's typed cells.
TYPED = "holdfast_typed"

_MAX_MISFITS = 0.02
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_FLOATS = ("FLOAT", "DOUBLE", "DECIMAL", "HUGEINT", "UBIGINT", "UHUGEINT")


@dataclass(frozen=True)
class Column:
    """One column.

    Parameters
    ----------
    name : str
        Its clean name.
    kind : ColumnType or None
        None: no type fits (a list, bytes), or every cell is null.
    written : Written or None
        Of text: how its dates or times of day are written.
    n_misfits : int
        Cells that are no value of the type; their rows would go to quarantine.
    profile : ColumnProfile
        Of the typed cells.
    """

    name: str
    kind: ColumnType | None
    written: Written | None
    n_misfits: int
    profile: ColumnProfile

    @property
    def is_number(self) -> bool:
        """Whether it holds integers or floats."""
        return self.kind in ("integer", "float")


@dataclass
class Columns:
    """All columns, and what was learned about missing values on the way.

    Parameters
    ----------
    sample : Sample
        With the marks of its numbers.
    by_name : dict of str to Column
        In the source's order. The relation :data:`TYPED` has those that have a type, and the place.
    missing : list of str
        The texts that stand for a missing value.
    notes, doubts : list of str
        What was understood, and what a person should look at.
    """

    sample: Sample
    by_name: dict[str, Column] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    @property
    def typed(self) -> list[Column]:
        """The columns that can be declared."""
        return [column for column in self.by_name.values() if column.kind is not None]


def understand_columns(sample: Sample) -> Columns:
    """Find the type of each column, by the evidence of all cells of the sample."""
    texts = [name for name in sample.names if sample.is_text(name)]
    columns = Columns(sample)
    decimal, thousands, doubts = number_marks([sample.spread(name) for name in texts])
    if any(not sample.is_text(name) for name in sample.names):
        decimal, thousands, doubts = ".", None, []  # text in a typed table is text
    columns.sample = replace(sample, decimal=decimal, thousands=thousands)
    columns.doubts += doubts
    if decimal != "." or thousands:
        mark = f" and {thousands!r} between thousands" if thousands else ""
        columns.notes.append(f"Numbers are written with {decimal!r} as the decimal mark{mark}.")
    _find_marks(columns, texts)
    guesses = {name: _guess(columns, name) for name in sample.names}
    _find_sentinels(columns, [name for name in texts if guesses[name][0] in ("integer", "float")])
    _type(columns, guesses)
    return columns


def typed_sql(column: Column, sample: Sample) -> str:
    """Return SQL for the typed cells of a column of :data:`~pipelines.onboarding.sample.CELLS`."""
    return _typed(column.name, column.kind or "string", column.written, sample)


def _typed(name: str, kind: ColumnType, written: Written | None, sample: Sample) -> str:
    cell = identifier(name)
    match kind:
        case "integer":
            return f"TRY_CAST({number_sql(name, sample)} AS BIGINT)"
        case "float":
            return number_sql(name, sample)
        case "boolean":
            return f"TRY_CAST({cell} AS BOOLEAN)"
        case "date" | "timestamp":
            moment = moment_sql(cell, written) if written else f"TRY_CAST({cell} AS TIMESTAMP)"
            return f"CAST({moment} AS DATE)" if kind == "date" else moment
        case "string":
            return f"trim(CAST({cell} AS VARCHAR))"


def _find_marks(columns: Columns, texts: Sequence[str]) -> None:
    """Find the texts that stand for a missing value, and make them null in the cells."""
    sample, found, left = columns.sample, {""}, {}
    profiles = profile_relation(sample.connection, CELLS, dict.fromkeys(texts, "string"))
    for name, profile in profiles.items():
        counts = {str(value).strip(): count for value, count in profile.top}
        sure = [mark for mark in SURE_MARKS if mark in counts]
        found |= set(sure)
        likely = [mark for mark in LIKELY_MARKS if mark in counts]
        if likely and _is_otherwise_number(columns, name, [*sure, *likely]):
            found |= set(likely)
        elif likely:
            left[name] = likely[0]
    columns.missing = sorted(found)
    if found > {""}:
        columns.notes.append(f"Missing values are written {', '.join(map(repr, sorted(found - {''})))}.")
    for name, mark in left.items():
        if mark not in found:
            columns.doubts.append(
                f"{name}: {mark!r} is kept as a value. If it means missing, add it to `source.missing`."
            )
    _blank_out(columns, texts)


def _is_otherwise_number(columns: Columns, name: str, marks: Sequence[str]) -> bool:
    cell, number = identifier(name), number_sql(name, columns.sample)
    listed = ", ".join(map(literal, ["", *marks]))
    n_other, n_numbers = columns.sample.row(
        f"SELECT count(*) FILTER (trim({cell}) NOT IN ({listed})), count({number}) FROM {CELLS}"  # noqa: S608
    )
    return bool(n_numbers >= 0.9 * n_other and n_numbers > 0)


def _blank_out(columns: Columns, texts: Sequence[str]) -> None:
    if not texts:
        return
    marks = ", ".join(map(literal, columns.missing))
    cells = ", ".join(
        f"CASE WHEN trim({identifier(n)}) IN ({marks}) THEN NULL ELSE {identifier(n)} END AS {identifier(n)}"
        for n in texts
    )
    columns.sample.connection.execute(
        f"CREATE OR REPLACE TABLE {CELLS} AS SELECT * REPLACE ({cells}) FROM {CELLS}"  # noqa: S608
    )


def _guess(columns: Columns, name: str) -> tuple[ColumnType | None, Written | None, int]:
    """Return the type of a column, how its dates are written, and how many cells do not fit."""
    sample = columns.sample
    if not sample.is_text(name):
        return _native(sample.types[name]), None, 0
    number, cell = number_sql(name, sample), identifier(name)
    n, n_numbers, n_whole, n_huge, n_padded, n_boolean, longest = sample.row(
        f"SELECT count({cell}), count({number}), count(*) FILTER ({number} = round({number})), "  # noqa: S608
        f"count(*) FILTER (abs({number}) >= 9e15), "
        f"count(*) FILTER (regexp_matches(trim({cell}), '^0[0-9]')), "
        f"count(*) FILTER (lower(trim({cell})) IN ('true', 'false')), max(length({cell})) FROM {CELLS}"
    )
    if n == 0:
        return None, None, 0
    written = how_dates_are_written(sample, name)
    if written is not None and not (written.kind == "time" and n_numbers == n):
        if written.doubt:
            columns.doubts.append(written.doubt)
        kind: ColumnType = "string" if written.kind == "time" else written.kind
        return kind, written, 0 if written.kind == "time" else written.n_misfits
    if n_boolean == n:
        return "boolean", None, 0
    if n_numbers == n_whole and (n_huge or (n_padded and longest > 2)):
        return "string", None, 0  # a code: its zeros, or its last digits, would be lost in a number
    if n_numbers >= (1 - _MAX_MISFITS) * n or _one_odd_text(columns, name, n - n_numbers, n):
        return ("integer" if n_whole == n_numbers else "float"), None, n - n_numbers
    return "string", None, 0


def _native(kind: str) -> ColumnType | None:
    if kind in _INTEGERS:
        return "integer"
    if kind.startswith(_FLOATS):
        return "float"
    return {
        "BOOLEAN": "boolean",
        "DATE": "date",
        "TIME": "string",
        "UUID": "string",
    }.get(
        kind, "timestamp" if kind.startswith("TIMESTAMP") else "string" if kind.startswith("ENUM") else None
    )  # type: ignore[return-value]


def _one_odd_text(columns: Columns, name: str, n_odd: int, n: int) -> bool:
    """Return whether all that is no number in a column is one and the same text, which then is a mark."""
    if n_odd > 0.5 * n:
        return False
    cell, sample = identifier(name), columns.sample
    odd = sample.rows(
        f"SELECT DISTINCT trim({cell}) FROM {CELLS} WHERE {cell} IS NOT NULL "  # noqa: S608
        f"AND {number_sql(name, sample)} IS NULL LIMIT 2"
    )
    if len(odd) != 1:
        return False
    columns.missing.append(str(odd[0][0]))
    columns.doubts.append(
        f"{name}: {odd[0][0]!r} stands among numbers and is taken as missing (`source.missing`); is it?"
    )
    return True


def _find_sentinels(columns: Columns, numbers: Sequence[str]) -> None:
    clear, suspects = sentinels(columns.sample, numbers)
    texts = texts_of(columns.sample, clear)
    for value in sorted(set(clear.values())):
        named = [name for name in clear if clear[name] == value]
        shown = ", ".join(named[:6]) + (f" and {len(named) - 6} more" if len(named) > 6 else "")
        columns.doubts.append(
            f"{value:g} lies far outside of all other values of {shown}, and comes again and again: it is "
            "taken as missing (`source.missing`). Is it?"
        )
    for name, value in suspects.items():
        columns.doubts.append(
            f"{name}: {value:g} lies far outside of all other values, and comes again and again. If it means "
            "missing, add it to `source.missing`."
        )
    if texts:
        columns.missing = sorted({*columns.missing, *texts})
        _blank_out(columns, [name for name in columns.sample.names if columns.sample.is_text(name)])


def _type(columns: Columns, guesses: dict[str, tuple[ColumnType | None, Written | None, int]]) -> None:
    """Make the typed relation, and profile it."""
    sample = columns.sample
    kinds = {name: kind for name, (kind, _, _) in guesses.items() if kind is not None}
    cells = [
        f"{_typed(name, kind, guesses[name][1], sample)} AS {identifier(name)}"
        for name, kind in kinds.items()
    ]
    sample.connection.execute(
        f"CREATE OR REPLACE TABLE {TYPED} AS SELECT {', '.join([*cells, 'holdfast_place'])} FROM {CELLS}"  # noqa: S608
    )
    profiles = profile_relation(sample.connection, TYPED, kinds)
    for name, (kind, written, n_misfits) in guesses.items():
        nothing = ColumnProfile(name, "string", sample.n_rows, sample.n_rows, 0)
        profile = profiles.get(name, nothing)
        is_empty = profile.n_null == profile.n_rows
        columns.by_name[name] = Column(name, None if is_empty else kind, written, n_misfits, profile)
