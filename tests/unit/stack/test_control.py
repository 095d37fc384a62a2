import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from pipelines.config import load_settings
from pipelines.errors import StackError
from pipelines.stack import control, down, processes, run_airflow, status, up
from pipelines.stack.state import StackPaths, exclusive, read_state

# Stopping takes two seconds. The rest is for a machine that is busy with other things: a hundred processes
# share its two cores while this whole project is tested, and then each look at the system's table takes long.
PATIENCE_SECONDS = 120

NAMES = ["api-server", "scheduler", "dag-processor", "triggerer"]


def ours(settings) -> list[psutil.Process]:
    return processes.marked(StackPaths(settings.home).stack_id)


def test_up_starts_every_process_and_down_leaves_none(settings, fake_airflow, free_port, said):
    port = free_port()

    state = up(settings, api_port=port, say=said.append)

    assert [process.name for process in state.processes] == NAMES
    assert read_state(StackPaths(settings.home)) == state
    assert {process.pid for process in state.processes} <= {process.pid for process in ours(settings)}
    assert f"Airflow: http://127.0.0.1:{port}" in said[-1]
    down(settings, say=said.append)
    assert not ours(settings)
    assert said[-1] == "The stack is down (4 processes ended)."
    assert not StackPaths(settings.home).state.exists()


def test_a_second_up_says_that_the_stack_is_up_and_starts_nothing(settings, fake_airflow, free_port, said):
    first = up(settings, api_port=free_port(), say=said.append)

    assert up(settings, say=said.append) == first

    assert "The stack is already up." in said
    assert len(ours(settings)) == len(NAMES)


def test_up_on_another_port_than_the_running_stack_names_the_option(settings, fake_airflow, free_port):
    up(settings, api_port=free_port())

    with pytest.raises(StackError, match=r"up on port \d+: run `holdfast down` .*--api-port"):
        up(settings, api_port=free_port())


def test_down_without_a_stack_says_so(settings, said):
    down(settings, say=said.append)

    assert said == ["The stack is not up."]


def test_a_busy_port_is_named_with_its_option_and_nothing_is_started(settings, fake_airflow):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(StackError, match=rf"Port {port}, wanted for Airflow, .*--api-port"):
            up(settings, api_port=port)

    assert not ours(settings)


def test_one_port_cannot_serve_two(tmp_path, fake_airflow, free_port):
    own_page = load_settings({"HOLDFAST_HOME": str(tmp_path)})
    port = free_port()

    with pytest.raises(StackError, match=f"Port {port} can't serve both"):
        up(own_page, api_port=port, mlflow_port=port)


@pytest.mark.parametrize("name", ["api-server", "triggerer"])
def test_a_process_that_dies_at_its_start_takes_the_others_with_it(
    settings, fake_airflow, free_port, said, name
):
    fake_airflow(dies=name)

    with pytest.raises(StackError, match=rf"The {name} stopped.*\n.*has no luck today") as caught:
        up(settings, api_port=free_port(), say=said.append)

    assert str(StackPaths(settings.home).log(name)) in str(caught.value)
    assert not ours(settings)
    assert "Stopping what was started." in said


def test_a_failed_migration_shows_the_end_of_its_log(settings, fake_airflow, free_port):
    fake_airflow(dies="db")

    with pytest.raises(StackError, match=r"could not be prepared.*\nthe db has no luck today"):
        up(settings, api_port=free_port())


def test_the_database_is_prepared_once(settings, fake_airflow, free_port, said):
    up(settings, api_port=free_port(), say=said.append)
    down(settings)
    up(settings, api_port=free_port(), say=said.append)

    assert said.count("Preparing Airflow's database (once).") == 1


def test_a_dag_that_cannot_be_imported_is_told_and_the_stack_stays_up(settings, fake_airflow, free_port):
    trouble = {
        "filename": "dags/x.py",
        "stack_trace": "Traceback\nKeyError: 'y'",
        "timestamp": "2999-01-01T00:00:00Z",
    }
    fake_airflow(import_errors=[trouble])

    with pytest.raises(StackError, match=r"dags/x.py can't be imported \(KeyError: 'y'\)"):
        up(settings, api_port=free_port())

    assert status(settings).is_up


def test_up_after_a_killed_leader_clears_up_and_starts_anew(settings, fake_airflow, free_port, said):
    first = up(settings, api_port=free_port())
    os.kill(first.processes[1].pid, signal.SIGKILL)
    while processes.find(first.processes[1]) is not None:
        time.sleep(0.01)

    second = up(settings, api_port=free_port(), say=said.append)

    assert said[0].startswith("An earlier stack did not stop cleanly")
    assert {process.pid for process in ours(settings)} == {process.pid for process in second.processes}


def test_down_finds_processes_whose_state_file_is_lost(settings, fake_airflow, free_port):
    up(settings, api_port=free_port())
    StackPaths(settings.home).state.write_text("{torn")

    down(settings)

    assert not ours(settings)


def test_a_state_file_whose_numbers_are_used_by_others_harms_nobody(settings, fake_airflow, free_port):
    state = up(settings, api_port=free_port())
    down(settings)
    with subprocess.Popen(["sleep", "60"]) as bystander:
        reused = state.processes[0].model_copy(update={"pid": bystander.pid})
        StackPaths(settings.home).state.write_text(
            state.model_copy(update={"processes": (reused,)}).model_dump_json()
        )

        down(settings)

        assert bystander.poll() is None
        bystander.kill()


def test_two_at_once_are_refused(settings, fake_airflow):
    with exclusive(StackPaths(settings.home)), pytest.raises(StackError, match="Another `holdfast up`"):
        up(settings)


def test_up_without_waiting_returns_at_once(settings, fake_airflow, free_port):
    fake_airflow(is_unhealthy=True)

    assert len(up(settings, api_port=free_port(), wait=False).processes) == len(NAMES)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_an_interrupted_up_stops_what_it_started(settings, fake_airflow, free_port, number):
    fake_airflow(is_unhealthy=True)
    script = textwrap.dedent(
        f"""
        import signal
        from pipelines.config import load_settings
        from pipelines.stack import control, processes
        # Where the tests run in the background of a shell, this is ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        control._AIRFLOW = {control._AIRFLOW!r}
        processes._GRACE_SECONDS = 1.0
        control.up(load_settings(), api_port={free_port()})
        """
    )
    environment = {
        **os.environ,
        "HOLDFAST_HOME": str(settings.home),
        "HOLDFAST_MLFLOW_URI": settings.mlflow_uri,
    }
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as starter:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(ours(settings)) < len(NAMES):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        starter.send_signal(number)
        assert starter.wait(PATIENCE_SECONDS) != 0

    assert not ours(settings)


@pytest.mark.parametrize("place", range(1 + len(NAMES)), ids=["migrate", *NAMES])
def test_an_interrupt_between_a_fork_and_the_program_leaves_no_process(
    settings, fake_airflow, free_port, said, monkeypatch, place
):
    made = []

    def interrupt_the_parent() -> None:
        os.kill(os.getppid(), signal.SIGTERM)
        # A child without the mark, and in nobody's books, for so long.
        time.sleep(1.0)

    class Interrupted(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            made.append(self)
            chosen = interrupt_the_parent if len(made) == 1 + place else None
            super().__init__(*args, **kwargs, preexec_fn=chosen)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        up(settings, api_port=free_port(), say=said.append)

    assert len(made) == 1 + place
    assert all(child.poll() is not None for child in made)
    assert not ours(settings)
    assert said[-1] == "Stopping what was started."


def test_interrupts_amid_the_cleaning_up_leave_no_process(settings, fake_airflow, free_port):
    def say(line: str) -> None:
        if "metadatabase: healthy" in line or line.startswith("Stopping"):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)

    fake_airflow(is_unhealthy=True)
    with pytest.raises(KeyboardInterrupt):
        up(settings, api_port=free_port(), say=say)

    assert not ours(settings)
    assert not StackPaths(settings.home).state.exists()


def test_an_interrupt_amid_the_cleaning_up_after_an_error_does_not_hide_the_error(
    settings, fake_airflow, free_port
):
    def say(line: str) -> None:
        if line.startswith("Stopping"):
            signal.raise_signal(signal.SIGINT)

    fake_airflow(dies="scheduler")
    with pytest.raises(StackError, match="The scheduler stopped"):
        up(settings, api_port=free_port(), say=say)

    assert not ours(settings)


def test_an_interrupted_down_is_done_first(settings, fake_airflow, free_port, monkeypatch):
    up(settings, api_port=free_port())
    kill_group = os.killpg

    def interrupted(pid: int, sent: int) -> None:
        kill_group(pid, sent)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(os, "killpg", interrupted)
    with pytest.raises(KeyboardInterrupt):
        down(settings)

    assert not ours(settings)
    assert not StackPaths(settings.home).state.exists()


def test_airflows_own_command_runs_in_the_environment_of_the_stack(settings, fake_airflow, capfd):
    assert run_airflow(settings, ["echo"]) == 7

    assert capfd.readouterr().out.strip() == str(settings.home / "airflow")
    assert StackPaths(settings.home).secrets.exists()


def test_airflows_own_command_reaches_the_port_of_the_stack_that_is_up(
    settings, fake_airflow, free_port, monkeypatch, capfd
):
    state = up(settings, api_port=free_port())
    monkeypatch.setattr(control, "_AIRFLOW", ("printenv",))

    run_airflow(settings, ["AIRFLOW__API__PORT"])

    assert capfd.readouterr().out.split()[-1] == str(state.api_port)


def test_the_processes_of_airflow_serve_no_logs_on_other_interfaces():
    assert all("-s" in control.AIRFLOW_COMMANDS[name] for name in ("scheduler", "triggerer"))


def test_the_program_is_the_one_of_this_environment():
    assert Path(control._AIRFLOW[0]).parent == Path(sys.executable).parent
