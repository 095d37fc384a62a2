"""Partition keys and the digests of decisions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import ConfigError, EngineError, HoldfastError, ValidationFailed
from pipelines.records import (
    DriftRecord,
    ScoringRecord,
    digest_of,
    now_utc,
    partition_date,
    partition_range,
    shift_partition,
)

SCORING = {
    "dataset": "flights",
    "partition_key": "2013-07-04",
    "model_version": "3",
    "bundle_digest": "b",
    "validated_digest": "v",
    "features_digest": "f",
    "predictions_digest": "p",
    "n_rows": 737,
    "device": "cpu",
}


@pytest.mark.parametrize(
    "key", ["2013-7-4", "2013-02-29", "20130704", "", "2013-07-04' OR 1=1", "2013-07-04\n", "../etc"]
)
def test_only_real_dates_are_partition_keys(key):
    with pytest.raises(ConfigError, match="partition key"):
        partition_date(key)


@given(st.dates(), st.integers(-400, 400))
def test_shifting_there_and_back_changes_nothing(day, days):
    try:
        moved = shift_partition(day.isoformat(), days)
    except OverflowError:
        return
    assert shift_partition(moved, -days) == day.isoformat()


def test_a_range_has_both_its_ends_and_leap_days():
    assert partition_range("2012-02-28", "2012-03-01") == ["2012-02-28", "2012-02-29", "2012-03-01"]


def test_a_backward_range_is_refused():
    with pytest.raises(ConfigError, match="empty"):
        partition_range("2013-01-02", "2013-01-01")


def test_a_digest_ignores_the_facts_of_the_run_and_sees_the_decision():
    first = ScoringRecord(**SCORING, run_id="a", duration_seconds=1.0)
    second = ScoringRecord(**SCORING, run_id="b", duration_seconds=9.0, decided_at=now_utc())
    other = ScoringRecord(**(SCORING | {"predictions_digest": "q"}))
    assert first.digest == second.digest
    assert first.digest != other.digest


def test_a_digest_does_not_depend_on_the_order_of_keys():
    assert digest_of({"a": 1, "b": [1, 2]}) == digest_of({"b": [1, 2], "a": 1})


def test_a_record_goes_through_json_unchanged():
    record = ScoringRecord(**SCORING)
    assert ScoringRecord.model_validate(record.to_json()) == record


def test_a_message_is_bounded_however_large_the_data():
    assert len(str(HoldfastError("x" * 10**6))) == 2_000


@pytest.mark.parametrize(
    ("error", "is_retryable"),
    [
        pytest.param(EngineError("x"), True, id="engine"),
        pytest.param(ValidationFailed("x"), False, id="data"),
    ],
)
def test_an_error_knows_whether_a_retry_can_help(error, is_retryable):
    assert error.is_retryable is is_retryable


def test_a_verdict_of_an_old_ledger_is_read_without_what_is_retired():
    old = {
        "dataset": "flights",
        "partition_key": "2013-07-04",
        "model_version": "1",
        "window": ["2013-06-28", "2013-07-04"],
        "columns": [
            {"column": "temp", "method": "wasserstein", "distance": 0.4, "threshold": 0.2, "is_drifted": True}
        ],
        "drifted_fraction": 0.4,
        "alarm_fraction": 0.2,
        "performance_metric": "auc",
        "performance_value": 0.7,
        "performance_floor": 0.72,
        "kinds": ["data"],
        "is_alarm": True,
        "is_confirmed": False,
        "n_alarm_nights": 1,
    }
    read = DriftRecord.model_validate(old)

    assert (read.is_alarm, read.columns[0].column, read.action) == (True, "temp", "none")
