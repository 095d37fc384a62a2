"""A stand-in for the `airflow` program, and stacks that are surely gone when a test ends."""

from __future__ import annotations

import importlib.util
import json
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipelines.config import Settings, load_settings
from pipelines.stack import control, processes
from pipelines.stack.airflow_api import AirflowApi
from pipelines.stack.state import StackPaths, read_state

_FOLDER = Path(__file__).parent


def _load(name: str) -> ModuleType:
    """Import a module of this folder, under the name by which the stand-in program imports it too."""
    spec = importlib.util.spec_from_file_location(name, _FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


_SERVER = _load("fake_server")
_WORLD = _load("fake_world")


@pytest.fixture(scope="session")
def fake() -> ModuleType:
    """Return the module of the stand-in for Airflow's API."""
    return _SERVER


@pytest.fixture(scope="session")
def world() -> ModuleType:
    """Return the module that makes records, and a world of them."""
    return _WORLD


@pytest.fixture
def server(fake: ModuleType) -> Iterator[Any]:
    """Give a stand-in's server that answers in this process."""
    with fake.serving(fake.FakeAirflow()) as running:
        yield running


@pytest.fixture
def api(server: Any, fake: ModuleType) -> Iterator[AirflowApi]:
    """Give a client of it."""
    with AirflowApi(server.url, "admin", fake.PASSWORD, attempts=3) as client:
        yield client


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Return a finder of loopback ports that nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Give settings below a folder with a space in its name, with a tracking server of their own.

    Whatever carries the home's mark when the test ends is killed.
    """
    home = tmp_path / "my home"
    made = load_settings({"HOLDFAST_HOME": str(home), "HOLDFAST_MLFLOW_URI": "http://127.0.0.1:9"})
    yield made
    paths = StackPaths(made.home)
    state = read_state(paths)
    processes.stop(paths.stack_id, () if state is None else state.processes)


@pytest.fixture
def fake_airflow(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put the stand-in in the place of the `airflow` program; say how it is to misbehave."""

    def behave(**behaviour: Any) -> None:
        monkeypatch.setenv("FAKE_AIRFLOW", json.dumps(behaviour))

    monkeypatch.setattr(control, "_AIRFLOW", (sys.executable, str(_FOLDER / "fake_airflow.py")))
    monkeypatch.setattr(processes, "_GRACE_SECONDS", 1.0)
    behave()
    return behave


@pytest.fixture
def said() -> list[str]:
    """Return the list in which a test collects what was said."""
    return []
