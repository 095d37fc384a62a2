"""Trainings become runs, challengers become versions, and what comes back is what was trained."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import toy_world
from evaluations import PLOTS, evaluation, selection, speed, write_plots
from mlflow import MlflowClient
from toy_world import DATASET

from pipelines.bundle.files import bundle_digest, read_bundle
from pipelines.errors import ConfigError, EngineError, IntegrityError
from pipelines.monitoring.reference_sketch import read_reference_sketch
from pipelines.records import TrainedModel, TrainingRecord
from pipelines.registry import mlflow_registry
from pipelines.registry.engine import engine_errors, open_client
from pipelines.registry.local_copies import file_digest
from pipelines.registry.mlflow_registry import CHALLENGER, Registry
from pipelines.registry.pyfunc import save_pyfunc
from pipelines.runtime import Runtime
from pipelines.steps.register import register


@pytest.fixture
def trained(world: Runtime, tmp_path: Path) -> TrainedModel:
    """Return a finished training."""
    return toy_world.train(world, tmp_path / "training" / "outputs")


@pytest.fixture
def client(world: Runtime) -> MlflowClient:
    """Return a plain client of the same MLflow, to look behind the registry."""
    return MlflowClient(world.settings.mlflow_uri, registry_uri=world.settings.mlflow_uri)


def artifacts_of(world: Runtime, trained: TrainedModel) -> Path:
    """Return the folder in which a run's artifacts lie."""
    return Path(world.registry.artifact_uri(trained).removeprefix("file://"))


def test_a_training_is_found_as_it_was_logged(world: Runtime, trained: TrainedModel) -> None:
    assert world.registry.find_training(DATASET, trained.training_key) == trained
    assert trained.mlflow_run_id
    assert trained.reference_digest


def test_nothing_is_found_where_nothing_was_trained(world: Runtime) -> None:
    assert world.registry.find_training(DATASET, "0" * 64) is None


def test_another_training_key_is_another_training(world: Runtime, trained: TrainedModel) -> None:
    assert world.registry.find_training(DATASET, "0" * 64) is None
    assert world.registry.find_training("other", trained.training_key) is None


def test_the_run_shows_what_made_the_model(
    world: Runtime, trained: TrainedModel, client: MlflowClient
) -> None:
    run = client.get_run(trained.mlflow_run_id)
    assert run.data.metrics == trained.metrics
    assert run.data.params["n_stumps"] == "3"
    assert run.data.tags["holdfast.training_key"] == trained.training_key
    (data,) = run.inputs.dataset_inputs
    assert json.loads(data.dataset.source) == {"snapshot_digest": trained.snapshot_digest}
    assert json.loads(data.dataset.profile)["n_partitions"] == trained.n_partitions
    assert world.registry.lineage(trained, "environment.txt") == toy_world.ENVIRONMENT
    assert world.registry.lineage(trained, "nothing.txt") is None
    assert (artifacts_of(world, trained) / "metrics.json").is_file()


def test_of_two_trainings_of_one_key_the_first_finished_counts(
    world: Runtime, trained: TrainedModel, tmp_path: Path
) -> None:
    again = toy_world.train(world, tmp_path / "again" / "outputs")
    assert again.mlflow_run_id != trained.mlflow_run_id
    assert world.registry.find_training(DATASET, trained.training_key) == trained


def test_a_training_that_failed_while_it_was_logged_is_not_found(
    world: Runtime, tmp_path: Path, client: MlflowClient
) -> None:
    described = toy_world.describe(world, tmp_path / "outputs")
    with pytest.raises(EngineError, match="log the training of toy"):
        world.registry.log_training(
            described, outputs=tmp_path / "outputs", params={}, tags={}, files=[tmp_path / "missing.txt"]
        )
    assert world.registry.find_training(DATASET, described.training_key) is None
    experiment = client.get_experiment_by_name(DATASET)
    assert experiment is not None
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["FAILED"]


def test_a_training_whose_process_was_killed_while_it_was_logged_is_not_found(
    world: Runtime, trained: TrainedModel, client: MlflowClient
) -> None:
    client.update_run(trained.mlflow_run_id, "RUNNING")
    assert world.registry.find_training(DATASET, trained.training_key) is None


def test_a_run_that_describes_no_model_is_told(world: Runtime, trained: TrainedModel) -> None:
    (artifacts_of(world, trained) / "trained.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"trained\.json .* describes no trained model"):
        world.registry.find_training(DATASET, trained.training_key)


def test_a_training_is_one_version_however_often_it_is_registered(
    world: Runtime, trained: TrainedModel
) -> None:
    versions = [register(trained, runtime=world).model_version for _ in range(3)]
    assert versions == ["1", "1", "1"]
    assert world.registry.training_of(DATASET, "1") == trained
    assert world.registry.alias(DATASET, CHALLENGER) == "1"


def test_a_training_registered_by_many_at_once_is_one_version(
    world: Runtime, trained: TrainedModel, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert world.registry.alias(DATASET, CHALLENGER) is None
    written: list[Path] = []

    def write_slowly(bundle: Path, code: Path, into: Path) -> None:
        written.append(into)
        save_pyfunc(bundle, code, into)
        time.sleep(0.2)

    monkeypatch.setattr(mlflow_registry, "save_pyfunc", write_slowly)
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(register, trained, runtime=world) for _ in range(4)]
        records = [job.result() for job in jobs]
    assert len(written) == 1
    assert {record.model_version for record in records} == {"1"}
    assert {record.digest for record in records} == {records[0].digest}
    assert len(world.ledger.history(TrainingRecord, DATASET)) == 1
    assert len(client.search_model_versions(f"name = '{DATASET}'")) == 1


def test_a_duplicate_that_a_killed_process_left_is_cleared_away(
    world: Runtime, trained: TrainedModel, client: MlflowClient
) -> None:
    register(trained, runtime=world)
    first = client.get_model_version(DATASET, "1")
    client.create_model_version(DATASET, first.source, first.run_id, tags=dict(first.tags))
    assert register(trained, runtime=world).model_version == "1"
    assert len(client.search_model_versions(f"name = '{DATASET}'")) == 1


def test_the_challenger_is_the_newest_version_also_when_an_old_one_is_registered_again(
    world: Runtime, trained: TrainedModel, tmp_path: Path
) -> None:
    register(trained, runtime=world)
    newer = toy_world.challenge(world, tmp_path / "newer", toy_world.STRONGER)
    register(trained, runtime=world)
    assert world.registry.alias(DATASET, CHALLENGER) == newer == "2"


def test_mlflow_itself_loads_the_challenger_and_gets_probabilities(
    world: Runtime, trained: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(trained, runtime=world)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(world.settings.mlflow_uri)
    try:
        model = mlflow.pyfunc.load_model(f"models:/{DATASET}@{CHALLENGER}")
    finally:
        mlflow.set_tracking_uri(before)
    rows = pd.DataFrame({"x": [-2.0, 2.0, None], "late_rate_1d": [0.5] * 3, "site": ["north", None, "new"]})
    assert model.predict(rows) == pytest.approx([0.182426, 0.817574, 0.817574], abs=1e-6)


def test_bundle_and_reference_come_back_as_they_were_trained(world: Runtime, trained: TrainedModel) -> None:
    register(trained, runtime=world)
    bundle, reference = world.registry.bundle(DATASET, "1"), world.registry.reference(DATASET, "1")
    assert bundle == world.settings.home / "models" / DATASET / "1" / "bundle"
    assert bundle_digest(bundle) == trained.bundle_digest
    assert read_bundle(bundle).description.candidate == "stumps"
    assert file_digest(reference) == trained.reference_digest
    sketch = world.registry.reference_sketch(DATASET, "1")
    assert sketch is not None
    assert file_digest(sketch) == trained.sketch_digest
    assert read_reference_sketch(sketch).days.days == (toy_world.FIRST,)


def test_a_model_from_before_sketches_were_kept_has_none(world: Runtime, trained: TrainedModel) -> None:
    older = trained.model_copy(update={"sketch_digest": ""})
    record = TrainingRecord(
        dataset=DATASET, partition_key=trained.partition_key, model_version="1", trained=older
    )
    world.ledger.record(record)
    assert world.registry.reference_sketch(DATASET, "1") is None


def test_a_tampered_artifact_is_refused_by_the_ledgers_digest(
    world: Runtime, trained: TrainedModel, tmp_path: Path
) -> None:
    register(trained, runtime=world)
    stored = artifacts_of(world, trained) / "bundle"
    shutil.rmtree(stored)
    toy_world.write_outputs(tmp_path / "forged", toy_world.WEAK)
    shutil.copytree(tmp_path / "forged" / "bundle", stored)
    with pytest.raises(IntegrityError, match="changed after training"):
        world.registry.bundle(DATASET, "1")


def test_a_lost_artifact_is_an_engine_error(world: Runtime, trained: TrainedModel) -> None:
    register(trained, runtime=world)
    shutil.rmtree(artifacts_of(world, trained) / "bundle")
    with pytest.raises(EngineError, match="fetch bundle"):
        world.registry.bundle(DATASET, "1")


@pytest.mark.parametrize("what", ["bundle", "reference"])
def test_an_unknown_version_is_told_with_the_known_ones(
    what: str, world: Runtime, trained: TrainedModel
) -> None:
    register(trained, runtime=world)
    with pytest.raises(ConfigError, match=r"toy has no model version '7'\. Known: 1\."):
        getattr(world.registry, what)(DATASET, "7")


@pytest.mark.parametrize("version", ["7", "seven"])
def test_mlflow_knows_no_such_version(version: str, world: Runtime, trained: TrainedModel) -> None:
    register(trained, runtime=world)
    with pytest.raises(ConfigError, match="MLflow has no model version"):
        world.registry.training_of(DATASET, version)


def test_a_database_that_can_not_be_opened_is_an_engine_error(world: Runtime, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EngineError, match="Can't open sqlite"):
        Registry(f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}", str(tmp_path), tmp_path, world.ledger)


@pytest.mark.parametrize(
    ("table", "ask"),
    [
        pytest.param(
            "registered_models", lambda registry, _: registry.alias(DATASET, CHALLENGER), id="alias"
        ),
        pytest.param("model_versions", lambda r, _: r.training_of(DATASET, "1"), id="version"),
        pytest.param("registered_models", lambda r, t: r.register(t, python_model=t), id="register"),
    ],
)
def test_a_database_that_fails_is_an_engine_error(
    table: str, ask: Callable[[Registry, TrainedModel], object], world: Runtime, trained: TrainedModel
) -> None:
    registry = world.registry
    behind_mlflow(world, f"ALTER TABLE {table} RENAME TO lost")
    with pytest.raises(EngineError, match="MLflow failed"):
        ask(registry, trained)


def test_a_duplicate_that_can_not_be_deleted_is_an_engine_error(
    world: Runtime, trained: TrainedModel, client: MlflowClient
) -> None:
    register(trained, runtime=world)
    first = client.get_model_version(DATASET, "1")
    client.create_model_version(DATASET, first.source, first.run_id, tags=dict(first.tags))
    behind_mlflow(
        world, "CREATE TRIGGER no BEFORE UPDATE ON model_versions BEGIN SELECT RAISE(ABORT, 'disk'); END"
    )
    with pytest.raises(EngineError, match="disk"):
        register(trained, runtime=world)


def behind_mlflow(world: Runtime, statement: str) -> None:
    """Run one SQL statement on MLflow's database."""
    path = world.settings.mlflow_uri.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as database:
        database.execute(statement)
        database.commit()


def test_the_first_trainings_of_a_dataset_may_be_logged_at_once(world: Runtime, tmp_path: Path) -> None:
    assert world.registry.find_training(DATASET, "0" * 64) is None
    described = [toy_world.describe(world, tmp_path / str(n), training_key=str(n) * 64) for n in range(4)]

    def log(number: int) -> TrainedModel:
        return world.registry.log_training(
            described[number], outputs=tmp_path / str(number), params={}, tags={}, files=[]
        )

    with ThreadPoolExecutor(4) as pool:
        logged = list(pool.map(log, range(4)))
    assert [world.registry.find_training(DATASET, model.training_key) for model in logged] == logged


def test_a_new_database_is_set_up_by_one_of_many_at_once(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with ThreadPoolExecutor(3) as pool:
        clients = list(pool.map(lambda _: open_client(uri, tmp_path), range(3)))
    assert all(client.get_experiment("0") is not None for client in clients)


def test_an_engine_error_never_tells_the_password(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"open oracle://ada:\*\*\*@localhost/mlflow") as caught:
        open_client("oracle://ada:secret@localhost/mlflow", tmp_path)
    assert "secret" not in str(caught.value)


def test_our_own_errors_pass_unchanged() -> None:
    with pytest.raises(ConfigError), engine_errors("do it"):
        raise ConfigError("not MLflow's fault")


def test_what_was_measured_of_a_version_comes_back_as_it_was_written(world: Runtime, tmp_path: Path) -> None:
    described = toy_world.describe(world, tmp_path / "outputs")
    (tmp_path / "outputs" / "evaluation.json").write_text(evaluation().model_dump_json())
    (tmp_path / "outputs" / "speed.json").write_text(speed().model_dump_json())
    (tmp_path / "outputs" / "selection.json").write_text(selection().model_dump_json())
    write_plots(tmp_path / "outputs" / "plots")
    files = toy_world.lineage_files(world, tmp_path / "lineage")
    logged = world.registry.log_training(
        described, outputs=tmp_path / "outputs", params={}, tags={}, files=files
    )
    version = register(logged, runtime=world).model_version

    assert world.registry.evaluation(DATASET, version) == evaluation()
    assert world.registry.speed(DATASET, version) == speed()
    found, plots = world.registry.selection(DATASET, version), world.registry.plots(DATASET, version)
    assert found is not None
    assert found.read_text() == selection().model_dump_json()
    assert plots is not None
    assert {path.name: path.read_text() for path in plots.iterdir()} == PLOTS

    changed = artifacts_of(world, logged) / "evaluation.json"
    changed.write_text(changed.read_text().replace("0.75", "0.85"))
    shutil.rmtree(world.settings.home / "models")
    with pytest.raises(IntegrityError, match=r"evaluation\.json .* was changed after training"):
        world.registry.evaluation(DATASET, version)
    (artifacts_of(world, logged) / "plots" / "roc.csv").unlink()
    with pytest.raises(IntegrityError, match=r"plots .* was changed after training"):
        world.registry.plots(DATASET, version)


def test_a_version_from_before_evaluations_were_kept_has_none(world: Runtime, trained: TrainedModel) -> None:
    version = register(trained, runtime=world).model_version

    assert world.registry.evaluation(DATASET, version) is None
    assert world.registry.speed(DATASET, version) is None
    assert world.registry.selection(DATASET, version) is None
    assert world.registry.plots(DATASET, version) is None
