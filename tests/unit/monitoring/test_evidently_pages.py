"""Evidently's pages show our very verdict, and nothing in the data can run in them."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipelines.errors import EngineError
from pipelines.monitoring.calibration import calibrate
from pipelines.monitoring.drift import judge_columns
from pipelines.monitoring.evidently_pages import drift_page, performance_page

_ATTACK = "x</script><script>alert('drift')</script>"


def _replace(table, name, values):
    return table.set_column(table.schema.get_field_index(name), name, values)


@pytest.fixture
def current(make_table):
    return make_table("2013-03-01", "2013-03-07", seed=4, shift=0.3)


@pytest.fixture
def columns(reference, current, config):
    return judge_columns(reference, current, calibrate(reference, config, block_days=7), config)


def test_evidently_measures_the_distances_that_the_verdict_was_made_of(reference, current, columns):
    page = drift_page(reference.table, current, columns=columns, alarm_fraction=0.4)
    count, *drifts = page.content["metrics"]
    shown = {metric["config"]["column"]: metric["value"] for metric in drifts}
    assert shown == pytest.approx({column.column: column.distance for column in columns})
    thresholds = {metric["config"]["column"]: metric["config"]["threshold"] for metric in drifts}
    assert thresholds == {column.column: column.threshold for column in columns}
    assert count["value"]["count"] == sum(column.is_drifted for column in columns) == 1


def test_text_of_the_data_stays_text(reference, current, config):
    current = _replace(current, "kind", pa.array([_ATTACK] * current.num_rows))
    columns = judge_columns(reference, current, calibrate(reference, config, block_days=7), config)
    page = drift_page(reference.table, current, columns=columns, alarm_fraction=0.4)
    assert "alert(" in page.html
    assert "<script>alert(" not in page.html


def test_column_names_can_not_run_either(config_with, as_reference, make_table):
    config = config_with(features={"sql": "toy.sql", "numeric": [_ATTACK], "categorical": []})
    rename = {"temp": _ATTACK}
    names = [rename.get(name, name) for name in make_table("2013-01-01", "2013-01-02").column_names]
    reference = as_reference(make_table("2013-02-01", "2013-02-20").rename_columns(names), config)
    current = make_table("2013-03-01", "2013-03-07").rename_columns(names)
    columns = judge_columns(reference, current, calibrate(reference, config, block_days=7), config)
    page = drift_page(reference.table, current, columns=columns, alarm_fraction=0.4)
    assert "alert('drift')" in page.html
    assert "<script>alert(" not in page.html


def test_repeat_draws_the_same_page(reference, current, columns):
    first, second = (
        drift_page(reference.table, current, columns=columns, alarm_fraction=0.4) for _ in range(2)
    )
    assert first == second


def test_column_without_values_is_left_out(reference, current, config):
    current = _replace(current, "temp", pa.nulls(current.num_rows, pa.float64()))
    columns = judge_columns(reference, current, calibrate(reference, config, block_days=7), config)
    page = drift_page(reference.table, current, columns=columns, alarm_fraction=0.4)
    assert [metric["config"].get("column") for metric in page.content["metrics"][1:]] == ["speed", "kind"]


def test_nothing_to_compare_is_no_page(reference, current):
    assert drift_page(reference.table, current, columns=(), alarm_fraction=0.4) is None


def test_failure_of_evidently_says_nothing_about_the_data(reference, current, columns):
    emptied = _replace(current, "temp", pa.nulls(current.num_rows, pa.float64()))
    with pytest.raises(EngineError, match="Evidently can't draw its report: ValueError"):
        drift_page(reference.table, emptied, columns=columns, alarm_fraction=0.4)


@pytest.mark.parametrize(
    ("task", "metric"),
    [pytest.param("binary", "RocAuc", id="binary"), pytest.param("regression", "RMSE", id="regression")],
)
def test_performance_is_shown_beside_the_holdout(reference, current, config_with, task, metric):
    page = performance_page(reference.holdout, current, config=config_with(task=task))
    assert any(found["metric_name"].startswith(metric) for found in page.content["metrics"])


def test_cohort_of_one_class_has_no_performance_page(reference, current, config):
    on_time = current.filter(pa.array([late == 0 for late in current["late"].to_pylist()]))
    assert performance_page(reference.holdout, on_time, config=config) is None


def test_large_tables_are_thinned_evenly(config, as_reference, make_table):
    table = make_table("2013-01-01", "2013-02-20", per_day=500)
    reference = as_reference(table, config)
    columns = judge_columns(reference, table, calibrate(reference, config, block_days=7), config)
    page = drift_page(reference.table, table, columns=columns, alarm_fraction=0.4)
    values = [metric["value"] for metric in page.content["metrics"][1:]]
    assert values == pytest.approx([0.0] * 3, abs=0.02)
