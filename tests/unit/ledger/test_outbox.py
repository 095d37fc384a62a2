"""The outbox: each message is kept once, and sent by one, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from datetime import timedelta

import pytest
from warm_processes import warm_processes

from pipelines.ledger.ledger import Ledger
from pipelines.ledger.outbox import CLAIM, MAX_ATTEMPTS
from pipelines.records import Message, now_utc


def message(key: str = "flights/episode/1/retrain", dataset: str = "flights") -> Message:
    return Message(
        key=key,
        dataset=dataset,
        partition_key="2013-07-04",
        severity="critical",
        title="drift",
        cause="temp moved",
        consequence="AUC falls by 0.04",
        next_step="look",
        link="http://127.0.0.1:8080/holdfast/drift/flights",
        created_at=now_utc(),
    )


@pytest.fixture
def outbox(ledger):
    return ledger.outbox


def test_a_message_is_kept_once_by_its_key(outbox):
    first = message()
    assert outbox.put(first)
    assert not outbox.put(message())
    assert outbox.get(first.key) == first
    assert outbox.get("flights/episode/2/retrain") is None


def test_what_is_claimed_is_nobody_elses_until_it_is_settled(outbox):
    outbox.put(message())
    claimed = outbox.claim(message().key)
    assert claimed.n_attempts == 1
    assert outbox.claim(claimed.key) is None
    outbox.mark_failed(claimed, error="slack: down", delivered_to=["log"])
    again = outbox.claim(claimed.key)
    assert (again.n_attempts, again.last_error, again.delivered_to) == (2, "slack: down", ("log",))
    sent = outbox.mark_sent(again, delivered_to=["log", "slack"])
    assert sent == outbox.get(claimed.key)
    assert sent.sent_at.tzinfo is not None
    assert sent.last_error is None
    assert outbox.claim(claimed.key) is None


def test_the_claim_of_a_process_that_was_killed_ends(outbox):
    outbox.put(message())
    lost = outbox.claim(message().key, now=now_utc() - CLAIM - timedelta(seconds=1))
    taken_over = outbox.claim(message().key)
    assert taken_over.n_attempts == 2
    outbox.mark_failed(lost, error="late news", delivered_to=[])
    assert outbox.claim(message().key) is None, "whoever comes back late must not free another's claim"
    outbox.mark_sent(taken_over, delivered_to=["log"])
    assert outbox.get(message().key).last_error is None


def test_tries_are_bounded(outbox):
    outbox.put(message())
    for _ in range(MAX_ATTEMPTS):
        outbox.mark_failed(outbox.claim(message().key), error="down", delivered_to=[])
    assert outbox.claim(message().key) is None
    assert outbox.unsent() == []
    assert outbox.count_unsent("flights") == 1


def test_lists_are_bounded_and_of_the_dataset_that_is_asked_for(outbox):
    for number in range(4):
        outbox.put(message(f"flights/{number}"))
    outbox.put(message("bikes/0", "bikes"))
    assert [found.key for found in outbox.newest("flights", limit=2)] == ["flights/3", "flights/2"]
    assert [found.key for found in outbox.unsent(limit=2)] == ["flights/0", "flights/1"]
    assert len(outbox.newest()) == 5
    assert outbox.count_unsent("bikes") == 1


def _race(url: str, barrier, outcomes) -> None:
    ledger = Ledger(url)
    barrier.wait()
    ledger.outbox.put(message())
    outcomes.put(ledger.outbox.claim(message().key) is not None)
    ledger.close()


def test_of_racing_senders_exactly_one_sends(url):
    context = warm_processes()
    barrier, outcomes = context.Barrier(4), context.Queue()
    racers = [context.Process(target=_race, args=(url, barrier, outcomes)) for _ in range(4)]
    for racer in racers:
        racer.start()
    claimed = sorted(outcomes.get(timeout=60) for _ in racers)
    for racer in racers:
        racer.join()
    assert claimed == [False, False, False, True]
