"""What a day's categories may be suspected of, by how they lie against every day of the reference."""

from __future__ import annotations

import re
import unicodedata

import numpy as np

from pipelines.monitoring.bugs.suspicion import FLOOD, MIN_VALUES, MissingPast, Suspicion
from pipelines.monitoring.sketch import CategorySketch, DaySketches

# A level that goes must have been worth noticing, and on nearly every day.
_MIN_SHARE, _MIN_DAYS_SHARE, _MIN_EXPECTED = 0.02, 0.9, 10
_GONE, _ALIKE = 0.1, 2.0
_MIN_RESPELT = 0.05


class LevelPast:
    """One categorical column of the reference, and what it makes of a later day."""

    def __init__(self, reference: DaySketches, column: str) -> None:
        self.column = column
        self.names = reference.grid.categorical[column]
        counts = reference.day_counts(column)
        total = reference.total.categorical[column]
        self._missing = MissingPast(reference.day_missing(column), reference.day_rows())
        self._top_share = float((counts.max(axis=1) / np.maximum(1, counts.sum(axis=1))).max())
        self.shares = total.counts / max(1, total.n_values)
        self._is_daily = (counts[:, :-1] > 0).mean(axis=0) >= _MIN_DAYS_SHARE
        self._strangers = set(total.strangers)
        self._by_spelling = {spelling(name): name for name in reversed(self.names)}

    def suspect(self, day: CategorySketch) -> Suspicion | None:
        """Return what would explain a day, if it needs explaining."""
        n_rows = day.n_values + day.n_missing
        if n_rows < MIN_VALUES:
            return None
        found = self._missing.suspect(day.n_missing, n_rows)
        if found or day.n_values < MIN_VALUES:
            return found
        return self._suspect_stuck(day) or self._suspect_spelling(day) or self._suspect_renaming(day)

    def likeness(self, counted: dict[str, int]) -> float:
        """Return what a day's levels have in common with the column's, as a share of both, 0 to 1."""
        n = max(1, sum(counted.values()))
        known = dict(zip(self.names, self.shares, strict=True))
        return float(sum(min(count / n, known.get(name, 0.0)) for name, count in counted.items()))

    def counted(self, day: CategorySketch) -> dict[str, int]:
        """Return how often each level of a day occurs, known or not."""
        known = {name: int(count) for name, count in zip(self.names, day.counts, strict=True) if count}
        return {**known, **day.strangers}

    def _suspect_stuck(self, day: CategorySketch) -> Suspicion | None:
        counted = self.counted(day)
        if len(counted) > 1 or self._top_share > 1 - FLOOD:
            return None
        what = f"is {_quoted(next(iter(counted)))} in every row, as on no day before"
        return Suspicion("stuck_value", what, day.n_values, 1.0, is_blatant=True)

    def _suspect_spelling(self, day: CategorySketch) -> Suspicion | None:
        respelt = {
            name: count
            for name, count in day.strangers.items()
            if spelling(name) in self._by_spelling and name not in self._strangers
        }
        n = sum(respelt.values())
        if n < _MIN_RESPELT * day.n_values:
            return None
        new = max(respelt, key=lambda name: respelt[name])
        old = self._by_spelling[spelling(new)]
        more = f" and {len(respelt) - 1} more" if len(respelt) > 1 else ""
        what = f"has {_quoted(old)} written as {_quoted(new)}{more}"
        return Suspicion("level_renamed", what, n, n / day.n_values, is_blatant=True)

    def _suspect_renaming(self, day: CategorySketch) -> Suspicion | None:
        expected = self.shares * day.n_values
        is_watched = (self.shares >= _MIN_SHARE) & self._is_daily & (expected >= _MIN_EXPECTED)
        gone = np.flatnonzero(is_watched & (day.counts <= _GONE * expected))
        pairs = [
            (self.names[level], new, count)
            for level in gone
            for new, count in day.strangers.items()
            if new not in self._strangers and 1 / _ALIKE <= count / expected[level] <= _ALIKE
        ]
        if not pairs:
            return None
        old, new, n = max(pairs, key=lambda pair: pair[2])
        what = f"no longer has {_quoted(old)}, and {_quoted(new)}, never seen before, is as frequent"
        return Suspicion("level_renamed", what, n, n / day.n_values, is_blatant=True)


def spelling(name: str) -> str:
    """Return what is left of a name without case, accents, marks, spaces and leading zeros."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    kept = re.sub(r"[^0-9a-z]+", "", re.sub(r"\.0+$", "", plain.strip())) or plain
    return kept.lstrip("0") or "0"


def _quoted(name: str) -> str:
    return repr(name if len(name) <= 40 else f"{name[:40]}...")
