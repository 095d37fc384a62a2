"""The commands about champions: what they print, and what they change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import toy_world
import yaml
from drift_nights import verdict
from toy_world import DATASET, LAST_LABELLED, NIGHT
from typer.testing import CliRunner, Result

from pipelines.cli.main import app
from pipelines.errors import ConfigError, IntegrityError
from pipelines.records import ChainHead, ChampionNote
from pipelines.registry.mlflow_registry import CHAMPION
from pipelines.runtime import Runtime
from pipelines.steps.score import score


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """Return a world in which v1 was champion, then v2; commands find it too."""
    world = toy_world.open_world(tmp_path, "champions")
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump(world.params.model_dump(mode="json")))
    settings = world.settings
    places = {"HOME": settings.home, "PROJECT": settings.project, "PARAMS": params, "DEVICE": "cpu"}
    for name, value in places.items():
        monkeypatch.setenv(f"HOLDFAST_{name}", str(value))
    return world


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"USER": "ann"})


def test_the_history_and_who_was_champion_are_told(world: Runtime) -> None:
    lines = run("champion", "history", DATASET).output.splitlines()
    assert [line[:20] for line in lines] == ["1. promote v1 for 20", "2. promote v2 for 20"]
    told = run("champion", "at", DATASET, NIGHT).output
    assert told.startswith(f"toy at {NIGHT}: v2, until now.")
    assert "pass  beats_champion" in told
    assert run("champion", "at", DATASET, "2001-01-01").output == "toy had no champion at 2001-01-01.\n"
    assert json.loads(run("champion", "at", DATASET, NIGHT, "--json").output)["move"]["sequence"] == 2
    assert isinstance(run("champion", "at", DATASET, "yesterday").exception, ConfigError)
    assert isinstance(run("champion", "history", "fligths").exception, ConfigError)


def test_a_changed_record_is_said_to_be_broken_by_words_and_status(world: Runtime) -> None:
    assert "Every move and its evidence is what was written" in run("champion", "verify", DATASET).output
    champion = world.ledger.champions.present(DATASET)
    assert champion is not None
    told = ChainHead(sequence=champion.sequence + 1, digest="f" * 64)
    world.registry.anchor_head(DATASET, told)
    broken = run("champion", "verify", DATASET)
    assert "BROKEN  move 3: it is missing" in broken.output
    assert isinstance(broken.exception, IntegrityError)
    accepted = run("champion", "accept", DATASET, "--reason", "a restored backup")
    assert accepted.output == "toy: the record up to move 2 is taken for the true one.\n"
    (note,) = world.ledger.revisions(ChampionNote, DATASET)
    assert (note.actor, note.found) == ("ann", str(told))
    assert run("champion", "verify", DATASET).exit_code == 0
    assert "a restored backup" in run("champion", "history", DATASET).output


def test_an_alias_is_repaired_on_demand(world: Runtime) -> None:
    world.registry.set_alias(DATASET, CHAMPION, "1")
    put_back = "toy: MLflow's alias champion points at v2 (put back from v1).\n"
    assert run("champion", "repair", DATASET).output == put_back
    assert "(as on record)" in run("champion", "repair", DATASET).output


def test_a_rollback_scores_nights_again_in_one_go_and_once(world: Runtime) -> None:
    score(DATASET, LAST_LABELLED, runtime=world)
    words = ("rollback", DATASET, "--reason", "odd", "--rescore", LAST_LABELLED)
    assert "1 night(s) scored again (60 rows), 0 were its own already." in run(*words).output
    again = run("rescore", DATASET, LAST_LABELLED, "--reason", "odd")
    assert "0 night(s) scored again (0 rows), 1 were its own already." in again.output


def test_a_night_that_can_not_be_monitored_again_is_named(world: Runtime) -> None:
    score(DATASET, LAST_LABELLED, runtime=world)
    world.ledger.record(verdict(LAST_LABELLED, version="2", dataset=DATASET))
    output = run("rollback", DATASET, "--reason", "odd", "--rescore", LAST_LABELLED).output
    assert "1 night(s) scored again" in output
    # The toy's models have no reference to judge by.
    assert f"{LAST_LABELLED} could not be monitored again: The reference" in output
