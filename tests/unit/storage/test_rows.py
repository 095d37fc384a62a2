"""A row of the lake is found by its id, in the one partition that the id names."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipelines.errors import ConfigError
from pipelines.storage.lake import Lake
from pipelines.storage.rows import find_rows, ids_near, partition_of

NIGHT, OTHER = "2013-07-04", "2013-07-05"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return a lake of two nights, the first with a key that landed twice."""
    found = Lake(str(tmp_path_factory.mktemp("lake")))
    for night, keys in ((NIGHT, ["a", "b", "b", "it's"]), (OTHER, ["a"])):
        ids = [f"{night}|{key}" for key in keys]
        found.replace("toy", "raw", night, pa.table({"row_id": ids, "x": list(range(len(ids)))}))
    return found


@pytest.mark.parametrize(
    ("row_id", "values"),
    [
        pytest.param(f"{NIGHT}|a", [0], id="one"),
        pytest.param(f"{OTHER}|a", [0], id="the-same-key-on-another-night"),
        pytest.param(f"{NIGHT}|b", [1, 2], id="landed-twice"),
        pytest.param(f"{NIGHT}|it's", [3], id="a-quotation-mark"),
        pytest.param(f"{NIGHT}|c", [], id="none"),
        pytest.param("2013-07-06|a", [], id="no-such-night"),
    ],
)
def test_rows_are_found_by_their_id(row_id: str, values: list[int], lake: Lake) -> None:
    found = find_rows(lake, "toy", "raw", row_id)
    assert [row["x"] for row in found] == values
    assert all(row.keys() == {"row_id", "x"} for row in found)


def test_a_table_that_was_never_written_has_no_rows(lake: Lake) -> None:
    assert find_rows(lake, "toy", "predictions", f"{NIGHT}|a") == []
    assert ids_near(lake, "toy", "predictions", f"{NIGHT}|a") == []


def test_ids_that_follow_one_that_is_not_there_are_named_once(lake: Lake) -> None:
    assert ids_near(lake, "toy", "raw", f"{NIGHT}|aa") == [f"{NIGHT}|b", f"{NIGHT}|it's"]


@pytest.mark.parametrize("row_id", ["", "a|b", "2013-02-30|a", "20130704|a", "../raw|a"])
def test_an_id_without_a_night_is_refused(row_id: str) -> None:
    with pytest.raises(ConfigError, match="is no row id"):
        partition_of(row_id)
