"""Callbacks and operators tell people, once, and never fail for want of a way to."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from receivers import webhook

from holdfast_airflow.notifiers import notify_environment, tell_failure, tell_waiting
from pipelines.ledger.ledger import Ledger
from pipelines.records import GateRecord, GateResult

NIGHT = "2013-07-04"
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def test_a_failed_run_is_told_once_with_what_to_do(
    ledger: Ledger, make_context: Any, caplog: pytest.LogCaptureFixture
) -> None:
    context = make_context("ingest_flights", night=NIGHT)
    with caplog.at_level(logging.WARNING):
        tell_failure(context)
        tell_failure(context)
    (kept,) = ledger.outbox.newest("flights")
    assert kept.partition_key == NIGHT
    assert kept.cause == (
        "ingest_flights.a-task failed for 2013-07-04 in run a-run at try 3; its log says why"
    )
    assert "clear the failed task" in kept.next_step
    assert kept.link.endswith("/holdfast/night/flights/2013-07-04")
    assert caplog.text.count("ingest_flights.a-task failed") == 1


def test_a_run_that_was_cleared_and_failed_again_is_told_again(ledger: Ledger, make_context: Any) -> None:
    for number in (0, 1, 1):
        context = make_context("ingest_flights", night=NIGHT)
        context["dag_run"].clear_number = number
        tell_failure(context)
    assert len(ledger.outbox.newest("flights")) == 2


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"night": None}, id="no-night"),
        pytest.param({"night": NIGHT, "exception": ValueError("<b> is no date\x1b[2J")}, id="exception"),
    ],
)
def test_a_failure_is_told_whatever_is_known_of_it(ledger: Ledger, make_context: Any, more: Any) -> None:
    tell_failure(make_context("ingest_flights", **more))
    (kept,) = ledger.outbox.newest("flights")
    assert "failed" in kept.cause
    assert "\x1b" not in kept.cause


def test_a_failure_of_a_task_that_is_no_longer_there_is_told_too(ledger: Ledger) -> None:
    tell_failure({"run_id": "r", "reason": "task_failure", "dag": SimpleNamespace(dag_id="score_flights")})
    (kept,) = ledger.outbox.newest("flights")
    assert kept.cause == "Run r failed (task_failure)"


def test_where_nothing_can_be_written_down_the_log_says_what_failed(
    holdfast_home: Any, make_context: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HOLDFAST_LEDGER_URL", f"sqlite:///{holdfast_home.parent}")
    tell_failure(make_context("ingest_flights", night=NIGHT))
    assert "ingest_flights.a-task failed" in caplog.text


def test_addresses_come_from_airflows_connection(
    ledger: Ledger, make_context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "HOLDFAST_NOTIFY_URLS" not in notify_environment()
    with webhook() as hook:
        address = f"json://127.0.0.1:{hook.port}/"
        monkeypatch.setenv(
            "AIRFLOW_CONN_HOLDFAST_NOTIFY", f'{{"conn_type": "generic", "password": "{address}"}}'
        )
        assert notify_environment()["HOLDFAST_NOTIFY_URLS"] == address
        tell_failure(make_context("ingest_flights", night=NIGHT))
        assert [content["title"] for content in hook.received] == ["flights 2013-07-04: failed for good"]
    monkeypatch.setenv("HOLDFAST_NOTIFY_URLS", "json://elsewhere/")
    assert notify_environment()["HOLDFAST_NOTIFY_URLS"] == "json://elsewhere/"


def gated(version: str) -> GateRecord:
    return GateRecord(
        dataset="flights",
        partition_key=NIGHT,
        model_version=version,
        bundle_digest="b",
        champion_version=None,
        champion_sequence=0,
        metric="auc",
        challenger_value=0.75,
        champion_value=None,
        gates=(GateResult(name="gain", is_passed=True, observed="0.05", required="0"),),
        is_passed=True,
    )


def test_people_are_told_that_a_challenger_waits(ledger: Ledger, make_context: Any) -> None:
    context = make_context("promote_flights", night=NIGHT)
    tell_waiting(context, dataset="flights", model_version="5")
    assert ledger.outbox.newest() == [], "nothing is known of that challenger"
    ledger.record(gated("5"))
    for _ in range(2):
        tell_waiting(context, dataset="flights", model_version="5")
    (kept,) = ledger.outbox.newest()
    assert kept.title == "flights: v5 waits for your word"
    assert "no champion yet" in kept.cause


def test_who_has_to_approve_is_told_when_the_waiting_begins(
    ledger: Ledger, make_context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.providers.standard.operators import hitl
    from airflow.sdk.exceptions import TaskAwaitingInput

    from holdfast_airflow.approval import PromotionApprovalOperator

    ledger.record(gated("6"))
    asked: list[Any] = []
    # Airflow's own way to write the request down needs a running API server.
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **request: asked.append(request))
    context = make_context("promote_flights", night=NIGHT)
    context["ti"].id = "an-id"
    context["ti"].xcom_pull = lambda task_ids: {"gate": {"model_version": "6"}}[task_ids]
    context["task_instance"] = context["ti"]
    approve = PromotionApprovalOperator(
        task_id="approve", dataset="flights", gate_task_id="gate", timeout_hours=72.0
    )
    for _ in range(2):
        with pytest.raises(TaskAwaitingInput):
            approve.execute(context)
    assert len(asked) == 2
    (kept,) = ledger.outbox.newest()
    assert kept.title == "flights: v6 waits for your word"
