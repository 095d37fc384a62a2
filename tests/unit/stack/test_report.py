import os
import signal
import time
from datetime import timedelta

import pytest

from pipelines.records import now_utc
from pipelines.stack import processes, report, status, up
from pipelines.stack.state import StackPaths


def test_nothing_is_up(settings):
    found = status(settings)

    assert not found.is_up
    assert found.render() == "The stack is not up: `holdfast up` starts it."


def test_what_is_up_since_when_where_and_how_to_get_in(settings, fake_airflow, free_port):
    state = up(settings, api_port=free_port())

    found = status(settings)

    assert found.is_up
    assert all(process.memory_bytes > 2**20 for process in found.processes)
    assert all(process.since <= now_utc() for process in found.processes)
    text = found.render()
    assert text.startswith("The stack is up.")
    assert str(state.api_port) in text
    assert f"(user admin, password in {StackPaths(settings.home).passwords})" in text


def test_a_dead_process_is_shown_with_its_log(settings, fake_airflow, free_port):
    state = up(settings, api_port=free_port())
    os.kill(state.processes[2].pid, signal.SIGKILL)
    while processes.find(state.processes[2]) is not None:
        time.sleep(0.01)

    found = status(settings)

    assert not found.is_up
    assert "The stack is broken: `holdfast up` starts it anew." in found.render()
    assert f"see {state.processes[2].log}" in found.render()


def test_orphans_of_a_lost_stack_are_counted(settings, fake_airflow, free_port):
    up(settings, api_port=free_port())
    StackPaths(settings.home).state.unlink()

    assert (
        "4 processes of an earlier stack still run: `holdfast down` ends them." in status(settings).render()
    )


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(seconds=59), "0 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(hours=26, minutes=5), "26 h 5 min"),
    ],
)
def test_an_age_is_told_in_hours_and_minutes(age, words):
    assert report._age(now_utc() - age) == words
