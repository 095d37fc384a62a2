"""A table's columns as what is counted: finite numbers, and categories by their names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import SchemaError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
T = TypeVar("T")

# A longer text is known by its start and a digest: levels are kept, and shown on pages.
MAX_TEXT_CHARS = 256
_MANY_ROWS = 50_000
_MAX_THREADS = 4


def by_column(work: Callable[[str], T], columns: Iterable[str], n_rows: int) -> dict[str, T]:
    """Do the same work for each column of a table; a few at once where it is large.

    Sorting and counting let other threads run.
    """
    names = list(columns)
    n_threads = min(_MAX_THREADS, len(os.sched_getaffinity(0)), len(names))
    if n_threads < 2 or n_rows < _MANY_ROWS:
        return {name: work(name) for name in names}
    with ThreadPoolExecutor(n_threads) as pool:
        return dict(zip(names, pool.map(work, names), strict=True))


def require_columns(present: list[str], needed: tuple[str, ...]) -> None:
    """Raise SchemaError if a table lacks a column that is to be counted."""
    if absent := [name for name in needed if name not in present]:
        raise SchemaError(f"The table has no column {', '.join(absent)} to sketch.")


def numbers(table: pa.Table, column: str) -> Floats:
    """Return a numeric column as float64, shape (n,), nan for null; infinite values stay."""
    plain = table[column]
    if not pa.types.is_float64(plain.type):
        plain = pc.cast(plain, pa.float64())
    return np.asarray(plain.to_numpy(zero_copy_only=False), dtype=np.float64)


def code_categories(table: pa.Table, column: str) -> tuple[Integers, list[str]]:
    """Return a categorical column as codes, shape (n,), -1 for null, and the names that they stand for.

    Numbers are read as text, those without a fraction without a decimal point; what is not finite is null.
    Some names may stand for no row.
    """
    plain = table[column]
    if isinstance(plain, pa.Array):
        plain = pa.chunked_array([plain])
    if pa.types.is_dictionary(plain.type) and not pa.types.is_string(plain.type.value_type):
        plain = pc.cast(plain, plain.type.value_type)
    if not pa.types.is_dictionary(plain.type):
        plain = _as_text(plain).dictionary_encode()
    whole = plain.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # a table without rows has no chunk
        whole = pa.array([], plain.type) if not whole.num_chunks else whole.chunk(0)
    codes = pc.fill_null(whole.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    names = whole.dictionary.to_pylist()
    return _without_null_name(np.asarray(codes, dtype=np.int64), names)


def _without_null_name(codes: Integers, names: list[str | None]) -> tuple[Integers, list[str]]:
    for position in [index for index, name in enumerate(names) if name is None]:
        codes = np.where(codes == position, -1, codes)
    return codes, [_short(name or "") for name in names]


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_floating(column.type):
        wide = pc.cast(column, pa.float64())
        column = pc.if_else(pc.is_finite(wide), wide, pa.scalar(None, pa.float64()))
    return pc.cast(column, pa.string())


def _short(name: str) -> str:
    if len(name) <= MAX_TEXT_CHARS:
        return name
    digest = hashlib.sha256(name.encode("utf-8")).hexdigest()[:12]
    return f"{name[: MAX_TEXT_CHARS - 14]}…{digest}"
