"""What tells the rows of a table apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from pipelines.onboarding.columns import TYPED, Column, Columns
from pipelines.onboarding.moments import Moment
from pipelines.onboarding.sample import quoted

_ID_WORDS = (
    "id",
    "no",
    "nr",
    "num",
    "number",
    "index",
    "idx",
    "key",
    "uuid",
    "guid",
    "code",
    "instant",
    "row_name",
)
_PLACE_WORDS = (
    "station",
    "site",
    "store",
    "shop",
    "sensor",
    "device",
    "machine",
    "unit",
    "region",
    "item",
    "product",
)
_MAX_PARTS = 3
_MAX_CANDIDATES = 8


@dataclass(frozen=True)
class Key:
    """The columns that tell rows apart.

    Parameters
    ----------
    columns : tuple of str
        Empty: no column does.
    n_duplicates : int
        Rows of the sample that share their key with another one.
    """

    columns: tuple[str, ...]
    n_duplicates: int = 0


def find_key(columns: Columns, moment: Moment | None, asked: Sequence[str] | None) -> Key:
    """Return the smallest set of columns of which no two rows are equal; the one asked for, if any.

    Measurements do not count: that no two of them are equal is chance.
    """
    if asked is not None:
        return Key(tuple(asked), _duplicates(columns, asked) if asked else 0)
    found = [column for column in columns.typed if column.profile.n_null == 0]
    for column in sorted(found, key=lambda column: not has_word(column.name, _ID_WORDS)):
        if is_identity(column) and _duplicates(columns, [column.name]) == 0:
            return Key((column.name,))
    if moment is None:
        return Key(())
    times = [name for name in moment.columns if name in {column.name for column in found}]
    if len(times) < len(moment.columns):
        return Key(())
    others = [column.name for column in found if column.name not in times and _may_tell_apart(column)]
    for size in range(_MAX_PARTS):
        for chosen in combinations(others[:_MAX_CANDIDATES], size):
            if _duplicates(columns, [*times, *chosen]) == 0:
                return Key((*times, *chosen))
    return Key(())


def is_identity(column: Column) -> bool:
    """Return whether a column alone could name its rows: short texts or whole numbers that differ."""
    if column.kind not in ("integer", "string") or column.profile.n_present < 20:
        return False
    if (column.profile.max_length or 0) > 64:
        return False
    is_dense = column.profile.n_distinct >= 0.9 * column.profile.n_rows
    return is_dense and (has_word(column.name, _ID_WORDS) or column.kind == "string" or _is_running(column))


def has_word(name: str, words: Sequence[str]) -> bool:
    """Return whether a name has one of some words as a part of its own: ``order_id``, ``orderId``."""
    lowered = name.lower()
    return any(
        lowered == word or lowered.endswith(f"_{word}") or lowered.startswith(f"{word}_")
        or (len(word) <= 4 and name.endswith((word.capitalize(), word.upper())) and len(name) > len(word))
        for word in words
    )  # fmt: skip


def _is_running(column: Column) -> bool:
    """Return whether whole numbers count the rows: as many of them as the span between least and largest."""
    low, high = column.profile.minimum, column.profile.maximum
    if not isinstance(low, int) or not isinstance(high, int):
        return False
    return high - low + 1 == column.profile.n_rows


def _may_tell_apart(column: Column) -> bool:
    is_repeated = column.profile.n_distinct < 0.5 * column.profile.n_rows
    named = has_word(column.name, (*_ID_WORDS, *_PLACE_WORDS))
    return (
        column.profile.n_distinct > 1
        and is_repeated
        and (column.kind == "string" or (named and column.is_number))
    )


def _duplicates(columns: Columns, names: Sequence[str]) -> int:
    (found,) = columns.sample.row(
        f"SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM {TYPED} GROUP BY {quoted(names)} "  # noqa: S608
        "HAVING count(*) > 1)"
    )
    return int(found)
