"""The loop under a real Airflow with its scheduler: history, approval, nights good and bad, repeats, kills.

The tests of this module are chapters of one story, told in order on one stack: a second dataset
(`bikes`) whose promotions a person approves.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import bike_files as files
import httpx
import psutil
import pytest

from pipelines.config import load_params
from pipelines.records import (
    DriftRecord,
    IngestionRecord,
    ScoringRecord,
    TrainingRecord,
    ValidationRecord,
)
from pipelines.runtime import Runtime
from pipelines.stack import processes, run_airflow, status, up
from pipelines.stack.readiness import expected_dags
from pipelines.stack.state import StackPaths

Run = dict[str, Any]
DONE = {"success", "failed"}
ROWS_A_DAY = 24
# Airflow counts an answer that comes in the very moment of the question as a race, and asks again.
THOUGHT_SECONDS = 4
# For one answer of a server on a machine that is busy with other tests.
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def runtime(stack) -> Runtime:
    return Runtime(settings=stack.settings, params=load_params(stack.settings.params))


def wait_for(look: Callable[[], Any], what: str, *, seconds: float = 240) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.5)
    raise AssertionError(f"in {seconds:.0f} s there was no {what}")


def run_of(stack, dag_id: str, run_id: str, *, seconds: float = 240) -> Run:
    """Wait for the end of a run."""

    def ended() -> Run | None:
        run = stack.api.dag_run(dag_id, run_id)
        return run if run["state"] in DONE else None

    return wait_for(ended, f"end of {dag_id} {run_id}", seconds=seconds)


def chain_end(stack, night: str, since: int = 0) -> Run:
    """Wait for the last run of a night's chain, beyond those that were there before."""

    def ended() -> Run | None:
        runs = [r for r in stack.api.dag_runs("retrain_bikes") if r["partition_key"] == night]
        return runs[-1] if len(runs) > since and runs[-1]["state"] in DONE else None

    return wait_for(ended, f"retrain_bikes of {night}")


def question(stack, n: int) -> dict[str, Any]:
    """Wait for the n-th promotion that asks a person, and give the person time to think."""

    def asked() -> dict[str, Any] | None:
        found = [h for h in stack.api.hitl_details("promote_bikes") if not h["response_received"]]
        everything = stack.api.hitl_details("promote_bikes")
        return found[-1] if found and len(everything) >= n else None

    found = wait_for(asked, "promotion that waits for a person", seconds=300)
    time.sleep(THOUGHT_SECONDS)
    return found


def task_states(stack, dag_id: str, run_id: str) -> dict[str, str]:
    return {task["task_id"]: task["state"] for task in stack.api.task_instances(dag_id, run_id)}


def ours(settings) -> list[psutil.Process]:
    return processes.marked(StackPaths(settings.home).stack_id)


def test_every_part_is_healthy_and_every_dag_is_there_and_active(stack):
    wait_for(lambda: set(stack.api.health().values()) == {"healthy"}, "healthy Airflow")
    dags = {dag["dag_id"]: dag["is_paused"] for dag in stack.api.dags()}
    assert set(dags) == expected_dags(stack.settings)
    assert not any(dags.values())
    assert stack.api.import_errors() == []


def test_status_sees_all_of_it(stack):
    found = status(stack.settings)

    assert found.is_up
    assert [process.name for process in found.processes] == [
        "mlflow",
        "api-server",
        "scheduler",
        "dag-processor",
        "triggerer",
    ]
    assert stack.state.api_url in found.render()


def test_only_loopback_is_listened_on(stack):
    listening = [
        connection.laddr
        for process in ours(stack.settings)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]

    assert {address.port for address in listening} == {stack.state.api_port, stack.state.mlflow_port}
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_nothing_is_shown_without_the_password(stack):
    with httpx.Client(base_url=stack.state.api_url, timeout=PATIENCE_SECONDS) as anybody:
        assert anybody.get("/api/v2/dags").status_code == 401
        wrong = {"username": "admin", "password": "admin"}
        assert anybody.post("/auth/token", json=wrong).status_code == 401


def test_no_secret_is_on_a_command_line_or_in_a_log(stack):
    paths = StackPaths(stack.settings.home)
    secrets = [json.loads(paths.passwords.read_text())["admin"]]
    secrets += [line.partition(" = ")[2] for line in paths.secrets.read_text().splitlines() if " = " in line]
    shown = [" ".join(process.cmdline()) for process in ours(stack.settings)]
    shown += [log.read_text(errors="replace") for log in paths.home.rglob("*.log")]

    assert len(secrets) == 4
    assert not [text for text in shown if any(secret in text for secret in secrets)]


def test_mlflow_shows_its_page(stack):
    assert stack.state.mlflow_url is not None
    with httpx.Client(base_url=stack.state.mlflow_url, timeout=PATIENCE_SECONDS) as browser:
        assert "MLflow" in browser.get("/").text


def test_airflows_own_command_works_on_the_stack(stack, capfd):
    assert run_airflow(stack.settings, ["dags", "details", "train_flights", "-o", "json"]) == 0

    assert "train_flights" in capfd.readouterr().out


def test_a_second_up_finds_it_up(stack, capsys):
    assert up(stack.settings) == stack.state


def test_four_ways_to_start_a_night_three_times_each_are_one_night(stack, runtime):
    night = wait_for(lambda: runs_of(stack, "ingest_flights", "scheduled"), "scheduled night")[0][
        "partition_key"
    ]
    form: Run = {"partition_key": None, "conf": {"first": night}}
    for n, how in enumerate(({"partition_key": night}, {"partition_key": night}, form)):
        stack.api.trigger("ingest_flights", f"by-hand-{n}", **how)
    for n in range(1, 4):
        say_arrived(stack, "flights", night)
        # Events of one night that come before its run are one run.
        wait_for(lambda n=n: len(runs_of(stack, "arrive_flights", "asset_triggered")) >= n, "arrival")
    wait_for(lambda: len(ended(runs_of(stack, "ingest_flights", "scheduled"))) >= 3, "third scheduled night")
    wait_for(lambda: len(ended(runs_of(stack, "ingest_flights", "manual"))) == 3, "nights by hand")
    ways = [
        (run["run_type"], run["state"], run["partition_key"])
        for dag_id in ("ingest_flights", "arrive_flights")
        for run in stack.api.dag_runs(dag_id)
    ]
    assert ways.count(("scheduled", "success", night)) >= 3
    assert ways.count(("manual", "success", night)) == 2
    assert ways.count(("manual", "success", None)) == 1, "the form says the night, and the run carries no key"
    for _ in range(3):
        backfill(stack, "ingest_flights", night)
    stack.api._send("PATCH", "/dags/ingest_flights", json={"is_paused": True})
    # A scheduled run that had just begun when the Dag was paused stays as it is.
    wait_for(
        lambda: (
            not [
                r for r in stack.api.dag_runs(state=["queued", "running"]) if r["dag_id"] != "ingest_flights"
            ]
        ),
        "rest",
    )
    arrivals = runs_of(stack, "arrive_flights", "asset_triggered")
    assert [(run["state"], run["partition_key"]) for run in arrivals] == [("success", night)] * 3
    # A run that finds another content leaves another record.
    for kind in (IngestionRecord, ValidationRecord):
        found = {record.digest: record for record in runtime.ledger.revisions(kind, "flights", night)}
        assert len(found) == 1, found
    published = runtime.ledger.latest(ValidationRecord, "flights", night)
    assert runtime.lake.read("flights", "validated", partitions=[night]).num_rows == published.n_published > 0
    scored = {run["partition_key"] for run in stack.api.dag_runs("score_flights")}
    assert scored == {night}


def runs_of(stack, dag_id: str, run_type: str) -> list[Run]:
    return [run for run in stack.api.dag_runs(dag_id) if run["run_type"] == run_type]


def ended(runs: list[Run]) -> list[Run]:
    return [run for run in runs if run["state"] in DONE]


def say_arrived(stack, dataset: str, night: str) -> None:
    """Emit the event by which another system says that a night's data is there."""
    found = stack.api._send("GET", "/assets", params={"name_pattern": f"{dataset}/arrived"}).json()
    (asset,) = found["assets"]
    event = {"asset_id": asset["id"], "partition_key": night, "extra": {}}
    stack.api._send("POST", "/assets/events", json=event)


def backfill(stack, dag_id: str, night: str) -> None:
    """Have a night run once more by a backfill, and wait for its end."""
    body = {
        "dag_id": dag_id,
        "from_date": f"{night}T00:00:00Z",
        "to_date": f"{night}T00:00:10Z",
        "max_active_runs": 1,
        "reprocess_behavior": "completed",
        "run_on_latest_version": True,
    }
    since = datetime.now(UTC).isoformat()

    def is_over() -> bool:
        # While another run of the night is under way, Airflow passes a backfill of it over.
        if not stack.api.open_backfills(dag_id):
            stack.api._send("POST", "/backfills", json=body, expected=(409,))
        runs = [run for run in runs_of(stack, dag_id, "backfill") if (run["start_date"] or "") > since]
        if not any(run["state"] == "success" for run in runs):
            return False
        for found in stack.api.open_backfills(dag_id):
            stack.api.close_backfill(found["id"])
        return True

    wait_for(is_over, f"backfill of {night}")


def test_history_leads_to_a_first_challenger_that_waits_for_a_person(stack, runtime):
    first, last = files.HISTORY
    stack.api.trigger("ingest_bikes", "history", conf={"first": first, "last": last})
    assert run_of(stack, "ingest_bikes", "history")["state"] == "success"
    detail = question(stack, 1)
    assert runtime.ledger.champion("bikes") is None
    assert runtime.ledger.latest(TrainingRecord, "bikes").model_version == "1"
    run_id = detail["task_instance"]["dag_run_id"]
    assert task_states(stack, "promote_bikes", run_id)["promote"] in ("None", None)
    stack.api.answer("promote_bikes", run_id, detail["task_instance"]["task_id"], "Approve")
    assert run_of(stack, "promote_bikes", run_id)["state"] == "success"
    champion = runtime.ledger.champion("bikes")
    assert champion.model_version == "1"
    assert "admin" in champion.actor
    # The new champion scores the night that it was made for.
    chain_end(stack, last)
    assert runtime.ledger.latest(ScoringRecord, "bikes", last).model_version == "1"
    assert runtime.registry.alias("bikes", "champion") == "1"


def test_a_night_run_three_times_and_twice_at_once_is_one_set_of_rows(stack, runtime):
    night = files.GOOD_NIGHT
    seen = set()
    for n in range(3):
        stack.api.trigger("ingest_bikes", f"repeat-{n}", partition_key=night)
        chain_end(stack, night, since=n)
        seen.add(digests(runtime, night))
    for n in (3, 4):
        stack.api.trigger("ingest_bikes", f"repeat-{n}", partition_key=night)
    for n in (3, 4):
        assert run_of(stack, "ingest_bikes", f"repeat-{n}")["state"] == "success"
    wait_for(
        lambda: (
            not [r for r in stack.api.dag_runs(state=["queued", "running"]) if r["partition_key"] == night]
        ),
        "rest after two runs at once",
    )
    seen.add(digests(runtime, night))
    assert len(seen) == 1
    for table in ("raw", "validated", "predictions"):
        keys = runtime.lake.read("bikes", table, partitions=[night])["row_id"].to_pylist()
        assert len(keys) == len(set(keys)) == ROWS_A_DAY
    assert len(runtime.ledger.history(ScoringRecord, "bikes", first=night, last=night)) == 1
    assert [r.model_version for r in runtime.ledger.history(TrainingRecord, "bikes")] == ["1"]


def digests(runtime: Runtime, night: str) -> tuple[str, ...]:
    kinds = (ValidationRecord, ScoringRecord, DriftRecord)
    return tuple(runtime.ledger.latest(kind, "bikes", night).digest for kind in kinds)


@pytest.mark.parametrize(
    ("night", "state", "n_published", "n_quarantined", "words"),
    [
        pytest.param(files.TEXT_NIGHT, "success", 23, 1, "warm", id="text-for-a-number"),
        pytest.param(
            files.DUPLICATE_NIGHT, "failed", 0, 2, "quarantine", id="duplicate-key-beyond-the-limit"
        ),
        pytest.param(files.EMPTY_NIGHT, "failed", 0, 0, "", id="empty"),
        pytest.param(files.NARROW_NIGHT, "failed", None, None, "temp", id="missing-column"),
        pytest.param(files.NIGHT_AFTER, "success", 24, 0, "", id="the-night-after-goes-on"),
    ],
)
def test_a_bad_night_has_a_clear_outcome(stack, runtime, night, state, n_published, n_quarantined, words):
    run_id = f"bad-{night}"
    stack.api.trigger("ingest_bikes", run_id, partition_key=night)
    assert run_of(stack, "ingest_bikes", run_id)["state"] == state
    tasks = stack.api.task_instances("ingest_bikes", run_id)
    assert all((task["try_number"] or 1) == 1 for task in tasks), "bad data is not retried"
    log = "\n".join(line for task in tasks for line in stack.api.task_log(task, n=60))
    verdict = runtime.ledger.latest(ValidationRecord, "bikes", night)
    if n_published is None:
        assert verdict is None
        assert words in log
        return
    assert (verdict.n_published, verdict.n_quarantined) == (n_published, n_quarantined)
    assert (verdict.outcome == "refused") is (state == "failed")
    assert bool(verdict.reasons) is (n_quarantined > 0 or state == "failed")
    if state == "failed":
        assert verdict.reasons[0] in log
    quarantined = runtime.lake.read("bikes", "quarantine", partitions=[night])
    assert quarantined.num_rows == n_quarantined
    assert words in f"{quarantined['reasons'].to_pylist()} {verdict.reasons}"


def test_a_training_killed_by_kill_9_is_tried_again_and_a_person_may_refuse_it(stack, runtime):
    night = files.NIGHT_AFTER
    chain_end(stack, night)
    form = {"night": night, "first": "2011-01-03", "reason": "a look at shorter history"}
    stack.api.trigger("train_bikes", "by-hand", conf=form)

    def running_pid() -> int | None:
        tasks = stack.api.task_instances("train_bikes", "by-hand")
        return next((t["pid"] for t in tasks if t["task_id"] == "train" and t["state"] == "running"), None)

    pid = wait_for(running_pid, "running training")
    os.kill(pid, signal.SIGKILL)
    assert run_of(stack, "train_bikes", "by-hand", seconds=360)["state"] == "success"
    (train,) = [t for t in stack.api.task_instances("train_bikes", "by-hand") if t["task_id"] == "train"]
    assert train["try_number"] == 2
    versions = runtime.ledger.history(TrainingRecord, "bikes")
    assert [record.model_version for record in versions] == ["1", "2"]
    assert versions[-1].trained.reason == "a look at shorter history"

    detail = question(stack, 2)
    run_id = detail["task_instance"]["dag_run_id"]
    stack.api.answer("promote_bikes", run_id, detail["task_instance"]["task_id"], "Reject")
    assert run_of(stack, "promote_bikes", run_id)["state"] == "success"
    assert task_states(stack, "promote_bikes", run_id)["promote"] == "skipped"
    assert runtime.ledger.champion("bikes").model_version == "1"


def test_a_rollback_without_a_champion_before_says_so_and_changes_nothing(stack, runtime):
    stack.api.trigger("rollback_bikes", "nowhere", conf={"reason": "a bad feeling"})
    assert run_of(stack, "rollback_bikes", "nowhere")["state"] == "failed"
    assert len(runtime.ledger.champion_history("bikes")) == 1
