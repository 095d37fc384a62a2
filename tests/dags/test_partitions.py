"""Which night a run works on, and what it hands on."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast_airflow.assets import assets_of
from holdfast_airflow.partitions import days_of, hand_on, night_of
from pipelines.errors import ConfigError


@pytest.mark.parametrize(
    ("night", "form", "expected"),
    [
        pytest.param("2013-07-04", {}, "2013-07-04", id="partition-key"),
        pytest.param("2013-07-04", {"night": None}, "2013-07-04", id="empty-form"),
        pytest.param(None, {"night": " 2013-07-04 "}, "2013-07-04", id="form"),
        pytest.param("2013-07-04", {"night": "2013-07-04"}, "2013-07-04", id="both-agree"),
    ],
)
def test_a_run_works_on_the_night_it_is_told(
    make_context: Any, night: str | None, form: dict[str, Any], expected: str
) -> None:
    assert night_of(make_context(night=night, form=form)) == expected


@pytest.mark.parametrize(
    ("night", "form", "says"),
    [
        pytest.param(None, {}, r"start train_flights with a partition key \(YYYY-MM-DD\)\.", id="no-form"),
        pytest.param(None, {"night": None}, "or fill in `night` in the form", id="empty-form"),
        pytest.param(None, {"night": "  "}, "No night is given", id="blank"),
        pytest.param("2013-07-04", {"night": "2013-07-05"}, "give one of them", id="they-differ"),
        pytest.param("2013-7-4", {}, "write a real date as YYYY-MM-DD", id="not-a-key"),
        pytest.param(None, {"night": "2013-02-30"}, "write a real date as YYYY-MM-DD", id="not-a-date"),
    ],
)
def test_a_run_that_is_not_told_its_night_says_how_to_tell_it(
    make_context: Any, night: str | None, form: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        night_of(make_context(night=night, form=form))


@pytest.mark.parametrize(
    ("night", "form", "expected"),
    [
        pytest.param("2013-07-04", {"first": None, "last": None}, ("2013-07-04",) * 2, id="partition-key"),
        pytest.param(None, {"first": "2013-07-04", "last": None}, ("2013-07-04",) * 2, id="one-day"),
        pytest.param(None, {"first": "2013-07-04", "last": "2013-07-04"}, ("2013-07-04",) * 2, id="same-day"),
        pytest.param(
            None, {"first": "2013-01-01", "last": "2013-03-31"}, ("2013-01-01", "2013-03-31"), id="range"
        ),
    ],
)
def test_an_ingestion_works_on_a_night_or_on_a_range(
    make_context: Any, night: str | None, form: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert days_of(make_context("ingest_flights", night=night, form=form)) == expected


@pytest.mark.parametrize(
    ("night", "form", "says"),
    [
        pytest.param(None, {"first": None, "last": None}, "fill in `first`", id="nothing"),
        pytest.param(None, {"first": None, "last": "2013-03-31"}, "`first` is empty", id="no-first"),
        pytest.param(None, {"first": "2013-03-31", "last": "2013-03-01"}, "is empty", id="backwards"),
        pytest.param(
            "2013-01-01", {"first": "2013-01-01", "last": "2013-03-31"}, "not both", id="key-and-range"
        ),
    ],
)
def test_an_ingestion_refuses_what_it_can_only_guess_at(
    make_context: Any, night: str | None, form: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        days_of(make_context("ingest_flights", night=night, form=form))


@pytest.mark.parametrize("night", ["2013-07-04", None], ids=["run-with-key", "run-without-key"])
def test_every_event_carries_exactly_the_night_handed_on(make_context: Any, night: str | None) -> None:
    from airflow.sdk.execution_time.task_runner import _serialize_outlet_events

    context, asset = make_context(night=night), assets_of("flights").challenger
    hand_on(context, [asset], ["2013-07-04"], {"model_version": "7"})
    assert list(_serialize_outlet_events(context["outlet_events"])) == [
        {
            "dest_asset_key": {"name": "flights/challenger", "uri": "holdfast://flights/challenger"},
            "extra": {"model_version": "7"},
            "partition_key": "2013-07-04",
        }
    ]
