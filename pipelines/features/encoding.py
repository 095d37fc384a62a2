"""The encoding: how feature columns become the arrays that a model takes.

It is fitted once, on the training rows, travels inside the model, and is applied by the same
function when a model is trained and when it scores: there is no second one to differ from it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from pipelines.config import FeaturesConfig
from pipelines.errors import SchemaError

# Rarer values count as unknown: a column of names or numbers of things would make a model as large as
# its table, and learn them by heart.
MAX_LEVELS = 1_000
_SMALLEST_SQUARED = 1e-150


class NumericColumn(BaseModel):
    """One numeric feature, and where its training values lay.

    ``mean`` and ``std`` (of the population) are over the values that are not null. A column with
    no value has mean 0; one without spread has ``std`` 1, so that dividing by it is always safe.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    mean: float = Field(allow_inf_nan=False)
    std: float = Field(gt=0, allow_inf_nan=False)


class CategoricalColumn(BaseModel):
    """One categorical feature and its 1,000 most frequent values, sorted; code ``i`` is ``levels[i]``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    levels: tuple[str, ...]

    @property
    def unknown_code(self) -> int:
        """The code of a null and of any value that is no level: the one after the last level."""
        return len(self.levels)


class Encoding(BaseModel):
    """All feature columns of one model, in the order in which it takes them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    numeric: tuple[NumericColumn, ...]
    categorical: tuple[CategoricalColumn, ...] = ()


class Encoded(NamedTuple):
    """Rows as arrays: ``numeric`` float64 ``(n, k)``, NaN for null; ``codes`` int64 ``(n, m)``."""

    numeric: npt.NDArray[np.float64]
    codes: npt.NDArray[np.int64]


def fit_encoding(table: pa.Table, config: FeaturesConfig) -> Encoding:
    """Return the encoding that the training rows give.

    Parameters
    ----------
    table : pyarrow.Table, shape (n, any)
        Holds every column of ``config.columns``; nulls allowed, also only nulls.
    config : FeaturesConfig
        Which columns are numeric and which categorical.

    Raises
    ------
    SchemaError
        If a feature column is missing, or a numeric one holds something else.

    Examples
    --------
    >>> table = pa.table({"distance": [100.0, None, 300.0], "carrier": ["UA", None, "AA"]})
    >>> features = FeaturesConfig(sql="x.sql", numeric=("distance",), categorical=("carrier",))
    >>> fitted = fit_encoding(table, features)
    >>> fitted.numeric[0].mean, fitted.numeric[0].std, fitted.categorical[0].levels
    (200.0, 100.0, ('AA', 'UA'))
    >>> encode(table, fitted).codes.ravel().tolist()
    [1, 2, 0]
    """
    return Encoding(
        numeric=tuple(_fit_numeric(name, _numbers(table, name)) for name in config.numeric),
        categorical=tuple(_fit_categorical(name, _texts(table, name)) for name in config.categorical),
    )


def encode(table: pa.Table, encoding: Encoding) -> Encoded:
    """Return the rows of ``table`` as the arrays that a model takes.

    Parameters
    ----------
    table : pyarrow.Table, shape (n, any)
        Holds every column of the encoding; its order and further columns do not matter.

    Returns
    -------
    Encoded
        ``numeric`` float64 (n, k) as stored, not standardised, NaN for a null; ``codes`` int64
        (n, m) in ``0 .. n_levels``, where ``n_levels`` stands for null and unknown values.

    Raises
    ------
    SchemaError
        As :func:`fit_encoding`.
    """
    numeric = np.empty((table.num_rows, len(encoding.numeric)), dtype=np.float64)
    for position, column in enumerate(encoding.numeric):
        numeric[:, position] = _numbers(table, column.name)
    codes = np.empty((table.num_rows, len(encoding.categorical)), dtype=np.int64)
    for position, category in enumerate(encoding.categorical):
        codes[:, position] = _codes(_texts(table, category.name), category)
    return Encoded(numeric, codes)


def _fit_numeric(name: str, values: npt.NDArray[np.float64]) -> NumericColumn:
    known = values[np.isfinite(values)]
    if known.size == 0:
        return NumericColumn(name=name, mean=0.0, std=1.0)
    size = float(np.abs(known).max())
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = float(known.mean()), float(known.std())
    # Squares of very large numbers overflow, those of very small ones vanish.
    if not (math.isfinite(mean) and math.isfinite(std)) or 0 < size < _SMALLEST_SQUARED:
        mean, std = float((known / size).mean()) * size, float((known / size).std()) * size
    # A constant column can show a spread of a few roundings; scaling by that would blow noise up.
    is_spread = std > 1e-12 * size
    return NumericColumn(name=name, mean=mean, std=std if is_spread else 1.0)


def _fit_categorical(name: str, values: pa.ChunkedArray) -> CategoricalColumn:
    counted = pc.value_counts(values.drop_null())
    levels, counts = counted.field("values").to_pylist(), counted.field("counts").to_pylist()
    frequent = sorted(zip(levels, counts, strict=True), key=lambda entry: (-entry[1], entry[0]))
    return CategoricalColumn(name=name, levels=tuple(sorted(level for level, _ in frequent[:MAX_LEVELS])))


def _codes(values: pa.ChunkedArray, column: CategoricalColumn) -> npt.NDArray[np.int64]:
    known = pa.array(column.levels, pa.string())
    codes = pc.index_in(values, value_set=known)
    filled: npt.NDArray[np.int64] = pc.fill_null(codes, column.unknown_code).to_numpy().astype(np.int64)
    return filled


def _numbers(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    column = _column(table, name)
    try:
        values: npt.NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SchemaError(
            f"Feature {name!r} is numeric, but the table holds {column.type}: {error}"
        ) from error
    return values


def _texts(table: pa.Table, name: str) -> pa.ChunkedArray:
    return _column(table, name).cast(pa.string())


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise SchemaError(
            f"The table has no feature column {name!r}; it has {', '.join(table.column_names)}."
        )
    return table[name]
