"""The loop under a real Airflow with its scheduler: history, approval, nights good and bad, repeats, kills.

The tests of this module are chapters of one story, told in order on one stack: a second dataset
(`bikes`) whose challengers score in the champion's shadow before their gates, and whose promotions a person
approves.
"""

from __future__ import annotations

import json
import os
import re
import signal
from datetime import UTC, datetime
from urllib.parse import quote

import bike_files as files
import httpx
import psutil
import pytest
import yaml
from chromium import log_in, open_chromium
from live_airflow import Run, chain_end, ended, question, run_of, runs_of, task_states, wait_for

from pipelines.config import load_params
from pipelines.records import (
    ApprovalRecord,
    DriftRecord,
    GateRecord,
    GateResult,
    IngestionRecord,
    ScoringRecord,
    ShadowScoringRecord,
    TrainingRecord,
    ValidationRecord,
    WatchRecord,
)
from pipelines.runtime import Runtime
from pipelines.stack import processes, run_airflow, status, up
from pipelines.stack.environment import read_password
from pipelines.stack.readiness import expected_dags
from pipelines.stack.state import USER, StackPaths
from pipelines.steps.shadow_state import waiting_challengers

ROWS_A_DAY = 24
# For one answer of a server on a machine that is busy with other tests.
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def runtime(stack) -> Runtime:
    return Runtime(settings=stack.settings, params=load_params(stack.settings.params))


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
    assert runtime.ledger.champions.present("bikes") is None
    assert runtime.ledger.latest(TrainingRecord, "bikes").model_version == "1"
    run_id = detail["task_instance"]["dag_run_id"]
    assert task_states(stack, "promote_bikes", run_id)["promote"] in ("None", None)
    stack.api.answer("promote_bikes", run_id, detail["task_instance"]["task_id"], "Approve")
    assert run_of(stack, "promote_bikes", run_id)["state"] == "success"
    champion = runtime.ledger.champions.present("bikes")
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


def test_a_training_killed_by_kill_9_is_tried_again(stack, runtime):
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


def shadow_gate(runtime: Runtime) -> GateResult:
    """Return what the newest gates of v2 say of its nights in the shadow."""
    record = runtime.ledger.latest(GateRecord, "bikes", subject="2")
    return next(gate for gate in record.gates if gate.name == "better_in_shadow")


def test_a_challenger_goes_into_the_shadow_before_its_gates(stack, runtime):
    def sent() -> Run | None:
        return next(iter(ended(runs_of(stack, "promote_bikes", "asset_triggered")[1:])), None)

    run = wait_for(sent, "promotion that sends v2 into the shadow")
    states = task_states(stack, "promote_bikes", run["dag_run_id"])
    assert (run["state"], states) == (
        "success",
        {"gate": "success", "approve": "skipped", "promote": "skipped"},
    )
    tasks = stack.api.task_instances("promote_bikes", run["dag_run_id"])
    (log,) = ["\n".join(stack.api.task_log(task)) for task in tasks if task["task_id"] == "gate"]
    assert "v2 has scored 0 of 2 nights in the shadow of v1" in log
    assert runtime.ledger.latest(GateRecord, "bikes", subject="2") is None
    assert [s.model_version for _, s in waiting_challengers("bikes", runtime=runtime)] == ["2"]


def test_its_nights_are_scored_in_the_shadow_and_the_gates_follow_with_live_labels(stack, runtime):
    nights = [*files.SHADOW_NIGHTS, files.LABELS_NIGHT]
    for night in nights:
        stack.api.trigger("ingest_bikes", f"shadow-{night}", partition_key=night)
        chain_end(stack, night)
    question(stack, 2)
    beside = runtime.ledger.history(ShadowScoringRecord, "bikes", subject="2")
    assert [(s.partition_key, s.beside, s.n_rows) for s in beside] == [
        (night, "1", ROWS_A_DAY) for night in files.SHADOW_NIGHTS
    ]
    public = runtime.lake.read("bikes", "predictions", partitions=nights, columns=["model_version"])
    assert public["model_version"].unique().to_pylist() == ["1"], "nobody is given what the shadow says"
    gate = shadow_gate(runtime)
    assert gate.is_passed
    assert gate.details["nights"] == list(files.SHADOW_NIGHTS)
    assert "2 nights in the shadow" in gate.observed


def test_the_evidence_is_beside_the_buttons_and_the_link_leads_to_the_card(stack):
    body = question(stack, 2)["body"]
    assert "| better_in_shadow | " in body
    assert body.count("| yes |") >= 10
    (address,) = re.findall(r"\]\((http\S+/holdfast/models/bikes/2)\)", body)
    assert address.startswith(stack.state.api_url)
    with httpx.Client(timeout=PATIENCE_SECONDS) as person:
        assert person.get(address).status_code == 401
        page = person.get(address, headers=stack.api._authorise())
    assert page.status_code == 200
    assert "better_in_shadow" in page.text


def test_a_person_refuses_it_on_airflows_page_with_the_evidence_above_the_buttons(stack):
    asked = question(stack, 2)["task_instance"]
    place = f"/dags/promote_bikes/runs/{quote(asked['dag_run_id'], safe='')}/tasks/approve/required_actions"
    with open_chromium() as browser:
        password = read_password(stack.settings)
        page = log_in(browser, stack.state.api_url, user=USER, password=password).new_page()
        page.goto(place)
        page.get_by_text("Make bikes v2 the champion?").wait_for()
        live = page.get_by_role("row", name="better_in_shadow").first
        assert "2 nights in the shadow" in live.inner_text()
        card = page.get_by_role("link", name="The whole card, and what made v2")
        assert card.get_attribute("href") == f"{stack.state.api_url}/holdfast/models/bikes/2"
        assert page.get_by_role("button", name="Approve", exact=True).is_enabled()
        page.locator("[name=element_reason]").fill("not before the audit")
        page.get_by_role("button", name="Reject", exact=True).click()
        assert run_of(stack, "promote_bikes", asked["dag_run_id"])["state"] == "success"
    assert task_states(stack, "promote_bikes", asked["dag_run_id"])["promote"] == "skipped"


def test_the_refusal_and_its_reason_are_on_record(runtime):
    assert runtime.ledger.champions.present("bikes").model_version == "1"
    said = runtime.ledger.latest(ApprovalRecord, "bikes", subject="2")
    assert said.sentence == "rejected by admin: not before the audit"
    assert said.evidence_digest == runtime.ledger.latest(GateRecord, "bikes", subject="2").digest


def test_a_rollback_without_a_champion_before_says_so_and_changes_nothing(stack, runtime):
    stack.api.trigger("rollback_bikes", "nowhere", conf={"reason": "a bad feeling"})
    assert run_of(stack, "rollback_bikes", "nowhere")["state"] == "failed"
    assert len(runtime.ledger.champions.history("bikes")) == 1


def test_what_live_labels_do_not_show_is_refused_with_the_evidence(stack, runtime):
    params = stack.settings.params
    before = params.read_text()
    raised = yaml.safe_load(before)
    raised["datasets"]["bikes"]["promotion"] |= {"mode": "superior", "min_gain": 1000.0}
    params.write_text(yaml.safe_dump(raised))
    try:
        form = {"night": files.NIGHT_AFTER, "model_version": "2"}
        stack.api.trigger("promote_bikes", "raised-bar", conf=form)
        assert run_of(stack, "promote_bikes", "raised-bar")["state"] == "success"
    finally:
        params.write_text(before)
    states = task_states(stack, "promote_bikes", "raised-bar")
    assert (states["approve"], states["promote"]) == ("skipped", "skipped"), "nobody is asked about a refusal"
    gate = shadow_gate(runtime)
    assert not gate.is_passed
    assert gate.details["nights"] == list(files.SHADOW_NIGHTS)
    assert gate.required.startswith("a true gain above 1e+03 on live labels")
    assert runtime.ledger.champions.present("bikes").model_version == "1"


def test_approved_it_is_champion_by_that_person_and_the_one_before_goes_into_the_shadow(stack, runtime):
    form = {"night": files.NIGHT_AFTER, "model_version": "2"}
    stack.api.trigger("promote_bikes", "once-more", conf=form)
    asked = question(stack, 3)["task_instance"]
    assert asked["dag_run_id"] == "once-more"
    why = {"reason": "the audit is over"}
    stack.api.answer("promote_bikes", "once-more", asked["task_id"], "Approve", form=why)
    assert run_of(stack, "promote_bikes", "once-more")["state"] == "success"
    move = runtime.ledger.champions.present("bikes")
    assert (move.model_version, move.previous_version, move.actor) == ("2", "1", "admin")
    assert ": the audit is over (passed " in move.reason
    assert runtime.ledger.find(GateRecord, "bikes", move.evidence_digest).is_passed
    night = files.WATCHED_NIGHT
    stack.api.trigger("ingest_bikes", "watched", partition_key=night)
    chain_end(stack, night)
    beside = runtime.ledger.latest(ShadowScoringRecord, "bikes", night)
    assert (beside.model_version, beside.beside, beside.n_rows) == ("1", "2", ROWS_A_DAY)
    watched = wait_for(lambda: runtime.ledger.latest(WatchRecord, "bikes", night), "look of the watch")
    assert (watched.model_version, watched.former_version, watched.verdict) == ("2", "1", "watching")
