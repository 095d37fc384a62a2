"""Two columns that hold each other's values."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from pipelines.metrics.quality import Floats
from pipelines.monitoring.bugs.levels import LevelPast
from pipelines.monitoring.bugs.numbers import NumberPast
from pipelines.monitoring.bugs.positions import AWAY
from pipelines.monitoring.bugs.suspicion import MIN_VALUES, Suspicion
from pipelines.monitoring.sketch import TableSketch

# What a column's levels share with a column whose values it holds, and with what it was itself.
_LIKE, _UNLIKE = 0.7, 0.3
# Where more columns than these went astray, no swap would explain it, and their pairs are many.
_MAX_ASTRAY = 30


def swapped_numbers(
    day: TableSketch, pasts: Mapping[str, NumberPast], sound: Mapping[str, Floats]
) -> dict[str, Suspicion]:
    """Return the numeric columns of a day that lie where another one lay, and it where they did.

    Parameters
    ----------
    sound : mapping of str to ndarray
        Of each column the positions of the window's days before it that nothing was found in.
    """
    astray: dict[str, Floats] = {}
    for column, past in pasts.items():
        n, position = day.numeric[column].n_values, past.positions.of(day.numeric[column])
        if position is not None:
            distance = past.positions.distance(position, past.positions.calm(sound[column]))
            if distance > AWAY * past.positions.home(n):
                astray[column] = position

    def is_home(position: Floats, column: str) -> bool:
        positions = pasts[column].positions
        return positions.distance(position, positions.calm(sound[column])) <= positions.home(
            day.numeric[column].n_values
        )

    swapped: dict[str, Suspicion] = {}
    for first, second in combinations(astray, 2) if len(astray) <= _MAX_ASTRAY else ():
        if is_home(astray[first], second) and is_home(astray[second], first):
            swapped |= _pair(first, second, day.numeric[first].n_values)
    return swapped


def swapped_levels(day: TableSketch, pasts: Mapping[str, LevelPast]) -> dict[str, Suspicion]:
    """Return the categorical columns of a day that hold another one's levels, and it theirs."""
    astray = {}
    for column, past in pasts.items():
        if day.categorical[column].n_values >= MIN_VALUES:
            counted = past.counted(day.categorical[column])
            if past.likeness(counted) <= _UNLIKE:
                astray[column] = counted
    swapped: dict[str, Suspicion] = {}
    for first, second in combinations(astray, 2) if len(astray) <= _MAX_ASTRAY else ():
        if min(pasts[second].likeness(astray[first]), pasts[first].likeness(astray[second])) >= _LIKE:
            swapped |= _pair(first, second, day.categorical[first].n_values)
    return swapped


def _pair(first: str, second: str, n_rows: int) -> dict[str, Suspicion]:
    return {
        own: Suspicion(
            "swapped_columns",
            f"holds the values of {other}, and {other} its own",
            n_rows,
            1.0,
            is_blatant=True,
        )
        for own, other in ((first, second), (second, first))
    }
