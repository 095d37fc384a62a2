"""After a rollback every part of monitoring follows: the nights to come, and those that are scored again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest
import rolled_back_nights
from drift_nights import verdict
from toy_world import DATASET, NIGHT

from pipelines.records import (
    DriftRecord,
    EstimateScore,
    PerformanceRecord,
    partition_range,
    shift_partition,
)
from pipelines.runtime import Runtime
from pipelines.steps.monitor import monitor, open_reference
from pipelines.steps.reconcile import reconcile
from pipelines.steps.rejudge import nights_to_rejudge
from pipelines.steps.rescore import Rescoring, rescore
from pipelines.steps.rollback import rollback
from pipelines.steps.score import score
from pipelines.steps.superseded import Why

BY_SECOND, NEXT = partition_range("2013-01-12", "2013-01-19"), "2013-01-20"
JUDGED, DRIFTING = BY_SECOND[-2:], partition_range(NIGHT, "2013-01-27")
WHY = Why("ada", "v2 was wrong")


class Story(NamedTuple):
    """Nights by v2, a rollback, a night by v1, v2's nights scored again, and a night of another world."""

    world: Runtime
    by_second: list[DriftRecord]
    next_night: DriftRecord
    stale: list[str]
    page_between: str
    rescoring: Rescoring
    told: tuple[list[str], list[str]]
    drifted: DriftRecord


def live(world: Runtime, night: str) -> DriftRecord:
    score(DATASET, night, runtime=world)
    reconcile(DATASET, night, runtime=world)
    return monitor(DATASET, night, runtime=world)


def page(world: Runtime, night: str) -> str:
    return (world.settings.reports / DATASET / night / "index.html").read_text()


def titles(world: Runtime) -> list[str]:
    return [message.title for message in world.ledger.outbox.newest(DATASET)]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    world = rolled_back_nights.open_world(tmp_path_factory.mktemp("rolled-back"))
    for night in BY_SECOND[:-2]:
        score(DATASET, night, runtime=world)
    by_second = [live(world, night) for night in JUDGED]
    rollback(DATASET, runtime=world, actor="ada", reason="odd")
    next_night = live(world, NEXT)
    told_before = titles(world)
    score(DATASET, JUDGED[0], runtime=world)
    stale = nights_to_rejudge(DATASET, BY_SECOND[0], NEXT, runtime=world)
    page_between = page(world, JUDGED[0])
    rescoring = rescore(DATASET, BY_SECOND[0], BY_SECOND[-1], runtime=world, why=WHY)
    told = (told_before, titles(world))
    rolled_back_nights.publish_drifting(world, DRIFTING)
    for night in DRIFTING[:-1]:
        score(DATASET, night, runtime=world)
    drifted = live(world, DRIFTING[-1])
    return Story(world, by_second, next_night, stale, page_between, rescoring, told, drifted)


def newest(world: Runtime, night: str) -> DriftRecord:
    found = world.ledger.latest(DriftRecord, DATASET, night)
    assert found is not None
    return found


def test_the_version_that_was_taken_back_was_judged_by_its_own_reference(story: Story) -> None:
    reference = open_reference(DATASET, "2", runtime=story.world)
    for record in story.by_second:
        assert (record.model_version, record.reference_digest) == ("2", reference.digest)
        assert record.is_confirmed
        assert {"data", "prediction"} <= set(record.kinds)
        assert {column.column for column in record.columns if column.is_drifted} >= {"x"}
        assert {column.column: column.importance for column in record.columns}["x"] == 1.0


def test_the_next_night_is_judged_by_the_reference_of_the_version_gone_back_to(story: Story) -> None:
    record = story.next_night
    reference = open_reference(DATASET, "1", runtime=story.world)
    assert (record.model_version, record.reference_digest) == ("1", reference.digest)
    assert reference.digest != story.by_second[0].reference_digest
    # The nights did not change: against what v1 learned from, they are calm.
    assert (record.kinds, record.is_alarm) == ((), False)
    assert not any(column.is_drifted for column in record.columns)
    assert record.prediction is not None
    assert not record.prediction.is_drifted
    assert record.calibration_digest != story.by_second[0].calibration_digest
    assert not record.is_judged_again


def test_its_estimate_is_of_the_version_gone_back_to(story: Story) -> None:
    first, second = story.next_night.estimate, story.by_second[-1].estimate
    assert first is not None
    assert second is not None
    # v1 ranks by one threshold, v2 by three: what either promised differs by far.
    assert first.reference_value < 0.6 < 0.8 < second.reference_value
    again = newest(story.world, JUDGED[0]).estimate
    assert again is not None
    assert again.reference_value < 0.6


def test_what_a_column_matters_is_worked_out_for_the_version_gone_back_to(story: Story) -> None:
    assert story.drifted.model_version == "1"
    importances = {column.column: column.importance for column in story.drifted.columns}
    assert (importances["x"], story.drifted.is_judged_again) == (1.0, False)
    kept = story.world.settings.home / "calibration"
    assert [len(list(kept.glob(f"importance-{DATASET}-{version}-*.json"))) for version in "12"] == [1, 1]


def test_a_night_that_was_scored_again_is_out_of_date_until_it_is_judged_again(story: Story) -> None:
    assert story.stale == [JUDGED[0]]
    assert "holdfast monitor toy 2013-01-18" in story.page_between
    assert "have taken the place of" in story.page_between
    assert nights_to_rejudge(DATASET, BY_SECOND[0], NEXT, runtime=story.world) == []


def test_nights_that_are_scored_again_are_judged_again_in_one_go(story: Story) -> None:
    # One of them was scored before; nights that nobody had judged wait for their own turn.
    assert story.rescoring.rescored == (*BY_SECOND[:-2], JUDGED[1])
    assert (story.rescoring.judged, story.rescoring.unjudged) == (tuple(JUDGED), {})
    reference = open_reference(DATASET, "1", runtime=story.world)
    for night, before in zip(JUDGED, story.by_second, strict=True):
        again = newest(story.world, night)
        assert (again.model_version, again.reference_digest) == ("1", reference.digest)
        assert (again.is_judged_again, again.is_alarm) == (True, False)
        assert again.predictions_digest != before.predictions_digest
        assert story.world.ledger.revisions(DriftRecord, DATASET, night) == [before, again]
        shown = json.loads((story.world.settings.reports / DATASET / night / "drift.json").read_text())
        assert shown["record"]["digest"] == again.digest
        assert shown["performance"]["model_version"] == "1"
        assert "It was judged again" in page(story.world, night)


def test_performance_is_measured_again_by_the_labels_that_are_known_by_now(story: Story) -> None:
    for night in BY_SECOND:
        found = story.world.ledger.revisions(PerformanceRecord, DATASET, night)
        assert [record.model_version for record in found] == ["2", "1"]
        assert found[-1].known_at == NEXT
        assert found[0].metrics["auc"] > found[-1].metrics["auc"]
    scores = [
        (score.partition_key, score.model_version)
        for score in story.world.ledger.revisions(EstimateScore, DATASET)
        if score.partition_key in JUDGED
    ]
    assert scores == [(night, version) for version in ("2", "1") for night in JUDGED]


def test_an_old_night_measures_another_version_by_what_a_later_one_knew(story: Story, tmp_path: Path) -> None:
    world, night = rolled_back_nights.open_world(tmp_path), BY_SECOND[0]
    score(DATASET, night, runtime=world)
    reconcile(DATASET, shift_partition(night, 3), runtime=world)
    rollback(DATASET, runtime=world, actor="ada", reason="odd")
    score(DATASET, night, runtime=world)
    reconcile(DATASET, shift_partition(night, 1), runtime=world)
    found = world.ledger.revisions(PerformanceRecord, DATASET, night)
    later = shift_partition(night, 3)
    assert [(record.model_version, record.known_at) for record in found] == [("2", later), ("1", later)]


def test_nobody_is_told_again_and_no_second_incident_opens(story: Story) -> None:
    before, after = story.told
    assert after == before
    (episode,) = story.world.ledger.episodes.list(DATASET)
    assert episode.model_version == "2"


def test_a_repeat_judges_nothing_again(story: Story) -> None:
    n_verdicts = len(story.world.ledger.revisions(DriftRecord, DATASET))
    n_measured = len(story.world.ledger.revisions(PerformanceRecord, DATASET))
    again = rescore(DATASET, BY_SECOND[0], BY_SECOND[-1], runtime=story.world, why=WHY)
    assert (again.rescored, again.judged) == ((), ())
    assert len(story.world.ledger.revisions(DriftRecord, DATASET)) == n_verdicts
    assert len(story.world.ledger.revisions(PerformanceRecord, DATASET)) == n_measured
    # As a run of the night's own does, that Airflow starts for each night that is scored again.
    before = newest(story.world, JUDGED[0])
    assert monitor(DATASET, JUDGED[0], runtime=story.world).digest == before.digest


def test_a_night_that_can_not_be_judged_keeps_its_verdict_and_does_not_stop_the_others(
    tmp_path: Path,
) -> None:
    world = rolled_back_nights.open_world(tmp_path)
    for night in JUDGED:
        score(DATASET, night, runtime=world)
        world.ledger.record(verdict(night, version="2", dataset=DATASET))
    rollback(DATASET, runtime=world, actor="ada", reason="odd")
    reference = world.registry.reference(DATASET, "1")
    reference.chmod(0o644)
    reference.write_bytes(b"changed")
    trained = world.registry.training_of(DATASET, "1")
    stored = Path(world.registry.artifact_uri(trained, "reference.parquet").removeprefix("file://"))
    stored.write_bytes(b"changed")
    done = rescore(DATASET, JUDGED[0], JUDGED[1], runtime=world, why=WHY)
    assert (done.rescored, done.judged) == (tuple(JUDGED), ())
    assert set(done.unjudged) == set(JUDGED)
    assert newest(world, JUDGED[0]).model_version == "2"
    assert nights_to_rejudge(DATASET, JUDGED[0], JUDGED[1], runtime=world) == JUDGED
