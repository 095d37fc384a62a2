"""Hold features as a training had them to the same rows' as they are computed now."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.storage.digest import ROW_KEY

# Sums of floats may differ in their last digits, for they are added in another order.
_TOLERANCE = 1e-9


def find_skew(learned: pa.Table, computed: pa.Table, columns: Sequence[str]) -> tuple[dict[str, int], int]:
    """Count the rows in which a feature differs from what a training had.

    Parameters
    ----------
    learned, computed : pyarrow.Table
        ``row_id`` and the features; only rows of both are compared.
    columns : sequence of str
        The features; one that either table lacks differs in every row.

    Returns
    -------
    dict of str to int
        Of each column that differs, in how many rows; the one that differs most comes first.
    int
        How many rows were compared.
    """
    places = pc.index_in(learned[ROW_KEY], value_set=computed[ROW_KEY].combine_chunks())
    shared = pc.is_valid(places)
    before, now = learned.filter(shared), computed.take(places.drop_null().combine_chunks())
    counts = {name: _n_differing(before, now, name) for name in columns}
    found = sorted(((n, name) for name, n in counts.items() if n), key=lambda pair: (-pair[0], pair[1]))
    return {name: n for n, name in found}, before.num_rows


def _n_differing(before: pa.Table, now: pa.Table, name: str) -> int:
    if name not in before.column_names or name not in now.column_names:
        return int(before.num_rows)
    if not pa.types.is_floating(before[name].type):
        texts = [table[name].cast(pa.string()).fill_null("\0") for table in (before, now)]
        return int(pc.sum(pc.not_equal(*texts)).as_py() or 0)
    ours, theirs = (table[name].cast(pa.float64()).to_numpy(zero_copy_only=False) for table in (before, now))
    is_close = np.isclose(ours, theirs, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True)
    return int(is_close.size - np.count_nonzero(is_close))
