"""Performance is measured by the labels that a night brought, and by no others."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipelines.errors import ConfigError
from pipelines.records import PerformanceRecord
from pipelines.steps.reconcile import reconcile


def _land_predictions(runtime, key, values, version="3"):
    n = len(values)
    rows = {
        "row_id": [f"{key}|{index}" for index in range(n)],
        "prediction": pa.array(values, pa.float64()),
        "model_version": pa.array([version] * n, pa.string()),
    }
    runtime.lake.replace("flights", "predictions", key, pa.table(rows))


def _land_labels(runtime, key, values):
    rows = {
        "row_id": [f"{key}|{index}" for index in range(len(values))],
        "is_late": pa.array(values, pa.int64()),
        "arrival_delay": pa.nulls(len(values), pa.float64()),
    }
    runtime.lake.replace("flights", "labels", key, pa.table(rows))


@pytest.fixture
def night(runtime):
    _land_predictions(runtime, "2013-07-03", [0.9, 0.2, 0.4, 0.1])
    _land_labels(runtime, "2013-07-03", [1, 0, 1, None])
    return runtime


def test_night_measures_the_partition_whose_labels_it_brought(night):
    record = reconcile("flights", "2013-07-04", runtime=night)
    assert (record.partition_key, record.known_at, record.model_version) == ("2013-07-03", "2013-07-04", "3")
    assert record.n_rows == 3
    assert record.metrics["auc"] == 1.0
    assert night.ledger.latest(PerformanceRecord, "flights", "2013-07-03") == record


def test_longer_delay_reaches_further_back(make_runtime):
    runtime = make_runtime({"datasets": {"flights": {"label_delay_days": 3}}})
    _land_predictions(runtime, "2013-07-01", [0.9, 0.2])
    _land_labels(runtime, "2013-07-01", [1, 0])
    assert reconcile("flights", "2013-07-04", runtime=runtime).partition_key == "2013-07-01"
    assert reconcile("flights", "2013-07-02", runtime=runtime) is None


def test_repeat_gives_the_same_record_and_no_second_entry(night):
    first, second = (reconcile("flights", "2013-07-04", runtime=night) for _ in range(2))
    assert first.digest == second.digest
    assert night.ledger.record(second) is False


def test_corrected_labels_are_a_new_revision(night):
    first = reconcile("flights", "2013-07-04", runtime=night)
    _land_labels(night, "2013-07-03", [0, 1, 1, None])
    second = reconcile("flights", "2013-07-04", runtime=night)
    assert first.labels_digest != second.labels_digest
    assert night.ledger.latest(PerformanceRecord, "flights", "2013-07-03").metrics == second.metrics


def test_single_class_leaves_out_what_is_not_defined(night):
    _land_labels(night, "2013-07-03", [0, 0, 0, 0])
    record = reconcile("flights", "2013-07-04", runtime=night)
    assert "auc" not in record.metrics
    assert record.metrics["prevalence"] == 0.0
    assert night.ledger.latest(PerformanceRecord, "flights", "2013-07-03") == record


@pytest.mark.parametrize(
    "land",
    [
        pytest.param(lambda _: None, id="nothing-at-all"),
        pytest.param(lambda runtime: _land_labels(runtime, "2013-07-03", [1]), id="no-predictions-table"),
        pytest.param(
            lambda runtime: (
                _land_labels(runtime, "2013-07-03", [1]),
                _land_predictions(runtime, "2013-07-02", [0.5]),
            ),
            id="not-scored",
        ),
        pytest.param(
            lambda runtime: (
                _land_labels(runtime, "2013-07-03", [None]),
                _land_predictions(runtime, "2013-07-03", [0.5]),
            ),
            id="no-known-label",
        ),
    ],
)
def test_night_with_nothing_to_measure_is_no_error(runtime, land):
    land(runtime)
    assert reconcile("flights", "2013-07-04", runtime=runtime) is None
    assert runtime.ledger.latest(PerformanceRecord, "flights") is None


def test_key_that_is_no_date_is_refused(runtime):
    with pytest.raises(ConfigError, match="no partition key"):
        reconcile("flights", "2013-7-4", runtime=runtime)
