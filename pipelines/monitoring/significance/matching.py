"""Which days of a reference a window is held against: all, or those like its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pipelines.config import MonitoringConfig

_YEAR = 365
# With fewer days that match, all are taken.
_MIN_DAYS = 7


def matching_days(
    days: Sequence[str], window: Sequence[str], monitoring: MonitoringConfig
) -> tuple[tuple[str, ...], str]:
    """Return the days of a reference that a window is compared with, and a note where too few match.

    Parameters
    ----------
    days, window : sequence of str
        Partition keys of the reference and of the window.

    Returns
    -------
    tuple of tuple of str and str
        The note is empty where all is well.

    Examples
    --------
    >>> config = MonitoringConfig(match="weekday")
    >>> weeks = [f"2013-{month:02d}-{day:02d}" for month in (1, 2) for day in range(1, 29)]
    >>> found, note = matching_days(weeks, ["2013-03-05"], config)
    >>> [date.fromisoformat(day).weekday() for day in found], note
    ([1, 1, 1, 1, 1, 1, 1, 1], '')
    """
    if monitoring.match == "none" or not window:
        return tuple(days), ""
    if monitoring.match == "weekday":
        weekdays = {date.fromisoformat(day).weekday() for day in window}
        found = tuple(day for day in days if date.fromisoformat(day).weekday() in weekdays)
    else:
        wanted = [date.fromisoformat(day) for day in window]
        found = tuple(
            day
            for day in days
            if any(_apart(date.fromisoformat(day), other) <= monitoring.season_days for other in wanted)
        )
    if len(found) >= _MIN_DAYS:
        return found, ""
    what = "of the same weekdays" if monitoring.match == "weekday" else "of the same season"
    return tuple(days), (
        f"The reference has {len(found)} day{'' if len(found) == 1 else 's'} {what} as the window, of "
        f"{_MIN_DAYS} that are needed: it was held against all {len(days)}."
    )


def _apart(one: date, other: date) -> int:
    """Return how many days of the year lie between, the shorter way round."""
    found = abs(one.timetuple().tm_yday - other.timetuple().tm_yday) % _YEAR
    return min(found, _YEAR - found)
