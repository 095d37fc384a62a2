"""Evidently's pages show our very verdict, and nothing in the data can run in them."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest
from hostile_inputs import SCRIPTS

from pipelines.errors import EngineError
from pipelines.monitoring.calibration import calibrate
from pipelines.monitoring.drift import judge_columns
from pipelines.monitoring.evidently_pages import drift_page, performance_page
from pipelines.monitoring.report import evidently_pages
from pipelines.monitoring.window import Window
from pipelines.records import DriftRecord
from pipelines.scoring.outcome import with_predictions

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


@pytest.mark.parametrize(
    "level",
    [
        pytest.param(_ATTACK, id="script"),
        pytest.param('"><img src=x onerror=alert(1)>', id="attribute"),
        pytest.param("\u2028</SCRIPT ><svg/onload=alert(1)>", id="odd-signs"),
        pytest.param("</style><script src=//evil.example></script>alert(", id="address"),
    ],
)
def test_a_level_of_the_data_adds_no_element(reference, current, config, level):
    plain, hostile = (
        _replace(current, "kind", pa.array([text] * current.num_rows)) for text in ("harmless", level)
    )
    pages = []
    for table in (plain, hostile):
        columns = judge_columns(reference, table, calibrate(reference, config, block_days=7), config)
        pages.append(drift_page(reference.table, table, columns=columns, alarm_fraction=0.4).html)
    assert "alert(" in pages[1]
    assert _elements(pages[1]) == _elements(pages[0])


def test_whatever_people_try_together_adds_no_element(reference, current, config):
    pages = []
    for levels in ([f"level {n}" for n in range(len(SCRIPTS))], SCRIPTS):
        values = [levels[n % len(levels)] for n in range(current.num_rows)]
        table = _replace(current, "kind", pa.array(values))
        columns = judge_columns(reference, table, calibrate(reference, config, block_days=7), config)
        pages.append(drift_page(reference.table, table, columns=columns, alarm_fraction=0.4).html)
    assert pages[1].count("alert(1)") > 5
    assert _elements(pages[1]) == _elements(pages[0])


def _elements(html: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return every element of a page, and the names of its attributes, as a browser would see them."""
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.append((tag, tuple(name for name, _ in attrs)))

    Reader().feed(html)
    return found


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


def test_classes_are_shown_by_their_names(config_with, make_table):
    config = config_with(task="multiclass", classes=["a", "<b>", "c"], labels={"late": "string"})
    days = make_table("2013-02-12", "2013-02-20")
    number = np.arange(days.num_rows) % 3
    chances = np.eye(3)[(number + (number == 2) * (days["late"].to_numpy() == 1)) % 3] * 0.7 + 0.1
    scored = with_predictions(
        _replace(days, "late", pa.array(number.astype(float))).drop_columns(["prediction"]), chances, config
    )
    page = performance_page(scored.slice(0, 240), scored.slice(240), config=config)
    assert any(found["metric_name"].startswith("Accuracy") for found in page.content["metrics"])
    assert "<b>" not in json.dumps(page.content, ensure_ascii=False)
    assert "\\u2039b\\u203a" in page.html or "‹b›" in page.html


@pytest.mark.parametrize("damage", ["levels", "nulls"])
def test_where_evidently_fails_a_page_gives_the_reason(
    reference, current, config, columns, monkeypatch, damage
):
    if damage == "nulls":
        current = _replace(current, "temp", pa.nulls(current.num_rows, pa.float64()))
    else:
        many = pa.array([f"</script><script>{n}" for n in range(current.num_rows)])
        current = _replace(current, "kind", many)
    window = Window(current, current, current.slice(0, 0), current.slice(0, 0), "2013-03-01", "2013-03-07")
    record = DriftRecord.model_construct(columns=columns, alarm_fraction=0.4)
    pages = evidently_pages(reference, window, record, config)
    assert pages["performance"] is None
    assert (
        ("could not draw" in pages["drift"].html)
        == (damage == "nulls")
        == ("error" in pages["drift"].content)
    )
    assert "</script><script>" not in pages["drift"].html
