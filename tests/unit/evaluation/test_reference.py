"""The rows that later nights are held against."""

from __future__ import annotations

import pyarrow.compute as pc
import pytest
from days_of_examples import days_of_examples

from pipelines.evaluation.reference import sample_reference
from pipelines.records import partition_range


@pytest.mark.parametrize(
    ("n_rows", "per_day"),
    [pytest.param(100, 5, id="sampled"), pytest.param(20_000, 30, id="all-of-them")],
)
def test_reference_takes_as_many_rows_from_each_day(n_rows: int, per_day: int) -> None:
    seen, holdout = days_of_examples("2013-05-01", "2013-05-15"), days_of_examples("2013-05-16", "2013-05-20")

    reference = sample_reference(seen, holdout, n_rows=n_rows)

    counts = pc.value_counts(reference["partition_key"]).to_pylist()
    assert {count["counts"] for count in counts} == {per_day}
    assert len(counts) == 20
    held_out = set(reference.filter(reference["is_holdout"])["partition_key"].to_pylist())
    assert held_out == set(partition_range("2013-05-16", "2013-05-20"))
    assert pc.count_distinct(reference["row_id"]).as_py() == reference.num_rows


def test_reference_keeps_its_bound_with_more_days_than_rows() -> None:
    seen, holdout = (
        days_of_examples("2013-01-01", "2013-04-30", 4),
        days_of_examples("2013-05-01", "2013-05-02", 4),
    )

    assert sample_reference(seen, holdout, n_rows=100).num_rows == 100
