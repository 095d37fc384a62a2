"""The embedded stack, started once for all tests that talk to a real Airflow."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import yaml
from bike_files import small_params, write_bike_files

from pipelines.config import Settings, load_settings
from pipelines.stack import down, up
from pipelines.stack.airflow_api import AirflowApi
from pipelines.stack.control import connect
from pipelines.stack.state import StackState


@dataclass(frozen=True)
class Stack:
    """A stack that is up: where its things are, what runs, and a client of its Airflow."""

    settings: Settings
    state: StackState
    api: AirflowApi


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Return a finder of loopback ports that nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Stack]:
    """Give the stack of the project's own Dags, in a home of its own, on free ports."""
    home = tmp_path_factory.mktemp("stack") / "var"
    params = home / "params.yaml"
    write_bike_files(home / "sources" / "bikes")
    params.write_text(yaml.safe_dump(small_params()))
    places = {"HOME": home, "PARAMS": params, "DEVICE": "cpu"}
    settings = load_settings({f"HOLDFAST_{name}": str(value) for name, value in places.items()})
    try:
        # A Dag that can't be imported leaves the stack up, for people to look at it.
        state = up(settings, api_port=free_port(), mlflow_port=free_port())
        with connect(settings, state) as api:
            yield Stack(settings, state, api)
    finally:
        down(settings)
