"""The stack with a real Airflow and a real MLflow: that it comes up, what it shows, that it is gone after."""

import json
import os
import signal
import time

import httpx
import psutil

from pipelines.config import load_settings
from pipelines.stack import down, processes, run_airflow, status, up
from pipelines.stack.readiness import expected_dags
from pipelines.stack.state import StackPaths


def ours(settings) -> list[psutil.Process]:
    return processes.marked(StackPaths(settings.home).stack_id)


def test_every_part_is_healthy_and_every_dag_is_there_and_active(stack):
    assert set(stack.api.health().values()) == {"healthy"}
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
    with httpx.Client(base_url=stack.state.api_url) as anybody:
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
    with httpx.Client(base_url=stack.state.mlflow_url) as browser:
        assert "MLflow" in browser.get("/").text


def test_airflows_own_command_works_on_the_stack(stack, capfd):
    assert run_airflow(stack.settings, ["dags", "details", "train_flights", "-o", "json"]) == 0

    assert "train_flights" in capfd.readouterr().out


def test_a_second_up_finds_it_up(stack, capsys):
    assert up(stack.settings) == stack.state


def test_a_killed_scheduler_is_seen_cleared_up_and_nothing_is_left_in_the_end(tmp_path, free_port):
    settings = load_settings(
        {"HOLDFAST_HOME": str(tmp_path / "var"), "HOLDFAST_MLFLOW_URI": "http://127.0.0.1:9"}
    )
    dags_folder = tmp_path / "dags"
    dags_folder.mkdir()
    try:
        first = up(settings, api_port=free_port(), dags_folder=dags_folder)
        scheduler = next(process for process in first.processes if process.name == "scheduler")
        workers = psutil.Process(scheduler.pid).children()
        assert workers
        os.kill(scheduler.pid, signal.SIGKILL)
        while processes.find(scheduler) is not None:
            time.sleep(0.05)
        assert not status(settings).is_up

        second = up(settings, api_port=free_port(), dags_folder=dags_folder)

        assert status(settings).is_up
        assert not [worker for worker in workers if worker.is_running()]
        assert {process.pid for process in first.processes}.isdisjoint(p.pid for p in second.processes)
        os.kill(second.processes[1].pid, signal.SIGKILL)
        StackPaths(settings.home).state.unlink()
    finally:
        down(settings)
    assert not ours(settings)
