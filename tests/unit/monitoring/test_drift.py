"""Columns are judged for what they hold, whatever they hold."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipelines.monitoring.calibration import calibrate
from pipelines.monitoring.drift import drifted_fraction, is_worse, judge_columns


def _replace(table, name, values):
    return table.set_column(table.schema.get_field_index(name), name, values)


@pytest.fixture
def judge(reference, config):
    calibration = calibrate(reference, config, block_days=7)
    return lambda current: {
        (found.column, found.method): found
        for found in judge_columns(reference, current, calibration, config)
    }


@pytest.fixture
def calm(make_table):
    return make_table("2013-03-01", "2013-03-07", seed=4)


def test_days_like_the_reference_are_calm(judge, calm):
    found = judge(calm)
    assert set(found) == {("temp", "wasserstein"), ("speed", "wasserstein"), ("kind", "jensenshannon")}
    assert drifted_fraction(tuple(found.values())) == 0.0


def test_column_that_moved_is_the_one_that_drifted(judge, calm, make_table):
    found = judge(_replace(calm, "speed", make_table("2013-03-01", "2013-03-07", shift=3.0)["speed"]))
    assert [name for (name, _), drift in found.items() if drift.is_drifted] == ["speed"]
    assert drifted_fraction(tuple(found.values())) == pytest.approx(1 / 3)


def test_new_category_is_drift(judge, calm):
    found = judge(_replace(calm, "kind", pa.array(["new"] * calm.num_rows)))
    assert found["kind", "jensenshannon"].is_drifted
    assert found["kind", "jensenshannon"].distance == pytest.approx(0.8325546, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "kind"),
    [pytest.param("temp", pa.float64(), id="numeric"), pytest.param("kind", pa.string(), id="categorical")],
)
def test_column_that_is_all_null_drifts_by_its_missing_share(judge, calm, name, kind):
    found = judge(_replace(calm, name, pa.nulls(calm.num_rows, kind)))
    assert found[name, "missing_share"].is_drifted
    assert found[name, "missing_share"].distance == 1.0
    assert len([key for key in found if key[0] == name]) == 1


def test_column_that_always_was_null_is_calm(config, as_reference, make_table, calm):
    before = make_table("2013-01-01", "2013-02-25", seed=1)
    reference = as_reference(_replace(before, "temp", pa.nulls(before.num_rows, pa.float64())), config)
    current = _replace(calm, "temp", pa.nulls(calm.num_rows, pa.float64()))
    found = judge_columns(reference, current, calibrate(reference, config, block_days=7), config)
    (temp,) = [drift for drift in found if drift.column == "temp"]
    assert (temp.method, temp.distance, temp.is_drifted) == ("missing_share", 0.0, False)


def test_constant_column_is_calm_until_it_changes(config, as_reference, make_table, calm):
    before = make_table("2013-01-01", "2013-02-25", seed=1)
    reference = as_reference(_replace(before, "temp", pa.array([5.0] * before.num_rows)), config)
    calibration = calibrate(reference, config, block_days=7)
    verdicts = [
        judge_columns(
            reference, _replace(calm, "temp", pa.array([value] * calm.num_rows)), calibration, config
        )[0]
        for value in (5.0, 6.0)
    ]
    assert [verdict.is_drifted for verdict in verdicts] == [False, True]


@pytest.mark.parametrize("n_rows", [pytest.param(0, id="empty"), pytest.param(1, id="one-row")])
def test_window_of_next_to_no_rows_is_not_judged(judge, calm, n_rows):
    assert judge(calm.slice(0, n_rows)) == {}
    assert drifted_fraction(()) == 0.0


def test_numbers_beyond_all_measure_are_drift_and_stay_json(config, as_reference, make_table, calm):
    before = make_table("2013-01-01", "2013-02-25", seed=1)
    reference = as_reference(_replace(before, "temp", pa.array([5.0] * before.num_rows)), config)
    calibration = calibrate(reference, config, block_days=7)
    current = _replace(calm, "temp", pa.array([1e306] * calm.num_rows))
    drift = judge_columns(reference, current, calibration, config)[0]
    assert drift.is_drifted
    assert type(drift).model_validate_json(drift.model_dump_json()) == drift


@pytest.mark.parametrize(
    ("value", "floor", "greater_is_better", "worse"),
    [
        pytest.param(0.6, 0.7, True, True, id="auc-below"),
        pytest.param(0.8, 0.7, True, False, id="auc-above"),
        pytest.param(9.0, 7.0, False, True, id="rmse-above"),
        pytest.param(None, 0.7, True, False, id="no-labels"),
        pytest.param(0.1, None, True, False, id="no-floor"),
    ],
)
def test_metric_is_worse_on_the_bad_side_of_its_floor_only(value, floor, greater_is_better, worse):
    assert is_worse(value, floor, greater_is_better=greater_is_better) is worse
