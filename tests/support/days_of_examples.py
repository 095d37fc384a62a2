"""Labelled rows of many days, a few columns wide."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipelines.records import partition_range


def days_of_examples(first: str, last: str, rows_a_day: int = 30) -> pa.Table:
    """Return the same number of rows for each day; a third of them were late."""
    days = [key for key in partition_range(first, last) for _ in range(rows_a_day)]
    n = len(days)
    return pa.table(
        {
            "row_id": [f"{key}|{row}" for row, key in enumerate(days)],
            "partition_key": days,
            "distance": np.arange(n, dtype=float),
            "carrier": ["UA", "AA"] * (n // 2),
            "is_late": np.arange(n) % 3 == 0,
        }
    )
