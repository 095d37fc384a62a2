"""kill -9 at every write of a rollback that scores nights again: a rerun ends where it should."""

from __future__ import annotations

import itertools
from pathlib import Path

import toy_world
from toy_world import DATASET, LAST_LABELLED

from pipelines.records import ScoringRecord, SupersessionRecord, partition_range, shift_partition
from pipelines.registry.mlflow_registry import CHAMPION
from pipelines.runtime import Runtime
from pipelines.steps.champions import verify_champion
from pipelines.steps.rescore import rescore
from pipelines.steps.rollback import rollback
from pipelines.steps.score import score
from pipelines.steps.superseded import SUPERSEDED, Why

NIGHTS = partition_range(shift_partition(LAST_LABELLED, -1), LAST_LABELLED)


def roll_back(runtime: Runtime) -> None:
    rollback(DATASET, runtime=runtime, actor="ada", reason="odd")
    rescore(DATASET, NIGHTS[0], NIGHTS[-1], runtime=runtime, why=Why("ada", "odd"))


def versions(world: Runtime, table: str) -> list[tuple[str, int]]:
    """Return the version whose rows each night has, and how many."""
    rows = world.lake.read(DATASET, table, partitions=NIGHTS)
    counted = rows.group_by(["partition_key", "model_version"]).aggregate([("row_id", "count")])
    return [
        (row["model_version"], row["row_id_count"]) for row in counted.sort_by("partition_key").to_pylist()
    ]


def test_a_rollback_killed_at_any_write_is_finished_by_its_rerun(tmp_path: Path, kill_at_write) -> None:
    world = toy_world.open_world(tmp_path, "champions")
    for night in NIGHTS:
        score(DATASET, night, runtime=world)
    whole = versions(world, "predictions")
    n_rows = whole[0][1]
    n_blows = 0
    for n in itertools.count(1):
        struck = kill_at_write(roll_back, world, n, ("before", "after")[n % 2])
        # Each night has all of one version's predictions at any moment.
        assert set(versions(world, "predictions")) <= {("1", n_rows), ("2", n_rows)}
        if not struck:
            break
        n_blows += 1
    assert n_blows >= 3
    roll_back(world)
    assert [move.model_version for move in world.ledger.champions.history(DATASET)] == ["1", "2", "1"]
    assert verify_champion(DATASET, runtime=world).is_intact
    assert world.registry.alias(DATASET, CHAMPION) == "1"
    assert versions(world, "predictions") == [("1", n_rows)] * 2
    assert versions(world, SUPERSEDED) == [("2", n_rows)] * 2
    for night in NIGHTS:
        in_force = world.ledger.latest(ScoringRecord, DATASET, night)
        assert in_force is not None
        assert in_force.model_version == "1"
        assert len(world.ledger.revisions(SupersessionRecord, DATASET, night)) == 1
    assert len(world.ledger.outbox.newest(DATASET)) == 1
