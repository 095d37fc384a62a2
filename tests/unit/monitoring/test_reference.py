"""A reference is read whole, or refused with a reason."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import IntegrityError
from pipelines.monitoring.reference import category_codes, numeric_values, read_reference
from pipelines.monitoring.reference_sketch import sketch_reference
from pipelines.records import partition_range


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
    assert min(found.table["partition_key"].to_pylist()) == found.days.days[0] == first


def test_sketches_are_of_the_rows_where_the_training_left_none(reference, config):
    assert reference.days.grid.columns == ("temp", "speed", "late", "kind")
    assert reference.days.days == tuple(partition_range("2013-01-01", "2013-02-25"))
    assert reference.days.total.n_rows == reference.table.num_rows
    assert reference.holdout_days.grid.columns == ("prediction", "late")
    assert reference.holdout_days.days == tuple(partition_range("2013-02-12", "2013-02-25"))
    assert reference.days.total.mean("temp") == pytest.approx(numeric_values(reference.table, "temp").mean())


def test_sketches_of_the_training_count_all_its_rows(tmp_path, config, make_table):
    rows = make_table("2013-01-01", "2013-01-20", holdout_from="2013-01-15", per_day=60)
    path = tmp_path / "reference.sketch"
    path.write_bytes(sketch_reference(rows, rows.filter(rows["is_holdout"]), config).to_bytes())
    sample = rows.take(list(range(0, rows.num_rows, 20)))
    pq.write_table(sample, tmp_path / "reference.parquet")
    found = read_reference(tmp_path / "reference.parquet", config, sketch=path)
    assert found.table.num_rows == 60
    assert (found.days.total.n_rows, found.holdout_days.total.n_rows) == (1_200, 360)


@pytest.mark.parametrize(
    "features",
    [
        pytest.param({"numeric": ["temp"], "categorical": ["kind"]}, id="column-that-was-not-watched"),
        pytest.param({"numeric": ["temp"], "categorical": ["kind", "speed"]}, id="column-of-another-kind"),
    ],
)
def test_sketches_that_lack_what_is_watched_now_are_made_anew(
    tmp_path, config, config_with, make_table, features
):
    rows = make_table("2013-02-10", "2013-02-14")
    then = config_with(features={"sql": "toy.sql", **features})
    (tmp_path / "reference.sketch").write_bytes(sketch_reference(rows, rows, then).to_bytes())
    pq.write_table(rows, tmp_path / "reference.parquet")
    found = read_reference(tmp_path / "reference.parquet", config, sketch=tmp_path / "reference.sketch")
    assert found.days.grid.columns == ("temp", "speed", "late", "kind")


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-9]), id="cut-off"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[8:]), id="only-half-of-it"),
        pytest.param(lambda path: path.unlink(), id="absent"),
    ],
)
def test_spoilt_sketches_are_refused(tmp_path, config, make_table, spoil):
    rows = make_table("2013-02-10", "2013-02-14")
    path = tmp_path / "reference.sketch"
    path.write_bytes(sketch_reference(rows, rows, config).to_bytes())
    pq.write_table(rows, tmp_path / "reference.parquet")
    spoil(path)
    with pytest.raises(IntegrityError, match="sketch"):
        read_reference(tmp_path / "reference.parquet", config, sketch=path)


def test_target_and_prediction_of_many_classes_are_categories(config_with, as_reference, make_table):
    rows = make_table("2013-02-10", "2013-02-14", per_day=10)
    config = config_with(task="multiclass", classes=["low", "middle", "high"])
    rows = rows.set_column(rows.column_names.index("prediction"), "prediction", [["low", "high"] * 25])
    for number in range(3):
        rows = rows.append_column(f"probability_{number}", [[1 / 3] * 50])
    found = as_reference(rows, config)
    assert found.holdout_days.grid.categorical["prediction"] == ("high", "low")
    assert set(found.days.grid.categorical["late"]) == {"0", "1"}


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
