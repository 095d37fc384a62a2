"""Evidently's pages show our very verdict, and nothing in the data can run in them."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest
from hostile_inputs import SCRIPTS

from pipelines.monitoring.evidently_report.default_rule import evidently_default
from pipelines.monitoring.evidently_report.drawing import drift_page, performance_page
from pipelines.monitoring.report import evidently_pages
from pipelines.monitoring.window import Window
from pipelines.records import ColumnDrift, DriftRecord
from pipelines.scoring.outcome import with_predictions

_ATTACK = "x</script><script>alert('drift')</script>"
TEMP = ColumnDrift(
    column="temp",
    method="wasserstein",
    distance=0.31,
    threshold=0.1,
    is_drifted=True,
    p_value=1e-5,
    q_value=0.00012,
    impact=0.1,
)
SPEED = ColumnDrift(
    column="speed", method="wasserstein", distance=0.3, threshold=0.1, is_drifted=False, q_value=0.2
)
KIND = ColumnDrift(
    column="kind", method="jensenshannon", distance=0.02, threshold=0.05, is_drifted=False, q_value=0.7
)


def verdict(*columns: ColumnDrift, **overrides) -> DriftRecord:
    drifted = any(column.is_drifted for column in columns)
    content = {
        "dataset": "toy",
        "partition_key": "2013-03-07",
        "model_version": "1",
        "window": ("2013-03-01", "2013-03-07"),
        "columns": columns,
        "kinds": ("data",) if drifted else (),
        "is_alarm": drifted,
        "is_confirmed": drifted,
        "n_alarm_nights": int(drifted),
        "action": "record" if drifted else "none",
    }
    return DriftRecord.model_validate(content | overrides)


def _replace(table, name, values):
    return table.set_column(table.schema.get_field_index(name), name, values)


@pytest.fixture
def calm(make_table):
    return make_table("2013-01-01", "2013-02-25", seed=1)


@pytest.fixture
def current(make_table):
    return make_table("2013-03-01", "2013-03-07", seed=4, shift=0.3)


def test_the_report_shows_our_verdict_as_its_own(calm, current, config):
    page = drift_page(calm, current, record=verdict(TEMP, SPEED, KIND), config=config)
    count, *drifts = page.content["metrics"]
    shown = {metric["config"]["column"]: metric for metric in drifts}
    assert {name: metric["value"] for name, metric in shown.items()} == {
        "temp": 0.31,
        "speed": 0.3,
        "kind": 0.02,
    }
    assert shown["temp"]["config"]["threshold"] == 0.1
    # Evidently on its own would call `speed` drift: it is beyond its threshold too.
    assert count["value"] == pytest.approx({"count": 1.0, "share": 1 / 3})
    assert "Holdfast: wasserstein, q = 0.00012" in page.html
    assert "Dataset Drift is detected" in page.html


def test_calm_columns_are_no_drift_of_the_dataset(calm, current, config):
    page = drift_page(calm, current, record=verdict(SPEED, KIND), config=config)
    assert page.content["metrics"][0]["value"]["count"] == 0
    assert "Dataset Drift is NOT detected" in page.html


def test_nulls_that_drifted_are_the_verdict_on_their_column(calm, current, config):
    nulls = ColumnDrift(
        column="kind", method="missing_share", distance=0.4, threshold=0.02, is_drifted=True, q_value=0.001
    )
    page = drift_page(calm, current, record=verdict(SPEED, KIND, nulls), config=config)
    shown = {metric["config"]["column"]: metric for metric in page.content["metrics"][1:]}
    assert shown["kind"]["value"] == 0.4
    assert shown["kind"]["config"]["method"] == "Holdfast: missing_share, q = 0.001"


def test_a_line_above_the_report_gives_both_verdicts(calm, current, config):
    record = verdict(TEMP, SPEED, evidently_fraction=0.5, evidently_alarm=True)
    page = drift_page(calm, current, record=record, config=config)
    assert "Holdfast&#x27;s verdict: an alarm, confirmed (data); what to do: record." in page.html
    assert "default rule on the same rows: 50% of the columns, an alarm (it decides nothing)" in page.html


def test_many_columns_are_shown_by_what_matters(config_with, make_table):
    names = [f"c{number:03}" for number in range(130)]
    random = np.random.default_rng(3)
    config = config_with(features={"sql": "toy.sql", "numeric": names, "categorical": []})
    table = pa.table({name: random.normal(size=50) for name in names})
    drifts = [SPEED.model_copy(update={"column": name}) for name in names[:-1]]
    drifts.append(TEMP.model_copy(update={"column": names[-1]}))
    page = drift_page(table, table, record=verdict(*drifts), config=config)
    shown = [metric["config"]["column"] for metric in page.content["metrics"][1:]]
    assert len(shown) == 100
    assert shown[0] == "c129"
    assert "100 of 130 columns are shown" in page.html


def test_our_stat_tests_are_gone_after_the_page(calm, current, config):
    from evidently.legacy.calculations.stattests import registry

    drift_page(calm, current, record=verdict(TEMP), config=config)
    assert not [name for name in registry._registered_stat_tests if name.startswith("Holdfast")]
    assert not [test for test in registry._impls if test.name.startswith("Holdfast")]


@pytest.mark.parametrize("n_days", [pytest.param(10, id="few-rows"), pytest.param(56, id="many-rows")])
def test_the_default_rule_is_that_of_the_full_report(calm, current, config, n_days):
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    calm = calm.slice(0, n_days * 60)
    names = list(config.features.columns)
    frames = [table.select(names).to_pandas() for table in (current, calm)]
    definition = DataDefinition(numerical_columns=["temp", "speed"], categorical_columns=["kind"])
    with np.errstate(all="ignore"):
        report = Report([DataDriftPreset()]).run(
            *(Dataset.from_pandas(frame, data_definition=definition) for frame in frames)
        )
    share = report.dict()["metrics"][0]["value"]["share"]
    found = evidently_default(calm, current, config)
    assert found.fraction == share
    assert found.is_alarm == (share >= 0.5)


def test_the_default_rule_leaves_out_columns_without_values(calm, current, config):
    empty = pa.nulls(current.num_rows, pa.float64())
    some = evidently_default(calm, _replace(current, "temp", empty), config)
    assert some.fraction in (0.0, 0.5, 1.0)
    nothing = current.slice(0, 0)
    assert evidently_default(calm, nothing, config) is None


def test_a_constant_column_is_judged_without_a_warning(calm, config):
    flat = _replace(calm, "speed", pa.array(np.ones(calm.num_rows)))
    assert evidently_default(flat, flat, config).fraction == 0


@pytest.mark.parametrize(
    "level",
    [
        pytest.param(_ATTACK, id="script"),
        pytest.param('"><img src=x onerror=alert(1)>', id="attribute"),
        pytest.param("\u2028</SCRIPT ><svg/onload=alert(1)>", id="odd-signs"),
        pytest.param("</style><script src=//evil.example></script>alert(", id="address"),
    ],
)
def test_a_level_of_the_data_adds_no_element(calm, current, config, level):
    plain, hostile = (
        _replace(current, "kind", pa.array([text] * current.num_rows)) for text in ("harmless", level)
    )
    pages = [
        drift_page(calm, table, record=verdict(TEMP, KIND), config=config).html for table in (plain, hostile)
    ]
    assert "alert(" in pages[1]
    assert _elements(pages[1]) == _elements(pages[0])


def test_whatever_people_try_together_adds_no_element(calm, current, config):
    pages = []
    for levels in ([f"level {n}" for n in range(len(SCRIPTS))], SCRIPTS):
        values = [levels[n % len(levels)] for n in range(current.num_rows)]
        table = _replace(current, "kind", pa.array(values))
        pages.append(drift_page(calm, table, record=verdict(KIND), config=config).html)
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


def test_column_names_can_not_run_either(config_with, make_table):
    twin = _ATTACK.replace("<", "‹").replace(">", "›")
    features = {"sql": "toy.sql", "numeric": [_ATTACK, twin], "categorical": []}
    config = config_with(features=features)
    rename = {"temp": _ATTACK, "speed": twin}

    def hostile(first, last):
        table = make_table(first, last)
        return table.rename_columns([rename.get(name, name) for name in table.column_names])

    drifts = [TEMP.model_copy(update={"column": _ATTACK}), SPEED.model_copy(update={"column": twin})]
    calm, current = hostile("2013-02-01", "2013-02-20"), hostile("2013-03-01", "2013-03-07")
    page = drift_page(calm, current, record=verdict(*drifts), config=config)
    assert len(page.content["metrics"]) == 3
    assert "alert('drift')" in page.html
    assert "<script>alert(" not in page.html


def test_repeat_draws_the_same_page(calm, current, config):
    first, second = (drift_page(calm, current, record=verdict(TEMP, KIND), config=config) for _ in range(2))
    assert first == second


def test_column_without_values_is_left_out(calm, current, config):
    current = _replace(current, "temp", pa.nulls(current.num_rows, pa.float64()))
    page = drift_page(calm, current, record=verdict(TEMP, SPEED, KIND), config=config)
    assert [metric["config"].get("column") for metric in page.content["metrics"][1:]] == ["speed", "kind"]


def test_nothing_to_compare_is_no_page(calm, current, config):
    assert drift_page(calm, current, record=verdict(), config=config) is None


@pytest.mark.parametrize(
    ("task", "metric"),
    [pytest.param("binary", "RocAuc", id="binary"), pytest.param("regression", "RMSE", id="regression")],
)
def test_performance_is_shown_beside_the_holdout(calm, current, config_with, task, metric):
    page = performance_page(calm, current, config=config_with(task=task))
    assert any(found["metric_name"].startswith(metric) for found in page.content["metrics"])


def test_cohort_of_one_class_has_no_performance_page(calm, current, config):
    on_time = current.filter(pa.array([late == 0 for late in current["late"].to_pylist()]))
    assert performance_page(calm, on_time, config=config) is None


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


@pytest.mark.parametrize("damage", ["levels", "numbers"])
def test_where_evidently_fails_a_page_gives_the_reason(reference, current, config, damage):
    if damage == "numbers":  # its sums overflow
        current = _replace(current, "temp", pa.array(np.full(current.num_rows, 1.7e308)))
    else:
        many = pa.array([f"</script><script>{n}" for n in range(current.num_rows)])
        current = _replace(current, "kind", many)
    window = Window(current, current, current.slice(0, 0), current.slice(0, 0), "2013-03-01", "2013-03-07")
    pages = evidently_pages(reference, window, verdict(TEMP, SPEED, KIND), config)
    assert pages["performance"] is None
    assert (
        ("could not draw" in pages["drift"].html)
        == (damage == "numbers")
        == ("error" in pages["drift"].content)
    )
    assert "</script><script>" not in pages["drift"].html
