"""The drift sensor, its trigger, and what ends a retraining; on a real ledger."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred
from airflow.sdk.module_loading import import_string

from holdfast_airflow.operators import RequestFirstTrainingOperator
from holdfast_airflow.retrainings import HandOnRetrainingOperator, close_retraining, retraining_failed
from holdfast_airflow.sensors import DriftSensor
from holdfast_airflow.triggers import RetrainingFinishedTrigger
from pipelines.errors import EngineError
from pipelines.ledger.ledger import Ledger
from pipelines.records import ApprovalRecord, ChampionMove, ColumnDrift, DriftRecord, now_utc

NIGHT, NEXT_NIGHT = "2013-07-04", "2013-07-05"
POLL_SECONDS = 0.01


def _champion(ledger: Ledger, version: str = "1") -> None:
    ledger.champions.move(
        ChampionMove(
            dataset="flights",
            sequence=1,
            model_version=version,
            previous_version=None,
            action="promote",
            actor="gates",
            reason="first",
            evidence_digest="0" * 64,
            partition_key="2013-03-31",
            moved_at=now_utc(),
        )
    )


def _monitored(ledger: Ledger, night: str, *, is_confirmed: bool) -> None:
    drifted = ColumnDrift(column="temp", method="ks", distance=0.9, threshold=0.5, is_drifted=True)
    ledger.record(
        DriftRecord(
            dataset="flights",
            partition_key=night,
            model_version="1",
            window=(night, night),
            columns=(drifted,) if is_confirmed else (),
            kinds=("data",) if is_confirmed else (),
            severity="warning" if is_confirmed else "none",
            is_alarm=is_confirmed,
            is_confirmed=is_confirmed,
            n_alarm_nights=2 * is_confirmed,
            action="retrain" if is_confirmed else "none",
        )
    )


def _sensor() -> DriftSensor:
    return DriftSensor(task_id="await_verdict", dataset="flights", poke_interval=7)


def test_a_calm_night_is_skipped_with_its_reason(ledger: Ledger, make_context: Any) -> None:
    _champion(ledger)
    _monitored(ledger, NIGHT, is_confirmed=False)
    with pytest.raises(AirflowSkipException, match="No retraining: no drift"):
        _sensor().execute(make_context(night=NIGHT))


def test_confirmed_drift_requests_one_retraining_and_hands_it_on(ledger: Ledger, make_context: Any) -> None:
    from holdfast_airflow.assets import assets_of

    _champion(ledger)
    _monitored(ledger, NIGHT, is_confirmed=True)
    verdict = _sensor().execute(make_context(night=NIGHT))
    assert verdict["verdict"] == "go"
    retrain = assets_of("flights").retrain
    request = HandOnRetrainingOperator(
        task_id="request", dataset="flights", verdict=verdict, outlets=[retrain]
    )
    context = make_context(night=NIGHT)
    request.execute(context)
    assert context["outlet_events"][retrain].partition_keys == {NIGHT}
    assert [r.status for r in ledger.retrainings("flights")] == ["requested"]


def test_a_late_night_hands_on_a_retraining_as_of_the_newest_one(ledger: Ledger, make_context: Any) -> None:
    from holdfast_airflow.assets import assets_of

    _champion(ledger)
    for night in (NIGHT, NEXT_NIGHT):
        _monitored(ledger, night, is_confirmed=True)
    verdict = _sensor().execute(make_context(night=NIGHT))
    retrain = assets_of("flights").retrain
    context = make_context(night=NIGHT)
    HandOnRetrainingOperator(
        task_id="request", dataset="flights", verdict=verdict, outlets=[retrain]
    ).execute(context)
    assert context["outlet_events"][retrain].partition_keys == {NEXT_NIGHT}


def test_a_second_night_waits_without_a_worker_and_then_decides_anew(
    ledger: Ledger, make_context: Any
) -> None:
    _champion(ledger)
    _monitored(ledger, NIGHT, is_confirmed=True)
    _sensor().execute(make_context(night=NIGHT))
    _monitored(ledger, NEXT_NIGHT, is_confirmed=True)
    with pytest.raises(TaskDeferred) as deferred:
        _sensor().execute(make_context(night=NEXT_NIGHT))
    kept = deferred.value.trigger.serialize()[1]
    assert kept == {"dataset": "flights", "poll_seconds": 7, "patience_seconds": 3600}

    ledger.update_retraining("flights", NIGHT, status="refused")
    resume = getattr(_sensor(), deferred.value.method_name)
    with pytest.raises(AirflowSkipException, match="cooldown"):
        resume(make_context(night=NEXT_NIGHT), event={"dataset": "flights"})


def test_a_night_that_was_not_monitored_fails_at_once(ledger: Ledger, make_context: Any) -> None:
    with pytest.raises(AirflowFailException, match="has not been monitored"):
        _sensor().execute(make_context(night=NIGHT))


def _again(trigger: RetrainingFinishedTrigger) -> RetrainingFinishedTrigger:
    """Make a trigger anew from what is kept of it, as a triggerer does after a restart."""
    path, arguments = trigger.serialize()
    return import_string(path)(**arguments)


async def _first_event(trigger: RetrainingFinishedTrigger) -> Any:
    return (await anext(aiter(trigger.run()))).payload


def test_the_trigger_fires_only_when_the_retraining_is_over_also_after_a_restart(ledger: Ledger) -> None:
    ledger.open_retraining("flights", NIGHT, status="requested", reason="drift")

    async def restart_then_finish() -> Any:
        first = asyncio.create_task(_first_event(RetrainingFinishedTrigger("flights", POLL_SECONDS)))
        await asyncio.sleep(20 * POLL_SECONDS)
        assert not first.done()
        first.cancel()
        second = asyncio.create_task(_first_event(_again(RetrainingFinishedTrigger("flights", POLL_SECONDS))))
        await asyncio.sleep(20 * POLL_SECONDS)
        assert not second.done()
        ledger.update_retraining("flights", NIGHT, status="promoted")
        return await asyncio.wait_for(second, timeout=30)

    assert asyncio.run(restart_then_finish()) == {"dataset": "flights"}


def test_the_trigger_fires_for_another_look_though_a_retraining_is_under_way(ledger: Ledger) -> None:
    ledger.open_retraining("flights", NIGHT, status="requested", reason="drift")
    trigger = RetrainingFinishedTrigger("flights", POLL_SECONDS, patience_seconds=3 * POLL_SECONDS)
    assert asyncio.run(asyncio.wait_for(_first_event(trigger), timeout=30)) == {"dataset": "flights"}
    assert ledger.retraining_in_flight("flights") is not None


def test_a_trigger_from_before_it_had_patience_is_made_again(ledger: Ledger) -> None:
    assert RetrainingFinishedTrigger(dataset="flights", poll_seconds=1).patience_seconds == 3600


def test_the_trigger_sits_out_a_database_that_is_away(ledger: Ledger, caplog: Any) -> None:
    class Flaky:
        looks = 0

        def retraining_in_flight(self, dataset: str) -> Any:
            self.looks += 1
            if self.looks == 1:
                raise EngineError("the database is away")
            return ledger.retraining_in_flight(dataset)

    trigger = RetrainingFinishedTrigger("flights", POLL_SECONDS)
    away = Flaky()
    assert asyncio.run(trigger._is_under_way(away)) is True  # type: ignore[arg-type]
    assert asyncio.run(trigger._is_under_way(away)) is False  # type: ignore[arg-type]


def test_a_first_training_is_not_asked_for_before_there_are_days(ledger: Ledger, make_context: Any) -> None:
    operator = RequestFirstTrainingOperator(task_id="request_first_training", dataset="flights")
    with pytest.raises(AirflowSkipException, match="too few labelled days"):
        operator.execute(make_context("score_flights", night=NIGHT))
    assert ledger.retrainings("flights") == []


@pytest.mark.parametrize("status", ["requested", "training", "registered"])
def test_a_run_that_failed_frees_the_way(ledger: Ledger, make_context: Any, status: Any) -> None:
    ledger.open_retraining("flights", NIGHT, status="requested", reason="drift")
    ledger.update_retraining("flights", NIGHT, status=status)
    retraining_failed(make_context("train_flights", night=NIGHT, exception=ValueError("disk full")))
    closed = ledger.retraining("flights", NIGHT)
    assert closed is not None
    assert closed.status == "failed"
    assert closed.reason == "train_flights.a-task failed for 2013-07-04 in run a-run: disk full"
    assert ledger.retraining_in_flight("flights") is None


@pytest.mark.parametrize("status", ["promoted", "refused", "suppressed", "failed"])
def test_a_finished_retraining_keeps_its_outcome(ledger: Ledger, make_context: Any, status: Any) -> None:
    ledger.open_retraining("flights", NIGHT, status="requested", reason="drift")
    ledger.update_retraining("flights", NIGHT, status=status)
    retraining_failed(make_context("train_flights", form={"night": NIGHT}))
    assert close_retraining("flights", NIGHT, status="failed", reason="late") is False
    assert [(r.status, r.reason) for r in ledger.retrainings("flights")] == [(status, "drift")]


@pytest.mark.parametrize(
    "context",
    [
        pytest.param({"run_id": "a-run", "reason": "task removed"}, id="airflow-knows-no-task"),
        pytest.param({"night": None}, id="no-night"),
    ],
)
def test_a_callback_that_can_do_nothing_says_so(
    ledger: Ledger, make_context: Any, context: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.open_retraining("flights", NIGHT, status="requested", reason="drift")
    retraining_failed(make_context(**context) if "night" in context else context)
    assert ledger.retraining_in_flight("flights") is not None
    assert "retraining" in caplog.text


def test_a_rejection_ends_the_retraining_and_skips_the_promotion(ledger: Ledger, make_context: Any) -> None:
    _check_rejection(ledger, make_context, {"id": "u1", "name": "Ada"}, "rejected by Ada")


def test_no_answer_in_time_is_a_rejection(ledger: Ledger, make_context: Any) -> None:
    _check_rejection(ledger, make_context, None, "nobody approved it within 72 hours")


def _check_rejection(ledger: Ledger, make_context: Any, user: Any, reason: str) -> None:
    from airflow.sdk import DAG
    from airflow.sdk.exceptions import DownstreamTasksSkipped

    from holdfast_airflow.promotion import PromoteOperator

    ledger.open_retraining("flights", NIGHT, status="registered", reason="drift")
    with DAG("promote_flights", schedule=None):
        approve = _approval()
        approve >> PromoteOperator(task_id="promote", dataset="flights", gated={"model_version": "2"})
    context = _gated(make_context(night=NIGHT, task=approve))
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        approve.execute_complete(context, _answer("Reject", user))
    assert list(skipped.value.tasks) == ["promote"]
    closed = ledger.retraining("flights", NIGHT)
    assert closed is not None
    assert (closed.status, closed.reason) == ("refused", reason)
    assert context["ti"].xcoms["return_value"]["choice"] == "Reject"
    said = ledger.latest(ApprovalRecord, "flights", NIGHT, subject="2")
    assert said is not None
    assert (said.sentence, said.evidence_digest) == (reason, "the evidence")


def test_the_reason_that_a_person_gives_is_kept_with_the_decision(ledger: Ledger, make_context: Any) -> None:
    given = {**_answer("Approve", {"id": "ada"}), "params_input": {"reason": " the audit is over\n"}}
    answered = _approval().execute_complete(_gated(make_context(night=NIGHT)), given)
    assert answered["reason"] == "the audit is over"
    said = ledger.latest(ApprovalRecord, "flights", subject="2")
    assert said is not None
    assert said.sentence == "approved by ada: the audit is over"
    # Airflow may run what follows an answer twice.
    _approval().execute_complete(_gated(make_context(night=NIGHT)), given)
    assert len(ledger.revisions(ApprovalRecord, "flights")) == 1


def test_an_approval_says_who_and_when(ledger: Ledger, make_context: Any) -> None:
    ledger.open_retraining("flights", NIGHT, status="registered", reason="drift")
    context = _gated(make_context(night=NIGHT))
    answered = _approval().execute_complete(context, _answer("Approve", {"id": "ada"}))
    assert answered == {"choice": "Approve", "by": "ada", "at": "2013-07-05T09:00:00+00:00", "reason": ""}
    assert ledger.retraining_in_flight("flights") is not None


def _approval() -> Any:
    from holdfast_airflow.approval import PromotionApprovalOperator

    return PromotionApprovalOperator(
        task_id="approve", dataset="flights", gate_task_id="gate", timeout_hours=72.0
    )


def _gated(context: Any) -> Any:
    gated = {"model_version": "2", "digest": "the evidence"}
    context["ti"].xcom_pull = lambda task_ids: {"gate": gated}[task_ids]
    return context


def _answer(choice: str, user: Any) -> dict[str, Any]:
    from datetime import UTC, datetime

    at = datetime(2013, 7, 5, 9, tzinfo=UTC)
    return {"chosen_options": [choice], "params_input": {}, "responded_at": at, "responded_by_user": user}


@pytest.mark.parametrize(
    ("form", "nights"),
    [
        pytest.param({"rescore": NIGHT}, {NIGHT}, id="asked-for"),
        pytest.param({"rescore": "2013-07-03", "rescore_last": NIGHT}, {"2013-07-03", NIGHT}, id="a-range"),
        pytest.param({"rescore": None}, None, id="not-asked-for"),
    ],
)
def test_a_rollback_scores_again_only_what_was_asked_for(
    make_context: Any, form: Any, nights: set[str] | None
) -> None:
    from holdfast_airflow.assets import assets_of
    from holdfast_airflow.promotion import RescoreOperator

    champion = assets_of("flights").champion
    context = make_context("rollback_flights", form=form)
    operator = RescoreOperator(task_id="rescore", outlets=[champion])
    if nights is None:
        with pytest.raises(AirflowSkipException, match="all predictions are kept"):
            operator.execute(context)
    else:
        operator.execute(context)
        assert context["outlet_events"][champion].partition_keys == nights


@pytest.mark.parametrize(
    ("form", "said"),
    [
        pytest.param({"rescore": None, "rescore_last": NIGHT}, "both ends", id="no-first"),
        pytest.param({"rescore": NIGHT, "rescore_last": "2013-07-01"}, "2013-07-01", id="backwards"),
        pytest.param({"rescore": "1913-07-04", "rescore_last": NIGHT}, "366 at most", id="a-century"),
    ],
)
def test_a_range_to_score_again_that_makes_no_sense_is_refused(
    make_context: Any, form: Any, said: str
) -> None:
    from holdfast_airflow.assets import assets_of
    from holdfast_airflow.promotion import RescoreOperator

    operator = RescoreOperator(task_id="rescore", outlets=[assets_of("flights").champion])
    with pytest.raises(AirflowFailException, match=said):
        operator.execute(make_context("rollback_flights", form=form))


def test_the_gate_needs_a_challenger(ledger: Ledger, make_context: Any) -> None:
    from holdfast_airflow.assets import assets_of
    from holdfast_airflow.promotion import GateOperator

    challenger = assets_of("flights").challenger
    gate = GateOperator(task_id="gate", dataset="flights", challenger=challenger)
    context = make_context("promote_flights", night=NIGHT, triggering_asset_events={challenger: []})
    with pytest.raises(AirflowFailException, match="run train_flights first"):
        gate.execute(context)


def test_the_gate_takes_the_challenger_that_the_event_names(ledger: Ledger, make_context: Any) -> None:
    from holdfast_airflow.assets import assets_of
    from holdfast_airflow.promotion import GateOperator

    challenger = assets_of("flights").challenger
    gate = GateOperator(task_id="gate", dataset="flights", challenger=challenger)
    events = {challenger: [SimpleNamespace(extra={"model_version": "7"})]}
    with pytest.raises(AirflowFailException, match="7"):
        gate.execute(make_context("promote_flights", night=NIGHT, triggering_asset_events=events))


def test_the_evidence_is_one_row_a_gate_whatever_the_gates_say() -> None:
    from holdfast_airflow.promotion import evidence_table
    from pipelines.records import GateRecord, GateResult

    record = GateRecord(
        dataset="flights",
        partition_key=NIGHT,
        model_version="2",
        bundle_digest="0" * 64,
        champion_version="1",
        champion_sequence=1,
        metric="auc",
        challenger_value=0.75,
        champion_value=0.7,
        gates=(
            GateResult(name="beats_champion", is_passed=True, observed="0.05 | 0.01", required="> 0"),
            GateResult(name="no_look_ahead", is_passed=False, observed="a\nb", required="none"),
        ),
        is_passed=False,
    )
    assert evidence_table(record).splitlines() == [
        "**flights v2**: auc 0.7500 on the holdout; champion v1 0.7000.",
        "",
        "| gate | required | observed | passed |",
        "| --- | --- | --- | --- |",
        "| beats_champion | > 0 | 0.05 \\| 0.01 | yes |",
        "| no_look_ahead | none | a b | **no** |",
    ]
