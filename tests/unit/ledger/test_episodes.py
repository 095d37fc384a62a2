"""Episodes, triggers and breakers, the same on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy

from pipelines.errors import ConflictError
from pipelines.ledger.episodes import Incident
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.schema import metadata
from pipelines.records import Trigger, now_utc

NIGHT, NEXT = "2013-07-04", "2013-07-05"
NEW_TABLES = {"episodes", "triggers", "breakers", "messages"}


def incident(night: str = NIGHT, **content) -> Incident:
    return Incident(
        **{
            "dataset": "flights",
            "partition_key": night,
            "first_alarm": night,
            "action": "retrain",
            "severity": "warning",
            "kinds": ("data",),
            "cause": "c",
            "consequence": "q",
            "next_step": "n",
            "model_version": "1",
        }
        | content
    )


def asked(episode_id: int | None, night: str = NIGHT) -> Trigger:
    return Trigger(
        id=0,
        dataset="flights",
        partition_key=night,
        episode_id=episode_id,
        verdict="go",
        reason="drift",
        decided_at=now_utc(),
    )


def request(ledger: Ledger, episode_id: int, night: str = NIGHT, *, attempt: int = 1, seen: int = 0) -> None:
    ledger.triggers.request_retraining(
        asked(episode_id, night), retraining_key=night, attempt=attempt, newest_seen=seen
    )


def test_an_episode_is_read_back_as_it_was_opened(ledger):
    opened = ledger.episodes.open(incident())
    assert opened == ledger.episodes.current("flights") == ledger.episodes.newest("flights")
    assert opened.kinds == ("data",)
    assert opened.opened_at.tzinfo is not None
    assert ledger.episodes.get("flights", opened.id) == opened
    assert ledger.episodes.get("bikes", opened.id) is None
    assert ledger.episodes.current("bikes") is None


def test_a_second_open_episode_of_a_dataset_is_refused(ledger):
    ledger.episodes.open(incident())
    with pytest.raises(ConflictError):
        ledger.episodes.open(incident(NEXT))
    assert ledger.episodes.open(incident(dataset="bikes")).dataset == "bikes"


def test_a_night_opens_one_episode_ever(ledger):
    ledger.episodes.close(ledger.episodes.open(incident()), night=NEXT, reason="calm")
    with pytest.raises(ConflictError):
        ledger.episodes.open(incident())
    assert ledger.episodes.open(incident(NEXT)).opened_for == NEXT
    assert [e.opened_for for e in ledger.episodes.list("flights")] == [NEXT, NIGHT]
    assert [e.opened_for for e in ledger.episodes.list("flights", limit=1)] == [NEXT]


def test_an_episode_is_not_closed_over_an_alarm_that_its_closer_did_not_see(ledger):
    seen = ledger.episodes.open(incident())
    ledger.episodes.alarm(seen, night=NEXT)
    with pytest.raises(ConflictError, match="has had an alarm for 2013-07-05"):
        ledger.episodes.close(seen, night=NEXT, reason="calm")


def test_a_closed_episode_takes_no_alarm_and_no_second_end(ledger):
    closed = ledger.episodes.close(ledger.episodes.open(incident()), night=NEXT, reason="calm")
    assert (
        ledger.episodes.alarm(closed, night="2013-07-09", incident=incident(action="investigate")) == closed
    )
    assert ledger.episodes.close(closed, night="2013-07-09", reason="again") == closed


def test_a_request_is_a_retraining_and_its_trigger_at_once(ledger):
    episode = ledger.episodes.open(incident())
    request(ledger, episode.id)
    (retraining,) = ledger.triggers.retrainings_of(episode.id)
    assert (retraining.partition_key, retraining.status, retraining.reason) == (NIGHT, "requested", "drift")
    assert ledger.triggers.asker(retraining) == NIGHT
    (trigger,) = ledger.triggers.list("flights")
    assert (trigger.episode_id, trigger.verdict) == (episode.id, "go")


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda ledger, episode: request(ledger, episode.id), id="asked-already"),
        pytest.param(
            lambda ledger, episode: ledger.episodes.close(episode, night=NEXT, reason="calm"), id="closed"
        ),
        pytest.param(
            lambda ledger, _: ledger.open_retraining("flights", NIGHT, status="failed", reason="r"),
            id="another-was-opened-and-is-over",
        ),
        pytest.param(
            lambda ledger, _: ledger.open_retraining("flights", NIGHT, status="requested", reason="r"),
            id="another-is-open",
        ),
    ],
)
def test_a_request_that_rests_on_a_former_state_is_refused_whole(ledger, spoil):
    episode = ledger.episodes.open(incident())
    spoil(ledger, episode)
    before = (ledger.retrainings("flights"), ledger.triggers.list("flights"))
    with pytest.raises(ConflictError):
        request(ledger, episode.id, NEXT)
    assert (ledger.retrainings("flights"), ledger.triggers.list("flights")) == before


def test_an_attempt_of_an_episode_is_made_once_even_by_who_knows_all_else(ledger):
    episode = ledger.episodes.open(incident())
    request(ledger, episode.id)
    ledger.update_retraining("flights", NIGHT, status="refused")
    newest = ledger.retrainings("flights")[-1].id
    with pytest.raises(ConflictError):
        request(ledger, episode.id, NEXT, seen=newest)
    request(ledger, episode.id, NEXT, attempt=2, seen=newest)
    assert [r.partition_key for r in ledger.triggers.retrainings_of(episode.id)] == [NIGHT, NEXT]


def test_of_many_requests_at_once_one_is_granted(ledger, url):
    episode = ledger.episodes.open(incident())
    ledgers = [Ledger(url) for _ in range(8)]

    def ask(own: Ledger) -> bool:
        try:
            request(own, episode.id)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        granted = list(pool.map(ask, ledgers))
    for own in ledgers:
        own.close()
    assert sum(granted) == 1
    assert len(ledger.retrainings("flights")) == len(ledger.triggers.list("flights")) == 1


def test_a_trigger_that_comes_twice_is_kept_once_and_another_reason_beside_it(ledger):
    for reason in ("cooldown", "cooldown", "budget"):
        ledger.triggers.keep("flights", NIGHT, episode_id=None, verdict="suppressed", reason=reason)
    ledger.triggers.keep("flights", NEXT, episode_id=7, verdict="calm", reason="no drift")
    kept = ledger.triggers.list("flights", partition_key=NIGHT)
    assert [(t.verdict, t.reason) for t in kept] == [("suppressed", "budget"), ("suppressed", "cooldown")]
    assert [t.partition_key for t in ledger.triggers.list("flights", episode_id=7)] == [NEXT]
    assert [t.partition_key for t in ledger.triggers.list("flights", first=NEXT)] == [NEXT]
    assert len(ledger.triggers.list("flights", limit=2)) == 2


def test_one_trigger_kept_by_many_at_once_is_one(ledger, url):
    ledgers = [Ledger(url) for _ in range(6)]

    def keep(own: Ledger) -> None:
        own.triggers.keep("flights", NIGHT, episode_id=None, verdict="suppressed", reason="cooldown")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(keep, ledgers))
    for own in ledgers:
        own.close()
    assert len(ledger.triggers.list("flights")) == 1


def test_every_switch_of_a_breaker_is_kept_and_a_repeat_is_none(ledger):
    assert ledger.breakers.state("flights") is None
    assert not ledger.breakers.is_open("flights")
    for actor in ("holdfast", "again"):
        ledger.breakers.switch("flights", is_open=True, reason="3 refused", actor=actor)
    assert ledger.breakers.is_open("flights")
    ledger.breakers.switch("flights", is_open=False, reason="mended", actor="ann")
    assert [(b.is_open, b.actor) for b in ledger.breakers.history("flights")] == [
        (True, "holdfast"),
        (False, "ann"),
    ]
    assert not ledger.breakers.is_open("flights")
    assert not ledger.breakers.is_open("bikes")


def test_a_ledger_from_before_episodes_goes_on_with_what_it_holds(url):
    engine = sqlalchemy.create_engine(url)
    metadata.create_all(engine, tables=[t for t in metadata.sorted_tables if t.name not in NEW_TABLES])
    engine.dispose()
    ledger = Ledger(url)
    ledger.open_retraining("flights", NIGHT, status="suppressed", reason="cooldown")
    assert ledger.episodes.open(incident()).status == "open"
    assert ledger.triggers.list("flights") == []
    ledger.close()


@pytest.mark.parametrize(
    ("status", "late", "stays"),
    [
        pytest.param("refused", "registered", "refused", id="doubled-training"),
        pytest.param("promoted", "training", "promoted", id="doubled-run"),
        pytest.param("promoted", "failed", "promoted", id="late-failure"),
        pytest.param("promoted", "refused", "promoted", id="late-refusal"),
        pytest.param("refused", "promoted", "promoted", id="a-person-gated-it-again"),
        pytest.param("failed", "training", "training", id="mended-and-cleared"),
    ],
)
def test_what_comes_late_does_not_undo_the_outcome_of_a_retraining(ledger, status, late, stays):
    ledger.open_retraining("flights", NIGHT, status="requested", reason="drift")
    ledger.update_retraining("flights", NIGHT, status=status)
    ledger.update_retraining("flights", NIGHT, status=late)
    assert ledger.retraining("flights", NIGHT).status == stays


def test_a_retraining_that_was_heard_of_since_is_not_given_up(ledger):
    seen = ledger.open_retraining("flights", NIGHT, status="requested", reason="drift")
    ledger.update_retraining("flights", NIGHT, status="training")
    ledger.give_up_retraining(seen, reason="lost")
    assert ledger.retraining("flights", NIGHT).status == "training"
    ledger.give_up_retraining(ledger.retraining("flights", NIGHT), reason="lost")
    assert ledger.retraining("flights", NIGHT).reason == "lost"
