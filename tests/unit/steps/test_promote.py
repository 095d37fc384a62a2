"""The champion moves once per evidence, only against the champion that the evidence names."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import toy_world
from toy_world import DATASET, NIGHT, STRONGER

from pipelines.errors import ConfigError, ConflictError, NotReadyError
from pipelines.ledger.champions import Champions
from pipelines.ledger.database import Database
from pipelines.records import ChampionMove, GateRecord
from pipelines.registry.mlflow_registry import CHAMPION
from pipelines.runtime import Runtime
from pipelines.steps.gate import gate
from pipelines.steps.promote import promote
from pipelines.steps.rollback import rollback


@pytest.fixture
def world(tmp_path: Path) -> Runtime:
    """Return a world with a weak model registered as v1, and a strong one as v2."""
    return toy_world.open_world(tmp_path, "rivals")


WEAK, STRONG = "1", "2"


def gated(world: Runtime, version: str = STRONG) -> str:
    gate(DATASET, version, runtime=world)
    return version


def stronger(world: Runtime, folder: Path) -> str:
    return gated(world, toy_world.challenge(world, folder, STRONGER))


def status(world: Runtime) -> str:
    retraining = world.ledger.retraining(DATASET, NIGHT)
    assert retraining is not None
    return retraining.status


def test_a_challenger_that_passed_becomes_champion(world: Runtime, tmp_path: Path) -> None:
    world.ledger.open_retraining(DATASET, NIGHT, status="requested", reason="drift")
    version = gated(world)
    decision = promote(DATASET, version, runtime=world, actor="ada", note="looks good")
    champion = world.ledger.champions.present(DATASET)
    evidence = world.ledger.latest(GateRecord, DATASET, subject=version)
    assert champion is not None
    assert evidence is not None
    assert (decision.is_promoted, decision.sequence, decision.partition_key) == (True, 1, NIGHT)
    assert (champion.model_version, champion.evidence_digest) == (version, evidence.digest)
    assert champion.actor == "ada"
    assert champion.reason == "looks good (passed 15 gates; no champion yet)"
    assert world.registry.alias(DATASET, CHAMPION) == version
    assert status(world) == "promoted"


def test_a_challenger_that_failed_is_refused_by_value(world: Runtime, tmp_path: Path) -> None:
    first = toy_world.crown(world, STRONG)
    world.ledger.open_retraining(DATASET, NIGHT, status="requested", reason="drift")
    decision = promote(DATASET, gated(world, WEAK), runtime=world, actor="ada")
    assert not decision.is_promoted
    assert decision.sequence is None
    assert "beats_champion (auc gain over v2" in decision.reason
    assert world.registry.alias(DATASET, CHAMPION) == first
    assert status(world) == "refused"


def test_a_repeat_is_the_same_decision_and_no_second_move(world: Runtime, tmp_path: Path) -> None:
    version = gated(world)
    decisions = [promote(DATASET, version, runtime=world, actor="ada") for _ in range(3)]
    assert decisions == [decisions[0]] * 3
    assert len(world.ledger.champions.history(DATASET)) == 1


def test_a_late_repeat_never_undoes_a_rollback(world: Runtime, tmp_path: Path) -> None:
    toy_world.crown(world, WEAK)
    version = gated(world, STRONG)
    before = promote(DATASET, version, runtime=world, actor="ada")
    rollback(DATASET, runtime=world, actor="ada", reason="odd")
    assert promote(DATASET, version, runtime=world, actor="ada") == before
    champion = world.ledger.champions.present(DATASET)
    assert champion is not None
    assert (champion.model_version, world.registry.alias(DATASET, CHAMPION)) == ("1", "1")


def test_a_process_killed_between_ledger_and_alias_is_made_good_by_a_repeat(
    world: Runtime, tmp_path: Path
) -> None:
    version = gated(world)
    world.ledger.open_retraining(DATASET, NIGHT, status="registered", reason="drift")
    decision = promote(DATASET, version, runtime=world, actor="ada")
    world.registry.set_alias(DATASET, CHAMPION, WEAK)
    world.ledger.update_retraining(DATASET, NIGHT, status="registered")
    assert promote(DATASET, version, runtime=world, actor="ada") == decision
    assert world.registry.alias(DATASET, CHAMPION) == version
    assert status(world) == "promoted"


def test_a_refusal_repairs_an_alias_moved_by_hand(
    world: Runtime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    champion = toy_world.crown(world, STRONG)
    weak = gated(world, WEAK)
    world.registry.set_alias(DATASET, CHAMPION, weak)
    with caplog.at_level(logging.WARNING):
        promote(DATASET, weak, runtime=world, actor="ada")
    assert world.registry.alias(DATASET, CHAMPION) == champion
    assert "which the ledger did not decide" in caplog.text


def test_a_champion_that_moved_since_is_gated_against_anew(world: Runtime, tmp_path: Path) -> None:
    toy_world.crown(world, WEAK)
    strong, best = gated(world, STRONG), stronger(world, tmp_path)
    assert promote(DATASET, best, runtime=world, actor="ada").is_promoted
    decision = promote(DATASET, strong, runtime=world, actor="ada")
    evidence = world.ledger.latest(GateRecord, DATASET, subject=strong)
    assert evidence is not None
    assert (evidence.champion_version, evidence.champion_sequence) == (best, 2)
    assert decision.is_promoted is evidence.is_passed is False


def test_what_a_person_approved_against_another_champion_is_refused(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path, "rivals", promotion={"approval": "human"})
    toy_world.crown(world, WEAK)
    strong, best = gated(world, STRONG), stronger(world, tmp_path)
    assert promote(DATASET, best, runtime=world, actor="ada").is_promoted
    decision = promote(DATASET, strong, runtime=world, actor="ada")
    assert not decision.is_promoted
    assert "evaluated against v1, and the champion has moved since" in decision.reason


def test_what_was_gated_without_a_champion_is_stale_once_there_is_one(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path, "rivals", promotion={"approval": "human"})
    first, second = gated(world, STRONG), gated(world, WEAK)
    assert promote(DATASET, first, runtime=world, actor="ada").is_promoted
    decision = promote(DATASET, second, runtime=world, actor="ada")
    assert "evaluated against no champion" in decision.reason


class ContestedChampions(Champions):
    """A real champion that a rival moves first, each time that we are about to."""

    def __init__(self, url: str, *, n_rivals: int) -> None:
        super().__init__(Database(url))
        self._n_rivals = n_rivals

    def move(self, move: ChampionMove) -> ChampionMove:
        if self._n_rivals:
            self._n_rivals -= 1
            rival = move.model_copy(
                update={"model_version": "1", "evidence_digest": f"rival {move.sequence}"}
            )
            super().move(rival)
        return super().move(move)


def contested(world: Runtime, n_rivals: int) -> Runtime:
    """Return the same world with rivals at the moment of the move."""
    rivalled = Runtime(settings=world.settings, params=world.params)
    rivalled.ledger.__dict__["champions"] = ContestedChampions(world.settings.ledger_url, n_rivals=n_rivals)
    return rivalled


def test_who_loses_the_race_is_gated_against_the_winner(world: Runtime, tmp_path: Path) -> None:
    toy_world.crown(world, WEAK)
    version = gated(world, STRONG)
    decision = promote(DATASET, version, runtime=contested(world, 1), actor="ada")
    assert (decision.is_promoted, decision.sequence) == (True, 3)


def test_a_champion_that_never_rests_is_a_conflict_to_be_tried_again(world: Runtime, tmp_path: Path) -> None:
    toy_world.crown(world, WEAK)
    version = gated(world, STRONG)
    with pytest.raises(ConflictError, match="kept moving") as caught:
        promote(DATASET, version, runtime=contested(world, 9), actor="ada")
    assert caught.value.is_retryable


def test_without_gates_there_is_no_promotion(world: Runtime, tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="run `holdfast gate toy 1`"):
        promote(DATASET, WEAK, runtime=world, actor="ada")


def test_an_unknown_version_is_told_with_the_known_ones(world: Runtime, tmp_path: Path) -> None:
    gated(world)
    with pytest.raises(ConfigError, match=r"no model version '9'\. Known: 1, 2\."):
        promote(DATASET, "9", runtime=world, actor="ada")


def test_a_later_refusal_does_not_rewrite_a_promoted_retraining(world: Runtime, tmp_path: Path) -> None:
    world.ledger.open_retraining(DATASET, NIGHT, status="requested", reason="drift")
    version = toy_world.crown(world, WEAK)
    toy_world.crown(world, STRONG)
    world.ledger.update_retraining(DATASET, NIGHT, status="promoted")
    gate(DATASET, version, runtime=world)
    assert not promote(DATASET, version, runtime=world, actor="ada").is_promoted
    assert status(world) == "promoted"
