"""kill -9 at every write of nights that are scored and judged again: a rerun ends where it should."""

from __future__ import annotations

import itertools
from pathlib import Path

import rolled_back_nights
from toy_world import DATASET

from pipelines.records import (
    DriftRecord,
    EstimateScore,
    PerformanceRecord,
    SupersessionRecord,
    shift_partition,
)
from pipelines.runtime import Runtime
from pipelines.steps.monitor import monitor
from pipelines.steps.reconcile import reconcile
from pipelines.steps.rejudge import nights_to_rejudge
from pipelines.steps.rescore import rescore
from pipelines.steps.rollback import rollback
from pipelines.steps.score import score
from pipelines.steps.superseded import Why

NIGHT = "2013-01-17"
NEXT = shift_partition(NIGHT, 1)


def score_again(runtime: Runtime) -> None:
    rescore(DATASET, NIGHT, NIGHT, runtime=runtime, why=Why("ada", "odd"))


def test_a_rescoring_killed_at_any_write_is_finished_by_its_rerun(tmp_path: Path, kill_at_write) -> None:
    world = rolled_back_nights.open_world(tmp_path)
    score(DATASET, NIGHT, runtime=world)
    before = monitor(DATASET, NIGHT, runtime=world)
    reconcile(DATASET, NEXT, runtime=world)
    rollback(DATASET, runtime=world, actor="ada", reason="odd")
    told = world.ledger.outbox.newest(DATASET)
    n_blows = 0
    for n in itertools.count(1):
        if not kill_at_write(score_again, world, n, ("before", "after")[n % 2]):
            break
        n_blows += 1
        verdicts = world.ledger.revisions(DriftRecord, DATASET, NIGHT)
        assert verdicts[0] == before
        assert [verdict.model_version for verdict in verdicts] in (["2"], ["2", "1"])
    assert n_blows >= 4
    score_again(world)
    assert nights_to_rejudge(DATASET, NIGHT, NIGHT, runtime=world) == []
    _, again = world.ledger.revisions(DriftRecord, DATASET, NIGHT)
    assert (again.model_version, again.is_judged_again) == ("1", True)
    measured = world.ledger.revisions(PerformanceRecord, DATASET, NIGHT)
    assert [(record.model_version, record.known_at) for record in measured] == [("2", NEXT), ("1", NEXT)]
    assert len(world.ledger.revisions(SupersessionRecord, DATASET, NIGHT)) == 1
    (estimate,) = world.ledger.revisions(EstimateScore, DATASET, NIGHT)
    assert estimate.model_version == "1"
    assert [message.key for message in world.ledger.outbox.newest(DATASET)] == [m.key for m in told]
