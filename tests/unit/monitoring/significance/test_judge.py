"""Data, predictions and labels are each held against their reference, and corrected together."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from pipelines.monitoring.significance.findings import JOINT
from pipelines.monitoring.significance.judge import Judge, worst_severity
from pipelines.monitoring.window import Window
from pipelines.records import ColumnDrift


def _replace(table, name, values):
    return table.set_column(table.schema.get_field_index(name), name, values)


def _window(table, **parts):
    sides = {"features": table, "predictions": table, "labels": table, "labelled": table} | parts
    return Window(first="2013-03-01", last="2013-03-07", **sides)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Return a folder in which one test finds what another calibrated: the reference is the same."""
    return tmp_path_factory.mktemp("calibration")


@pytest.fixture
def judge(reference, config, kept):
    return Judge(reference, config, kept)


@pytest.fixture
def calm(make_table):
    return make_table("2013-03-01", "2013-03-07", seed=4)


def _found(findings, column, method):
    return next((d for d in findings.columns if (d.column, d.method) == (column, method)), None)


def test_days_like_the_reference_raise_no_alarm(judge, calm):
    findings = judge.findings(_window(calm))
    assert (findings.kinds, findings.severity, findings.is_alarm) == ((), "none", False)
    assert {drift.method for drift in findings.columns} == {"wasserstein", "jensenshannon"}
    assert findings.joint.column == JOINT
    assert findings.notes == ()


def test_a_column_that_moved_is_drift_and_names_how_far(judge, calm):
    moved = _replace(calm, "speed", pa.array(calm["speed"].to_numpy() + 0.8))
    findings = judge.findings(_window(moved))
    drift = _found(findings, "speed", "wasserstein")
    assert findings.kinds == ("data",)
    assert findings.drifted[0] == drift
    assert drift.distance == pytest.approx(0.8, abs=0.15)
    assert drift.q_value >= drift.p_value
    assert drift.threshold == 0.1
    assert set(drift.statistics) == {"ks", "psi", "jensenshannon", "wasserstein", "chi_square"}


def test_a_column_whose_days_differ_may_move_as_far_without_drift(judge, calm):
    # Days of the reference have temperatures of their own, of spread 1.
    warmer = _replace(calm, "temp", pa.array(calm["temp"].to_numpy() + 0.8))
    assert not judge.findings(_window(warmer)).is_alarm


def test_far_beyond_all_days_is_critical(judge, make_table):
    findings = judge.findings(_window(make_table("2013-03-01", "2013-03-07", shift=6.0)))
    assert findings.severity == "critical"
    assert findings.kinds == ("data",)


def test_significant_but_small_moves_are_no_drift(reference, config_with, calm, kept):
    config = config_with(monitoring={"min_effect": {"numeric": 1.0}})
    moved = _replace(calm, "speed", pa.array(calm["speed"].to_numpy() + 0.8))
    drift = _found(Judge(reference, config, kept).findings(_window(moved)), "speed", "wasserstein")
    assert drift.q_value < 0.01
    assert not drift.is_drifted


def test_levels_that_moved_are_named_and_new_ones_are_a_thing_of_their_own(judge, calm):
    kinds = np.where(
        np.arange(calm.num_rows) % 4 == 0, "brand new", calm["kind"].to_numpy(zero_copy_only=False)
    )
    findings = judge.findings(_window(_replace(calm, "kind", pa.array(kinds))))
    new = _found(findings, "kind", "new_levels")
    assert new.is_drifted
    assert new.distance == pytest.approx(0.25, abs=0.01)
    (unknown,) = [level for level in _found(findings, "kind", "jensenshannon").levels if level.level is None]
    assert (unknown.reference_share, unknown.current_share) == (0.0, pytest.approx(0.25, abs=0.01))


def test_nulls_that_there_never_were_are_drift_of_their_own(judge, calm):
    values = calm["speed"].to_numpy().copy()
    values[: len(values) // 5] = np.nan
    findings = judge.findings(_window(_replace(calm, "speed", pa.array(values))))
    missing = _found(findings, "speed", "missing_share")
    assert missing.is_drifted
    assert missing.distance == pytest.approx(0.2, abs=0.01)
    assert not _found(findings, "speed", "wasserstein").is_drifted


def test_predictions_and_labels_are_told_apart_from_data(judge, calm):
    moved = _replace(calm, "prediction", pa.array(np.full(calm.num_rows, 0.99)))
    late = _replace(calm, "late", pa.array(np.ones(calm.num_rows)))
    findings = judge.findings(_window(calm, predictions=moved, labels=late))
    assert findings.kinds == ("prediction", "label")
    assert (findings.prediction.column, findings.label.column) == ("prediction", "late")


def test_night_without_predictions_and_labels_is_judged_by_its_data(judge, calm):
    empty = calm.slice(0, 0)
    findings = judge.findings(_window(calm, predictions=empty, labels=empty, labelled=empty))
    assert (findings.prediction, findings.label) == (None, None)
    assert len(findings.columns) == 3


def test_too_few_rows_are_recorded_and_not_judged(judge, calm):
    findings = judge.findings(_window(calm.slice(0, 29)))
    assert (findings.columns, findings.joint, findings.severity) == ((), None, "none")
    assert findings.notes == ("The window has 29 rows, of 30 that are needed to judge it.",)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda n: np.full(n, np.nan), id="all-null"),
        pytest.param(lambda n: np.full(n, 0.5), id="constant"),
        pytest.param(lambda n: np.full(n, 1e300), id="huge"),
        pytest.param(lambda n: np.where(np.arange(n) % 2, np.inf, 0.0), id="infinite"),
    ],
)
@pytest.mark.parametrize("side", ["reference", "window"])
def test_columns_of_no_use_are_judged_without_ado(broken, side, make_table, as_reference, config, tmp_path):
    tables = {
        "reference": make_table("2013-01-01", "2013-02-25", seed=1),
        "window": make_table("2013-03-01", "2013-03-07", seed=2),
    }
    values = pa.array(broken(tables[side].num_rows))
    tables[side] = _replace(tables[side], "speed", values)
    judge = Judge(as_reference(tables["reference"], config), config, tmp_path / "calibration")
    findings = judge.findings(_window(tables["window"]))
    for drift in (*findings.columns, findings.joint):
        assert np.isfinite([drift.distance, drift.p_value, drift.q_value]).all()
        assert np.isfinite(list(drift.statistics.values())).all()
    assert not any(drift.is_drifted for drift in findings.columns if drift.column != "speed")
    assert findings.columns == judge.findings(_window(tables["window"])).columns


@pytest.mark.parametrize("n_days", [1, 2, 3])
def test_reference_of_a_few_days_judges_rows_and_says_so(n_days, make_table, as_reference, config, tmp_path):
    last = f"2013-02-{11 + n_days:02d}"
    table = make_table("2013-02-12", last, seed=1, per_day=400)
    table = _replace(table, "temp", pa.array(np.random.default_rng(0).normal(size=table.num_rows)))
    judge = Judge(as_reference(table, config), config, tmp_path / "calibration")
    night = make_table("2013-03-01", "2013-03-01", seed=5, per_day=300)
    night = _replace(night, "temp", pa.array(np.random.default_rng(1).normal(size=300)))
    findings = judge.findings(_window(night))
    assert not findings.is_alarm
    assert len(findings.notes) == (1 if n_days < 3 else 0)


def test_calibration_is_kept_and_found_again(reference, config, calm, tmp_path):
    folder = tmp_path / "calibration"
    first = Judge(reference, config, folder).findings(_window(calm))
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert Judge(reference, config, folder).findings(_window(calm)) == first
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept
    for path in folder.iterdir():
        path.write_text("{")
    assert Judge(reference, config, folder).findings(_window(calm)) == first
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept


def test_window_is_held_against_its_own_weekday(make_table, as_reference, config_with, tmp_path):
    table = make_table("2013-01-01", "2013-03-25", seed=1, per_day=20)
    is_sunday = np.array([_is_sunday(key) for key in table["partition_key"].to_pylist()])
    table = _replace(table, "speed", pa.array(table["speed"].to_numpy() + 3.0 * is_sunday))
    sunday = make_table("2013-03-31", "2013-03-31", seed=9, per_day=60)
    sunday = _replace(sunday, "speed", pa.array(sunday["speed"].to_numpy() + 3.0))
    distances = []
    for match in ("weekday", "none"):
        config = config_with(monitoring={"match": match, "window_days": 1})
        findings = Judge(as_reference(table, config), config, tmp_path).findings(_window(sunday))
        distances.append(_found(findings, "speed", "wasserstein").distance)
    assert distances[0] < 0.4
    assert distances[1] > 1.0


def _is_sunday(key):
    return date.fromisoformat(key).weekday() == 6


@pytest.mark.parametrize(
    ("drifts", "severity"),
    [
        pytest.param([], "none", id="nothing"),
        pytest.param([(0.009, 0.5)], "warning", id="as-rare-as-need-be"),
        pytest.param([(1e-9, 0.2)], "warning", id="rare-but-not-large"),
        pytest.param([(0.009, 0.5), (1e-5, 0.4)], "critical", id="one-is-rare-and-large"),
    ],
)
def test_severity_is_that_of_the_worst(drifts, severity, config):
    found = [
        ColumnDrift(column="a", method="wasserstein", distance=d, threshold=0.1, is_drifted=True, q_value=q)
        for q, d in drifts
    ]
    assert worst_severity([None, *found], config.monitoring) == severity
