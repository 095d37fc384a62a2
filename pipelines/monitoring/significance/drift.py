"""How far a window of nights lies from a model's reference, column by column."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.config.datasets import EffectConfig
from pipelines.monitoring.reference import MIN_ROWS
from pipelines.monitoring.significance.calibration import Calibration
from pipelines.monitoring.significance.p_values import column_p_value, statistic_p_values
from pipelines.monitoring.significance.watched import (
    JENSEN_SHANNON,
    MISSING_SHARE,
    NEW_LEVELS,
    WASSERSTEIN,
    Subject,
    Watched,
)
from pipelines.monitoring.sketch import (
    TableSketch,
    chi_square,
    jensen_shannon,
    kolmogorov_smirnov,
    missing_share_difference,
    new_level_share,
    population_stability_index,
    wasserstein,
)
from pipelines.monitoring.sketch.cells import Floats
from pipelines.records import ColumnDrift, LevelDrift

# Of the levels that moved, so many are named.
_MAX_LEVELS = 10
_DECIMALS = 9


@dataclass(frozen=True)
class Comparison:
    """A window of a table and what it is held against, as counts on one grid.

    Parameters
    ----------
    reference, current : TableSketch
        Of the days of the reference, and of the window.
    watched : mapping of Subject to Watched
        What is watched of the reference.
    calibration : Calibration
        What its days do to that.
    """

    reference: TableSketch
    current: TableSketch
    watched: Mapping[Subject, Watched]
    calibration: Calibration

    def judge(self, floors: EffectConfig) -> tuple[ColumnDrift, ...]:
        """Return how far each thing lies from the reference, and how likely a calm window is to.

        Not yet corrected for how many there are: ``q_value`` is 1, and nothing is called drifted. What has
        fewer than 30 values on either side is left out, as are nulls and new levels where there are none.
        """
        found = (self._judge(subject, floors) for subject in self.watched)
        return tuple(drift for drift in found if drift is not None)

    def _judge(self, subject: Subject, floors: EffectConfig) -> ColumnDrift | None:
        watched = self.watched[subject]
        n_rows, sums = self._window(subject)
        if n_rows < MIN_ROWS or watched.n_rows < MIN_ROWS:
            return None
        if watched.kind == "share" and not sums[0] and not watched.means[0]:
            return None
        statistics = _statistics(self.reference, self.current, subject)
        noise = self.calibration.noise[subject.method][subject.column]
        p_values = statistic_p_values(watched, noise, n_rows, sums)
        return ColumnDrift(
            column=subject.column,
            method=subject.method,
            distance=statistics.get(subject.method, 0.0),
            threshold=_floor(subject.method, floors),
            is_drifted=False,
            p_value=column_p_value(watched, noise, n_rows, sums, p_values),
            statistics=statistics if watched.kind != "share" else {},
            levels=self._levels(subject, p_values) if subject.method == JENSEN_SHANNON else (),
        )

    def _window(self, subject: Subject) -> tuple[float, Floats]:
        """Return how many values of a column the window has, and its sums of what is watched."""
        name, watched, table = subject.column, self.watched[subject], self.current
        if subject.method == MISSING_SHARE:
            return float(table.n_rows), np.array([float(table.column(name).n_missing)])
        if name in table.numeric:
            numbers = table.numeric[name]
            moments = np.array([numbers.total, numbers.total_squares])
            return float(numbers.n_values), watched.sums(numbers.counts, moments)
        levels = table.categorical[name]
        if subject.method == NEW_LEVELS:
            return float(levels.n_values), np.array([float(levels.n_strange)])
        return float(levels.n_values), watched.sums(np.append(levels.counts, levels.n_strange))

    def _levels(self, subject: Subject, p_values: Floats) -> tuple[LevelDrift, ...]:
        """Return the levels that moved most surprisingly; all that are new are one."""
        name = subject.column
        names = (*self.reference.grid.categorical[name], None)
        before, now = (
            np.append(side.categorical[name].counts, side.categorical[name].n_strange)
            for side in (self.reference, self.current)
        )
        shares = before / max(before.sum(), 1), now / max(now.sum(), 1)
        is_there = (before > 0) | (now > 0)
        order = np.lexsort((-np.abs(shares[1] - shares[0]), p_values[: len(names)]))
        return tuple(
            LevelDrift(
                level=names[position],
                reference_share=round(float(shares[0][position]), _DECIMALS),
                current_share=round(float(shares[1][position]), _DECIMALS),
                p_value=float(p_values[position]),
            )
            for position in order[is_there[order]][:_MAX_LEVELS]
        )


def _floor(method: str, floors: EffectConfig) -> float:
    return {
        WASSERSTEIN: floors.numeric,
        JENSEN_SHANNON: floors.categorical,
        MISSING_SHARE: floors.missing,
        NEW_LEVELS: floors.new_levels,
    }[method]


def _statistics(reference: TableSketch, current: TableSketch, subject: Subject) -> dict[str, float]:
    """Return the distances that are defined, that of the method among them; plain numbers, as JSON has."""
    sides = reference, current, subject.column
    if subject.method == MISSING_SHARE:
        found = {MISSING_SHARE: abs(missing_share_difference(*sides))}
    elif subject.method == NEW_LEVELS:
        found = {NEW_LEVELS: max(0.0, new_level_share(*sides))}
    else:
        found = {
            "chi_square": chi_square(*sides)[0],
            JENSEN_SHANNON: jensen_shannon(*sides),
            "psi": population_stability_index(*sides),
        }
    if subject.method == WASSERSTEIN:
        found |= {"ks": kolmogorov_smirnov(*sides), WASSERSTEIN: wasserstein(*sides)}
    # Infinity is as far away as can be.
    return {
        name: round(min(float(value), sys.float_info.max), _DECIMALS)
        for name, value in found.items()
        if not math.isnan(value)
    }
