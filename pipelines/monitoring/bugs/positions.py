"""Where a day's numbers lie, and how wide: what an undone fault must bring back to where calm days are."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from pipelines.metrics.quality import Floats
from pipelines.monitoring.bugs.suspicion import MIN_VALUES
from pipelines.monitoring.sketch import DaySketches, NumericSketch

# Of a reference of one or two days: how far calm days may be from each other, in standard deviations.
_UNKNOWN_DISTANCE = 0.25
MIN_DAYS = 3
# So often is a day farther from all calm days than those are from each other; more where the window as a
# whole has not drifted.
AWAY, FAR_AWAY = 3.0, 6.0
_CALM_SHARE = 0.95
_ROUNDING = 1e-5
# Squares and differences of larger numbers may overflow.
_LARGEST = 1e150


class Positions:
    """The mean and the standard deviation of each day of a column.

    Both follow a change of unit exactly, however coarse the bins are where the values then lie. Distances are
    in standard deviations of the reference, the larger of the two.
    """

    def __init__(self, reference: DaySketches, column: str) -> None:
        self.centre, self.scale = reference.grid.unit(column)
        sd = reference.total.sd(column)
        self.sd = sd if sd > 0 else 1.0
        n = reference.day_rows() - reference.day_missing(column)
        enough = n >= MIN_VALUES
        sums = reference.day_sums(column)[enough] / n[enough, None]
        widths = np.sqrt(np.maximum(0.0, sums[:, 1] - sums[:, 0] ** 2))
        self.days = self._in_units(sums[:, 0], widths)

    def of(self, day: NumericSketch) -> Floats | None:
        """Return where a day lies, shape (2,); None if it has too few values to say."""
        n = day.n_values
        return self.of_sums(n, day.total, day.total_squares) if n >= MIN_VALUES else None

    def of_sums(self, n: int, total: float, total_squares: float) -> Floats:
        """Return where ``n`` values of such sums (see :class:`NumericSketch`) lie, shape (2,)."""
        mean = total / n
        width = np.sqrt(max(0.0, total_squares / n - mean**2))
        return np.asarray(self._in_units(np.array([mean]), np.array([width]))[0])

    def _in_units(self, means: Floats, widths: Floats) -> Floats:
        """Return positions in the column's units, shape (m, 2), as far as distances of them can be taken."""
        with np.errstate(over="ignore"):
            positions = np.column_stack([self.centre + self.scale * means, self.scale * widths])
        return np.clip(positions, -_LARGEST, _LARGEST)

    @cached_property
    def usual_distance(self) -> float:
        """How far a day of the reference is from the day most like it, of all but the oddest days."""
        if len(self.days) < MIN_DAYS:
            return _UNKNOWN_DISTANCE
        apart = np.abs(self.days[:, None, :] - self.days[None, :, :]).max(axis=2)
        np.fill_diagonal(apart, np.inf)
        return float(np.quantile(apart.min(axis=1), _CALM_SHARE)) / self.sd

    @cached_property
    def usual_step(self) -> float:
        """How far successive days of the reference are at most from each other."""
        steps = np.abs(np.diff(self.days, axis=0)).max(axis=1, initial=0.0)
        return float(steps.max(initial=0.0)) / self.sd

    @cached_property
    def usual_width(self) -> float:
        """The standard deviation of a day, in the middle of all days; 0 where those have one value each."""
        width = float(np.median(self.days[:, 1])) if len(self.days) else 0.0
        return width if width > _ROUNDING * self.sd else 0.0

    def calm(self, sound: Floats) -> Floats:
        """Return where days of the reference lie, and some sound ones of the window (m, 2)."""
        return np.vstack([self.days, sound])

    def distance(self, position: Floats, calm: Floats) -> float:
        """Return how far a day is from the most alike of some days, shape (m, 2)."""
        return float(np.abs(calm - position).max(axis=1).min()) / self.sd if len(calm) else 0.0

    def home(self, n_values: int) -> float:
        """Return how far a calm day of so many values may be."""
        return 1.25 * self.usual_distance + 2.0 / float(np.sqrt(n_values))

    def is_step(self, after: NumericSketch, before: Floats) -> bool:
        """Return whether a day lies farther from each of those before it than any two successive days did.

        Parameters
        ----------
        before : ndarray of float64, shape (m, 2)
            Where days of the window before it lie.
        """
        found = self.of(after)
        if found is None or not len(before):
            return False
        return self.distance(found, before) > 1.5 * self.usual_step + 3.0 / float(np.sqrt(after.n_values))

    def is_leap(self, after: NumericSketch, before: Floats) -> bool:
        """Return whether a day lies, from one night to the next, where no day ever lay or close to it."""
        found = self.of(after)
        if found is None or not len(before) or len(self.days) < MIN_DAYS:
            return False
        return self.distance(found, self.calm(before)) > FAR_AWAY * self.home(after.n_values)
