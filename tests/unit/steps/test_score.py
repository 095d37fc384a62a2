"""The champion scores what was validated, and nothing else; again, it changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import toy_world

from pipelines.errors import ConfigError, IntegrityError, NotReadyError
from pipelines.records import ChampionMove, ScoringRecord, TrainingRecord
from pipelines.runtime import Runtime
from pipelines.steps.score import score
from pipelines.storage.digest import table_digest
from pipelines.storage.lake import PARTITION_COLUMN

DAY = "2013-01-15"


@pytest.fixture
def world(tmp_path: Path) -> Runtime:
    """Return a Runtime with published days and two versions, of which the first is champion."""
    runtime = toy_world.open_world(tmp_path)
    toy_world.publish(runtime, toy_world.all_days())
    _register(runtime, tmp_path / "outputs-1", "1", toy_world.STRONG)
    _register(runtime, tmp_path / "outputs-2", "2", toy_world.WEAK)
    _make_champion(runtime, "1")
    return runtime


def _register(runtime: Runtime, outputs: Path, version: str, model: toy_world.Stumps) -> None:
    trained = toy_world.train(runtime, outputs, model)
    runtime.ledger.record(
        TrainingRecord(
            dataset=toy_world.DATASET,
            partition_key=trained.partition_key,
            model_version=version,
            trained=trained,
        )
    )


def _make_champion(runtime: Runtime, version: str) -> None:
    present = runtime.ledger.champions.present(toy_world.DATASET)
    runtime.ledger.champions.move(
        ChampionMove(
            dataset=toy_world.DATASET,
            sequence=1 if present is None else present.sequence + 1,
            model_version=version,
            previous_version=None if present is None else present.model_version,
            action="promote",
            actor="test",
            reason="",
            evidence_digest="",
            partition_key=DAY,
            moved_at=datetime(2013, 1, 21, tzinfo=UTC),
        )
    )


def _predictions(runtime: Runtime) -> pa.Table:
    found = runtime.lake.read(toy_world.DATASET, "predictions", partitions=[DAY])
    return found.drop_columns([PARTITION_COLUMN])


def _expected(runtime: Runtime, model: toy_world.Stumps) -> np.ndarray:
    events = runtime.lake.read(toy_world.DATASET, "validated", partitions=[DAY])
    x = events.sort_by("row_id")["x"].to_numpy()
    log_odds = sum(np.where(x <= t, -model.height, model.height) for t in model.thresholds)
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def test_every_published_row_gets_the_champions_prediction(world: Runtime) -> None:
    record = score(toy_world.DATASET, DAY, runtime=world)
    found = _predictions(world).sort_by("row_id")
    events = world.lake.read(toy_world.DATASET, "validated", partitions=[DAY]).sort_by("row_id")
    assert set(found.column_names) == {"row_id", "event_time", "prediction", "model_version"}
    assert found["row_id"].equals(events["row_id"])
    assert found["event_time"].equals(events["event_time"])
    np.testing.assert_allclose(found["prediction"], _expected(world, toy_world.STRONG))
    assert pc.unique(found["model_version"]).to_pylist() == ["1"]
    assert record.n_rows == events.num_rows == 60


def test_the_record_names_what_was_scored_with_what(world: Runtime) -> None:
    record = score(toy_world.DATASET, DAY, runtime=world)
    assert world.ledger.latest(ScoringRecord, toy_world.DATASET, DAY) == record
    validated = world.lake.read(toy_world.DATASET, "validated", partitions=[DAY])
    assert record.validated_digest == table_digest(validated.drop_columns([PARTITION_COLUMN]))
    assert record.predictions_digest == table_digest(_predictions(world))
    assert len(record.features_digest) == 64
    assert (record.model_version, record.device, record.subject) == ("1", "cpu", "1")
    assert record.delta_version == world.lake.version(toy_world.DATASET, "predictions")


def test_a_repeat_changes_nothing(world: Runtime) -> None:
    first = score(toy_world.DATASET, DAY, runtime=world)
    second = score(toy_world.DATASET, DAY, runtime=world)
    assert first.digest == second.digest
    assert first.delta_version == second.delta_version
    assert len(world.ledger.history(ScoringRecord, toy_world.DATASET)) == 1


def test_a_named_version_scores_in_place_of_the_champion(world: Runtime) -> None:
    score(toy_world.DATASET, DAY, runtime=world)
    record = score(toy_world.DATASET, DAY, runtime=world, model_version="2")
    found = _predictions(world).sort_by("row_id")
    np.testing.assert_allclose(found["prediction"], _expected(world, toy_world.WEAK))
    assert pc.unique(found["model_version"]).to_pylist() == ["2"]
    assert record.model_version == "2"


def test_the_present_champion_scores(world: Runtime) -> None:
    _make_champion(world, "2")
    assert score(toy_world.DATASET, DAY, runtime=world).model_version == "2"


def test_without_champion_nothing_is_scored(tmp_path: Path) -> None:
    runtime = toy_world.open_world(tmp_path)
    toy_world.publish(runtime, toy_world.all_days())
    with pytest.raises(NotReadyError, match="no champion yet"):
        score(toy_world.DATASET, DAY, runtime=runtime)
    assert not runtime.lake.exists(toy_world.DATASET, "predictions")


def test_what_was_never_validated_is_not_scored(world: Runtime) -> None:
    with pytest.raises(NotReadyError, match="has not been validated"):
        score(toy_world.DATASET, "2013-03-01", runtime=world)


def test_what_was_refused_is_not_scored(world: Runtime) -> None:
    world.ledger.record(toy_world.validation_of(DAY, "d", outcome="refused"))
    with pytest.raises(NotReadyError, match="refused by validation"):
        score(toy_world.DATASET, DAY, runtime=world)
    assert not world.lake.exists(toy_world.DATASET, "predictions")


def test_other_rows_than_were_validated_are_not_scored(world: Runtime) -> None:
    events = world.lake.read(toy_world.DATASET, "validated", partitions=[DAY])
    fewer = events.drop_columns([PARTITION_COLUMN]).slice(1)
    world.lake.replace(toy_world.DATASET, "validated", DAY, fewer)
    with pytest.raises(NotReadyError, match="other rows than were validated"):
        score(toy_world.DATASET, DAY, runtime=world)
    assert not world.lake.exists(toy_world.DATASET, "predictions")


def test_a_model_whose_bytes_changed_does_not_score(world: Runtime) -> None:
    weights = world.registry.bundle(toy_world.DATASET, "1") / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.chmod(0o644)
    weights.write_bytes(bytes(content))
    for stored in Path(world.settings.mlflow_artifacts).rglob("weights.safetensors"):
        stored.write_bytes(bytes(content))
    with pytest.raises(IntegrityError):
        score(toy_world.DATASET, DAY, runtime=world)
    assert not world.lake.exists(toy_world.DATASET, "predictions")


def test_an_unknown_version_is_refused(world: Runtime) -> None:
    with pytest.raises(ConfigError, match="9"):
        score(toy_world.DATASET, DAY, runtime=world, model_version="9")


def test_a_published_partition_without_rows_is_scored_as_none(world: Runtime) -> None:
    empty = world.lake.read(toy_world.DATASET, "validated", partitions=[DAY]).slice(0, 0)
    written = world.lake.replace(toy_world.DATASET, "validated", DAY, empty.drop_columns([PARTITION_COLUMN]))
    world.ledger.record(toy_world.validation_of(DAY, written.digest))
    record = score(toy_world.DATASET, DAY, runtime=world)
    assert record.n_rows == 0
    assert _predictions(world).num_rows == 0
