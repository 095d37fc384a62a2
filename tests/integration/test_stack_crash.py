"""A scheduler that is killed: the stack sees it, clears up, comes up again, and leaves nothing behind."""

import os
import signal
import time

import psutil

from pipelines.config import load_settings
from pipelines.stack import down, processes, status, up
from pipelines.stack.state import StackPaths


def ours(settings) -> list[psutil.Process]:
    return processes.marked(StackPaths(settings.home).stack_id)


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
        assert not [worker for worker in workers if processes.is_alive(worker)]
        assert {process.pid for process in first.processes}.isdisjoint(p.pid for p in second.processes)
        os.kill(second.processes[1].pid, signal.SIGKILL)
        StackPaths(settings.home).state.unlink()
    finally:
        down(settings)
    assert not ours(settings)
