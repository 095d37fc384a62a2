import os
import signal
import sys
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.config import load_settings
from pipelines.errors import StackError
from pipelines.stack import processes
from pipelines.stack.readiness import await_dags, await_health, await_mlflow, check_alive, expected_dags
from pipelines.stack.state import StackState

# What a test waits for is there at once, except on a machine that is busy with other things.
PATIENCE_SECONDS = 120


@pytest.fixture
def state(server, tmp_path):
    """Give the state of a stack that consists of the stand-in, and of one process that idles."""
    mark = f"test-{tmp_path}"
    idle = "import time; print('all is well', flush=True); time.sleep(600)"
    process = processes.start(
        "scheduler",
        [sys.executable, "-c", idle],
        environment=dict(os.environ),
        stack_id=mark,
        log=tmp_path / "scheduler.log",
    )
    port = server.server_address[1]
    yield StackState(started_at=datetime.now(UTC), api_port=port, mlflow_port=port, processes=(process,))
    processes.stop(mark, [process])


def kill(state: StackState) -> None:
    os.kill(state.processes[0].pid, signal.SIGKILL)
    processes.await_exit(state.processes[0], timeout_seconds=PATIENCE_SECONDS)


def test_each_part_is_told_once_it_is_healthy(state, said):
    await_health(state, say=said.append)

    parts = ["metadatabase", "scheduler", "dag processor", "triggerer"]
    assert [line.partition(":")[0].strip() for line in said] == parts


def test_a_part_that_stays_unwell_is_named_when_time_runs_out(server, state, said):
    server.health = {**server.health, "dag_processor": {"status": "unhealthy"}}

    with pytest.raises(StackError, match=r"not healthy after 0 s \(dag processor\)"):
        await_health(state, say=said.append, timeout_seconds=0)


def test_a_server_that_fails_is_not_healthy_yet(server, state, said):
    server.scripted = [("/api/v2/monitor/health", 500, {})]

    await_health(state, say=said.append, timeout_seconds=PATIENCE_SECONDS)

    assert len(said) == 4


def test_a_dead_process_is_told_with_its_status_and_the_end_of_its_log(state, said):
    kill(state)

    with pytest.raises(StackError, match=r"scheduler stopped with status -9; its log .*scheduler\.log ends"):
        await_health(state, say=said.append)


def test_a_process_that_others_started_is_told_without_a_status(state):
    gone = state.processes[0].model_copy(update={"pid": 2**22 + 1})

    with pytest.raises(StackError, match="The scheduler stopped; its log"):
        check_alive(state.model_copy(update={"processes": (gone,)}))


def test_mlflow_is_waited_for_until_it_answers(server, state, said):
    server.scripted = [("/health", 503, {}), ("/health", 200, {})]

    await_mlflow(state, say=said.append, timeout_seconds=PATIENCE_SECONDS)

    assert said == ["  MLflow: healthy"]


def test_without_a_page_of_mlflow_nothing_is_waited_for(state, said):
    await_mlflow(state.model_copy(update={"mlflow_port": None}), say=said.append)

    assert said == []


def test_mlflow_that_does_not_answer_is_one_sentence(state, said, free_port):
    silent = state.model_copy(update={"mlflow_port": free_port()})

    with pytest.raises(StackError, match=r"does not answer after 1 s; see `holdfast logs mlflow`"):
        await_mlflow(silent, say=said.append, timeout_seconds=0.6)


def test_all_dags_of_the_params_are_waited_for(api, state, said):
    wanted = expected_dags(load_settings({}))

    assert await_dags(api, state, wanted=wanted, say=said.append) is None
    assert said == ["  8 Dags, no import errors"]


def test_a_missing_dag_is_named_when_time_runs_out(api, state, said):
    problem = await_dags(api, state, wanted={"train_flights", "x", "y"}, say=said.append, timeout_seconds=0)

    assert "after 0 s Airflow has no Dag x, y;" in problem


def test_dags_of_an_earlier_start_do_not_count(server, api, state, said):
    server.parsed_at = state.started_at - timedelta(hours=1)

    assert "no Dag train_flights" in await_dags(
        api, state, wanted={"train_flights"}, say=said.append, timeout_seconds=0
    )


@pytest.mark.parametrize(("age", "is_told"), [(timedelta(hours=1), False), (-timedelta(seconds=1), True)])
def test_only_an_import_error_of_this_start_is_told(server, api, state, said, age, is_told):
    error = {"filename": "dags/bad.py", "stack_trace": "Traceback:\nNameError: z\n"}
    server.import_errors = [{**error, "timestamp": (state.started_at - age).isoformat()}]

    problem = await_dags(api, state, wanted=set(), say=said.append)

    assert ("dags/bad.py can't be imported (NameError: z)" in (problem or "")) == is_told


def test_a_process_that_dies_while_dags_are_awaited_is_an_error(api, state, said):
    kill(state)

    with pytest.raises(StackError, match="The scheduler stopped"):
        await_dags(api, state, wanted={"x"}, say=said.append)


def test_each_enabled_dataset_has_eight_dags():
    assert len(expected_dags(load_settings({}))) == 8
