"""A feature that is computed otherwise is named, with the rows that differ."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipelines.features.skew import find_skew

LEARNED = pa.table({"row_id": ["1", "2", "3"], "x": [0.1, None, 3.0], "site": ["a", None, "b"]})


def computed(**columns: list[object]) -> pa.Table:
    plain = {"row_id": ["3", "2", "1", "9"], "x": [3.0, None, 0.1, 7.0], "site": ["b", None, "a", "c"]}
    return pa.table({**plain, **columns})


@pytest.mark.parametrize(
    ("now", "differing"),
    [
        pytest.param(computed(), {}, id="the-same-in-another-order"),
        pytest.param(computed(x=[3.0 + 1e-12, None, 0.1, 7.0]), {}, id="last-digits"),
        pytest.param(computed(x=[3.5, None, 0.1, 7.0]), {"x": 1}, id="a-number"),
        pytest.param(computed(x=[3.0, 0.0, 0.1, 7.0]), {"x": 1}, id="zero-is-not-missing"),
        pytest.param(computed(site=["b", "", "A", "c"]), {"site": 2}, id="texts"),
        pytest.param(computed().drop_columns(["site"]), {"site": 3}, id="a-column-that-is-gone"),
        pytest.param(
            computed(x=[1.0, None, 0.1, 7.0], site=["c", "c", "c", "c"]), {"site": 3, "x": 1}, id="most-first"
        ),
    ],
)
def test_columns_that_differ_are_counted(now: pa.Table, differing: dict[str, int]) -> None:
    assert find_skew(LEARNED, now, ["x", "site"]) == (differing, 3)


def test_without_a_row_of_both_nothing_is_shown() -> None:
    assert find_skew(LEARNED, computed().slice(3), ["x", "site"]) == ({}, 0)
