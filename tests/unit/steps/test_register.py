"""A trained model becomes a challenger, once, and its retraining moves on."""

from __future__ import annotations

from pathlib import Path

import pytest
import toy_world
from mlflow import MlflowClient
from toy_world import DATASET, NIGHT

from pipelines.errors import IntegrityError
from pipelines.records import TrainingRecord
from pipelines.steps.register import register


def test_a_trained_model_is_on_record_as_a_challenger(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path)
    world.ledger.open_retraining(DATASET, NIGHT, status="requested", reason="drift")
    trained = toy_world.train(world, tmp_path / "outputs")
    record = register(trained, runtime=world)
    assert (record.model_version, record.partition_key, record.trained) == ("1", NIGHT, trained)
    assert world.ledger.latest(TrainingRecord, DATASET, subject="1") == record
    retraining = world.ledger.retraining(DATASET, NIGHT)
    assert retraining is not None
    assert (retraining.status, retraining.model_version) == ("registered", "1")


def test_a_repeat_gives_the_same_version_and_nothing_new_on_record(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path)
    trained = toy_world.train(world, tmp_path / "outputs")
    first, again = register(trained, runtime=world), register(trained, runtime=world)
    assert first.digest == again.digest
    assert world.ledger.history(TrainingRecord, DATASET) == [first]


def test_a_second_run_of_the_same_training_is_the_first_ones_version(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path)
    first = toy_world.train(world, tmp_path / "first" / "outputs")
    second = toy_world.train(world, tmp_path / "second" / "outputs")
    register(first, runtime=world)
    assert register(second, runtime=world).trained.mlflow_run_id == first.mlflow_run_id


def test_a_model_found_again_by_another_night_is_on_record_for_that_night(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path)
    trained = toy_world.train(world, tmp_path / "outputs")
    register(trained, runtime=world)
    found = trained.model_copy(update={"partition_key": "2013-01-22", "reason": "once more"})
    record = register(found, runtime=world)
    assert (record.model_version, record.partition_key) == ("1", "2013-01-22")
    assert record.trained.reason == "once more"


def test_a_version_that_mlflow_gives_to_another_training_is_refused(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path)
    weak = toy_world.train(world, tmp_path / "weak" / "outputs", toy_world.WEAK)
    strong = toy_world.train(world, tmp_path / "strong" / "outputs")
    register(weak, runtime=world)
    client = MlflowClient(world.settings.mlflow_uri, registry_uri=world.settings.mlflow_uri)
    client.set_model_version_tag(DATASET, "1", "holdfast.training_key", strong.training_key)
    with pytest.raises(IntegrityError, match="toy v1 comes from the training"):
        register(strong, runtime=world)
