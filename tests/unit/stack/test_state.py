import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.errors import StackError
from pipelines.stack.state import (
    StackPaths,
    StackProcess,
    StackState,
    exclusive,
    read_state,
    write_private,
    write_state,
)


@pytest.fixture
def paths(tmp_path: Path) -> StackPaths:
    return StackPaths(tmp_path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_state_is_read_as_it_was_written(paths):
    process = StackProcess(name="scheduler", pid=12, created_at=1_700_000_000.25, log=paths.log("scheduler"))
    state = StackState(
        started_at=datetime(2013, 7, 4, tzinfo=UTC), api_port=8080, mlflow_port=None, processes=(process,)
    )

    write_state(paths, state)

    assert read_state(paths) == state
    assert mode(paths.state) == 0o600
    assert mode(paths.folder) == 0o700


@pytest.mark.parametrize("content", [None, b"", b'{"api_port": 80', b'{"other": 1}'])
def test_a_missing_or_torn_state_is_none(paths, content):
    if content is not None:
        write_private(paths.state, content.decode())

    assert read_state(paths) is None


@pytest.mark.parametrize(("mlflow_port", "url"), [(None, None), (5001, "http://127.0.0.1:5001")])
def test_the_pages_are_on_loopback(mlflow_port, url):
    state = StackState(started_at=datetime(2013, 7, 4, tzinfo=UTC), api_port=8081, mlflow_port=mlflow_port)

    assert state.api_url == "http://127.0.0.1:8081"
    assert state.mlflow_url == url


def test_a_private_file_replaces_a_looser_one_and_leaves_no_draft(tmp_path):
    path = tmp_path / "folder" / "secret"
    path.parent.mkdir()
    path.write_text("old")
    path.chmod(0o644)

    write_private(path, "new")

    assert path.read_text() == "new"
    assert mode(path) == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["secret"]


def test_each_home_has_a_mark_of_its_own(tmp_path):
    marks = {StackPaths(tmp_path / name).stack_id for name in ("a", "b", "a")}

    assert len(marks) == 2


def test_only_one_holds_the_stack_and_the_next_gets_it_afterwards(paths):
    with exclusive(paths), pytest.raises(StackError, match="Another"), exclusive(paths):
        pass
    with exclusive(paths):
        pass
