"""How sure it is that one model is better than another on the same rows, by resampling whole days."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.metrics.intervals import student_quantile, student_tail
from pipelines.metrics.quality import Floats, known_rows
from pipelines.metrics.resampling import draw_days, metric_of_draws

# Where the tails of the resamples are held against Student's: farther out there are too few of them.
_TAIL = 0.05
# Draws may be narrower than Student's where their units are alike, but also where a single unit says all.
_LEAST_STRETCH = 0.9


class PairedGain(NamedTuple):
    """How much better a challenger is than a champion on the same rows; positive is better.

    ``gain`` is that of the rows as they are, in the primary metric's unit; ``standard_error`` what it varies
    by from days to other days. ``stretch`` is how far the tails of the resamples reach, both together, as a
    multiple of Student's with ``n_units - 1`` degrees of freedom.
    """

    gain: float
    standard_error: float
    n_units: int
    stretch: float

    def p_better(self, margin: float = 0.0) -> float:
        """Return how likely a gain as large as this is by luck, if the true one were ``margin`` at most."""
        return self._tail(self.gain - margin)

    def p_worse(self, margin: float = 0.0) -> float:
        """Return how likely a loss as large as this is by luck, if the true one were ``margin`` at most."""
        return self._tail(-self.gain - margin)

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the two-sided interval of the gain; nan where there is none."""
        if not self._is_defined:
            return math.nan, math.nan
        reach = student_quantile((1 + confidence) / 2, self.n_units - 1) * self.standard_error * self.stretch
        return self.gain - reach, self.gain + reach

    def widened(self, other_error: float) -> PairedGain:
        """Return the gain with a standard error of another source beside that of days."""
        return self._replace(standard_error=math.hypot(self.standard_error, other_error))

    @property
    def _is_defined(self) -> bool:
        return self.n_units >= 2 and math.isfinite(self.gain + self.standard_error)

    def _tail(self, distance: float) -> float:
        if not self._is_defined:
            return 1.0
        if self.standard_error == 0:
            # The same on every day: whatever difference there is, luck in the days did not make it.
            return 0.0 if distance > 0 else 1.0
        return student_tail(distance / self.standard_error / self.stretch, self.n_units - 1)


NOT_COMPARABLE = PairedGain(math.nan, math.nan, 0, 1.0)


def compare_paired(
    target: npt.ArrayLike,
    challenger: npt.ArrayLike,
    champion: npt.ArrayLike,
    units: npt.ArrayLike,
    task: str,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> PairedGain:
    """Compare two models' primary metric on the same rows, with what luck in the days makes of it.

    Whole days are drawn with replacement, the same for both models. Of each draw the gain is divided by its
    own standard error (from how the gain depends on each day's weight), so that few days, and days of which
    some weigh much more than others, are allowed for: percentiles of the plain gain would be too sure. Both
    tails of the draws are taken together: few days tell their reach far better than each one's own.

    Parameters
    ----------
    target : array-like of float, shape (n,)
        What happened; rows with an unknown target are left out.
    challenger, champion : array-like of float, shape (n,) or (n, K)
        The two predictions, as :func:`~pipelines.metrics.quality.evaluate_predictions` takes them.
    units : array-like, shape (n,)
        The day of each row, or another unit of rows that belong together.

    Returns
    -------
    PairedGain
        Without a p-value below 1 where a comparison is not defined: no rows, one class only, fewer than two
        units, or a prediction that is not finite.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    .. [1] Davison & Hinkley, Bootstrap Methods and their Application, 1997, sections 2.7 (infinitesimal
       jackknife) and 5.2 (studentised intervals).
    .. [2] Hall, On Symmetric Bootstrap Confidence Intervals, J. Royal Statistical Society B 50(1), 1988.
    """
    truth = np.asarray(target, dtype=np.float64)
    labels = np.asarray(units)
    if labels.shape != truth.shape:
        raise ValueError(f"{labels.shape} units do not belong to {truth.shape} targets.")
    pairs = [known_rows(truth, guess, task) for guess in (challenger, champion)]
    names, unit = np.unique(labels[np.isfinite(truth)], return_inverse=True)
    if names.size < 2 or not all(np.isfinite(guess).all() for _, guess in pairs):
        return NOT_COMPARABLE
    ours, theirs = (metric_of_draws(*pair, unit, names.size, task) for pair in pairs)
    draws = np.vstack([np.ones(names.size), draw_days(names.size, n_resamples, seed)])
    with np.errstate(invalid="ignore", divide="ignore"):
        gains = ours.values(draws) - theirs.values(draws)
        influence = ours.influences(draws) - theirs.influences(draws)
        errors = np.sqrt((draws * influence**2).sum(axis=1) * names.size / (names.size - 1))
        studentised = (gains[1:] - gains[0]) / errors[1:]
    return PairedGain(float(gains[0]), float(errors[0]), int(names.size), _stretch(studentised, names.size))


def _stretch(studentised: Floats, n_units: int) -> float:
    """Return how far the tails of the draws reach, as a multiple of Student's; 1 where they say nothing."""
    defined = np.abs(studentised[np.isfinite(studentised)])
    if not defined.size:
        return 1.0
    reach = float(np.quantile(defined, 1 - 2 * _TAIL)) / student_quantile(1 - _TAIL, n_units - 1)
    return max(_LEAST_STRETCH, reach)
