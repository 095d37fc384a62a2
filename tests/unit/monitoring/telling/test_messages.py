"""What people read is bounded plain text, whatever the data and the people before them wrote."""

from __future__ import annotations

import pytest

from pipelines.monitoring.telling.messages import failed_run_message, message_text, rollback_message
from pipelines.records import ChampionMove, now_utc

PAGES = "https://airflow.example.org/holdfast"


def failed(why: str, run: str = "ingest_flights/a/0"):
    return failed_run_message("flights", "2013-07-04", run=run, why=why, pages=PAGES)


@pytest.mark.parametrize(
    ("why", "shown"),
    [
        pytest.param("<!channel> <https://evil|x>", "‹!channel› ‹https://evil|x›", id="slack-markup"),
        pytest.param("@everyone `rm`", "＠everyone 'rm'", id="mention"),
        pytest.param("a\x1b[2J\u202eb\r", "a\\x1b[2J\\u202eb\\r", id="steering-signs"),
        pytest.param("two\nlines", "two\nlines", id="lines"),
        pytest.param("über 30 %", "über 30 %", id="plain"),
    ],
)
def test_text_of_others_calls_nobody_and_steers_nothing(why, shown):
    assert failed(why).cause == shown


def test_a_message_is_bounded():
    assert len(message_text(failed("x" * 1_000_000))) < 3_000


def test_runs_are_told_apart_however_long_their_names():
    keys = {failed("", run="r" * 500 + end).key for end in ("a", "b", "b")}
    assert len(keys) == 2
    assert max(map(len, keys)) <= 200


def test_links_lead_to_the_pages_and_names_are_quoted():
    assert failed("").link == f"{PAGES}/night/flights/2013-07-04"
    assert failed_run_message("flights", "", run="r", why="", pages=PAGES).link == f"{PAGES}/"


def test_a_rollback_without_a_reason_says_so():
    move = ChampionMove(
        dataset="flights",
        sequence=2,
        model_version="1",
        previous_version="2",
        action="rollback",
        actor="ann@example.org",
        reason="",
        evidence_digest="e",
        partition_key="2013-07-04",
        moved_at=now_utc(),
    )
    assert rollback_message(move, pages=PAGES).cause == "ann＠example.org asked for it: no reason was given"
