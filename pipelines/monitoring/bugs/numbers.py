"""What a day's numbers may be suspected of, by how they lie against every day of the reference."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pipelines.monitoring.bugs.changes import Against, suspect_change
from pipelines.monitoring.bugs.positions import Positions
from pipelines.monitoring.bugs.suspicion import FLOOD, MIN_VALUES, REST, MissingPast, Suspicion
from pipelines.monitoring.sketch import DaySketches, NumericSketch

# What a value may hold of the reference and still be a stranger to it.
_RARE = 0.02
_LASTING_RUN = 3
# What stands for a missing number, also where it lies close to true ones.
_SENTINELS = frozenset(sign * (10**n - 1) for n in range(6) for sign in (1, -1)) | {-1}
# Beyond so many standard deviations what is left of the sums without a value is only rounding.
_LARGE = 1e4


class NumberPast:
    """One numeric column of the reference, and what it makes of a later day."""

    def __init__(self, reference: DaySketches, column: str) -> None:
        self.column = column
        self.positions = Positions(reference, column)
        self._edges = np.asarray(reference.grid.numeric[column], dtype=np.float64)
        self._total: NumericSketch = reference.total.numeric[column]
        self._is_rare = self._total.counts <= _RARE * max(1, self._total.n_values)
        self._most_of_a_rare_value = _most_of_one(reference.day_counts(column), self._is_rare)
        self._extremes = reference.numeric[column].extremes
        self._missing = MissingPast(reference.day_missing(column), reference.day_rows())

    def suspect(self, day: NumericSketch, against: Against) -> Suspicion | None:
        """Return what would explain a day, if it needs explaining."""
        n_rows = day.n_values + day.n_missing
        if n_rows < MIN_VALUES:
            return None
        found = self._missing.suspect(day.n_missing, n_rows)
        if found or day.n_values < MIN_VALUES:
            return found
        found = self._suspect_stuck(day) or self._suspect_flood(day, against)
        return found or suspect_change(self.positions, self._total, day, against)

    def suspect_run(self, days: Sequence[NumericSketch]) -> Suspicion | None:
        """Return the suspicion of a column with one value a day that no longer changes from day to day."""
        lowest = self._extremes[:, 0]
        if min(len(days), len(lowest)) < _LASTING_RUN or not self._is_constant.all():
            return None
        run = {extreme for day in days for extreme in (day.minimum, day.maximum)}
        if len(run) > 1 or (np.diff(lowest) == 0).any():
            return None
        what = f"has been {days[-1].minimum:.6g} for {len(days)} days, and changed every day before"
        return Suspicion("stuck_value", what, days[-1].n_values, 1.0, is_blatant=True)

    @cached_property
    def _is_constant(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self._extremes[:, 0] == self._extremes[:, 1])

    def _suspect_stuck(self, day: NumericSketch) -> Suspicion | None:
        if day.minimum != day.maximum or self._is_constant.any():
            return None
        what = f"is {day.minimum:.6g} in every row, as on no day before"
        return Suspicion("stuck_value", what, day.n_values, 1.0, is_blatant=True)

    def _suspect_flood(self, day: NumericSketch, against: Against) -> Suspicion | None:
        shares = day.counts / day.n_values
        places = np.flatnonzero((shares >= FLOOD) & (shares <= 1 - REST) & self._is_rare)
        for place in places[np.argsort(-shares[places])].tolist():
            value, share = self._value_at(place, day), float(shares[place])
            around = shares[max(0, place - 2) : place + 3].sum() - share
            is_alone = around <= 0.05 * share and self._is_one_value(place, share, day)
            if is_alone and self._is_rest_sound(place, value, day, against):
                what = f"is {value:.6g} in {share:.0%} of the rows, which was rare before"
                return Suspicion("sentinel_flood", what, int(day.counts[place]), share, is_blatant=True)
        return None

    def _is_one_value(self, place: int, share: float, day: NumericSketch) -> bool:
        """Return whether what fills a bin is one value that did not fill it before."""
        if not self._is_outside(place):
            # Where each day has values of its own (a daily rate), two groups of rows may well meet in one.
            return self._most_of_a_rare_value < FLOOD <= share - self._most_of_a_rare_value
        # Bins beyond the reference's values are wide.
        filled = np.flatnonzero(day.counts)
        if place not in (filled[0], filled[-1]) or (filled.size == 1 and day.minimum != day.maximum):
            return False
        extreme = self._value_at(place, day)
        beyond = max(self._total.minimum - extreme, extreme - self._total.maximum)
        return beyond > self._total.maximum - self._total.minimum or extreme in _SENTINELS

    def _is_outside(self, place: int) -> bool:
        known = np.flatnonzero(self._total.counts)
        return not known.size or not known[0] <= place <= known[-1]

    def _is_rest_sound(self, place: int, value: float, day: NumericSketch, against: Against) -> bool:
        """Return whether the other values are as ever; of what was never seen before it does not matter."""
        n_flood = int(day.counts[place])
        n_rest, z = day.n_values - n_flood, (value - self.positions.centre) / self.positions.scale
        if self._is_outside(place) or n_rest < MIN_VALUES or abs(z) > _LARGE:
            return True
        sums = day.total - n_flood * z, day.total_squares - n_flood * z**2
        distance = self.positions.distance(
            self.positions.of_sums(n_rest, *sums), self.positions.calm(against.sound)
        )
        return distance <= 2 * self.positions.home(n_rest)

    def _value_at(self, place: int, day: NumericSketch) -> float:
        filled = np.flatnonzero(day.counts)
        if place == filled[0]:
            return day.minimum
        return day.maximum if place == filled[-1] else float(self._edges[min(place, self._edges.size - 1)])


def _most_of_one(counts: npt.NDArray[np.int64], is_rare: npt.NDArray[np.bool_]) -> float:
    """Return the largest share of a day that one value had that is rare in all of the reference."""
    each = np.maximum(1, counts.sum(axis=1))
    return float((counts[:, is_rare].max(axis=1, initial=0) / each).max(initial=0.0))
