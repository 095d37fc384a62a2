"""The record is whole, MLflow shows what it says, and it answers who was champion when, and why."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import toy_world
from tampering import tamper
from toy_world import DATASET, LAST_LABELLED, NIGHT

from pipelines.errors import ConfigError, IntegrityError, NotReadyError
from pipelines.records import ChampionNote, GateRecord, shift_partition
from pipelines.registry.champion import head_of
from pipelines.registry.mlflow_registry import CHAMPION
from pipelines.runtime import Runtime
from pipelines.steps.champions import (
    accept_record,
    check_champion,
    repair_alias,
    verify_champion,
)
from pipelines.steps.monitor import monitor
from pipelines.steps.reigns import reign_at
from pipelines.steps.rollback import rollback
from pipelines.steps.score import score


@pytest.fixture
def world(tmp_path: Path) -> Runtime:
    """Return a world in which v1 was champion, then v2."""
    return toy_world.open_world(tmp_path, "champions")


def titles(world: Runtime) -> list[str]:
    return [message.title for message in world.ledger.outbox.newest(DATASET)]


def forget_last_move(world: Runtime) -> None:
    tamper(world.settings.ledger_url, "DELETE FROM champions WHERE sequence = 2")


def test_a_record_that_was_left_alone_verifies(world: Runtime) -> None:
    report = verify_champion(DATASET, runtime=world)
    champion = world.ledger.champions.present(DATASET)
    assert champion is not None
    assert report.is_intact
    assert (report.n_moves, report.alias, report.not_checked) == (2, "2", "")
    assert report.anchor == report.head == head_of(champion)


def test_a_night_puts_an_alias_back_that_was_moved_by_hand(world: Runtime) -> None:
    score(DATASET, LAST_LABELLED, runtime=world)
    world.registry.set_alias(DATASET, CHAMPION, "1")
    with pytest.raises(IntegrityError, match="train the model again"):  # and if it can't be judged at all
        monitor(DATASET, LAST_LABELLED, runtime=world)
    assert world.registry.alias(DATASET, CHAMPION) == "2"
    (note,) = world.ledger.revisions(ChampionNote, DATASET)
    assert (note.about, note.found, note.restored, note.sequence) == ("alias", "1", "2", 2)
    assert note.partition_key == LAST_LABELLED
    assert f"{DATASET}: MLflow's alias champion was moved by hand" in titles(world)
    check_champion(DATASET, LAST_LABELLED, runtime=world)
    assert len(world.ledger.revisions(ChampionNote, DATASET)) == 1
    world.registry.set_alias(DATASET, CHAMPION, "1")
    assert repair_alias(DATASET, runtime=world).found == "1"
    assert len(world.ledger.revisions(ChampionNote, DATASET)) == 2


def test_moves_that_are_gone_from_the_end_are_told_until_a_person_accepts_it(world: Runtime) -> None:
    gone = world.ledger.champions.present(DATASET)
    assert gone is not None
    forget_last_move(world)
    for _ in range(2):
        check_champion(DATASET, NIGHT, runtime=world)
    assert titles(world) == [f"{DATASET}: the champion's record was changed"]
    report = verify_champion(DATASET, runtime=world)
    assert [found.sequence for found in report.breaks] == [2]
    assert report.anchor == head_of(gone)
    note = accept_record(DATASET, actor="ada", reason="restored last night's backup", runtime=world)
    assert (note.found, note.sequence) == (str(head_of(gone)), 1)
    assert verify_champion(DATASET, runtime=world).is_intact
    assert (world.registry.alias(DATASET, CHAMPION), len(titles(world))) == ("1", 1)


def test_a_promotion_after_moves_are_gone_does_not_hide_it(world: Runtime) -> None:
    forget_last_move(world)
    toy_world.crown(world, "2")
    report = verify_champion(DATASET, runtime=world)
    assert [found.sequence for found in report.breaks] == [2]
    assert "another move" in report.breaks[0].problem
    assert report.alias == "2"


def test_before_the_first_champion_there_is_nothing_to_look_after(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path)
    check_champion(DATASET, NIGHT, runtime=world)
    assert verify_champion(DATASET, runtime=world).is_intact
    assert reign_at(DATASET, NIGHT, runtime=world).move is None
    with pytest.raises(NotReadyError, match="no champion yet"):
        repair_alias(DATASET, runtime=world)


def test_who_was_champion_and_why(world: Runtime) -> None:
    score(DATASET, LAST_LABELLED, runtime=world)
    back = rollback(DATASET, runtime=world, actor="ada", reason="odd")
    first, second, third = world.ledger.champions.history(DATASET)
    assert third == back
    by_moment = reign_at(DATASET, second.moved_at.isoformat(), runtime=world)
    assert (by_moment.move, by_moment.until) == (second, third.moved_at)
    evidence = world.ledger.find(GateRecord, DATASET, second.evidence_digest)
    assert by_moment.evidence == evidence is not None
    naive = (third.moved_at + timedelta(seconds=1)).replace(tzinfo=None)
    now = reign_at(DATASET, naive.isoformat(), runtime=world)
    assert (now.move, now.until) == (third, None)
    assert now.evidence == world.ledger.find(GateRecord, DATASET, first.evidence_digest)
    assert reign_at(DATASET, "2001-01-01T00:00:00", runtime=world).move is None


def test_for_a_night_it_also_says_whose_predictions_are_in_force(world: Runtime) -> None:
    score(DATASET, LAST_LABELLED, runtime=world, model_version="1")
    reign = reign_at(DATASET, LAST_LABELLED, runtime=world)
    assert (reign.move, reign.scored_by) == (None, "1")
    reign = reign_at(DATASET, shift_partition(NIGHT, 5), runtime=world)
    assert reign.move is not None
    assert (reign.move.model_version, reign.scored_by) == ("2", None)


@pytest.mark.parametrize("asked", ["yesterday", "2013-02-30", "2013-07-04T25:00"])
def test_what_is_no_time_is_said_to_be_none(world: Runtime, asked: str) -> None:
    with pytest.raises(ConfigError):
        reign_at(DATASET, asked, runtime=world)
