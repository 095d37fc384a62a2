"""The verbs of shadow and watch: a sentence, or the record as JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import toy_world
import yaml
from shadowed_nights import crown, day
from toy_world import DATASET
from typer.testing import CliRunner

from pipelines.cli.main import app
from pipelines.runtime import Runtime
from pipelines.steps.score import score
from pipelines.steps.shadow_state import await_shadow


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """Return a world in which v2 followed v1; the environment leads to it."""
    opened = toy_world.open_world(tmp_path, "rivals")
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump(opened.params.model_dump(mode="json")))
    places = {"HOME": opened.settings.home, "PROJECT": opened.settings.project, "PARAMS": params}
    for name, value in places.items():
        monkeypatch.setenv(f"HOLDFAST_{name}", str(value))
    monkeypatch.setenv("HOLDFAST_DEVICE", "cpu")
    crown(opened, "1", "2")
    toy_world.publish(opened, [day(1), day(2)])
    for n in (1, 2):
        score(DATASET, day(n), runtime=opened)
    return opened


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_a_night_is_scored_in_the_shadow_and_the_promotion_watched(world: Runtime) -> None:
    assert run("shadow", DATASET, day(1)) == "Scored 60 rows in the shadow of v2: v1.\n"
    assert [record["model_version"] for record in json.loads(run("shadow", DATASET, day(1), "--json"))] == [
        "1"
    ]
    assert f"{day(2)}: v2 had auc " in run("watch", DATASET, day(2))
    record = json.loads(run("watch", DATASET, day(2), "--json"))
    assert (record["verdict"], record["nights"], record["former_version"]) == ("watching", [day(1)], "1")


def test_where_nothing_is_in_the_shadow_that_is_said(world: Runtime) -> None:
    crown(world, "1")
    assert run("shadow", DATASET, day(1)) == "No version of toy is in the champion's shadow.\n"
    assert run("watch", DATASET, day(1)).startswith(f"{day(1)}: v1 is watched against v2; no night")


def test_a_challenger_is_listed_taken_out_and_let_in_again(
    world: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USER", "ada")
    assert run("challenger", "list", DATASET) == "No challenger of toy waits in the champion's shadow.\n"
    changed = yaml.safe_load((tmp_path / "params.yaml").read_text())
    changed["datasets"][DATASET]["promotion"]["shadow_nights"] = 3
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(changed))
    third = toy_world.challenge(world, tmp_path / "third", toy_world.STRONGER)
    await_shadow(DATASET, third, runtime=Runtime.load())
    assert run("challenger", "list", DATASET).startswith("v3 has scored 0 of 3 nights in the shadow of v2;")
    out = run("challenger", "withdraw", DATASET, third, "--reason", "odd features")
    assert re.match(r"toy v3 is out of the champion's shadow, by ada at .* UTC: odd features\nUndo: ", out)
    assert "taken out of the shadow by ada: odd features." in run("challenger", "list", DATASET)
    (state,) = json.loads(run("challenger", "list", DATASET, "--json"))
    assert state["withdrawal"]["is_withdrawn"]
    back = run("challenger", "resume", DATASET, third, "--reason", "they are right", "--actor", "bob")
    assert back == "toy v3 may score in the champion's shadow again, by bob: they are right\n"
