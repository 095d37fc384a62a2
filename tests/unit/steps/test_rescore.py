"""After a rollback nights are scored again on request; what was predicted before stays, marked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import toy_world
from toy_world import DATASET, LAST_LABELLED

from pipelines.errors import NotReadyError
from pipelines.ledger.champions import Champions
from pipelines.ledger.database import Database
from pipelines.records import (
    ChampionMove,
    PerformanceRecord,
    ScoringRecord,
    SupersessionRecord,
    partition_range,
    shift_partition,
)
from pipelines.runtime import Runtime
from pipelines.steps.promote import promote
from pipelines.steps.reconcile import reconcile
from pipelines.steps.rescore import rescore
from pipelines.steps.rollback import rollback
from pipelines.steps.score import score
from pipelines.steps.scored_nights import nights_scored_by
from pipelines.steps.superseded import SUPERSEDED, Why
from pipelines.storage.digest import table_digest
from pipelines.storage.lake import PARTITION_COLUMN

NIGHTS = partition_range(shift_partition(LAST_LABELLED, -2), LAST_LABELLED)
WHY = Why("ada", "odd on site north")


@pytest.fixture
def world(tmp_path: Path) -> Runtime:
    """Return a world in which v1 was champion, then v2."""
    return toy_world.open_world(tmp_path, "champions")


def predictions(world: Runtime, night: str, table: str = "predictions") -> pa.Table:
    return world.lake.read(DATASET, table, partitions=[night]).drop_columns([PARTITION_COLUMN])


def digests(world: Runtime) -> list[str]:
    return [table_digest(predictions(world, night)) for night in NIGHTS]


def score_all(world: Runtime, nights: Sequence[str] = NIGHTS) -> list[str]:
    for night in nights:
        score(DATASET, night, runtime=world)
    return digests(world)


def superseded(world: Runtime, night: str) -> list[dict[str, Any]]:
    """Return the batches of a night that were superseded, without their rows."""
    rows = predictions(world, night, SUPERSEDED)
    names = ["model_version", "superseded_by", "superseded_actor", "superseded_reason", "predictions_digest"]
    counted = rows.group_by(["champion_sequence", *names]).aggregate([("row_id", "count")])
    return counted.sort_by("champion_sequence").to_pylist()


def test_the_version_gone_back_to_gives_what_it_gave_before(world: Runtime) -> None:
    rollback(DATASET, runtime=world, actor="ada", reason="a rehearsal")
    by_first = score_all(world)
    rollback(DATASET, runtime=world, model_version="2", actor="ada", reason="it was one")
    by_second = score_all(world)
    assert nights_scored_by(DATASET, "2", ledger=world.ledger) == NIGHTS
    rollback(DATASET, runtime=world, actor="ada", reason="odd", model_version="1")
    assert digests(world) == by_second
    told: list[tuple[str, int, int]] = []
    done = rescore(
        DATASET, *(NIGHTS[0], NIGHTS[-1]), runtime=world, why=WHY, progress=lambda *t: told.append(t)
    )
    assert (done.model_version, done.rescored, done.unchanged, done.left) == ("1", tuple(NIGHTS), (), {})
    assert digests(world) == by_first
    assert told[-1] == (f"rescore {DATASET}", 3, 3)
    assert nights_scored_by(DATASET, "2", ledger=world.ledger) == []
    newest = world.ledger.latest(ScoringRecord, DATASET, NIGHTS[0])
    assert newest is not None
    assert newest.model_version == "1"


def test_superseded_predictions_are_kept_and_say_by_whom_and_why(world: Runtime) -> None:
    before = score_all(world)
    rollback(DATASET, runtime=world, actor="ada", reason="odd")
    rescore(DATASET, NIGHTS[0], NIGHTS[-1], runtime=world, why=WHY)
    for night, digest in zip(NIGHTS, before, strict=True):
        assert superseded(world, night) == [
            {
                "champion_sequence": 3,
                "model_version": "2",
                "superseded_by": "1",
                "superseded_actor": "ada",
                "superseded_reason": "odd on site north",
                "predictions_digest": digest,
                "row_id_count": predictions(world, night).num_rows,
            }
        ]
        kept = predictions(world, night, SUPERSEDED)
        assert table_digest(kept.select(predictions(world, night).column_names)) == digest
        (record,) = world.ledger.revisions(SupersessionRecord, DATASET, night)
        assert (record.model_version, record.superseded_by, record.actor) == ("2", "1", "ada")
        assert record.predictions_digest == digest


def test_a_repeat_does_nothing(world: Runtime) -> None:
    score_all(world)
    rollback(DATASET, runtime=world, actor="ada", reason="odd")
    rescore(DATASET, NIGHTS[0], NIGHTS[-1], runtime=world, why=WHY)
    versions = [world.lake.version(DATASET, table) for table in ("predictions", SUPERSEDED)]
    n_records = len(world.ledger.revisions(ScoringRecord, DATASET))
    again = rescore(DATASET, NIGHTS[0], NIGHTS[-1], runtime=world, why=WHY)
    assert (again.rescored, again.unchanged) == ((), tuple(NIGHTS))
    for night in NIGHTS:
        score(DATASET, night, runtime=world)
    assert [world.lake.version(DATASET, table) for table in ("predictions", SUPERSEDED)] == versions
    assert len(world.ledger.revisions(ScoringRecord, DATASET)) == n_records


def test_every_change_of_hands_is_one_batch_more(world: Runtime) -> None:
    night = NIGHTS[0]
    score(DATASET, night, runtime=world)
    for version in ("1", "2", "1"):
        rollback(DATASET, runtime=world, model_version=version, actor="bob", reason=f"to {version}")
        score(DATASET, night, runtime=world)
    found = [(row["model_version"], row["superseded_by"]) for row in superseded(world, night)]
    assert found == [("2", "1"), ("1", "2"), ("2", "1")]
    assert superseded(world, night)[0]["superseded_reason"] == "v1 was brought back: to 1"
    assert {row["superseded_actor"] for row in superseded(world, night)} == {"bob"}


def test_a_night_that_was_refused_since_stays_and_does_not_stop_the_others(world: Runtime) -> None:
    before = score_all(world)
    refused = toy_world.validation_of(NIGHTS[1], "x", outcome="refused")
    world.ledger.record(refused)
    rollback(DATASET, runtime=world, actor="ada", reason="odd")
    done = rescore(DATASET, NIGHTS[0], NIGHTS[-1], runtime=world, why=WHY)
    assert done.rescored == (NIGHTS[0], NIGHTS[2])
    assert "refused by validation" in done.left[NIGHTS[1]]
    assert digests(world)[1] == before[1]


def test_nights_that_were_never_scored_are_not_among_them(world: Runtime) -> None:
    score(DATASET, NIGHTS[1], runtime=world)
    done = rescore(DATASET, NIGHTS[0], NIGHTS[-1], runtime=world, why=WHY)
    assert (done.rescored, done.unchanged) == ((), (NIGHTS[1],))
    with pytest.raises(NotReadyError, match="nothing to score with"):
        rescore("other", NIGHTS[0], NIGHTS[-1], runtime=world, why=WHY)


def test_performance_is_measured_anew_also_of_a_version_that_came_back(world: Runtime) -> None:
    night, known = NIGHTS[0], shift_partition(NIGHTS[0], 3)
    measured = []
    for version in ("2", "1", "2"):
        score(DATASET, night, runtime=world, model_version=version)
        reconcile(DATASET, known, runtime=world)
        newest = world.ledger.latest(PerformanceRecord, DATASET, night)
        measured.append(None if newest is None else newest.model_version)
    assert measured == ["2", "1", "2"]


class MovingChampions(Champions):
    """A real champion that somebody rolls back while a night is being scored."""

    def __init__(self, world: Runtime) -> None:
        super().__init__(Database(world.settings.ledger_url))
        self._world, self._n_looks = world, 0

    def present(self, dataset: str) -> ChampionMove | None:
        seen = super().present(dataset)
        self._n_looks += 1
        if self._n_looks == 1:
            rollback(dataset, runtime=self._world, actor="ada", reason="odd")
        return seen


def test_a_slow_scoring_does_not_leave_the_predictions_of_a_former_champion(world: Runtime) -> None:
    slow = Runtime(settings=world.settings, params=world.params)
    slow.ledger.__dict__["champions"] = MovingChampions(world)
    record = score(DATASET, NIGHTS[0], runtime=slow)
    assert record.model_version == "1"
    assert pc.unique(predictions(world, NIGHTS[0])["model_version"]).to_pylist() == ["1"]


def test_what_a_promotion_supersedes_is_kept_with_its_reason(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path, "rivals")
    toy_world.crown(world, "1")
    score(DATASET, NIGHTS[0], runtime=world)
    toy_world.gate(DATASET, "2", runtime=world)
    promote(DATASET, "2", runtime=world, actor="bea", note="looks good")
    score(DATASET, NIGHTS[0], runtime=world)
    (batch,) = superseded(world, NIGHTS[0])
    assert (batch["superseded_actor"], batch["superseded_by"]) == ("bea", "2")
    assert batch["superseded_reason"].startswith("v2 was promoted: looks good")
