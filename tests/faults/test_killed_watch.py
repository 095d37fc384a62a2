"""kill -9 at every write of shadow and watch: a repeat ends in one rollback and one message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import toy_world
from shadowed_nights import crown, day, pass_nights
from toy_world import DATASET

from pipelines.records import ShadowScoringRecord, WatchRecord
from pipelines.registry.mlflow_registry import CHAMPION
from pipelines.runtime import Runtime
from pipelines.steps.score import score
from pipelines.steps.shadow import shadow
from pipelines.steps.watch import watch

WEAK, STRONG = "1", "2"


def run_shadow(runtime: Runtime) -> None:
    shadow(DATASET, day(7), runtime=runtime)


def run_watch(runtime: Runtime) -> None:
    watch(DATASET, day(6), runtime=runtime)


def test_a_watch_killed_at_any_write_takes_back_once(tmp_path: Path, kill_at_write: Any) -> None:
    world = toy_world.open_world(tmp_path, "rivals")
    crown(world, STRONG, WEAK)
    world.registry.set_alias(DATASET, CHAMPION, WEAK)
    pass_nights(world, 1, 6)
    toy_world.publish(world, [day(7)])
    score(DATASET, day(7), runtime=world)

    # The rows, then their record.
    assert all(kill_at_write(run_shadow, world, n, "after") for n in (1, 2))
    run_shadow(world)
    rows = world.lake.read(DATASET, "shadow_predictions", partitions=[day(7)])
    assert rows.num_rows == len(set(rows["row_id"].to_pylist())) == 60
    assert len(world.ledger.revisions(ShadowScoringRecord, DATASET, day(7))) == 1

    # The verdict, then the champion's move; and once that is made, the alias.
    assert all(kill_at_write(run_watch, world, n, "after") for n in (1, 2, 1))
    run_watch(world)
    move = world.ledger.champions.present(DATASET)
    assert move is not None
    assert (move.sequence, move.model_version, move.actor) == (3, STRONG, "watch")
    assert world.registry.alias(DATASET, CHAMPION) == STRONG
    assert [record.verdict for record in world.ledger.revisions(WatchRecord, DATASET)] == ["worse"]
    assert len([m for m in world.ledger.outbox.newest(DATASET) if "rolled back" in m.title]) == 1
