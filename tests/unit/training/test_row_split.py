"""A row is on one side for good, whichever partition it comes in."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import NotReadyError
from pipelines.training.row_split import HOLDOUT, N_UNITS, TRAIN, VALID, row_sides, row_units, split_rows


def _ids(day: str, n: int) -> pa.ChunkedArray:
    return pa.chunked_array([[f"{day}|key {number}|x" for number in range(n)]])


def test_a_key_is_on_one_side_in_every_partition_and_however_many_keys_there_are() -> None:
    few, many = row_sides(_ids("2024-01-01", 500), 0.2), row_sides(_ids("2024-01-02", 20_000), 0.2)

    assert np.array_equal(few, many[:500])
    assert np.array_equal(row_units(_ids("2024-01-01", 500)), row_units(_ids("2024-01-02", 500)))


def test_sides_are_as_large_as_asked_for() -> None:
    side = row_sides(_ids("2024-01-01", 20_000), 0.3)

    assert np.mean(side == HOLDOUT) == pytest.approx(0.3, abs=0.01)
    assert np.mean(side == VALID) == pytest.approx(0.7 * 0.12, abs=0.01)


def test_units_are_even_and_do_not_follow_the_sides() -> None:
    ids = _ids("2024-01-01", 20_000)
    held_out = row_units(ids)[row_sides(ids, 0.2) == HOLDOUT]

    counts = np.bincount(held_out, minlength=N_UNITS)
    assert counts.size == N_UNITS
    assert 30 < counts.min() <= counts.max() < 100


@settings(deadline=None, max_examples=30)
@given(n=st.integers(3, 40), fraction=st.floats(0.01, 0.89), start=st.integers(0, 10_000))
def test_no_side_is_empty_however_small_the_table(n: int, fraction: float, start: int) -> None:
    ids = pa.chunked_array([[f"2024-01-01|{number}" for number in range(start, start + n)] * 2])

    side = row_sides(ids, fraction)

    assert set(side.tolist()) == {TRAIN, VALID, HOLDOUT}
    assert np.array_equal(side[:n], side[n:])


@pytest.mark.parametrize("n", [0, 2])
def test_too_few_keys_are_refused(n: int) -> None:
    ids = pa.chunked_array(
        [[f"2024-01-0{day}|{number}" for day in range(1, 9) for number in range(n)]], pa.string()
    )

    with pytest.raises(NotReadyError, match=f"{n} labelled rows of different keys"):
        row_sides(ids, 0.2)


def test_examples_are_parted_and_none_is_lost() -> None:
    table = pa.table({"row_id": _ids("2024-01-01", 100), "x": range(100)})

    parts = split_rows(table, 0.2)

    assert sorted(pa.concat_tables([parts.seen, parts.holdout])["x"].to_pylist()) == list(range(100))
    assert parts.seen.num_rows == parts.train.num_rows + parts.valid.num_rows
