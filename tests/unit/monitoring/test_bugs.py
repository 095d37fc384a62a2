"""A fault of the data is told from a changed world by what it does to a column's days."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipelines.config import DatasetConfig
from pipelines.monitoring.bugs import find_bugs
from pipelines.monitoring.sketch import learn_grid, sketch_days
from pipelines.records import ColumnDrift, partition_range

CONFIG = DatasetConfig.model_validate(
    {
        "description": "a toy",
        "task": "binary",
        "source": {"kind": "csv", "tables": {"toy": "toy.csv"}},
        "columns": {"temp": "float", "price": "float", "size": "float", "rate": "float", "code": "string"},
        "target": "y",
        "labels": {"y": "integer"},
        "features": {
            "sql": "toy.sql",
            "numeric": ["temp", "price", "size", "rate", "score"],
            "categorical": ["code", "city"],
        },
    }
)
CODES, CITIES = ("UA", "AA", "DL", "B6", "EV"), ("New York", "Boston", "Chicago")
WEEK = partition_range("2013-04-01", "2013-04-07")


def _days(days, seed=0, *, per_day=200, warmer=0.0):
    """Draw days: ``temp`` has its own level on each, ``rate`` one value a day."""
    random = np.random.default_rng(seed)
    n = len(days) * per_day
    level = np.repeat(55 + 6 * random.normal(size=len(days)), per_day)
    return {
        "partition_key": np.repeat(days, per_day),
        "temp": level + warmer + 4 * random.normal(size=n),
        "price": np.exp(3 + 0.5 * random.normal(size=n)),
        "size": 200 + 30 * random.normal(size=n),
        "rate": np.repeat(random.uniform(0.1, 0.4, len(days)), per_day),
        "score": random.normal(size=n),
        "code": random.choice(CODES, n, p=[0.4, 0.25, 0.2, 0.1, 0.05]).astype(object),
        "city": random.choice(CITIES, n).astype(object),
    }


PAST = pa.table(_days(partition_range("2013-01-01", "2013-03-31"), seed=1))
GRID = learn_grid(PAST, numeric=CONFIG.features.numeric, categorical=CONFIG.features.categorical)
REFERENCE = sketch_days(PAST, GRID)
DRIFTED = [
    ColumnDrift(column=name, method="wasserstein", distance=1.0, threshold=0.1, is_drifted=True)
    for name in CONFIG.features.columns
]


def _found(columns, **options):
    rows = pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
    return find_bugs(REFERENCE, sketch_days(rows, GRID), DRIFTED, CONFIG, **options)


def _week(change, *, since="2013-04-06", until="2013-04-07", seed=2, **options):
    """Return a week of days of which those from one to another were changed."""
    columns = _days(WEEK, seed, **options)
    hit = (columns["partition_key"] >= since) & (columns["partition_key"] <= until)
    changed = change({name: values.copy() for name, values in columns.items()})
    return {name: np.where(hit, changed[name], columns[name]) for name in columns}


def _with(name, change):
    return lambda columns: {**columns, name: change(columns[name])}


def _some(value, share):
    return lambda values: np.where(np.random.default_rng(5).random(values.size) < share, value, values)


BUGS = [
    pytest.param("temp", "unit_change", lambda v: (v - 32) / 1.8, "Fahrenheit to Celsius", id="celsius"),
    pytest.param("size", "unit_change", lambda v: v * 1000, "ones to thousandths", id="a-thousand-times"),
    pytest.param("size", "unit_change", lambda v: v / 2.54, "centimetres to inches", id="inches"),
    pytest.param("price", "unit_change", lambda v: v * 100, "ones to hundredths", id="cents"),
    pytest.param(
        "rate", "unit_change", lambda v: v * 100, "ones to hundredths", id="percent-of-a-daily-rate"
    ),
    pytest.param("temp", "offset", lambda v: v + 400, "larger", id="an-offset"),
    pytest.param("price", "sign_flip", lambda v: -v, "opposite sign", id="the-sign"),
    pytest.param("size", "null_flood", _some(np.nan, 0.4), "has no value in", id="nulls"),
    pytest.param("city", "null_flood", _some(None, 0.4), "has no value", id="nulls-of-a-category"),
    pytest.param("temp", "sentinel_flood", _some(-999.0, 0.3), "is -999", id="sentinel-far-off"),
    pytest.param("size", "sentinel_flood", _some(0.0, 0.3), "is 0", id="zero"),
    pytest.param("price", "sentinel_flood", _some(-1.0, 0.2), "is -1", id="sentinel-close-by"),
    pytest.param("size", "sentinel_flood", _some(200.0, 0.3), "is 2", id="filled-with-the-mean"),
    pytest.param("temp", "stuck_value", lambda v: np.full(v.size, 55.0), "is 55", id="stuck-sensor"),
    pytest.param("code", "stuck_value", lambda v: np.full(v.size, "UA"), "'UA'", id="stuck-category"),
    pytest.param(
        "code", "level_renamed", lambda v: np.where(v == "UA", "United", v), "'United'", id="a-new-name"
    ),
    pytest.param(
        "city",
        "level_renamed",
        lambda v: np.array([x.upper() for x in v], object),
        "and 2 more",
        id="capitals",
    ),
    pytest.param(
        "code", "level_renamed", lambda v: np.array([f"{x} " for x in v], object), "and 4 more", id="blanks"
    ),
]


@pytest.mark.parametrize(("column", "signature", "change", "said"), BUGS)
def test_a_fault_is_named_on_its_first_night_and_after(column, signature, change, said):
    for since in ("2013-04-07", "2013-04-05"):
        (bug,) = _found(_week(_with(column, change), since=since))
        assert (bug.column, bug.signature, bug.first_partition) == (column, signature, since)
        assert said in bug.explanation


@pytest.mark.parametrize(
    ("first", "second"),
    [pytest.param("size", "price", id="numbers"), pytest.param("code", "city", id="categories")],
)
def test_two_columns_that_hold_each_others_values_are_named_both(first, second):
    bugs = _found(_week(lambda c: {**c, first: c[second], second: c[first]}))
    assert {(bug.column, bug.signature) for bug in bugs} == {
        (first, "swapped_columns"),
        (second, "swapped_columns"),
    }


@pytest.mark.parametrize(
    "week",
    [
        pytest.param(_days(WEEK, 3), id="calm"),
        pytest.param(_days(WEEK, 3, warmer=20.0), id="another-season"),
        pytest.param(_week(_with("score", lambda v: v + 0.5)), id="half-a-deviation-overnight"),
        pytest.param(_week(_with("score", lambda v: v + 2.0)), id="two-deviations-overnight"),
        pytest.param(_week(_with("score", lambda v: 1.6 * v)), id="a-wider-spread-overnight"),
        pytest.param(_week(_with("price", lambda v: 1.3 * v)), id="dearer-by-a-third-overnight"),
        pytest.param(_week(_with("size", _some(np.nan, 0.05))), id="a-few-nulls"),
        pytest.param(_week(_with("code", _some("NK", 0.15))), id="a-new-level"),
        pytest.param(_week(_with("code", _some("AA", 0.5))), id="another-mix"),
        pytest.param(
            _week(_with("code", lambda v: np.where(v == "EV", "UA", v))), id="a-level-goes-another-grows"
        ),
        pytest.param(_days(WEEK, 3, per_day=40), id="few-rows-a-night"),
        pytest.param(_days(WEEK, 3, per_day=10), id="too-few-rows-to-say"),
    ],
)
def test_a_changed_world_is_no_fault(week):
    assert _found(week) == ()


def test_calm_nights_have_no_faults():
    for seed in range(20):
        assert _found(_days(WEEK, 100 + seed)) == ()


def test_a_wet_day_after_dry_ones_is_no_other_unit():
    days = partition_range("2013-01-01", "2013-03-31")
    random = np.random.default_rng(8)
    rain = np.repeat(random.random(len(days)) < 0.2, 100) * random.exponential(size=len(days) * 100)
    past = pa.table({"partition_key": np.repeat(days, 100), "size": rain})
    grid = learn_grid(past, numeric=["size"], categorical=())
    wet = np.repeat(np.array(WEEK) == WEEK[-1], 100) * (3 + random.exponential(size=700))
    week = sketch_days(pa.table({"partition_key": np.repeat(WEEK, 100), "size": wet}), grid)
    assert find_bugs(sketch_days(past, grid), week, DRIFTED, CONFIG) == ()


def test_a_fault_that_was_mended_is_still_named_with_its_end():
    (bug,) = _found(_week(_with("size", _some(np.nan, 0.5)), since="2013-04-03", until="2013-04-04"))
    assert bug.first_partition == "2013-04-03"
    assert "until 2013-04-04" in bug.explanation


def test_a_fault_that_fills_the_window_is_known_by_its_beginning():
    change = _with("temp", lambda v: (v - 32) / 1.8)
    (begun,) = _found(_week(change, since="2013-04-03"))
    known = [begun.model_copy(update={"first_partition": "2013-03-30"})]
    (bug,) = _found(_week(change, since="2013-04-01"), known=known)
    assert (bug.signature, bug.first_partition) == ("unit_change", "2013-03-30")


def test_a_daily_rate_that_no_longer_changes_is_stuck():
    (bug,) = _found(_week(_with("rate", lambda v: np.full(v.size, 0.25)), since="2013-04-05"))
    assert (bug.column, bug.signature, bug.first_partition) == ("rate", "stuck_value", "2013-04-05")


def test_a_reference_of_one_day_names_blatant_faults_and_no_others():
    past = pa.table(_days(["2013-01-01"], seed=1))
    reference = sketch_days(past, GRID)
    week = _week(_with("size", lambda v: v * 1000))
    week = {name: pa.array(values, from_pandas=True) for name, values in week.items()}
    bugs = find_bugs(reference, sketch_days(pa.table(week), GRID), [], CONFIG)
    assert [(bug.column, bug.signature) for bug in bugs] == [("size", "unit_change")]


@pytest.mark.parametrize("past", [pytest.param(None, id="all-null"), pytest.param(1.0, id="constant")])
def test_columns_without_spread_are_looked_at_without_a_warning(past):
    columns = {**_days(partition_range("2013-01-01", "2013-01-20"), seed=1)}
    columns["size"] = pa.array([past] * len(columns["temp"]), pa.float64())
    table = pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})
    grid = learn_grid(table, numeric=CONFIG.features.numeric, categorical=CONFIG.features.categorical)
    reference = sketch_days(table, grid)
    bugs = find_bugs(reference, reference.select(reference.days[-7:]), [], CONFIG)
    assert bugs == ()
