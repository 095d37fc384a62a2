"""What tells the rows of a table apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from pipelines.onboarding.columns import TYPED, Column, Columns
from pipelines.onboarding.moments import Moment
from pipelines.onboarding.sample import PLACE, quoted

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
# Of more rows that come again in later files, a restarted count is likelier than corrections.
_MAX_CORRECTED = 0.1


@dataclass(frozen=True)
class Key:
    """The columns that tell rows apart.

    Parameters
    ----------
    columns : tuple of str
        Empty: no column does.
    n_duplicates : int
        Rows of the sample that share their key with another one.
    n_corrected : int
        Rows whose key comes again in a later file, which supersedes them.
    """

    columns: tuple[str, ...]
    n_duplicates: int = 0
    n_corrected: int = 0


def find_key(columns: Columns, moment: Moment | None, asked: Sequence[str] | None) -> Key:
    """Return the smallest set of columns of which no two rows are equal; the one asked for, if any.

    If there is none, it is the smallest of which no two rows of one file are: few rows that come again
    in a later file, at the same time, are corrections.
    Measurements do not count: that no two of them are equal is chance.
    """
    if asked is not None:
        return Key(tuple(asked), _duplicates(columns, asked) if asked else 0)
    found = [column for column in columns.typed if column.profile.n_null == 0]
    times = [name for name in moment.columns if name in {column.name for column in found}] if moment else []
    candidates = list(_candidates(found, times, is_timed=moment is not None and times == [*moment.columns]))
    for names in candidates:
        if _duplicates(columns, names) == 0:
            return Key(names)
    for names in candidates if len(columns.sample.starts) > 1 else ():
        n_corrected = _corrected(columns, names, times)
        if n_corrected is not None:
            return Key(names, n_corrected=n_corrected)
    return Key(())


def _candidates(
    found: Sequence[Column], times: Sequence[str], *, is_timed: bool
) -> Iterator[tuple[str, ...]]:
    for column in sorted(found, key=lambda column: not has_word(column.name, _ID_WORDS)):
        if is_identity(column):
            yield (column.name,)
    others = [column.name for column in found if column.name not in times and _may_tell_apart(column)]
    for size in range(_MAX_PARTS if is_timed else 0):
        for chosen in combinations(others[:_MAX_CANDIDATES], size):
            yield (*times, *chosen)


def _corrected(columns: Columns, names: Sequence[str], times: Sequence[str]) -> int | None:
    """Return how many rows are superseded by a later file; None if these columns tell no rows apart."""
    starts = ", ".join(map(str, columns.sample.starts))
    by_file = (
        f"{TYPED} ASOF JOIN (SELECT unnest([{starts}]) AS holdfast_start) AS files "
        f"ON {TYPED}.{PLACE} >= files.holdfast_start"
    )
    n_shared = _duplicates(columns, names)
    is_apart = _duplicates(columns, [*names, "holdfast_start"], relation=by_file) == 0
    is_same_event = _duplicates(columns, [*dict.fromkeys([*names, *times])]) == n_shared
    if not is_apart or not is_same_event or n_shared > 2 * _MAX_CORRECTED * columns.sample.n_rows:
        return None
    (n_keys,) = columns.sample.row(
        f"SELECT count(*) FROM (SELECT DISTINCT {quoted(names)} FROM {TYPED})"  # noqa: S608
    )
    return columns.sample.n_rows - int(n_keys)


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


def _duplicates(columns: Columns, names: Sequence[str], *, relation: str = TYPED) -> int:
    (found,) = columns.sample.row(
        f"SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM {relation} GROUP BY {quoted(names)} "  # noqa: S608
        "HAVING count(*) > 1)"
    )
    return int(found)
