"""An episode costs a training only where it calls for one, once, and where one is due."""

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
from pipelines.runtime import Runtime
from pipelines.steps.breaker import close_breaker
from pipelines.steps.retrain import decide_retraining, request_first_training

_NIGHT = "2013-07-03"


def _crown(runtime, version, sequence=1):
    runtime.ledger.champions.move(
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


def _drift(runtime, key=_NIGHT, *, version="1", is_alarm=True, is_confirmed=True, action="retrain"):
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
            kinds=("data", "concept") if is_alarm else (),
            severity="warning" if is_alarm else "none",
            is_alarm=is_alarm,
            is_confirmed=is_confirmed,
            n_alarm_nights=2,
            action=action if is_confirmed else "none",
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
    assert verdict.reason == "episode 1: data, concept drift on 2 nights (most: temp, precip, visib)"


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
    assert verdict.verdict == "suppressed"
    assert verdict.retraining.status == status
    assert len(champion.ledger.retrainings("flights")) == 1


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


@pytest.mark.parametrize(
    ("shadow_nights", "status"),
    [
        pytest.param(0, "failed", id="no-shadow"),
        pytest.param(5, "registered", id="five-nights-in-the-shadow"),
    ],
)
def test_a_challenger_in_the_shadow_is_not_abandoned(champion, shadow_nights, status):
    flights = champion.params.datasets["flights"]
    promotion = flights.promotion.model_copy(update={"shadow_nights": shadow_nights})
    datasets = {"flights": flights.model_copy(update={"promotion": promotion})}
    world = Runtime(champion.settings, champion.params.model_copy(update={"datasets": datasets}))
    champion.ledger.open_retraining("flights", "2013-06-01", status="registered", reason="r")
    _age(champion, hours=24 * 6)
    _drift(champion)
    _decide(world)
    assert champion.ledger.retraining("flights", "2013-06-01").status == status


def test_retraining_that_was_heard_of_today_is_not_abandoned(champion):
    champion.ledger.open_retraining("flights", "2013-06-01", status="training", reason="r")
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
    assert _decide(runtime).reason == "budget: 2 retrainings in 30 days, of 2 allowed"
    _drift(runtime, "2013-07-04")
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
    assert runtime.ledger.retrainings("flights") == []
    assert _decide(runtime) == verdict
    (trigger,) = runtime.ledger.triggers.list("flights")
    assert (trigger.partition_key, trigger.verdict, trigger.reason) == (_NIGHT, "suppressed", verdict.reason)


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


def test_a_late_night_trains_as_of_the_newest_one_of_its_episode(champion):
    _drift(champion)
    _drift(champion, "2013-07-05")
    verdict = _decide(champion)
    assert (verdict.verdict, verdict.retraining.partition_key) == ("go", "2013-07-05")
    assert _decide(champion) == verdict
    assert _decide(champion, "2013-07-05").verdict == "wait"


def test_a_night_before_its_episode_is_out_of_date(champion):
    _drift(champion, "2013-07-05")
    _decide(champion, "2013-07-05")
    _finish(champion, "2013-07-05", "refused")
    _drift(champion, "2013-07-04")
    verdict = _decide(champion, "2013-07-04")
    assert (verdict.verdict, verdict.reason) == (
        "suppressed",
        "out of date: episode 1 was opened for 2013-07-05",
    )


def _finish(runtime, key, status, version=None):
    runtime.ledger.update_retraining("flights", key, status=status, model_version=version)


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        pytest.param("record", "episode 1 is on record only", id="costs-nothing"),
        pytest.param("investigate", "episode 1 is a fault of the data, for a person", id="a-fault"),
    ],
)
def test_what_is_no_loss_of_the_model_is_never_retrained(champion, action, reason):
    for key in partition_range("2013-07-01", "2013-07-30"):
        _drift(champion, key, action=action)
        verdict = _decide(champion, key)
        assert verdict.verdict == "suppressed"
        assert verdict.reason.startswith(reason)
    assert champion.ledger.retrainings("flights") == []
    assert len(champion.ledger.triggers.list("flights")) == 30


def test_a_fault_of_the_data_stops_an_episode_from_being_retrained_any_more(champion):
    _drift(champion)
    assert _decide(champion).verdict == "go"
    _finish(champion, _NIGHT, "failed")
    _drift(champion, "2013-07-20", action="investigate")
    assert "a fault of the data" in _decide(champion, "2013-07-20").reason
    _drift(champion, "2013-07-21")
    assert _decide(champion, "2013-07-21").verdict == "suppressed"


@pytest.mark.parametrize("status", ["refused", "failed"])
def test_one_more_is_asked_for_after_a_challenger_that_came_to_nothing_and_no_third(champion, status):
    asked = []
    for key in partition_range("2013-07-03", "2013-08-03"):
        _drift(champion, key)
        verdict = _decide(champion, key)
        if verdict.verdict == "go":
            asked.append(key)
            _finish(champion, key, status)
    assert asked == ["2013-07-03", "2013-07-10"]
    assert f"has had its retraining: 2013-07-03 {status}, 2013-07-10 {status}" in verdict.reason


def test_thirty_nights_of_constant_drift_cost_no_more_than_the_budget_whichever_champion(champion):
    n_asked = 0
    for version, key in enumerate(partition_range("2013-07-01", "2013-07-30"), start=1):
        champion_version = champion.ledger.champions.present("flights").model_version
        _drift(champion, key, version=champion_version)
        verdict = _decide(champion, key)
        assert verdict.reason
        if verdict.verdict == "go":
            n_asked += 1
            _crown(champion, f"{version}00", sequence=n_asked + 1)
            _finish(champion, key, "promoted", f"{version}00")
    assert n_asked == champion.dataset("flights").retraining.max_per_30_days == 4


def test_an_event_that_was_lost_is_made_up_for_by_the_next_night_also_a_calm_one(champion):
    _drift(champion)
    _drift(champion, "2013-07-04", is_alarm=False, is_confirmed=False)
    verdict = _decide(champion, "2013-07-04")
    assert (verdict.verdict, verdict.retraining.partition_key) == ("go", "2013-07-04")


def test_a_calm_night_asks_for_nothing_where_the_last_alarm_was_decided(champion):
    champion.ledger.open_retraining("flights", "2013-06-28", status="requested", reason="r")
    _finish(champion, "2013-06-28", "refused")
    _drift(champion)
    assert "cooldown" in _decide(champion).reason
    _drift(champion, "2013-07-05", is_alarm=False, is_confirmed=False)
    verdict = _decide(champion, "2013-07-05")
    assert (verdict.verdict, verdict.reason) == ("calm", "no drift; episode 1 is open still")


def test_a_request_that_was_lost_on_its_way_is_handed_on_again_by_any_night(champion):
    _drift(champion)
    lost = _decide(champion).retraining
    _age(champion, hours=1)
    _drift(champion, "2013-07-04", is_alarm=False, is_confirmed=False)
    verdict = _decide(champion, "2013-07-04")
    assert (verdict.verdict, verdict.retraining.partition_key) == ("go", _NIGHT)
    assert verdict.retraining.id == lost.id
    assert len(champion.ledger.retrainings("flights")) == 1


def test_a_training_that_was_taken_up_is_not_handed_on_again(champion):
    _drift(champion)
    _decide(champion)
    _finish(champion, _NIGHT, "training")
    _age(champion, hours=1)
    _drift(champion, "2013-07-04")
    assert _decide(champion, "2013-07-04").verdict == "wait"


def test_a_verdict_that_nobody_followed_is_followed_when_it_is_decided(champion):
    _drift(champion)
    assert champion.ledger.episodes.newest("flights") is None
    _decide(champion)
    assert champion.ledger.episodes.current("flights").opened_for == _NIGHT
    assert [m.key for m in champion.ledger.outbox.newest("flights")] != []


def test_every_decision_is_kept_with_its_episode_and_reason(champion):
    _drift(champion, "2013-07-02", is_confirmed=False)
    _drift(champion, _NIGHT)
    for key in ("2013-07-02", _NIGHT, _NIGHT):
        _decide(champion, key)
    _drift(champion, "2013-07-04")
    _decide(champion, "2013-07-04")
    kept = [(t.partition_key, t.verdict, t.episode_id) for t in champion.ledger.triggers.list("flights")]
    assert kept == [("2013-07-04", "wait", 1), (_NIGHT, "go", 1), ("2013-07-02", "calm", 1)]


def _refuse(runtime, *keys):
    for key in keys:
        runtime.ledger.open_retraining("flights", key, status="requested", reason="r")
        _finish(runtime, key, "refused")


def test_three_refused_challengers_in_a_row_open_the_breaker_and_a_person_is_told(champion):
    _refuse(champion, "2013-04-01", "2013-04-20", "2013-05-10")
    _drift(champion)
    verdict = _decide(champion)
    assert verdict.reason == "the breaker is open: 3 challengers in a row were refused"
    assert verdict.verdict == "suppressed"
    assert champion.ledger.breakers.state("flights").actor == "holdfast"
    assert sum("breaker" in message.key for message in champion.ledger.outbox.newest("flights")) == 1


@pytest.mark.parametrize(
    ("between", "is_open"),
    [pytest.param("promoted", False, id="promoted"), pytest.param("failed", True, id="failed")],
)
def test_only_a_promotion_breaks_a_row_of_refusals(champion, between, is_open):
    _refuse(champion, "2013-04-01", "2013-04-10")
    champion.ledger.open_retraining("flights", "2013-04-20", status="requested", reason="r")
    _finish(champion, "2013-04-20", between)
    _refuse(champion, "2013-05-10")
    _drift(champion)
    _decide(champion)
    assert champion.ledger.breakers.is_open("flights") is is_open


def test_only_a_person_closes_the_breaker_and_counts_anew(champion):
    _refuse(champion, "2013-04-01", "2013-04-20", "2013-05-10")
    _drift(champion)
    _decide(champion)
    close_breaker("flights", runtime=champion, actor="ann", reason="the gate is mended")
    _drift(champion, "2013-07-04")
    assert _decide(champion, "2013-07-04").verdict == "go"
    _finish(champion, "2013-07-04", "refused")
    _drift(champion, "2013-07-05")
    _decide(champion, "2013-07-05")
    assert not champion.ledger.breakers.is_open("flights")


def test_a_closed_breaker_can_not_be_closed(champion):
    with pytest.raises(NotReadyError, match="retraining is on"):
        close_breaker("flights", runtime=champion, actor="ann", reason="-")


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


def test_first_trainings_that_are_refused_night_after_night_open_the_breaker(young):
    nights = partition_range("2013-01-11", "2013-01-20")
    asked = []
    for key in nights:
        if request_first_training("flights", key, runtime=young) is not None:
            asked.append(key)
            _finish(young, key, "refused")
    assert asked == list(nights[:3])


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

    def retrainings(self, dataset):
        found = super().retrainings(dataset)
        if not found:
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


def _judge_again(runtime, key):
    _drift(runtime, key)
    plain = runtime.ledger.latest(DriftRecord, "flights", key)
    runtime.ledger.record(plain.model_copy(update={"is_judged_again": True}))


def test_a_night_that_was_judged_again_asks_for_no_retraining(champion):
    _judge_again(champion, _NIGHT)
    answer = _decide(champion)
    assert (answer.verdict, answer.retraining) == ("suppressed", None)
    assert answer.reason == f"{_NIGHT} was judged again, with v1: it is of the past"
    assert champion.ledger.retrainings("flights") == []
    assert champion.ledger.episodes.list("flights") == []


def test_a_night_that_was_judged_again_asks_for_no_further_retraining_of_an_episode(champion):
    _drift(champion)
    _decide(champion)
    _finish(champion, _NIGHT, "refused")
    _judge_again(champion, "2013-07-10")
    assert _decide(champion, "2013-07-10").verdict == "suppressed"
    _drift(champion, "2013-07-11")
    assert _decide(champion, "2013-07-11").verdict == "go"
