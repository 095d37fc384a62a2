"""Which day of the source a partition reads: its own, or the same day of the replay year."""

from __future__ import annotations

from datetime import date

from pipelines.records import partition_date


def source_date(partition_key: str, replay_year: int | None) -> date:
    """Return the day of the source that becomes a partition.

    Parameters
    ----------
    partition_key : str
        ``YYYY-MM-DD``.
    replay_year : int or None
        The year that every calendar date is mapped to; 29 February reads 28 February where that
        year has none. None reads the day itself.

    Raises
    ------
    ConfigError
        If the key is no real date.

    Examples
    --------
    >>> source_date("2026-11-20", 2013), source_date("2024-02-29", 2013)
    (datetime.date(2013, 11, 20), datetime.date(2013, 2, 28))
    """
    day = partition_date(partition_key)
    if replay_year is None:
        return day
    try:
        return day.replace(year=replay_year)
    except ValueError:
        return day.replace(year=replay_year, day=28)
