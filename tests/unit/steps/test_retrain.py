"""Drift costs a training only where it is confirmed, about the champion, and due."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pyarrow as pa
import pytest
from sqlalchemy import create_engine, update

from pipelines.errors import NotReadyError
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.schema import retrainings
from pipelines.records import ChampionMove, ColumnDrift, DriftRecord, now_utc, partition_range
from pipelines.steps.retrain import decide_retraining, request_first_training

_NIGHT = "2013-07-03"


def _crown(runtime, version, sequence=1):
    runtime.ledger.move_champion(
        ChampionMove(
            dataset="flights",
            sequence=sequence,
            model_version=version,
            previous_version=None,
            action="promote",
            actor="test",
            reason="test",
            evidence_digest="e",
            partition_key="2013-03-31",
            moved_at=now_utc(),
        )
    )


def _drift(runtime, key=_NIGHT, *, version="1", is_alarm=True, is_confirmed=True):
    columns = tuple(
        ColumnDrift(
            column=name, method="wasserstein", distance=distance, threshold=0.5, is_drifted=distance >= 0.5
        )
        for name, distance in (("temp", 0.9), ("humid", 0.6), ("visib", 0.7), ("precip", 0.8), ("wind", 0.1))
    )
    runtime.ledger.record(
        DriftRecord(
            dataset="flights",
            partition_key=key,
            model_version=version,
            window=("2013-06-27", key),
            columns=columns,
            drifted_fraction=0.8,
            alarm_fraction=0.3,
            kinds=("data", "concept") if is_alarm else (),
            is_alarm=is_alarm,
            is_confirmed=is_confirmed,
            n_alarm_nights=2,
        )
    )


def _age(runtime, hours):
    """Set back the stamps of every retraining, as if that time had passed."""
    engine = create_engine(runtime.settings.ledger_url)
    with engine.begin() as connection:
        connection.execute(update(retrainings).values(updated_at=now_utc() - timedelta(hours=hours)))
    engine.dispose()


def _decide(runtime, key=_NIGHT):
    return decide_retraining("flights", key, runtime=runtime)


@pytest.fixture
def champion(runtime):
    _crown(runtime, "1")
    return runtime


def test_confirmed_drift_of_the_champion_asks_for_a_retraining(champion):
    _drift(champion)
    verdict = _decide(champion)
    assert verdict.verdict == "go"
    assert verdict.retraining == champion.ledger.retraining_in_flight("flights")
    assert verdict.retraining.status == "requested"
    assert verdict.reason == "data, concept drift on 2 nights (most: temp, precip, visib)"


@pytest.mark.parametrize(
    ("is_alarm", "reason"),
    [pytest.param(True, "not confirmed yet", id="first-alarm"), pytest.param(False, "no drift", id="calm")],
)
def test_night_without_confirmed_drift_is_calm_and_leaves_no_trace(champion, is_alarm, reason):
    _drift(champion, is_alarm=is_alarm, is_confirmed=False)
    verdict = _decide(champion)
    assert verdict.verdict == "calm"
    assert reason in verdict.reason
    assert champion.ledger.retrainings("flights") == []


def test_night_that_was_not_monitored_can_not_be_decided(champion):
    with pytest.raises(NotReadyError, match="holdfast monitor flights 2013-07-03"):
        _decide(champion)


def test_repeat_gives_the_same_verdict_and_one_retraining(champion):
    _drift(champion)
    assert _decide(champion) == _decide(champion)
    assert len(champion.ledger.retrainings("flights")) == 1


@pytest.mark.parametrize("status", ["promoted", "refused", "failed"])
def test_night_whose_retraining_is_finished_asks_for_no_second_one(champion, status):
    _drift(champion)
    _decide(champion)
    champion.ledger.update_retraining("flights", _NIGHT, status=status)
    verdict = _decide(champion)
    assert (verdict.verdict, verdict.reason) == ("suppressed", f"finished already: {status}")


def test_retraining_under_way_is_waited_for(champion):
    champion.ledger.open_retraining("flights", "2013-07-02", status="requested", reason="r")
    champion.ledger.update_retraining("flights", "2013-07-02", status="training")
    _drift(champion)
    verdict = _decide(champion)
    assert verdict.verdict == "wait"
    assert verdict.retraining.partition_key == "2013-07-02"
    assert champion.ledger.retraining("flights", _NIGHT) is None


def test_abandoned_retraining_is_marked_failed_and_not_waited_for(champion):
    champion.ledger.open_retraining("flights", "2013-06-01", status="requested", reason="r")
    _age(champion, hours=25)
    _drift(champion)
    assert _decide(champion).verdict == "go"
    abandoned = champion.ledger.retraining("flights", "2013-06-01")
    assert abandoned.status == "failed"
    assert "abandoned as requested" in abandoned.reason


def test_retraining_that_was_heard_of_today_is_not_abandoned(champion):
    champion.ledger.open_retraining("flights", "2013-06-01", status="requested", reason="r")
    _age(champion, hours=23)
    _drift(champion)
    assert _decide(champion).verdict == "wait"


@pytest.mark.parametrize(
    ("last", "verdict"),
    [
        pytest.param("2013-06-27", "suppressed", id="six-days-ago"),
        pytest.param("2013-06-26", "go", id="seven-days-ago"),
        pytest.param("2013-07-09", "suppressed", id="later-night-already"),
    ],
)
def test_cooldown_counts_partition_days(champion, last, verdict):
    champion.ledger.open_retraining("flights", last, status="requested", reason="r")
    champion.ledger.update_retraining("flights", last, status="refused")
    _drift(champion)
    assert _decide(champion).verdict == verdict


def test_suppressed_nights_start_no_cooldown(champion):
    champion.ledger.open_retraining("flights", "2013-07-02", status="suppressed", reason="r")
    _drift(champion)
    assert _decide(champion).verdict == "go"


def test_budget_of_thirty_days_is_kept(make_runtime):
    runtime = make_runtime(
        {"datasets": {"flights": {"retraining": {"cooldown_days": 1, "max_per_30_days": 2}}}}
    )
    _crown(runtime, "1")
    for key in ("2013-06-03", "2013-06-04", "2013-06-30"):
        runtime.ledger.open_retraining("flights", key, status="requested", reason="r")
        runtime.ledger.update_retraining("flights", key, status="promoted")
    _drift(runtime)
    _drift(runtime, "2013-07-04")
    assert _decide(runtime).reason == "budget: 2 retrainings in 30 days, of 2 allowed"
    assert _decide(runtime, "2013-07-04").verdict == "go"


@pytest.mark.parametrize(
    ("champion_version", "reason"),
    [
        pytest.param("2", "it is version 2", id="replaced"),
        pytest.param(None, "there is none", id="no-champion"),
    ],
)
def test_alarm_about_a_replaced_model_is_suppressed_and_written_down(runtime, champion_version, reason):
    if champion_version:
        _crown(runtime, champion_version)
    _drift(runtime, version="1")
    verdict = _decide(runtime)
    assert verdict.verdict == "suppressed"
    assert reason in verdict.reason
    assert runtime.ledger.retraining("flights", _NIGHT).status == "suppressed"
    assert _decide(runtime) == verdict


def test_of_many_nights_decided_at_once_exactly_one_goes(champion, make_runtime):
    nights = partition_range("2013-07-03", "2013-07-08")
    for key in nights:
        _drift(champion, key)
    # A Runtime of its own each, as processes have them.
    deciders = [make_runtime() for _ in nights]
    with ThreadPoolExecutor(len(nights)) as pool:
        verdicts = list(pool.map(_decide, deciders, nights))
    assert sorted(verdict.verdict for verdict in verdicts) == ["go"] + ["wait"] * (len(nights) - 1)


def test_one_night_decided_by_many_at_once_is_one_retraining(champion, make_runtime):
    _drift(champion)
    deciders = [make_runtime() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        verdicts = {verdict.verdict for verdict in pool.map(_decide, deciders)}
    assert verdicts <= {"go", "wait"}
    assert [r.status for r in champion.ledger.retrainings("flights")] == ["requested"]
    assert _decide(champion).verdict == "go"


def _publish(runtime, first, last):
    rows = pa.table({"row_id": ["r"]})
    days = dict.fromkeys(partition_range(first, last), rows)
    runtime.lake.replace_many("flights", "validated", days)


@pytest.fixture
def young(make_runtime):
    runtime = make_runtime({"datasets": {"flights": {"training": {"min_days": 10}}}})
    _publish(runtime, "2013-01-01", "2013-01-20")
    return runtime


@pytest.mark.parametrize(
    ("night", "is_requested"),
    [
        pytest.param("2013-01-10", False, id="labels-of-nine-days"),
        pytest.param("2013-01-11", True, id="labels-of-ten-days"),
    ],
)
def test_first_training_waits_for_labelled_days_and_ignores_later_ones(young, night, is_requested):
    assert (request_first_training("flights", night, runtime=young) is not None) is is_requested


def test_first_training_is_requested_once(young):
    first = request_first_training("flights", "2013-01-15", runtime=young)
    assert (first.status, first.reason) == ("requested", "first champion")
    assert request_first_training("flights", "2013-01-15", runtime=young) == first
    assert request_first_training("flights", "2013-01-16", runtime=young) is None


def test_first_training_that_failed_is_tried_again_on_a_later_night_only(young):
    request_first_training("flights", "2013-01-15", runtime=young)
    young.ledger.update_retraining("flights", "2013-01-15", status="failed")
    assert request_first_training("flights", "2013-01-15", runtime=young) is None
    assert request_first_training("flights", "2013-01-16", runtime=young).status == "requested"


def test_dataset_with_a_champion_needs_no_first_training(young):
    _crown(young, "1")
    assert request_first_training("flights", "2013-01-15", runtime=young) is None


def test_first_trainings_requested_at_once_are_one(young, make_runtime):
    overrides = {"datasets": {"flights": {"training": {"min_days": 10}}}}
    nights = partition_range("2013-01-13", "2013-01-18")
    runtimes = [make_runtime(overrides) for _ in nights]

    def request(runtime, key):
        return request_first_training("flights", key, runtime=runtime)

    with ThreadPoolExecutor(len(nights)) as pool:
        found = list(pool.map(request, runtimes, nights))
    assert sum(request is not None for request in found) == 1


class _OvertakenLedger(Ledger):
    """A ledger whose reader is overtaken: right after its look, another night opens a retraining."""

    def retraining_in_flight(self, dataset):
        found = super().retraining_in_flight(dataset)
        if found is None:
            self.open_retraining(dataset, "2013-01-12", status="requested", reason="faster")
        return found


def _overtaken(runtime):
    vars(runtime)["ledger"] = _OvertakenLedger(runtime.settings.ledger_url)
    return runtime


def test_decider_overtaken_between_look_and_leap_waits(make_runtime):
    runtime = make_runtime({"datasets": {"flights": {"retraining": {"cooldown_days": 0}}}})
    _crown(runtime, "1")
    _drift(runtime)
    verdict = _decide(_overtaken(runtime))
    assert (verdict.verdict, verdict.retraining.reason) == ("wait", "faster")


def test_first_request_overtaken_between_look_and_leap_is_none(young):
    assert request_first_training("flights", "2013-01-15", runtime=_overtaken(young)) is None


def test_a_challenger_that_waits_for_a_person_is_not_given_up(champion):
    champion.ledger.open_retraining("flights", "2013-06-20", status="requested", reason="r")
    champion.ledger.update_retraining("flights", "2013-06-20", status="registered", model_version="2")
    _age(champion, hours=60)
    _drift(champion)
    assert _decide(champion).verdict == "wait"
    assert champion.ledger.retraining("flights", "2013-06-20").status == "registered"


def test_a_challenger_that_nobody_decided_on_in_time_is_given_up(champion):
    champion.ledger.open_retraining("flights", "2013-06-01", status="requested", reason="r")
    champion.ledger.update_retraining("flights", "2013-06-01", status="registered", model_version="2")
    _age(champion, hours=97)
    _drift(champion)
    assert _decide(champion).verdict == "go"
    assert champion.ledger.retraining("flights", "2013-06-01").status == "failed"
