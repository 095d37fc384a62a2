"""One night is judged end to end: from the lake to the ledger and the pages."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import toy_world

from pipelines.bundle.files import write_bundle
from pipelines.config import DatasetConfig, Params, load_settings
from pipelines.errors import NotReadyError
from pipelines.monitoring.window import WindowReader
from pipelines.records import (
    DriftRecord,
    ScoringRecord,
    TrainedModel,
    TrainingRecord,
    ValidationRecord,
    partition_range,
)
from pipelines.runtime import Runtime
from pipelines.steps.monitor import monitor
from pipelines.steps.reconcile import reconcile

_PER_DAY = 60
_TOY = {
    "description": "a toy",
    "task": "binary",
    "source": {"kind": "csv", "tables": {"toy": "toy.csv"}},
    "key": ["id"],
    "event_time": "at",
    "columns": {"id": "integer", "temp": "float", "speed": "float", "kind": "string"},
    "target": "late",
    "labels": {"late": "integer"},
    "features": {"sql": "toy.sql", "numeric": ["temp", "speed"], "categorical": ["kind"]},
}


@pytest.fixture(scope="module")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One empty MLflow database for all: making its tables costs seconds, and no test writes to it."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture
def home(tmp_path: Path, mlflow_uri: str) -> Runtime:
    """Return a dataset with 56 days of reference, and one week of nights that are like it."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "toy.sql").write_text("SELECT row_id, temp, speed, kind FROM events")
    settings = load_settings(
        {
            "HOLDFAST_PROJECT": str(tmp_path / "project"),
            "HOLDFAST_HOME": str(tmp_path / "home"),
            "HOLDFAST_MLFLOW_URI": mlflow_uri,
        }
    )
    runtime = Runtime(settings=settings, params=Params.model_validate({"datasets": {"toy": _TOY}}))
    _register(runtime, "1")
    _land(runtime, partition_range("2013-03-01", "2013-03-07"), seed=4)
    return runtime


def _days(days, *, seed, shift=0.0):
    random = np.random.default_rng(seed)
    n = len(days) * _PER_DAY
    keys = np.repeat(days, _PER_DAY)
    truth = random.normal(size=n)
    return pa.table(
        {
            "row_id": [f"{key}|{index:06}" for index, key in enumerate(keys)],
            "partition_key": keys,
            "event_time": pa.array(keys.astype("datetime64[us]"), pa.timestamp("us", tz="UTC")),
            "temp": random.normal(size=n) + shift,
            "speed": random.normal(size=n) + shift,
            "kind": random.choice(["a", "b", "c"], n),
            "prediction": 1 / (1 + np.exp(-(2 * truth + random.normal(size=n)))),
            "late": (truth > 0.5).astype(np.int64),
        }
    )


def _register(runtime, version):
    """Write a version's reference where the registry keeps its verified copies."""
    days = partition_range("2013-01-01", "2013-02-25")
    table = _days(days, seed=1)
    is_holdout = [key >= "2013-02-12" for key in table["partition_key"].to_pylist()]
    path = runtime.settings.home / "models" / "toy" / version / "reference.parquet"
    path.parent.mkdir(parents=True)
    stumps = toy_world.stump_bundle(
        toy_world.WEAK, numeric=("temp", "speed"), categorical="kind", target="late"
    )
    bundle_digest = write_bundle(path.parent / "bundle", *stumps)
    pq.write_table(table.append_column("is_holdout", pa.array(is_holdout)), path)
    trained = TrainedModel(
        dataset="toy",
        partition_key="2013-02-26",
        training_key="k",
        mlflow_run_id="r",
        bundle_digest=bundle_digest,
        candidate="c",
        first_partition=days[0],
        last_partition=days[-1],
        holdout_first="2013-02-12",
        snapshot_digest="s",
        n_partitions=len(days),
        n_rows=table.num_rows,
        code_commit="0",
        is_dirty=False,
        config_digest="c",
        environment_digest="e",
        metrics={},
        reason="",
        reference_digest=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    runtime.ledger.record(
        TrainingRecord(dataset="toy", partition_key="2013-02-26", model_version=version, trained=trained)
    )


def _land(runtime, days, *, seed, shift=0.0, version="1"):
    """Publish, score and label days, each under its own partition."""
    table = _days(days, seed=seed, shift=shift)
    for name, columns in {
        "validated": ["row_id", "event_time", "temp", "speed", "kind"],
        "predictions": ["row_id", "event_time", "prediction"],
        "labels": ["row_id", "late"],
    }.items():
        rows = table.select(columns)
        if name == "predictions":
            rows = rows.append_column("model_version", pa.array([version] * rows.num_rows))
        parts = {key: rows.slice(index * _PER_DAY, _PER_DAY) for index, key in enumerate(days)}
        runtime.lake.replace_many("toy", name, parts)
    for key in days:
        _score(runtime, key, version)


def _reader(runtime, config):
    return WindowReader(runtime.lake, "toy", config, runtime.settings.project)


def _score(runtime, key, version):
    runtime.ledger.record(
        ScoringRecord(
            dataset="toy",
            partition_key=key,
            model_version=version,
            bundle_digest="b",
            validated_digest="v",
            features_digest="f",
            predictions_digest=f"p{version}",
            n_rows=_PER_DAY,
            device="cpu",
        )
    )


def test_calm_night_is_written_down_with_its_pages(home):
    performance = reconcile("toy", "2013-03-07", runtime=home)
    record = monitor("toy", "2013-03-07", runtime=home)
    assert (record.model_version, record.kinds, record.is_alarm) == ("1", (), False)
    assert record.window == ("2013-03-01", "2013-03-07")
    assert home.ledger.latest(DriftRecord, "toy", "2013-03-07") == record
    folder = home.settings.reports / "toy" / "2013-03-07"
    assert {path.name for path in folder.iterdir()} == {
        "index.html",
        "drift.html",
        "performance.html",
        "drift.json",
        "columns.json",
    }
    assert home.settings.reports / record.report_path == folder / "index.html"
    content = json.loads((folder / "drift.json").read_text())
    assert content["record"]["digest"] == record.digest
    assert content["performance"]["metrics"] == performance.metrics
    assert set(content["evidently"]) == {"drift", "performance"}


def test_night_that_was_not_scored_can_not_be_judged(home):
    with pytest.raises(NotReadyError, match="holdfast score toy 2013-03-08"):
        monitor("toy", "2013-03-08", runtime=home)


def test_repeat_gives_the_same_record_and_the_same_files(home):
    first = monitor("toy", "2013-03-07", runtime=home)
    folder = home.settings.reports / "toy" / "2013-03-07"
    written = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert monitor("toy", "2013-03-07", runtime=home).digest == first.digest
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == written
    assert home.ledger.record(first) is False


@pytest.mark.parametrize(
    ("label_delay_days", "first_unknown"),
    [pytest.param(1, "2013-03-06", id="one-day"), pytest.param(2, "2013-03-05", id="two-days")],
)
def test_window_holds_only_what_was_known_that_night(home, label_delay_days, first_unknown):
    config = DatasetConfig.model_validate(_TOY | {"label_delay_days": label_delay_days})
    reader = _reader(home, config)
    before = reader.read("2013-03-06", "1")
    _land(home, ["2013-03-07", "2013-03-08"], seed=9, shift=5.0)
    others = pa.table({"row_id": ["x"], "late": [1]})
    home.lake.replace_many(
        "toy", "labels", dict.fromkeys(partition_range(first_unknown, "2013-03-07"), others)
    )
    after = reader.read("2013-03-06", "1")
    assert set(before.features["partition_key"].to_pylist()) == set(
        partition_range("2013-03-01", "2013-03-06")
    )
    assert max(before.labelled["partition_key"].to_pylist()) < first_unknown
    assert after == before


def test_label_of_a_row_that_was_not_published_is_left_alone(home):
    labels = pa.table({"row_id": ["quarantined"], "late": [1]})
    home.lake.replace("toy", "labels", "2013-03-06", labels)
    window = WindowReader(home.lake, "toy", home.dataset("toy"), home.settings.project).read(
        "2013-03-07", "1"
    )
    assert max(window.labels["partition_key"].to_pylist()) == "2013-03-05"


def test_drift_is_confirmed_by_the_second_alarm_of_one_model(home):
    drifting = partition_range("2013-03-08", "2013-03-15")
    _land(home, drifting, seed=6, shift=0.2)
    first, second = (monitor("toy", key, runtime=home) for key in drifting[-2:])
    assert (first.is_alarm, first.is_confirmed, first.n_alarm_nights) == (True, False, 1)
    assert (second.is_alarm, second.is_confirmed, second.n_alarm_nights) == (True, True, 2)
    assert "data" in second.kinds


def test_alarms_about_another_model_do_not_confirm(home):
    drifting = partition_range("2013-03-08", "2013-03-15")
    _land(home, drifting, seed=6, shift=0.2)
    monitor("toy", drifting[-2], runtime=home)
    _register(home, "2")
    _land(home, drifting[-1:], seed=7, shift=0.2, version="2")
    record = monitor("toy", drifting[-1], runtime=home)
    assert (record.model_version, record.is_alarm, record.n_alarm_nights) == ("2", True, 1)
    assert not record.is_confirmed
    # Of the window's predictions one day is the new model's own, and none of the labelled ones.
    assert record.prediction is not None
    assert record.concept is None


def test_days_that_were_not_published_leave_a_shorter_window(home):
    empty = home.lake.read("toy", "validated", partitions=["2013-03-05"]).slice(0, 0)
    home.lake.replace("toy", "validated", "2013-03-05", empty.drop_columns(["partition_key"]))
    window = WindowReader(home.lake, "toy", home.dataset("toy"), home.settings.project).read(
        "2013-03-07", "1"
    )
    assert (window.first, window.last) == ("2013-03-01", "2013-03-07")
    assert set(window.features["partition_key"].to_pylist()) == {
        *partition_range("2013-03-01", "2013-03-04"),
        *partition_range("2013-03-06", "2013-03-07"),
    }


def test_week_without_a_published_row_can_not_be_judged(home):
    _score(home, "2013-04-30", "1")
    with pytest.raises(NotReadyError, match="no published rows from 2013-04-24 to 2013-04-30"):
        monitor("toy", "2013-04-30", runtime=home)


def test_first_night_without_any_label_is_judged_by_its_data(home):
    key = "2013-03-01"
    record = monitor("toy", key, runtime=home)
    assert record.concept is None
    assert record.label is None
    assert not (home.settings.reports / "toy" / key / "performance.html").exists()


def test_summary_leads_to_the_validation_of_the_night(home):
    docs = "toy/2013-03-07/validation.html"
    (home.settings.reports / docs).parent.mkdir(parents=True)
    (home.settings.reports / docs).write_text("GX's page")
    home.ledger.record(
        ValidationRecord(
            dataset="toy",
            partition_key="2013-03-07",
            raw_digest="r",
            suite_digest="s",
            outcome="passed",
            n_in=_PER_DAY,
            n_published=_PER_DAY,
            n_quarantined=0,
            docs_path=docs,
        )
    )
    record = monitor("toy", "2013-03-07", runtime=home)
    assert 'href="validation.html"' in (home.settings.reports / record.report_path).read_text()


def test_drift_that_costs_nothing_is_put_on_record_with_what_a_refit_has_shown(home):
    drifting = partition_range("2013-03-08", "2013-03-15")
    _land(home, drifting, seed=6, shift=0.6)
    _, record = (monitor("toy", key, runtime=home) for key in drifting[-2:])
    assert (record.action, record.is_page) == ("record", False)
    assert record.refit is not None
    assert not record.refit.is_worth_it
    assert "no reason to retrain" in record.reasons[-1]
