"""The rows that later nights are held against."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipelines.evaluation.reference import sample_reference
from pipelines.records import partition_range


def _examples(first: str, last: str, rows_a_day: int = 30) -> pa.Table:
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


@pytest.mark.parametrize(
    ("n_rows", "per_day"),
    [pytest.param(100, 5, id="sampled"), pytest.param(20_000, 30, id="all-of-them")],
)
def test_reference_takes_as_many_rows_from_each_day(n_rows: int, per_day: int) -> None:
    seen, holdout = _examples("2013-05-01", "2013-05-15"), _examples("2013-05-16", "2013-05-20")

    reference = sample_reference(seen, holdout, n_rows=n_rows)

    counts = pc.value_counts(reference["partition_key"]).to_pylist()
    assert {count["counts"] for count in counts} == {per_day}
    assert len(counts) == 20
    held_out = set(reference.filter(reference["is_holdout"])["partition_key"].to_pylist())
    assert held_out == set(partition_range("2013-05-16", "2013-05-20"))
    assert pc.count_distinct(reference["row_id"]).as_py() == reference.num_rows


def test_reference_keeps_its_bound_with_more_days_than_rows() -> None:
    seen, holdout = _examples("2013-01-01", "2013-04-30", 4), _examples("2013-05-01", "2013-05-02", 4)

    assert sample_reference(seen, holdout, n_rows=100).num_rows == 100
