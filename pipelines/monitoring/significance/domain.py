"""All columns together: can a classifier tell the window's rows from the reference's?

What moves in no column by itself may move in how columns go together. A few shallow trees are taught to tell
the two apart, and asked about rows of days that they have not seen. How well they do on a calm window is
learned from stretches of the reference, each held against the rest of it in the very same way.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import ValidationError
from scipy import special, stats

from pipelines.config import FeaturesConfig
from pipelines.config.datasets import EffectConfig
from pipelines.monitoring.reference import day_numbers, numeric_values
from pipelines.monitoring.significance.blocks import MIN_DAYS, autoregressive_factors
from pipelines.monitoring.significance.findings import JOINT
from pipelines.monitoring.sketch.cells import Floats, Integers, code_categories
from pipelines.records import ColumnDrift, Record, digest_of
from pipelines.storage.whole_files import write_atomically

Flags = npt.NDArray[np.bool_]

DOMAIN_AUC = "domain_auc"
# Moves when the arithmetic changes, so that no cached calibration outlives it.
_VERSION = 2
# Rows of the window; of the reference twice as many. Below the least there is no telling apart.
_MAX_ROWS, _MIN_ROWS = 2_048, 64
_N_STRETCHES = 12
_N_TREES, _DEPTH, _MIN_LEAF = 16, 8, 10
_QUANTILES, _N_CODES = np.linspace(0, 1, 33), 64
# Days that follow each other are alike: stretches of calm history are fewer than they look.
_LIKENESS_TENTHS = 3
# The days next to a stretch are left out of what it is held against: a night to come has no neighbours there.
_GAP_DAYS = 7
# Where stretches differ by chance, unless that is rarer than this: so many times the degrees of freedom.
_DOUBT, _CHANCE_DOF = 0.1, 3.0
_DECIMALS = 9


class DomainCalibration(Record):
    """How well stretches of the reference can be told from the rest: mean and spread of the log odds."""

    mean: float
    spread: float
    dof: float
    n_stretches: int


@dataclass(frozen=True)
class _Rows:
    """Rows as small numbers, shape (n, k), and the day of each, shape (n,)."""

    cells: Floats
    days: Integers

    def take(self, rows: Integers) -> _Rows:
        return _Rows(self.cells[rows], self.days[rows])


class DomainJudge:
    """Tells windows from a reference by all columns together.

    Parameters
    ----------
    reference : pyarrow.Table
        Its rows: ``partition_key`` and the features.
    features : FeaturesConfig
        The columns.
    digest : str
        Of the reference.
    folder : Path
        Where calibrations are kept.
    """

    def __init__(self, reference: pa.Table, features: FeaturesConfig, *, digest: str, folder: Path) -> None:
        self._table = reference
        self._features = features
        self._digest = digest
        self._folder = folder

    def judge(self, window: pa.Table, *, length: int, floors: EffectConfig) -> ColumnDrift | None:
        """Return how well a window of ``length`` days is told from the reference; None where it is too small.

        Returns
        -------
        ColumnDrift or None
            Not yet corrected for all else that is watched.
        """
        n_rows = self._size(window.num_rows, length)
        if n_rows < _MIN_ROWS:
            return None
        found = self._calibration(length, n_rows)
        auc = tell_apart(self._reference, self._encoding.encode(window), n_rows=n_rows)
        excess = (float(special.logit(auc)) - found.mean) / found.spread
        return ColumnDrift(
            column=JOINT,
            method=DOMAIN_AUC,
            distance=round(max(0.0, auc - 0.5), _DECIMALS),
            threshold=floors.joint,
            is_drifted=False,
            p_value=float(stats.t.sf(excess, found.dof)),
        )

    def _size(self, n_window: int, length: int) -> int:
        """Return by how many rows a window is judged: a power of two, no more than calm stretches have."""
        n_days = day_numbers(self._table)[1]
        share = min(1 / 3, length / n_days) if n_days >= MIN_DAYS else 1 / 3
        n_rows = min(n_window, int(self._table.num_rows * share), _MAX_ROWS)
        return 2 ** (n_rows.bit_length() - 1) if n_rows else 0

    @cached_property
    def _encoding(self) -> _Encoding:
        return _learn_encoding(self._table, self._features)

    @cached_property
    def _reference(self) -> _Rows:
        return self._encoding.encode(self._table)

    def _calibration(self, length: int, n_rows: int) -> DomainCalibration:
        identity = [_VERSION, self._digest, self._features.columns, length, n_rows, self._table.num_rows]
        path = self._folder / f"{digest_of(identity)}.json"
        try:
            return DomainCalibration.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):  # not worked out yet, or not readable: do it (again)
            found = calibrate_domain(self._reference, length=length, n_rows=n_rows)
        write_atomically(path, found.model_dump_json())
        return found


def calibrate_domain(reference: _Rows, *, length: int, n_rows: int) -> DomainCalibration:
    """Learn how well calm stretches of ``length`` days are told from the other days.

    Of a reference of one or two days, random samples of its rows take the place of stretches.
    """
    parts, dof = _parts(reference.days, length, n_rows)
    odds = []
    for is_inside, is_apart in parts:
        inside, outside = np.flatnonzero(is_inside), np.flatnonzero(is_apart)
        if min(len(inside), len(outside)) >= _MIN_ROWS:
            auc = tell_apart(reference.take(outside), reference.take(inside), n_rows=n_rows)
            odds.append(float(special.logit(auc)))
    spread = float(np.std(odds, ddof=1)) if len(odds) > 2 else 1.0
    # No less than chance alone gives an AUC of so many rows (Hanley & McNeil), in log odds: where days add
    # nothing to that, it is known better than by so few stretches.
    least = 4 * math.sqrt(1 / (8 * n_rows))
    if len(odds) > 2 and stats.chi2.sf((len(odds) - 1) * (spread / least) ** 2, len(odds) - 1) > _DOUBT:
        dof *= _CHANCE_DOF
    else:
        # Few stretches, and odds that are no normal ones: the spread that they may well have had.
        spread *= math.sqrt(dof / float(stats.chi2.ppf(_DOUBT, dof)))
    return DomainCalibration(
        mean=round(float(np.mean(odds)) if odds else 0.0, _DECIMALS),
        spread=round(max(spread, least) * np.sqrt(1 + 1 / max(len(odds), 1)), _DECIMALS),
        dof=round(max(dof, 1.0), _DECIMALS),
        n_stretches=len(odds),
    )


def _parts(days: Integers, length: int, n_rows: int) -> tuple[list[tuple[Flags, Flags]], float]:
    """Return stretches of a reference, each with the rows that it is held against, and degrees of freedom."""
    n_days = int(days.max()) + 1
    if n_days < MIN_DAYS:
        groups = np.random.default_rng(0).permutation(len(days)) % (3 if n_rows * 3 <= len(days) else 2)
        n_groups = int(groups.max()) + 1
        return [(groups == group, groups != group) for group in range(n_groups)], float(n_groups)
    length = max(1, min(length, n_days // 3))
    gap = min(_GAP_DAYS, n_days // 8)
    starts = np.unique(np.linspace(0, n_days - length, _N_STRETCHES).round().astype(np.int64))
    parts = [
        (
            (days >= start) & (days < start + length),
            (days < start - gap) | (days >= start + length + gap),
        )
        for start in starts
    ]
    return parts, min(autoregressive_factors(n_days, length, _LIKENESS_TENTHS).dof, len(parts) - 1)


def tell_apart(reference: _Rows, window: _Rows, *, n_rows: int) -> float:
    """Return the AUC of a classifier that tells a window from a reference, 0.01 to 0.99.

    Days are split in two halves on each side, in turns; each half is judged by trees taught on the other.
    Of a side with a single day, rows are. The same for the same rows.
    """
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.metrics import roc_auc_score

    # Another sample of the reference for each window: an odd one would mislead many nights the same way.
    random = np.random.default_rng(zlib.crc32(window.cells.tobytes()))
    sides = [_sample(reference, 2 * n_rows, random), _sample(window, n_rows, random)]
    cells = np.concatenate([side.cells for side in sides])
    is_window = np.repeat([0, 1], [len(side.days) for side in sides])
    halves = np.concatenate([_halves(side.days) for side in sides])
    found = []
    for half in (0, 1):
        taught, asked = halves != half, halves == half
        if min(len(np.unique(is_window[taught])), len(np.unique(is_window[asked]))) < 2:
            continue
        trees = ExtraTreesClassifier(
            n_estimators=_N_TREES,
            max_depth=_DEPTH,
            min_samples_leaf=_MIN_LEAF,
            max_features=0.5,
            class_weight="balanced",
            random_state=0,
            n_jobs=1,
        )
        trees.fit(cells[taught], is_window[taught])
        found.append(float(roc_auc_score(is_window[asked], trees.predict_proba(cells[asked])[:, 1])))
    return float(np.clip(np.mean(found), 0.01, 0.99)) if found else 0.5


@dataclass(frozen=True)
class _Encoding:
    """Cells of a reference: quantile bins of numbers, and levels by how frequent they are.

    Null is -1; so rare a level that it has no number of its own, and any that is new, is the last.
    """

    edges: Mapping[str, Floats]
    ranks: Mapping[str, Mapping[str, int]]

    def encode(self, table: pa.Table) -> _Rows:
        """Return a table's rows as small numbers."""
        cells: list[Floats] = []
        for name, edges in self.edges.items():
            values = numeric_values(table, name)
            cells.append(np.where(np.isfinite(values), np.searchsorted(edges, values), -1.0))
        for name, ranks in self.ranks.items():
            codes, names = code_categories(table, name)
            found = np.array([ranks.get(level, _N_CODES) for level in names] + [-1], dtype=np.float64)
            cells.append(found[codes])
        return _Rows(np.column_stack(cells).astype(np.float32), day_numbers(table)[0])


def _learn_encoding(table: pa.Table, features: FeaturesConfig) -> _Encoding:
    edges, ranks = {}, {}
    for name in features.numeric:
        values = numeric_values(table, name)
        known = values[np.isfinite(values)]
        edges[name] = np.unique(np.quantile(known, _QUANTILES)) if known.size else np.empty(0)
    for name in features.categorical:
        codes, names = code_categories(table, name)
        counts = np.bincount(codes[codes >= 0], minlength=len(names))
        order = np.argsort(-counts, kind="stable")[:_N_CODES]
        ranks[name] = {names[position]: rank for rank, position in enumerate(order)}
    return _Encoding(edges, ranks)


def _sample(rows: _Rows, n: int, random: np.random.Generator) -> _Rows:
    if len(rows.days) <= n:
        return rows
    return rows.take(np.sort(random.choice(len(rows.days), n, replace=False)))


def _halves(days: Integers) -> Integers:
    """Return the half of each row, 0 or 1: of every other day, or of every other row of a single day."""
    distinct, numbers = np.unique(days, return_inverse=True)
    return numbers % 2 if len(distinct) > 1 else np.arange(len(days)) % 2
