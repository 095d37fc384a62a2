"""The keys of partitions: real dates, written YYYY-MM-DD."""

from __future__ import annotations

import re
from datetime import date, timedelta

from pipelines.errors import ConfigError

PARTITION_FORMAT = "%Y-%m-%d"
_PARTITION_KEY = re.compile(r"\d{4}-\d{2}-\d{2}\Z")


def partition_date(partition_key: str) -> date:
    """Return the calendar date that a partition key names.

    Raises
    ------
    ConfigError
        If the key is not a real date written ``YYYY-MM-DD``.

    Examples
    --------
    >>> partition_date("2013-07-04")
    datetime.date(2013, 7, 4)
    """
    if _PARTITION_KEY.match(partition_key):
        try:
            return date.fromisoformat(partition_key)
        except ValueError:
            pass
    raise ConfigError(f"{partition_key[:40]!r} is no partition key: write a real date as YYYY-MM-DD.")


def shift_partition(partition_key: str, days: int) -> str:
    """Return the key of the partition ``days`` later (earlier, if negative).

    Examples
    --------
    >>> shift_partition("2013-03-01", -1)
    '2013-02-28'
    """
    return (partition_date(partition_key) + timedelta(days=days)).isoformat()


def partition_range(first: str, last: str) -> list[str]:
    """Return the keys of every day from ``first`` to ``last``, both included, in order.

    Raises
    ------
    ConfigError
        If ``last`` is before ``first``.

    Examples
    --------
    >>> partition_range("2013-01-31", "2013-02-01")
    ['2013-01-31', '2013-02-01']
    """
    start, stop = partition_date(first), partition_date(last)
    if stop < start:
        raise ConfigError(f"The range {first} to {last} is empty: its last day is before its first.")
    return [(start + timedelta(days=n)).isoformat() for n in range((stop - start).days + 1)]
