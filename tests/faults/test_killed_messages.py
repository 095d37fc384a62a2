"""A message whose sender is killed is not lost, and arrives at most once more."""

from __future__ import annotations

import os
import signal
from datetime import timedelta

import pytest
from receivers import webhook

from pipelines.config import load_params, load_settings
from pipelines.monitoring.telling.messages import failed_run_message
from pipelines.runtime import Runtime
from pipelines.steps.tell import tell, tell_unsent

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def _open(home: str, port: int) -> Runtime:
    environ = {"HOLDFAST_HOME": home, "HOLDFAST_NOTIFY_URLS": f"json://127.0.0.1:{port}/"}
    settings = load_settings(environ)
    return Runtime(settings=settings, params=load_params(settings.params))


def _tell(home: str, port: int) -> None:
    pages = "http://127.0.0.1:8080/holdfast"
    message = failed_run_message("flights", "2013-07-04", run="ingest_flights/a", why="no rows", pages=pages)
    tell(message, runtime=_open(home, port))


def test_a_sender_that_is_killed_as_its_message_arrives_leaves_it_to_the_next(
    tmp_path, processes, monkeypatch: pytest.MonkeyPatch
):
    with webhook() as hook:
        killed = processes.Process(target=_tell, args=(str(tmp_path), hook.port))
        hook.on_arrival = lambda: os.kill(killed.pid, signal.SIGKILL)
        killed.start()
        killed.join(timeout=60)
        assert killed.exitcode == -signal.SIGKILL
        hook.on_arrival = lambda: None
        runtime = _open(str(tmp_path), hook.port)
        assert len(hook.received) == 1
        assert tell_unsent(runtime=runtime) == 0, "the killed one's claim still holds"
        monkeypatch.setattr("pipelines.ledger.outbox.CLAIM", timedelta(0))
        assert tell_unsent(runtime=runtime) == 1
        assert tell_unsent(runtime=runtime) == 0
        _tell(str(tmp_path), hook.port)
        assert len(hook.received) == 2
        (kept,) = runtime.ledger.outbox.newest()
        assert kept.sent_at is not None
        runtime.ledger.close()
