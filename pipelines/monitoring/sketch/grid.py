"""The cells that a column's values are counted in: learned once, from the reference."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.errors import SchemaError
from pipelines.monitoring.sketch.cells import Floats, by_column, code_categories, numbers

MAX_LEVELS = 1_000
# The Kolmogorov-Smirnov distance is off by at most one bin's share: 0.001.
N_BINS = 1_000

# An edge may lie higher than the value that it stands for by this share of the next bin: it then needs two
# or three bytes rather than eight.
_SLACK = 1 / 64
# Beyond the values seen, bins grow by a quarter octave, from a quarter of the range to 4,096 times it: what
# comes in another unit still has a shape.
_STEPS_BEYOND = np.exp2(np.arange(-8, 49) / 4)
_LARGEST = float(np.finfo(np.float64).max)
# A unit below this is none.
_SMALLEST = 1e-305
_FARTHEST = 1e145


@dataclass(frozen=True, eq=False)
class Grid:
    """The bins of numeric columns and the known levels of categorical ones.

    Parameters
    ----------
    numeric : mapping of str to ndarray of float64, shape (k - 1,)
        Interior edges of each column, ascending and finite: bin ``i`` holds ``edges[i-1] < x <= edges[i]``,
        the first and last bin are open. No edges: one bin.
    categorical : mapping of str to tuple of str
        The levels of each column, most frequent first, at most 1,000.
    """

    numeric: Mapping[str, Floats] = field(default_factory=dict)
    categorical: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, numeric ones first."""
        return (*self.numeric, *self.categorical)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the cells, in hex."""
        found = hashlib.sha256()
        for name, edges in self.numeric.items():
            found.update(json.dumps([name, edges.size]).encode())
            found.update(np.ascontiguousarray(edges, dtype="<f8").tobytes())
        found.update(json.dumps([[name, *levels] for name, levels in self.categorical.items()]).encode())
        return found.hexdigest()

    def select(self, columns: Iterable[str]) -> Grid:
        """Return the grid of some columns.

        Raises
        ------
        SchemaError
            If the grid has no column of a name.
        """
        names = list(columns)
        if unknown := [name for name in names if name not in self.numeric and name not in self.categorical]:
            raise SchemaError(
                f"The grid has no column {', '.join(unknown)}; it has {', '.join(self.columns)}."
            )
        return Grid(
            {name: self.numeric[name] for name in names if name in self.numeric},
            {name: self.categorical[name] for name in names if name in self.categorical},
        )

    def unit(self, column: str) -> tuple[float, float]:
        """Return the origin and the unit in which sums of a numeric column are kept: a centre and a spread.

        Sums of ``z = (x - centre) / scale`` neither overflow nor cancel, whatever the column's unit.
        """
        return self._units[column]

    def standardize(self, column: str, values: Floats) -> Floats:
        """Return values of a numeric column in its unit, held within 1e145: squares can be summed."""
        centre, scale = self.unit(column)
        with np.errstate(over="ignore"):
            found = values - centre
            found /= scale
        return np.clip(found, -_FARTHEST, _FARTHEST, out=found)

    @cached_property
    def _units(self) -> dict[str, tuple[float, float]]:
        return {name: _unit(edges) for name, edges in self.numeric.items()}


def learn_grid(
    table: pa.Table, *, numeric: Sequence[str], categorical: Sequence[str], n_bins: int = N_BINS
) -> Grid:
    """Learn a grid from the rows of a reference.

    Numeric edges are quantiles of the finite values, so each bin holds about ``1 / n_bins`` of them, finer
    towards both ends, and coarse ones beyond what was seen. A value that holds more than a bin's share by
    itself (0, a cap, a fill value) gets a bin of its own.

    Parameters
    ----------
    table : pyarrow.Table, shape (n, k)
        With all named columns; nulls are left out.
    n_bins : int
        Of the numeric columns. Deciles are edges whatever it is.
    """
    return Grid(
        by_column(lambda name: learn_edges(numbers(table, name), n_bins), numeric, table.num_rows),
        {name: _learn_levels(table, name) for name in categorical},
    )


def learn_edges(values: Floats, n_bins: int = N_BINS) -> Floats:
    """Return the edges that :func:`learn_grid` gives a numeric column, ascending.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        What is not finite is left out. None left: no edges.
    """
    ordered = np.sort(values[np.isfinite(values)])
    if not ordered.size:
        return np.empty(0)
    inside, is_exact = _quantile_edges(ordered, n_bins)
    inside[:-1] = np.where(is_exact[:-1], inside[:-1], _shorten(inside[:-1], np.diff(inside)))
    return np.unique(np.concatenate([_beyond(inside, -1.0), inside, _beyond(inside, 1.0)]))


def is_one_value(edges: Floats) -> npt.NDArray[np.bool_]:
    """Return which bins can hold only one value, shape (k,)."""
    found = np.zeros(edges.size + 1, dtype=np.bool_)
    found[1:-1] = np.nextafter(edges[:-1], np.inf) == edges[1:]
    return found


def _quantile_edges(ordered: Floats, n_bins: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the edges at values that were seen, and which of them must stay just where they are."""
    n = ordered.size
    deciles = [-(-number * n // 10) for number in range(1, 10)]
    ranks = [-(-number * n // n_bins) for number in range(1, n_bins)]
    outer = [n >> shift for shift in range(10, n.bit_length()) if (n >> shift) * n_bins < n]
    ranks += outer + [n - rank for rank in outer] + deciles + [1, n]
    cuts = np.unique(ordered[np.clip(np.array(ranks), 1, n) - 1])
    n_equal = np.searchsorted(ordered, cuts, side="right") - np.searchsorted(ordered, cuts)
    atoms = cuts[n_equal * n_bins > n]
    with np.errstate(over="ignore"):
        below = np.nextafter([*atoms, cuts[0]], -np.inf)
    fixed = np.concatenate([atoms, below, ordered[np.array(deciles) - 1], cuts[-1:]])
    fixed = np.clip(fixed, -_LARGEST, _LARGEST)
    edges = np.unique(np.concatenate([cuts, fixed]))
    return edges, np.isin(edges, fixed)


def _shorten(edges: Floats, widths: Floats) -> Floats:
    """Return edges moved up, by less than their slack, to numbers with few digits in binary."""
    found = edges.copy()
    is_open = np.ones(edges.shape, dtype=np.bool_)
    for n_bits in range(4, 52, 4):
        mantissa, exponent = np.frexp(edges)
        with np.errstate(over="ignore"):
            rounded = np.ldexp(np.ceil(mantissa * 2.0**n_bits), exponent - n_bits)
        is_good = is_open & (rounded - edges <= widths * _SLACK)
        found[is_good] = rounded[is_good]
        is_open &= ~is_good
    return found


def _beyond(inside: Floats, direction: float) -> Floats:
    """Return the edges above (1) or below (-1) all values that were seen."""
    low, high = float(inside[0]), float(inside[-1])
    # Of one value only, its own size is the range; halves can't overflow.
    half = (high / 2 - low / 2) if high > np.nextafter(low, np.inf) else abs(high) / 2 or 0.5
    with np.errstate(over="ignore"):
        steps = 2 * half * _STEPS_BEYOND
        edges = (high if direction > 0 else low) + direction * steps
    is_finite = np.isfinite(edges)
    return direction * _shorten(direction * edges[is_finite], steps[is_finite] / 8)


def _unit(edges: Floats) -> tuple[float, float]:
    """Return the middle edge of those seen, and a spread that a few far values do not set."""
    n_beyond = _STEPS_BEYOND.size
    seen = edges[n_beyond:-n_beyond] if edges.size > 2 * n_beyond else edges
    if not seen.size:
        return 0.0, 1.0
    centre = float(seen[seen.size // 2])
    low, high = float(seen[seen.size // 10]), float(seen[-1 - seen.size // 10])
    spread = high / 2 - low / 2
    # Two edges around one value are no spread.
    if spread <= abs(centre) * 1e-12:
        spread = float(seen[-1]) / 2 - float(seen[0]) / 2
    if spread <= max(abs(centre) * 1e-12, _SMALLEST):
        spread = abs(centre)
    return centre, spread if spread > _SMALLEST else 1.0


def _learn_levels(table: pa.Table, column: str) -> tuple[str, ...]:
    codes, names = code_categories(table, column)
    counts: Counter[str] = Counter()
    for name, count in zip(names, np.bincount(codes[codes >= 0], minlength=len(names)).tolist(), strict=True):
        counts[name] += count
    ranked = sorted((-count, name) for name, count in counts.items() if count)
    return tuple(name for _, name in ranked[:MAX_LEVELS])
