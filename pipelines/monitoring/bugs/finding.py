"""Look at each column of each night for a fault that would explain it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.config import DatasetConfig
from pipelines.metrics.quality import Floats
from pipelines.monitoring.bugs.changes import Against
from pipelines.monitoring.bugs.levels import LevelPast
from pipelines.monitoring.bugs.numbers import NumberPast
from pipelines.monitoring.bugs.positions import AWAY, FAR_AWAY, MIN_DAYS
from pipelines.monitoring.bugs.suspicion import Suspicion
from pipelines.monitoring.bugs.swaps import swapped_levels, swapped_numbers
from pipelines.monitoring.sketch import DaySketches
from pipelines.records import ColumnDrift, DataBug

_RUN_DAYS = 3
_NEVER = "9999"
# Of each night of the window, by its position: what the column is suspected of.
Suspicions = list[Suspicion | None]


def find_bugs(
    reference: DaySketches,
    nights: DaySketches,
    drifted: Sequence[ColumnDrift],
    config: DatasetConfig,
    *,
    known: Sequence[DataBug] = (),
) -> tuple[DataBug, ...]:
    """Return the faults that would explain what some nights look like.

    Each day is looked at by itself, against each day of the reference: a fault of one night shows though the
    window it is in is mostly sound. What a world may do as well (another unit of less than five times, an
    offset) counts only if it came from one night to the next, in a step beyond all of the reference's.

    Parameters
    ----------
    reference : DaySketches
        The calm history of the features.
    nights : DaySketches
        The days of the window, of the same grid.
    drifted : sequence of ColumnDrift
        What drifted over the window. Other columns must be twice as far away to be suspected of another unit.
    known : sequence of DataBug
        What was found the night before. A fault that fills the window by now was seen to begin then.

    Returns
    -------
    tuple of DataBug
        At most one a column, in the order of the features; of two swapped columns one for each.
    """
    moved = {column.column for column in drifted}
    levels = {column: LevelPast(reference, column) for column in nights.grid.categorical}
    found: dict[str, Suspicions] = {
        column: [past.suspect(night.categorical[column]) for night in nights.sketches]
        for column, past in levels.items()
    }
    numbers = {column: NumberPast(reference, column) for column in nights.grid.numeric}
    sound: dict[str, list[Floats]] = {}
    for column, past in numbers.items():
        begun = {bug.signature: bug.first_partition for bug in known if bug.column == column}
        away = AWAY if column in moved else FAR_AWAY
        found[column], sound[column] = _of_numbers(past, nights, away=away, begun=begun)
    for position, night in enumerate(nights.sketches):
        before = {column: _together(places[:position]) for column, places in sound.items()}
        swapped = swapped_numbers(night, numbers, before) | swapped_levels(night, levels)
        for column, suspicion in swapped.items():
            found[column][position] = suspicion
    names = [name for name in config.features.columns if name in found]
    bugs = (_last_run(name, nights.days, found[name], known) for name in names)
    return tuple(bug for bug in bugs if bug is not None)


def _of_numbers(
    past: NumberPast, nights: DaySketches, *, away: float, begun: Mapping[str, str]
) -> tuple[Suspicions, list[Floats]]:
    """Return what each night is suspected of, and where it lies: shape (1, 2), or (0, 2) if it is suspect."""
    days = [night.numeric[past.column] for night in nights.sketches]
    found: Suspicions = []
    sound: list[Floats] = []
    for position, day in enumerate(days):
        against = Against(_together(sound), away, is_known=bool(begun))
        suspicion = past.suspect(day, against)
        if suspicion and not suspicion.is_blatant:
            places = past.positions
            is_abrupt = places.is_step(day, against.sound) or places.is_leap(day, against.sound)
            before = found[-1] if found else None
            goes_on = before is not None and before.signature == suspicion.signature
            was_known = begun.get(suspicion.signature, _NEVER) <= nights.days[position]
            suspicion = (
                suspicion if goes_on or was_known or (is_abrupt and len(places.days) >= MIN_DAYS) else None
            )
        found.append(suspicion)
        place = None if suspicion or begun else past.positions.of(day)
        sound.append(_together([]) if place is None else place[None, :])
    if run := past.suspect_run(days[-_RUN_DAYS:]):
        found[-_RUN_DAYS:] = [run] * min(_RUN_DAYS, len(found))
    return found, sound


def _together(places: Sequence[Floats]) -> Floats:
    return np.vstack([np.empty((0, 2)), *places])


def _last_run(
    column: str, days: Sequence[str], suspicions: Suspicions, known: Sequence[DataBug]
) -> DataBug | None:
    """Return the fault of the newest nights that have one, from where it began."""
    last = max((at for at, suspicion in enumerate(suspicions) if suspicion), default=-1)
    newest = suspicions[last] if last >= 0 else None
    if newest is None:
        return None
    first = last
    while first and (before := suspicions[first - 1]) and before.signature == newest.signature:
        first -= 1
    run = [suspicion for suspicion in suspicions[first : last + 1] if suspicion]
    begun = [days[first]] if first else [days[0], *_begun(column, newest.signature, known)]
    until = "" if last == len(days) - 1 else f", until {days[last]}"
    return DataBug(
        column=column,
        signature=newest.signature,
        explanation=f"{column} {newest.what}, since {min(begun)}{until}.",
        first_partition=min(begun),
        n_rows=sum(suspicion.n_rows for suspicion in run),
        share=newest.share,
    )


def _begun(column: str, signature: str, known: Sequence[DataBug]) -> list[str]:
    return [bug.first_partition for bug in known if bug.column == column and bug.signature == signature]
