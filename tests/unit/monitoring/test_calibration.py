"""Thresholds come from the reference's own days, hold their false-alarm rate, and are kept."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipelines.metrics import evaluate_predictions
from pipelines.monitoring.calibration import Calibrations, calibrate, performance_floor
from pipelines.monitoring.distances import block_wasserstein, normed_wasserstein
from pipelines.monitoring.reference import day_numbers, numeric_values


def test_threshold_is_the_farthest_stretch_of_days_times_the_margin(reference, config):
    days, n_days = day_numbers(reference.table)
    values = numeric_values(reference.table, "temp")
    farthest = max(block_wasserstein(values, days, range(n_days - 6), 7))
    found = calibrate(reference, config, block_days=7)
    assert found.n_blocks == 50
    assert found.values["temp"] == pytest.approx(1.1 * farthest)


def test_days_that_differ_ask_for_a_higher_threshold_than_rows_that_do(reference, config):
    found = calibrate(reference, config, block_days=7)
    assert found.values["temp"] > 3 * found.values["speed"]


def test_shorter_windows_are_allowed_to_lie_farther_away(reference, config):
    week, day = (calibrate(reference, config, block_days=n_days) for n_days in (7, 1))
    assert day.values["temp"] > week.values["temp"]
    assert day.performance_floor < week.performance_floor


def test_calm_windows_alarm_no_more_often_than_documented():
    random = np.random.default_rng(7)
    n_days, block_days, per_day, n_trials = 28, 7, 20, 300
    n_alarms = 0
    for _ in range(n_trials):
        level = np.repeat(random.normal(size=n_days + block_days), per_day)
        values = level + random.normal(size=level.size) * 0.3
        before, now = np.split(values, [n_days * per_day])
        calm = block_wasserstein(
            before, np.repeat(np.arange(n_days), per_day), range(n_days - block_days + 1), block_days
        )
        n_alarms += normed_wasserstein(before, now) >= calm.max()
    documented = 1 / (n_days // block_days + 1)
    assert 0 < n_alarms / n_trials <= documented


def test_columns_that_move_together_on_calm_days_raise_the_share_that_alarms(
    config, as_reference, make_table
):
    table = make_table("2013-01-01", "2013-02-25", seed=3)
    stormy = pc.starts_with(table["partition_key"], "2013-01-0")
    for name in ("temp", "speed"):
        stormier = pc.if_else(stormy, pc.add(table[name], 8.0), table[name])
        table = table.set_column(table.schema.get_field_index(name), name, stormier)
    found = calibrate(as_reference(table, config), config, block_days=7)
    assert found.alarm_fraction == pytest.approx(2 / 3)


def test_calm_columns_leave_the_configured_share(config_with, reference):
    config = config_with(monitoring={"min_alarm_fraction": 0.9})
    assert calibrate(reference, config, block_days=7).alarm_fraction == 0.9


@pytest.mark.parametrize(("last", "n_days"), [("2013-02-12", "1 partition"), ("2013-02-13", "2 partitions")])
def test_reference_of_few_days_falls_back_to_samples_of_rows_and_says_so(
    config, as_reference, make_table, last, n_days
):
    reference = as_reference(make_table("2013-02-12", last, per_day=2000), config)
    small, large = (calibrate(reference, config, block_days=7, n_rows=n) for n in (50, 500))
    assert n_days in small.reason
    assert small.n_blocks >= 60
    assert all(small.values[name] > large.values[name] for name in config.features.columns)
    assert small.performance_floor < large.performance_floor


def test_reference_of_thirty_rows_still_gives_thresholds(config, as_reference, make_table):
    reference = as_reference(make_table("2013-02-12", "2013-02-12", per_day=30), config)
    found = calibrate(reference, config, block_days=7, n_rows=30)
    assert all(0.01 < threshold < 5 for threshold in found.values.values())
    assert found.performance_floor is not None


def test_reference_of_one_row_falls_back_to_a_fixed_threshold(config, as_reference, make_table):
    reference = as_reference(make_table("2013-02-12", "2013-02-12", per_day=1), config)
    found = calibrate(reference, config, block_days=7, n_rows=30)
    assert found.n_blocks == 0
    assert set(found.values.values()) == {0.1}


def test_samples_of_rows_alarm_as_seldom_as_there_are_samples(config, as_reference, make_table):
    table = make_table("2013-02-12", "2013-02-12", per_day=4000)
    reference = as_reference(table.slice(0, 2000), config)
    threshold = calibrate(reference, config, block_days=1, n_rows=100).values["speed"]
    before, later = (numeric_values(part, "speed") for part in (reference.table, table.slice(2000)))
    distances = [normed_wasserstein(before, window) for window in np.split(later, 20)]
    assert sum(distance > threshold for distance in distances) <= 1


def test_windows_of_other_sizes_are_worked_out_apart_where_rows_count(
    config, as_reference, make_table, tmp_path, reference
):
    few = Calibrations(as_reference(make_table("2013-02-12", "2013-02-12"), config), config, tmp_path / "few")
    assert few.of(1, n_rows=16) != few.of(1, n_rows=64)
    assert few.of(1, n_rows=65) == few.of(1, n_rows=64)
    days = Calibrations(reference, config, tmp_path / "days")
    assert days.of(7, n_rows=16) == days.of(7, n_rows=64)
    assert len(list((tmp_path / "days").iterdir())) == 1


def test_window_longer_than_the_reference_takes_stretches_of_half_of_it(config, as_reference, make_table):
    reference = as_reference(make_table("2013-02-12", "2013-02-15"), config)
    found = calibrate(reference, config, block_days=7)
    assert found.n_blocks == 3
    assert found.values == calibrate(reference, config, block_days=2).values


def test_column_that_never_moved_keeps_a_threshold_above_zero(config, as_reference, make_table):
    table = make_table("2013-01-01", "2013-01-28")
    constant = table.set_column(2, "temp", pa.array(np.full(table.num_rows, 5.0)))
    found = calibrate(as_reference(constant, config), config, block_days=7)
    assert found.values["temp"] == 0.01
    assert found.missing["temp"] == 0.01


def test_floor_lies_below_the_metric_of_the_whole_holdout(reference, config):
    holdout = reference.holdout
    auc = evaluate_predictions(holdout["late"].to_numpy(), holdout["prediction"].to_numpy(), "binary")["auc"]
    floor = performance_floor(holdout, config, n_days=7)
    assert auc - 0.1 < floor < auc


def test_floor_of_an_error_is_a_ceiling(reference, config_with):
    config = config_with(task="regression")
    holdout = reference.holdout
    rmse = evaluate_predictions(holdout["late"].to_numpy(), holdout["prediction"].to_numpy(), "regression")
    assert performance_floor(holdout, config, n_days=7) > rmse["rmse"]


@pytest.mark.parametrize("n_rows", [pytest.param(0, id="no-holdout"), pytest.param(20, id="one-class")])
def test_holdout_without_a_metric_has_no_floor(reference, config, n_rows):
    calm = reference.holdout.filter(pc.equal(reference.holdout["late"], 0)).slice(0, n_rows)
    assert performance_floor(calm, config, n_days=7) is None


def test_calibration_is_worked_out_once_and_read_from_then_on(reference, config, tmp_path):
    first = Calibrations(reference, config, tmp_path / "kept").of(7)
    (path,) = (tmp_path / "kept").iterdir()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"alarm_fraction": 0.77}))
    again = Calibrations(reference, config, tmp_path / "kept").of(7)
    assert again == first.model_copy(update={"alarm_fraction": 0.77})


def test_calibration_that_is_not_readable_is_worked_out_again(reference, config, tmp_path):
    first = Calibrations(reference, config, tmp_path).of(7)
    (path,) = tmp_path.glob("[!r]*.json")
    path.write_text("{half of")
    assert Calibrations(reference, config, tmp_path).of(7) == first
    assert json.loads(path.read_text())["block_days"] == 7


def test_other_margin_or_window_is_another_calibration(reference, config, config_with, tmp_path):
    folder = tmp_path / "kept"
    Calibrations(reference, config, folder).of(7)
    Calibrations(reference, config, folder).of(3)
    wider = config_with(monitoring={"threshold_margin": 2.0})
    assert Calibrations(reference, wider, folder).of(7).values["temp"] == pytest.approx(
        calibrate(reference, config, block_days=7).values["temp"] * 2 / 1.1
    )
    assert len(list(folder.iterdir())) == 3
