"""What days by themselves do to all that is watched of a table: worked out once, and kept.

The reference's own days are the only authority on how far a calm window may lie from it. What was learned
from them depends on the reference, on how many days the window has, and on which of the reference's days it
is held against; it is kept as JSON by a digest of all that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from pipelines.monitoring.significance.noise import DaySums, Noise, learn_noise
from pipelines.monitoring.significance.watched import (
    JENSEN_SHANNON,
    MISSING_SHARE,
    NEW_LEVELS,
    WASSERSTEIN,
    Subject,
    Watched,
    is_near_normal,
    watch_levels,
    watch_numbers,
    watch_share,
)
from pipelines.monitoring.sketch import DaySketches
from pipelines.monitoring.sketch.cells import Floats
from pipelines.records import Record, digest_of
from pipelines.storage.whole_files import write_atomically

# Moves when the arithmetic changes, so that no cached calibration outlives it.
_VERSION = 3


class Calibration(Record):
    """The noise of all that is watched of a table, in windows of some days: by method, then by column."""

    length: int
    n_days: int
    noise: dict[str, dict[str, Noise]]

    @property
    def digest(self) -> str:
        """Of all that was learned, in hex."""
        return digest_of(self.to_json())


class Calibrations:
    """The calibrations of one reference; each is worked out once.

    Parameters
    ----------
    digest : str
        Of the reference.
    folder : Path
        Where they are kept.
    """

    def __init__(self, digest: str, folder: Path) -> None:
        self._digest = digest
        self._folder = folder

    def of(self, days: DaySketches, columns: Sequence[str], *, length: int) -> Calibration:
        """Return the calibration of windows of ``length`` days, held against ``days``."""
        identity = [
            _VERSION,
            self._digest,
            days.grid.digest,
            days.days,
            int(days.n_rows.sum()),
            list(columns),
            length,
        ]
        path = self._folder / f"{digest_of(identity)}.json"
        try:
            return Calibration.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):  # not worked out yet, or not readable: do it (again)
            found = calibrate(days, columns, length=length)
        write_atomically(path, found.model_dump_json())
        return found


def calibrate(days: DaySketches, columns: Sequence[str], *, length: int) -> Calibration:
    """Learn from a reference's days how far windows of ``length`` of them lie from the whole."""
    watched = watch(days, columns, length=length)
    sums = {subject: _sum_days(days, subject, found) for subject, found in watched.items()}
    noise: dict[str, dict[str, Noise]] = {}
    for subject, found in learn_noise(sums, length=length).items():
        noise.setdefault(subject.method, {})[subject.column] = found
    return Calibration(length=length, n_days=len(days.days), noise=noise)


def watch(days: DaySketches, columns: Sequence[str], *, length: int) -> Mapping[Subject, Watched]:
    """Return what is watched of each column of a reference, in windows of ``length`` days.

    Its values, unless it has none or only one that there can be; its share of nulls; of categories the share
    of new levels.
    """
    found: dict[Subject, Watched | None] = {}
    total = days.total
    for name in columns:
        missing = float(total.column(name).n_missing)
        found[Subject(name, MISSING_SHARE)] = watch_share(missing, float(total.n_rows))
        if name in total.numeric:
            sketch = total.numeric[name]
            n_rows = length * sketch.n_values / max(len(days.days), 1)
            squares = sketch.total_squares / max(sketch.n_values, 1)
            has_mean = sketch.n_values > 0 and is_near_normal(
                _bin_means(days, name), sketch.counts, squares, n_rows
            )
            moments = np.array([sketch.total, sketch.total_squares])
            found[Subject(name, WASSERSTEIN)] = watch_numbers(sketch.counts, moments, has_mean=has_mean)
        else:
            levels = total.categorical[name]
            counts = np.append(levels.counts, levels.n_strange)
            found[Subject(name, JENSEN_SHANNON)] = watch_levels(counts)
            found[Subject(name, NEW_LEVELS)] = watch_share(float(levels.n_strange), float(counts.sum()))
    return {subject: watched for subject, watched in found.items() if watched is not None}


def _bin_means(days: DaySketches, name: str) -> Floats:
    """Return about where the values of each bin lie, in the unit of the sums; shape (k,)."""
    edges = days.grid.standardize(name, days.grid.numeric[name])
    sketch = days.total.numeric[name]
    if not len(edges):
        return np.zeros(1)
    tails = sketch.tail_totals / np.maximum(sketch.counts[[0, -1]], 1)
    middles = (edges[:-1] + edges[1:]) / 2
    return np.concatenate([tails[:1], middles, tails[1:]])


def _sum_days(days: DaySketches, subject: Subject, watched: Watched) -> DaySums:
    name = subject.column
    if subject.method == MISSING_SHARE:
        counts = np.column_stack([days.day_missing(name), days.day_rows() - days.day_missing(name)])
    elif subject.method == NEW_LEVELS:
        levels = days.day_counts(name)
        counts = np.column_stack([levels[:, -1], levels[:, :-1].sum(axis=1)])
    else:
        counts = days.day_counts(name)
    moments = days.day_sums(name) if watched.has_mean else None
    return DaySums(watched, counts.sum(axis=1).astype(np.float64), watched.sums(counts, moments))
