"""What a model's training saw of each column: the values that ``{$REFERENCE: name}`` in a suite stands for.

A profile is learned once, when a model is trained, and kept with the model as JSON of bounded size. A
later night is held to the champion's: a category set, a distribution, or bounds learned at training
need not be copied into a suite by hand, and move with every promotion.

Days are the sample, not rows (rows of one day share their weather), so names that begin with ``day_``
say how far the single days of the training lay apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from pipelines.errors import IntegrityError
from pipelines.records import Record
from pipelines.storage.lake import PARTITION_COLUMN

_QUANTILES = ("0.001", "0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99", "0.999")
# Names that stand for something of the table as a whole; all others are of the expectation's column.
TABLE_NAMES = ("n_rows", "day_rows_min", "day_rows_max")

#: What ``{$REFERENCE: name}`` may name. ``levels`` is the list of all values that occurred (of columns
#: with at most 500), ``distribution`` Great Expectations' partition object, ``q0.01`` a quantile,
#: ``day_mean_min`` the smallest mean of a single day.
REFERENCE_NAMES: tuple[str, ...] = (
    *TABLE_NAMES,
    "min",
    "max",
    "mean",
    "stdev",
    "null_fraction",
    "levels",
    "distribution",
    "day_mean_min",
    "day_mean_max",
    "day_null_fraction_max",
    *(f"q{quantile}" for quantile in _QUANTILES),
)

MAX_LEVELS = 500
# All text columns together: with the numbers, 50 columns stay below 200 kB.
_LEVELS_BYTES = 100_000
_WEIGHT_BYTES = 12
_N_BINS = 20
_DIGITS = 9

Level = str | bool | int
Kind = Literal["string", "number", "boolean", "timestamp", "date"]
Floats = npt.NDArray[np.float64]


class ColumnReference(Record):
    """What was seen of one column.

    ``levels`` are the most frequent values of a column of text, booleans or integers, ``weights`` their
    shares of all values, ``rest_weight`` the share of those left out. ``bins`` are the edges of at most
    20 bins of about equally many values, ``bin_weights`` their shares. Times are ISO 8601. What a column
    does not have (the mean of a text) is None.
    """

    kind: Kind
    n_rows: int
    null_fraction: float
    min: float | int | str | None = None
    max: float | int | str | None = None
    mean: float | None = None
    stdev: float | None = None
    day_mean_min: float | None = None
    day_mean_max: float | None = None
    day_null_fraction_max: float
    quantiles: dict[str, float] = {}
    levels: tuple[Level, ...] | None = None
    weights: tuple[float, ...] = ()
    rest_weight: float = 0.0
    bins: tuple[float, ...] = ()
    bin_weights: tuple[float, ...] = ()

    def value(self, name: str) -> Any:
        """Return what a name stands for, as a suite would hold it; None where it is not known."""
        if name == "levels":
            return None if self.levels is None or self.rest_weight else list(self.levels)
        if name == "distribution":
            return self._distribution()
        if name.startswith("q"):
            return self.quantiles.get(name[1:])
        found = getattr(self, name)
        if name in ("min", "max") and isinstance(found, str):
            return _moment(found, self.kind)
        return found

    def _distribution(self) -> dict[str, list[Any]] | None:
        levels = self.levels if self.levels and not self.rest_weight else None
        if levels and (len(levels) <= _N_BINS or not self.bins):
            return {"values": list(levels), "weights": list(self.weights)}
        return {"bins": list(self.bins), "weights": list(self.bin_weights)} if self.bins else None


class StageReference(Record):
    """What was seen of the table of one stage."""

    n_rows: int
    n_days: int
    day_rows_min: int
    day_rows_max: int
    columns: dict[str, ColumnReference]


class ReferenceProfile(Record):
    """What one training saw: ``raw`` (as published), ``features``, ``predictions`` and ``labels``.

    Predictions are those of the holdout: of the rows that the model learned from, they would flatter it.
    """

    stages: dict[str, StageReference]

    def value(self, stage: str, column: str | None, name: str) -> Any:
        """Return what ``{$REFERENCE: name}`` stands for.

        Parameters
        ----------
        stage : str
            ``raw``, ``features`` or ``predictions``.
        column : str or None
            The expectation's column; not looked at for a name of the table.
        name : str
            One of :data:`REFERENCE_NAMES`.

        Returns
        -------
        Any
            A number, a text, a moment, a list or a mapping, as it would stand in a suite. None where the
            training did not see the column, or the name means nothing for its type: there is nothing to
            hold a night to.

        Examples
        --------
        >>> days = pa.table({"partition_key": ["2013-01-01", "2013-01-02"], "x": [1, 3]})
        >>> learn({"raw": days}).value("raw", "x", "mean")
        2.0
        """
        seen = self.stages.get(stage)
        if seen is None:
            return None
        if name in TABLE_NAMES:
            return getattr(seen, name)
        found = seen.columns.get(column or "")
        return None if found is None else found.value(name)


def learn(tables: Mapping[str, pa.Table]) -> ReferenceProfile:
    """Return what is to be remembered of a training's tables.

    Parameters
    ----------
    tables : mapping of str to pyarrow.Table
        By stage; each with ``partition_key`` and the columns to remember.

    Returns
    -------
    ReferenceProfile
        The same for the same rows, in whatever order the days come; at most about 200 kB of JSON for 50
        columns.
    """
    return ReferenceProfile(stages={stage: _learn_stage(table) for stage, table in sorted(tables.items())})


def read_profile(path: Path) -> ReferenceProfile:
    """Read a profile that a training wrote.

    Raises
    ------
    IntegrityError
        If the file is not one.
    """
    try:
        return ReferenceProfile.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise IntegrityError(
            f"{path} is no readable reference profile of a model: train the model again."
        ) from error


def _learn_stage(table: pa.Table) -> StageReference:
    names = [name for name in table.column_names if name != PARTITION_COLUMN]
    keys, days = np.unique(
        table[PARTITION_COLUMN].to_numpy(zero_copy_only=False).astype(str), return_inverse=True
    )
    sizes = np.bincount(days, minlength=len(keys)).astype(np.int64)
    n_texts = sum(pa.types.is_string(table.schema.field(name).type) for name in names)
    budget = _LEVELS_BYTES // max(1, n_texts)
    return StageReference(
        n_rows=table.num_rows,
        n_days=len(keys),
        day_rows_min=int(sizes.min(initial=table.num_rows)),
        day_rows_max=int(sizes.max(initial=0)),
        columns={name: _learn_column(table[name], days, sizes, budget) for name in names},
    )


def _learn_column(
    column: pa.ChunkedArray, days: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], budget: int
) -> ColumnReference:
    kind, values = _kind(column.type), column
    if pa.types.is_floating(column.type):
        values = pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
    is_null = values.is_null().to_numpy(zero_copy_only=False)
    nulls_a_day = np.bincount(days, weights=is_null, minlength=len(sizes)) / sizes
    seen: dict[str, Any] = {
        "kind": kind,
        "n_rows": len(values),
        "null_fraction": _rounded(float(is_null.mean())) if len(values) else 0.0,
        "day_null_fraction_max": _rounded(float(nulls_a_day.max(initial=0.0))),
    }
    known = values.drop_null()
    if len(known) == 0:
        return ColumnReference(**seen)
    if kind in ("number", "boolean"):
        numbers = known.cast(pa.float64(), safe=False).to_numpy()
        with np.errstate(over="ignore", invalid="ignore"):  # sums of very large numbers are infinite
            seen |= _averages(numbers, days[~is_null])
            if kind == "number":
                seen |= _spread(numbers, is_whole=pa.types.is_integer(column.type))
    elif kind != "string":
        extremes = pc.min_max(known).as_py()
        seen |= {end: extremes[end].isoformat() for end in ("min", "max")}
    if kind in ("string", "boolean") or pa.types.is_integer(column.type):
        seen |= _levels(known, budget, is_set=kind != "number")
    return ColumnReference(**seen)


def _kind(type_: pa.DataType) -> Kind:
    if pa.types.is_boolean(type_):
        return "boolean"
    if pa.types.is_integer(type_) or pa.types.is_floating(type_):
        return "number"
    if pa.types.is_timestamp(type_):
        return "timestamp"
    return "date" if pa.types.is_date(type_) else "string"


def _averages(numbers: Floats, days: npt.NDArray[np.int64]) -> dict[str, float]:
    # In one order, so that sums do not depend on how the rows came.
    order = np.lexsort((numbers, days))
    numbers, days = numbers[order], days[order]
    counts = np.bincount(days)
    means = (np.bincount(days, weights=numbers) / np.maximum(counts, 1))[counts > 0]
    return {
        "mean": _rounded(float(numbers.mean())),
        "stdev": _rounded(float(numbers.std(ddof=1))) if numbers.size > 1 else 0.0,
        "day_mean_min": _rounded(float(means.min())),
        "day_mean_max": _rounded(float(means.max())),
    }


def _spread(numbers: Floats, *, is_whole: bool) -> dict[str, Any]:
    low, high = float(numbers.min()), float(numbers.max())
    levels = np.quantile(numbers, [float(quantile) for quantile in _QUANTILES])
    # Edges are values that occur, so that no bin is empty.
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, _N_BINS + 1), method="lower"))
    seen: dict[str, Any] = {
        "min": int(low) if is_whole else low,
        "max": int(high) if is_whole else high,
        "quantiles": {name: _rounded(float(level)) for name, level in zip(_QUANTILES, levels, strict=True)},
    }
    if edges.size > 1:
        weights = np.histogram(numbers, edges)[0] / numbers.size
        seen |= {"bins": tuple(edges.tolist()), "bin_weights": tuple(weights.tolist())}
    return seen


def _levels(known: pa.ChunkedArray, budget: int, *, is_set: bool) -> dict[str, Any]:
    """Return the most frequent values and their shares; of integers with too many values, none."""
    counted = pc.value_counts(known.combine_chunks())
    n_levels = len(counted)
    if not is_set and n_levels > MAX_LEVELS:
        return {}
    ranked = sorted(
        zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True),
        key=lambda pair: (-pair[1], pair[0]),
    )
    levels: list[Any] = []
    n_kept = 0
    for level, n in ranked[:MAX_LEVELS]:
        budget -= len(str(level).encode()) + _WEIGHT_BYTES
        if budget < 0:
            break
        levels.append(level)
        n_kept += n
    n_all = len(known)
    return {
        "levels": tuple(levels),
        "weights": tuple(n / n_all for _, n in ranked[: len(levels)]),
        "rest_weight": (n_all - n_kept) / n_all,
    }


def _rounded(number: float) -> float:
    """Return nine significant digits: sums of floats differ in the last ones."""
    return float(f"{number:.{_DIGITS}g}")


def _moment(text: str, kind: Kind) -> datetime:
    """Return a time as a suite holds one: a date is its midnight."""
    if kind == "date":
        return datetime.combine(date.fromisoformat(text), time())
    return datetime.fromisoformat(text).astimezone(UTC)
