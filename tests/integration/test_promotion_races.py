"""Processes that register, promote and roll back at the same moment, or die half-way through."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import toy_world
from mlflow import MlflowClient
from toy_processes import at_once, killed_at, promoting, registering, rolling_back
from toy_world import DATASET, NIGHT

from pipelines.records import TrainingRecord
from pipelines.registry.mlflow_registry import CHALLENGER, CHAMPION
from pipelines.runtime import Runtime
from pipelines.steps.gate import gate
from pipelines.steps.promote import promote
from pipelines.steps.register import register


@pytest.fixture
def rivals(tmp_path: Path) -> Runtime:
    """Return a world with a weak v1 and a strong v2, registered."""
    return toy_world.open_world(tmp_path, "rivals")


def without_errors(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    assert [answer["error"] for answer in answers if "error" in answer] == []
    return answers


def test_eight_promotions_of_one_challenger_are_one_move(rivals: Runtime) -> None:
    gate(DATASET, "2", runtime=rivals)
    answers = without_errors(at_once(rivals, [promoting("2")] * 8))
    assert answers == [answers[0]] * 8
    assert answers[0]["is_promoted"]
    assert [move.model_version for move in rivals.ledger.champions.history(DATASET)] == ["2"]
    assert rivals.registry.alias(DATASET, CHAMPION) == "2"


def test_of_two_challengers_promoted_at_once_the_better_one_ends_as_champion(rivals: Runtime) -> None:
    for version in ("1", "2"):
        gate(DATASET, version, runtime=rivals)
    without_errors(at_once(rivals, [promoting("1"), promoting("2")] * 4))
    moves = rivals.ledger.champions.history(DATASET)
    assert [move.sequence for move in moves] == list(range(1, len(moves) + 1))
    assert max(Counter(move.model_version for move in moves).values()) == 1
    assert moves[-1].model_version == "2"
    assert rivals.registry.alias(DATASET, CHAMPION) == "2"


def test_eight_rollbacks_go_back_once(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path, "champions")
    answers = without_errors(at_once(world, [rolling_back()] * 8))
    assert answers == [answers[0]] * 8
    assert [move.model_version for move in world.ledger.champions.history(DATASET)] == ["1", "2", "1"]
    assert world.registry.alias(DATASET, CHAMPION) == "1"


def test_a_promotion_killed_between_ledger_and_alias_is_finished_by_its_retry(rivals: Runtime) -> None:
    rivals.ledger.open_retraining(DATASET, NIGHT, status="registered", reason="drift")
    gate(DATASET, "2", runtime=rivals)
    exit_code = killed_at(rivals, promoting("2"), port="registry", method="set_alias")
    assert exit_code == -signal.SIGKILL
    (move,) = rivals.ledger.champions.history(DATASET)
    assert rivals.registry.alias(DATASET, CHAMPION) is None
    decision = promote(DATASET, "2", runtime=rivals, actor="retry")
    retraining = rivals.ledger.retraining(DATASET, NIGHT)
    assert retraining is not None
    assert (decision.is_promoted, decision.sequence, retraining.status) == (True, move.sequence, "promoted")
    assert rivals.ledger.champions.history(DATASET) == [move]
    assert rivals.registry.alias(DATASET, CHAMPION) == "2"


def test_a_registration_killed_before_its_record_is_finished_by_its_retry(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path)
    trained = toy_world.train(world, tmp_path / "training" / "outputs")
    exit_code = killed_at(world, registering(trained), port="ledger", method="record")
    assert exit_code == -signal.SIGKILL
    assert world.ledger.latest(TrainingRecord, DATASET) is None
    assert register(trained, runtime=world).model_version == "1"
    assert world.registry.alias(DATASET, CHALLENGER) == "1"


@pytest.fixture(params=["sqlite", "postgresql"])
def world_on(request: pytest.FixtureRequest, tmp_path: Path) -> Runtime:
    """Return a world whose MLflow keeps its tables in SQLite, or in PostgreSQL."""
    world = toy_world.open_world(tmp_path)
    if request.param == "sqlite":
        return world
    places = {"mlflow_uri": request.getfixturevalue("postgresql_url")}
    return Runtime(settings=world.settings.model_copy(update=places), params=world.params)


def test_one_training_registered_by_six_processes_is_one_version(world_on: Runtime, tmp_path: Path) -> None:
    trained = toy_world.train(world_on, tmp_path / "training" / "outputs")
    answers = without_errors(at_once(world_on, [registering(trained)] * 6))
    assert {answer["model_version"] for answer in answers} == {"1"}
    client = MlflowClient(world_on.settings.mlflow_uri, registry_uri=world_on.settings.mlflow_uri)
    assert len(client.search_model_versions(f"name = '{DATASET}'")) == 1
    assert world_on.registry.alias(DATASET, CHALLENGER) == "1"
