"""The command line: each verb calls its step, prints a sentence or JSON, and turns errors into one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import toy_world
import yaml

from pipelines import cli
from pipelines.runtime import Runtime

Holdfast = Callable[..., tuple[int, str, str]]


@pytest.fixture
def holdfast(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Holdfast:
    """Return a function that runs the command and gives its exit status, output and errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["holdfast", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def stand_on(runtime: Runtime, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the environment lead to a Runtime's places, as a shell would."""
    params = folder / "params.yaml"
    params.write_text(yaml.safe_dump(runtime.params.model_dump(mode="json")))
    settings = runtime.settings
    places = {"HOME": settings.home, "PROJECT": settings.project, "PARAMS": params, "DEVICE": "cpu"}
    for name, value in places.items():
        monkeypatch.setenv(f"HOLDFAST_{name}", str(value))


@pytest.fixture
def on_bikes(bikes: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    stand_on(bikes, tmp_path, monkeypatch)
    return bikes


@pytest.fixture
def on_rivals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    world = toy_world.open_world(tmp_path, "rivals")
    stand_on(world, tmp_path, monkeypatch)
    return world


def test_a_night_is_landed_and_published(on_bikes, holdfast):
    status, out, _ = holdfast("ingest", "bikes", "2011-01-05")
    assert (status, "Landed 24 rows and 24 labels of 1 partition(s)." in out) == (0, True)
    status, out, _ = holdfast("validate", "bikes", "2011-01-05")
    assert (status, "Published 24 rows, quarantined 0; refused: none." in out) == (0, True)


def test_a_range_is_done_in_one_go_and_told_as_json(on_bikes, holdfast):
    status, out, err = holdfast("ingest", "bikes", "2011-01-01", "--last", "2011-01-10", "--json")
    assert status == 0
    assert json.loads(out)["partition_key"] == "2011-01-10"
    assert "10 of 10" in err
    status, out, _ = holdfast("validate", "bikes", "2011-01-01", "--last", "2011-01-10")
    assert "Published 240 rows" in out


def test_gates_promotion_rollback_and_passport_are_verbs(on_rivals, holdfast):
    dataset = toy_world.DATASET
    for version in ("1", "2"):
        status, out, _ = holdfast("gate", dataset, version)
        assert (status, "FAIL" in out) == (0, False)
        status, out, _ = holdfast("promote", dataset, version, "--actor", "ada")
        assert (status, f"{dataset} v{version} is champion" in out) == (0, True)
    status, out, _ = holdfast("score", dataset, toy_world.LAST_LABELLED)
    assert (status, "with toy v2 on cpu" in out) == (0, True)
    status, out, _ = holdfast("show", "model", f"{dataset}@champion")
    assert (status, "ada" in out) == (0, True)
    status, out, _ = holdfast("rollback", dataset, "--reason", "odd", "--json")
    assert (status, json.loads(out)["model_version"]) == (0, "1")
    status, out, _ = holdfast("promote", dataset, "2")
    assert (status, "was not promoted" in out or "is champion" in out) == (0, True)


def test_a_night_stops_with_one_sentence_where_there_is_no_champion(on_bikes, holdfast):
    status, out, err = holdfast("night", "bikes", "2011-01-05")
    assert status == 1
    assert "Published 24 rows" in out
    assert err.startswith("error: ")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        pytest.param(["ingest", "bike", "2011-01-05"], "`bikes`", id="dataset"),
        pytest.param(["ingest", "bikes", "5 January"], "YYYY-MM-DD", id="partition"),
        pytest.param(["stage", "fit"], "snapshot", id="stage"),
    ],
)
def test_a_mistake_of_the_caller_is_one_sentence_and_status_2(on_bikes, holdfast, arguments, word):
    status, _, err = holdfast(*arguments)
    assert status == 2
    assert err.startswith("error: ")
    assert word in err


def test_a_stack_that_is_not_up_is_said_to_be_down(on_bikes, holdfast):
    assert holdfast("down")[1].strip() == "The stack is not up."
    assert holdfast("status")[0] == 0
    assert holdfast("logs")[0] in (0, 1)


def test_the_demo_refuses_a_configuration_that_it_cannot_show(on_bikes, tmp_path, holdfast):
    path = tmp_path / "params.yaml"
    content = yaml.safe_load(path.read_text())
    content["datasets"]["flights"]["promotion"]["approval"] = "human"
    path.write_text(yaml.safe_dump(content))
    status, _, err = holdfast("demo")
    assert (status, "approval: auto" in err) == (2, True)


def test_the_version_is_the_package_s(holdfast):
    assert holdfast("--version")[1].startswith("holdfast 0.")
