"""Changes of all values of a column that a fault makes, and how each is undone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipelines.metrics.quality import Floats
from pipelines.monitoring.bugs.positions import AWAY, FAR_AWAY, Positions
from pipelines.monitoring.bugs.suspicion import FLOOD, Suspicion
from pipelines.monitoring.bugs.units import CHANGES, Change
from pipelines.monitoring.sketch import NumericSketch

# A fault that was seen to begin need not bring the day back so exactly: the world goes on moving meanwhile.
_KNOWN = 4.0
# An offset that keeps the shape: in standard deviations; less where values are larger than any before.
_LARGE_OFFSET, _SMALL_OFFSET = 2.5, 0.5
# Rounding, in sums of squares, of a day that has one value.
_NO_WIDTH = 1e-5


@dataclass(frozen=True)
class Against:
    """What a day is held against.

    Parameters
    ----------
    sound : ndarray of float64, shape (m, 2)
        Positions of the window's days before it that nothing was found in.
    away : float
        How many times the usual distance a day must be from all calm days.
    is_known : bool
        Whether a fault was found in the column the night before.
    """

    sound: Floats
    away: float = AWAY
    is_known: bool = False


def suspect_change(
    positions: Positions, total: NumericSketch, day: NumericSketch, against: Against
) -> Suspicion | None:
    """Return which change of all values would explain a day that lies where no calm day does.

    Parameters
    ----------
    total : NumericSketch
        Of the whole reference.
    """
    position = positions.of(day)
    if position is None:
        return None
    home = positions.home(day.n_values)
    calm = positions.calm(against.sound)
    raw = positions.distance(position, calm)
    is_far = raw > FAR_AWAY * home or against.is_known
    if raw <= against.away * home:
        # Summer in Celsius lies where winter in Fahrenheit did, and still not where the night before lay.
        if not positions.is_step(day, against.sound):
            return None
        calm, home = against.sound, max(home, positions.usual_step / 2)
        raw, is_far = positions.distance(position, calm), True
    home = min(_KNOWN * home, raw / 2) if against.is_known else home
    mean, sd = position
    if positions.distance(np.array([-mean, sd]), calm) <= home:
        is_one_sided = total.minimum >= 0 or total.maximum <= 0
        return _whole("sign_flip", "has the opposite sign", day, is_blatant=is_one_sided)
    undone = {
        change: positions.distance(_undone(position, change), calm)
        for change in CHANGES
        # What is not so far away comes close to where it was by many a change.
        if (change.is_gross or is_far) and _is_telling(change, position, positions)
    }
    best = min(undone, key=lambda change: undone[change], default=None)
    if best and undone[best] <= home:
        what = f"looks as if it were in another unit ({best.name}): undone, it is as before"
        return _whole("unit_change", what, day, is_blatant=best.is_gross)
    return _suspect_offset(positions, total, day, home=home, sound=against.sound)


def _undone(position: Floats, change: Change) -> Floats:
    return np.array([(position[0] - change.offset) / change.factor, position[1] / change.factor])


def _is_telling(change: Change, position: Floats, positions: Positions) -> bool:
    """Return whether undoing a change could tell anything.

    A column around 0 only spreads when its unit changes, and many things make a column spread. And any day
    shrinks to a column's usual value if it is divided by enough: it must be as wide as a calm day then.
    """
    is_around_zero = abs(float(np.median(positions.days[:, 0]))) <= positions.sd / 2
    width = position[1] / change.factor
    usual = positions.usual_width
    is_wide = usual / 3 <= width <= 3 * usual or max(position[1], usual) < _NO_WIDTH * abs(position[0])
    return bool(is_wide and (change.is_gross or change.offset or not is_around_zero))


def _suspect_offset(
    positions: Positions, total: NumericSketch, day: NumericSketch, *, home: float, sound: Floats
) -> Suspicion | None:
    position = positions.of(day)
    calm = np.vstack([sound, positions.days])
    if position is None or not len(calm) or not positions.usual_width:
        return None
    # The last sound day is the likeliest to say where the values would lie.
    offset = float(position[0] - (sound[-1, 0] if len(sound) else np.median(calm[:, 0])))
    is_alike = np.abs(calm[:, 1] - position[1]).min() / positions.sd <= home
    is_large = abs(offset) >= _LARGE_OFFSET * positions.sd
    is_beyond = abs(offset) >= _SMALL_OFFSET * positions.sd and _share_outside(total, day) >= FLOOD
    if not is_alike or not (is_large or is_beyond):
        return None
    size = f"{abs(offset):.4g} {'larger' if offset > 0 else 'smaller'}"
    return _whole("offset", f"is about {size} in all rows, and as wide as before", day, is_blatant=False)


def _share_outside(total: NumericSketch, day: NumericSketch) -> float:
    known = np.flatnonzero(total.counts)
    return 1 - float(day.counts[known[0] : known[-1] + 1].sum()) / day.n_values if known.size else math.nan


def _whole(signature: str, what: str, day: NumericSketch, *, is_blatant: bool) -> Suspicion:
    return Suspicion(signature, what, day.n_values, 1.0, is_blatant=is_blatant)
