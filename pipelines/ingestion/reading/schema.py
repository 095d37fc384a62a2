"""The names of a staged table's columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipelines.errors import SchemaError
from pipelines.ingestion.reading.options import ReadingOptions
from pipelines.ingestion.reading.staged import LINE_COLUMN, REJECT_COLUMN


def checked_names(names: Sequence[str], *, name: str, options: ReadingOptions) -> tuple[str, ...]:
    """Return a file's column names as they are staged: none empty, renamed, each there once.

    Parameters
    ----------
    names : sequence of str
        As the file has them; an empty one (of a table that was saved with its index) becomes
        ``column<position>``.
    name : str
        What a person calls the file.

    Raises
    ------
    SchemaError
        If there is none, or too many, or two with one name, whatever their case; or one of staging's own.
    """
    if not names:
        raise SchemaError(f"{name} has no columns.")
    if len(names) > options.max_columns:
        raise SchemaError(
            f"{name} has {len(names):,} columns, more than {options.max_columns:,}. If that is right, raise "
            "source.limits.max_columns."
        )
    renamed = dict(options.rename)
    given = [own or f"column{position}" for position, own in enumerate(names)]
    staged = [renamed.get(own, own) for own in given]
    # DuckDB's names do not mind case, so neither does this.
    counts = Counter(own.lower() for own in staged)
    if twice := [own for own in staged if counts[own.lower()] > 1]:
        raise SchemaError(f"{name} names the column {twice[0][:100]!r} more than once.")
    if own := counts.keys() & {LINE_COLUMN, REJECT_COLUMN}:
        raise SchemaError(
            f"{name} has a column {min(own)!r}, a name that Holdfast uses itself: rename it by source.rename."
        )
    return tuple(staged)
