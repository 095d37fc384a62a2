"""The commands of episodes and of the breaker: what they print, and what they change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from drift_nights import DATASET, crown, verdict
from typer.testing import CliRunner, Result

from pipelines.cli.main import app
from pipelines.errors import ConfigError, NotReadyError
from pipelines.runtime import Runtime
from pipelines.steps.retrain import decide_retraining

NIGHT, NEXT = "2013-07-04", "2013-07-05"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """Return a project with a champion; commands find it too."""
    monkeypatch.setenv("HOLDFAST_HOME", str(tmp_path))
    runtime = Runtime.load()
    crown(runtime.ledger)
    return runtime


def decided(runtime: Runtime, *records: Any) -> None:
    for record in records:
        runtime.ledger.record(record)
        decide_retraining(DATASET, record.partition_key, runtime=runtime)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"USER": "ann"})


def test_a_dataset_without_episodes_says_so(home: Runtime) -> None:
    assert run("episodes", "list", DATASET).output == "No episode of flights is on record.\n"
    assert isinstance(run("episodes", "show", DATASET).exception, NotReadyError)
    assert isinstance(run("episodes", "show", DATASET, "7").exception, NotReadyError)


@pytest.mark.parametrize(
    "words",
    [("episodes", "list"), ("episodes", "show"), ("retraining", "breaker", "show")],
    ids=" ".join,
)
def test_a_dataset_that_is_not_declared_is_refused(home: Runtime, words: tuple[str, ...]) -> None:
    assert isinstance(run(*words, "fligths").exception, ConfigError)


def test_an_episode_is_shown_with_what_was_decided_and_done(home: Runtime) -> None:
    decided(home, verdict(NIGHT, "retrain"), verdict(NEXT, "retrain"))
    home.ledger.update_retraining(DATASET, NIGHT, status="registered", model_version="2")
    lines = run("episodes", "show", DATASET).output.splitlines()
    assert lines[0] == (
        "flights episode 1: open, retrain, warning; data drift, v1, first alarm 2013-07-04, "
        "opened for 2013-07-04"
    )
    assert lines[1] == "  cause: Data drift on 2 nights (most: temp)."
    assert lines[4].startswith("  retraining as of 2013-07-04: v2 registered: episode 1: data drift")
    assert lines[5].split()[:2] == [NEXT, "wait"]
    assert lines[6].split()[:2] == [NIGHT, "go"]
    assert run("episodes", "list", DATASET).output.splitlines() == lines[:1]
    assert run("episodes", "show", DATASET, "1").output.splitlines() == lines


def test_episodes_are_printed_as_json(home: Runtime) -> None:
    decided(home, verdict(NIGHT, "retrain"))
    (listed,) = json.loads(run("episodes", "list", DATASET, "--json").output)
    shown = json.loads(run("episodes", "show", DATASET, "--json").output)
    assert shown["retrainings"][0]["status"] == "requested"
    assert [trigger["verdict"] for trigger in shown["triggers"]] == ["go"]
    assert {name: shown[name] for name in listed} == listed


def test_an_episode_is_closed_by_a_person_with_a_reason(home: Runtime) -> None:
    decided(home, verdict(NIGHT, "investigate"))
    assert run("episodes", "close", DATASET).exit_code == 2
    closed = run("episodes", "close", DATASET, "--reason", "sensor mended")
    assert closed.output.rstrip().endswith("to 2013-07-04 (by ann: sensor mended)")
    assert home.ledger.episodes.current(DATASET) is None
    assert isinstance(run("episodes", "close", DATASET, "--reason", "again").exception, NotReadyError)


def test_a_breaker_is_shown_and_closed_by_a_person(home: Runtime) -> None:
    shown = run("retraining", "breaker", "show", DATASET).output
    assert shown == "flights: the breaker is closed: retraining is on.\n"
    home.ledger.breakers.switch(DATASET, is_open=True, reason="3 refused", actor="holdfast")
    first, switch = run("retraining", "breaker", "show", DATASET).output.splitlines()
    assert first == "flights: the breaker is open: nothing is retrained."
    assert switch.endswith("opened by holdfast: 3 refused")
    closed = run("retraining", "breaker", "close", DATASET, "--reason", "gate mended")
    assert closed.output == "flights: the breaker is closed by ann: retraining is on.\n"
    history = json.loads(run("retraining", "breaker", "show", DATASET, "--json").output)
    assert [(switch["is_open"], switch["reason"]) for switch in history] == [
        (True, "3 refused"),
        (False, "gate mended"),
    ]
    again = run("retraining", "breaker", "close", DATASET, "--reason", "-")
    assert isinstance(again.exception, NotReadyError)
