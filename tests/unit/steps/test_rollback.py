"""A rollback goes back once, to a champion of the past, and a repeat goes no further."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import toy_world
from toy_world import DATASET, NIGHT, STRONGER

from pipelines.errors import ConfigError, ConflictError, IntegrityError, NotReadyError
from pipelines.ledger.champions import Champions
from pipelines.ledger.database import Database
from pipelines.records import ChampionMove
from pipelines.registry.mlflow_registry import CHAMPION
from pipelines.runtime import Runtime
from pipelines.steps.rollback import rollback


@pytest.fixture
def world(tmp_path: Path) -> Runtime:
    """Return a world in which v1 was champion, then v2."""
    return toy_world.open_world(tmp_path, "champions")


def champion(world: Runtime) -> tuple[int, str, str | None]:
    """Return sequence and version by the ledger, and the version that MLflow shows."""
    move = world.ledger.champions.present(DATASET)
    assert move is not None
    return move.sequence, move.model_version, world.registry.alias(DATASET, CHAMPION)


def test_the_champion_before_comes_back(world: Runtime) -> None:
    move = rollback(DATASET, runtime=world, actor="ada", reason="odd on site north")
    assert champion(world) == (3, "1", "1")
    assert (move.action, move.previous_version, move.actor) == ("rollback", "2", "ada")
    assert (move.reason, move.partition_key) == ("odd on site north", NIGHT)


def test_a_repeat_goes_no_further_back(world: Runtime) -> None:
    first = rollback(DATASET, runtime=world, actor="ada", reason="odd")
    assert rollback(DATASET, runtime=world, actor="ada", reason="odd") == first
    assert champion(world) == (3, "1", "1")


def test_a_named_version_comes_back_and_a_repeat_does_nothing(world: Runtime, tmp_path: Path) -> None:
    rollback(DATASET, runtime=world, actor="ada", reason="odd")
    move = rollback(DATASET, runtime=world, model_version="2", actor="ada", reason="was fine")
    assert champion(world) == (4, "2", "2")
    assert rollback(DATASET, runtime=world, model_version="2", actor="ada", reason="was fine") == move
    assert champion(world) == (4, "2", "2")


def test_a_repeat_repairs_the_alias(world: Runtime) -> None:
    rollback(DATASET, runtime=world, actor="ada", reason="odd")
    world.registry.set_alias(DATASET, CHAMPION, "2")
    rollback(DATASET, runtime=world, actor="ada", reason="odd")
    assert champion(world) == (3, "1", "1")


def test_only_a_champion_of_the_past_is_taken(world: Runtime, tmp_path: Path) -> None:
    never = toy_world.challenge(world, tmp_path / "never", STRONGER)
    with pytest.raises(ConfigError, match=r"v3 has never been champion of toy\. Known: 1, 2\."):
        rollback(DATASET, runtime=world, model_version=never, actor="ada", reason="odd")


def test_the_first_champion_has_none_before_it(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path, "rivals")
    toy_world.crown(world, "1")
    with pytest.raises(NotReadyError, match="v1 is the first champion of toy"):
        rollback(DATASET, runtime=world, actor="ada", reason="odd")


def test_without_a_champion_there_is_nothing_to_roll_back(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="no champion yet"):
        rollback(DATASET, runtime=toy_world.open_world(tmp_path), actor="ada", reason="odd")


def test_a_spoilt_model_does_not_come_back(world: Runtime) -> None:
    trained = world.registry.training_of(DATASET, "1")
    stored = Path(world.registry.artifact_uri(trained, "bundle").removeprefix("file://"))
    (stored / "model.json").write_text("{}")
    shutil.rmtree(world.settings.home / "models")
    with pytest.raises(IntegrityError, match="changed after training"):
        rollback(DATASET, runtime=world, actor="ada", reason="odd")
    assert champion(world) == (2, "2", "2")


class ContestedChampions(Champions):
    """A real champion that somebody else moves just before we do."""

    def __init__(self, url: str, *, to: str) -> None:
        super().__init__(Database(url))
        self._to = to

    def move(self, move: ChampionMove) -> ChampionMove:
        super().move(move.model_copy(update={"model_version": self._to, "actor": "bob"}))
        return super().move(move)


def contested(world: Runtime, to: str) -> Runtime:
    rivalled = Runtime(settings=world.settings, params=world.params)
    rivalled.ledger.__dict__["champions"] = ContestedChampions(world.settings.ledger_url, to=to)
    return rivalled


def test_two_people_who_roll_back_at_once_do_it_once(world: Runtime) -> None:
    move = rollback(DATASET, runtime=contested(world, "1"), actor="ada", reason="odd")
    assert move.actor == "bob"
    assert champion(world) == (3, "1", "1")


def test_a_rollback_does_not_undo_what_it_has_not_seen(world: Runtime, tmp_path: Path) -> None:
    toy_world.challenge(world, tmp_path / "other", STRONGER)
    with pytest.raises(ConflictError):
        rollback(DATASET, runtime=contested(world, "3"), actor="ada", reason="odd")
    champion_now = world.ledger.champions.present(DATASET)
    assert champion_now is not None
    assert champion_now.model_version == "3"
