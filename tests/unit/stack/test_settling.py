import os
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines.errors import StackError
from pipelines.ledger.ledger import Ledger
from pipelines.records import now_utc
from pipelines.stack import processes, settling
from pipelines.stack.settling import Settler, Stirred
from pipelines.stack.state import StackState

# What a test waits for is there at once, except on a machine that is busy with other things.
PATIENCE_SECONDS = 120
NIGHT = "2013-06-24"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch):
    monkeypatch.setattr(settling, "_POLL_SECONDS", 0.02)


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    opened.close()


@pytest.fixture
def settler(server, api, ledger, said, tmp_path):
    mark = f"test-{tmp_path}"
    process = processes.start(
        "scheduler",
        [sys.executable, "-c", "import time; time.sleep(600)"],
        environment=dict(os.environ),
        stack_id=mark,
        log=tmp_path / "scheduler.log",
    )
    port = server.server_address[1]
    state = StackState(started_at=now_utc(), api_port=port, mlflow_port=None, processes=(process,))
    yield Settler(api, ledger, state, "flights", Path("logs"), said.append)
    processes.stop(mark, [process])


def stirred(**fields) -> Stirred:
    return Stirred(NIGHT, now_utc(), **fields)


def add_chain(server, *verbs: str) -> None:
    for verb in verbs:
        server.add_run(f"{verb}_flights", NIGHT)


def test_without_a_champion_a_night_is_over_once_it_was_offered_to_scoring(server, settler):
    night = stirred()
    add_chain(server, "ingest", "score")

    settler.settle(night, timeout_seconds=PATIENCE_SECONDS)


def test_with_a_champion_monitoring_and_the_decision_are_waited_for(server, settler, ledger, world):
    ledger.champions.move(world.move(1, "1", "2013-03-31"))
    night = stirred()
    add_chain(server, "ingest", "score", "monitor")

    with pytest.raises(StackError, match=r"to rest after 0 s; still open: retrain_flights to start\."):
        settler.settle(night, timeout_seconds=0)
    add_chain(server, "retrain")
    settler.settle(night, timeout_seconds=PATIENCE_SECONDS)


def test_a_champion_that_the_night_brought_forth_scores_it_once_more(server, settler, ledger, world):
    ledger.champions.move(world.move(1, "1", "2013-03-31"))
    night = stirred()
    add_chain(server, "ingest", "score", "monitor", "retrain", "train", "promote")
    ledger.champions.move(world.move(2, "2", NIGHT))
    add_chain(server, "score")

    with pytest.raises(StackError, match=r"still open: monitor_flights to start, retrain_flights to start\."):
        settler.settle(night, timeout_seconds=0)
    add_chain(server, "monitor", "retrain")
    settler.settle(night, timeout_seconds=PATIENCE_SECONDS)


def test_runs_of_an_earlier_time_do_not_count(server, settler):
    add_chain(server, "ingest", "score")

    with pytest.raises(StackError, match="ingest_flights to start, score_flights to start"):
        settler.settle(stirred(), timeout_seconds=0)


def test_other_nights_are_none_of_our_business(server, settler):
    night = stirred()
    server.add_run("ingest_flights", "2026-11-20", state="failed")
    server.add_run("monitor_flights", "2026-11-20", state="running")
    add_chain(server, "ingest", "score")

    settler.settle(night, timeout_seconds=PATIENCE_SECONDS)


def test_a_range_is_followed_from_its_own_run_on(server, settler):
    night = stirred(run_id="history")
    server.add_run("ingest_flights", None, run_id="history")
    add_chain(server, "score")

    settler.settle(night, timeout_seconds=PATIENCE_SECONDS)


def test_a_retraining_under_way_is_waited_for(server, settler, ledger):
    night = stirred()
    add_chain(server, "ingest", "score")
    ledger.open_retraining("flights", NIGHT, status="requested", reason="first champion")

    with pytest.raises(StackError, match="still open: the retraining for 2013-06-24: requested"):
        settler.settle(night, timeout_seconds=0)
    ledger.update_retraining("flights", NIGHT, status="refused")
    settler.settle(night, timeout_seconds=PATIENCE_SECONDS)


def test_a_run_that_fails_is_told_with_its_task_and_the_end_of_its_log(server, settler):
    night = stirred()
    server.fails = "train_flights"
    server.log = [{"event": "fitting"}, {"event": "no rows at all"}]
    add_chain(server, "ingest", "train")

    with pytest.raises(StackError) as caught:
        settler.settle(night, timeout_seconds=PATIENCE_SECONDS)

    first, *lines = str(caught.value).splitlines()
    assert first.startswith(
        "train_flights of 2013-06-24 failed in task train; its log (logs/dag_id=train_flights"
    )
    assert first.endswith("attempt=1.log) ends with:")
    assert lines == ["    fitting", "    no rows at all"]


def test_a_run_that_fails_without_a_task_is_told_too(server, settler):
    night = stirred()
    server.fails = "train_flights"
    add_chain(server, "train")
    server.tasks.clear()

    with pytest.raises(StackError, match="failed without a failed task"):
        settler.settle(night, timeout_seconds=PATIENCE_SECONDS)


def test_a_dead_scheduler_ends_the_waiting(settler):
    os.kill(settler.state.processes[0].pid, 9)
    processes.await_exit(settler.state.processes[0], timeout_seconds=PATIENCE_SECONDS)

    with pytest.raises(StackError, match="The scheduler stopped"):
        settler.settle(stirred(), timeout_seconds=PATIENCE_SECONDS)


def test_long_waiting_gives_a_sign_of_life(server, settler, said, monkeypatch):
    monkeypatch.setattr(settling, "_SIGN_OF_LIFE_SECONDS", 0.05)
    night = stirred()
    server.add_run("train_flights", NIGHT, state="running")

    with pytest.raises(StackError, match="still open: train_flights running"):
        settler.settle(night, timeout_seconds=0.3)

    assert "    ... train_flights running" in said


def test_rest_is_when_no_run_is_active_for_a_while(server, settler):
    run = server.add_run("ingest_flights", "2026-11-20", state="running")
    timer = threading.Timer(0.2, run.update, [{"state": "success"}])
    timer.start()

    settler.rest(timeout_seconds=PATIENCE_SECONDS)

    assert run["state"] == "success"
    timer.join()


def test_no_rest_in_time_names_who_is_busy(server, settler):
    server.add_run("ingest_flights", "2026-11-20", state="queued")

    with pytest.raises(StackError, match="ingest_flights still run after 0 s"):
        settler.rest(timeout_seconds=0)


def test_a_run_without_a_time_of_queueing_counts_from_when_it_was_due(server, settler):
    night = stirred()
    add_chain(server, "score")
    server.add_run("ingest_flights", NIGHT, queued_at=None, run_after=(now_utc() + timedelta(1)).isoformat())

    settler.settle(night, timeout_seconds=PATIENCE_SECONDS)
