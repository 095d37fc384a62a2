"""What people and monitoring systems are told, from the command line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable

import httpx
import pytest
from receivers import webhook
from typer.testing import CliRunner
from watched_ledger import DATASET, fill

from pipelines.cli.main import app

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

Holdfast = Callable[..., tuple[int, str]]


@pytest.fixture
def holdfast(runtime, monkeypatch: pytest.MonkeyPatch) -> Holdfast:
    """Return a function that runs a command on the runtime's home, and gives its exit status and output."""
    monkeypatch.setenv("HOLDFAST_HOME", str(runtime.settings.home))

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, arguments)
        return done.exit_code, done.output + (str(done.exception) if done.exception else "")

    return run


def test_messages_are_listed_with_what_became_of_them_and_sent_when_asked(
    runtime, holdfast, monkeypatch: pytest.MonkeyPatch
):
    fill(runtime.ledger)
    with webhook() as hook:
        monkeypatch.setenv("HOLDFAST_NOTIFY_URLS", f"json://127.0.0.1:{hook.port}/s3cr3t")
        hook.statuses = [503]
        assert holdfast("messages", "send") == (0, "Sent 0; 1 are left.\n")
        status, listed = holdfast("messages", "list", DATASET)
        assert (status, "not sent (1 tries: json-" in listed, "s3cr3t" in listed) == (0, True, False)
        assert holdfast("messages", "send") == (0, "Sent 1; 0 are left.\n")
        assert len(hook.received) == 1
    assert "[sent]" in holdfast("messages", "list")[1]
    assert holdfast("messages", "list", "bikes") == (0, "")


def test_a_trial_says_who_took_it_or_what_went_wrong(holdfast, monkeypatch: pytest.MonkeyPatch):
    status, said = holdfast("messages", "test")
    assert status == 1
    assert "HOLDFAST_NOTIFY_URLS names nobody" in said
    with webhook() as hook:
        monkeypatch.setenv("HOLDFAST_NOTIFY_URLS", f"json://127.0.0.1:{hook.port}/ nope://nobody")
        status, said = holdfast("messages", "test")
        assert status == 1
        assert re.match(r"json-[0-9a-f]{8}: took it\n", said)
        assert re.search(r"nope-[0-9a-f]{8}: this is no address that Apprise knows", said)
        assert hook.received[0]["title"] == "Holdfast: this is a trial"


def test_figures_are_served_until_the_process_is_told_to_stop(runtime):
    fill(runtime.ledger)
    environ = {**os.environ, "HOLDFAST_HOME": str(runtime.settings.home), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "pipelines.cli", "metrics", "--port", "0"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = re.search(r"http://127\.0\.0\.1:\d+/metrics", server.stdout.readline())[0]
            assert f'holdfast_drift_columns{{dataset="{DATASET}"}} 1.0' in httpx.get(address).text
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=30) == 0
