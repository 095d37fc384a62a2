"""Airflow's API server alone, with our pages, on a free port: pages need no scheduler and no triggerer."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from pipelines.config import Settings
from pipelines.stack import processes
from pipelines.stack.environment import airflow_environment, read_password, write_files
from pipelines.stack.state import USER, StackPaths, StackProcess

_AIRFLOW = str(Path(sys.executable).with_name("airflow"))
_START_SECONDS = 240


@dataclass(frozen=True)
class Site:
    """Where the API server is, and who may log in."""

    url: str
    user: str
    password: str


@contextmanager
def serve(settings: Settings) -> Iterator[Site]:
    """Start the server over a home, as the embedded stack does; stop all of it at the end."""
    paths = StackPaths(settings.home)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    dags = settings.home / "dags"
    dags.mkdir(exist_ok=True)
    environment = airflow_environment(settings, api_port=port, dags_folder=dags)
    write_files(settings, environment)
    site = Site(f"http://127.0.0.1:{port}", USER, read_password(settings))
    try:
        migrate = _start("migrate", ("db", "migrate"), paths, environment)
        assert processes.await_exit(migrate, timeout_seconds=_START_SECONDS) == 0, migrate.log.read_text()
        _await_health(site, _start("api-server", ("api-server",), paths, environment))
        yield site
    finally:
        processes.stop(paths.stack_id, ())


def _start(
    name: str, arguments: tuple[str, ...], paths: StackPaths, environment: Mapping[str, str]
) -> StackProcess:
    return processes.start(
        name, (_AIRFLOW, *arguments), environment=environment, stack_id=paths.stack_id, log=paths.log(name)
    )


def _await_health(site: Site, server: StackProcess) -> None:
    deadline = time.monotonic() + _START_SECONDS
    with httpx.Client(base_url=site.url, timeout=5, trust_env=False) as client:
        while time.monotonic() < deadline:
            assert processes.find(server) is not None, server.log.read_text()[-3000:]
            try:
                if client.get("/api/v2/monitor/health").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.5)
    raise AssertionError(server.log.read_text()[-3000:])
