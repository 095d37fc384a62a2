"""A reference is read whole, or refused with a reason."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import IntegrityError
from pipelines.monitoring.reference import category_codes, numeric_values, read_reference


def test_holdout_is_what_the_model_was_not_trained_on(reference):
    assert min(reference.holdout["partition_key"].to_pylist()) == "2013-02-12"
    assert reference.holdout.num_rows < reference.table.num_rows


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(lambda table: table.drop_columns(["speed", "late"]), "lacks speed, late", id="columns"),
        pytest.param(lambda table: table.slice(0, 0), "has no rows", id="rows"),
    ],
)
def test_incomplete_reference_is_refused(tmp_path, config, make_table, spoil, reason):
    pq.write_table(spoil(make_table("2013-02-12", "2013-02-13")), tmp_path / "reference.parquet")
    with pytest.raises(IntegrityError, match=reason):
        read_reference(tmp_path / "reference.parquet", config)


def test_file_that_is_no_parquet_is_refused(tmp_path, config):
    (tmp_path / "reference.parquet").write_text("rows")
    with pytest.raises(IntegrityError, match="no readable reference"):
        read_reference(tmp_path / "reference.parquet", config)


@pytest.mark.parametrize(
    ("history_days", "first"),
    [
        pytest.param(0, "2013-01-01", id="no-history-features"),
        pytest.param(4, "2013-01-05", id="enough-days"),
        pytest.param(5, "2013-01-01", id="too-few-days-to-spare-any"),
    ],
)
def test_warm_up_of_history_features_is_left_out(config_with, as_reference, make_table, history_days, first):
    features = {"sql": "toy.sql", "numeric": ["temp", "speed"], "categorical": ["kind"]}
    config = config_with(features=features | {"history_days": history_days})
    found = as_reference(make_table("2013-01-01", "2013-01-14"), config)
    assert min(found.table["partition_key"].to_pylist()) == first


def test_numbers_that_are_not_finite_count_as_unknown():
    table = pa.table({"x": pa.array([1, None, 3], pa.int64()), "y": [float("inf"), 2.0, None]})
    assert numeric_values(table, "x")[[0, 2]].tolist() == [1.0, 3.0]
    assert [str(value) for value in numeric_values(table, "y")] == ["nan", "2.0", "nan"]


def test_tables_share_one_code_for_one_category():
    before = pa.table({"kind": ["a", "b", None]})
    now = pa.table({"kind": pa.array(["b", "new"]).dictionary_encode()})
    first, second = category_codes(before, now, column="kind")
    assert first.tolist() == [0, 1, -1]
    assert second.tolist() == [1, 2]
