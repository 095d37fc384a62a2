"""The ledger says who is champion; MLflow's alias follows, whoever moved it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient

from pipelines.errors import ConflictError
from pipelines.ledger.champions import Champions
from pipelines.ledger.database import Database
from pipelines.ledger.ledger import Ledger
from pipelines.records import ChainHead, ChampionMove, now_utc
from pipelines.registry.champion import Projection, head_of, move_by, project_champion, version_before
from pipelines.registry.mlflow_registry import CHAMPION
from pipelines.runtime import Runtime


def moves_of(steps: list[tuple[str, str]]) -> list[ChampionMove]:
    """Return the history that ``(action, version)`` pairs give."""
    moves: list[ChampionMove] = []
    for action, version in steps:
        moves.append(
            ChampionMove.model_validate(
                {
                    "dataset": "toy",
                    "sequence": len(moves) + 1,
                    "model_version": version,
                    "previous_version": moves[-1].model_version if moves else None,
                    "action": action,
                    "actor": "ada",
                    "reason": "",
                    "evidence_digest": f"evidence {len(moves) + 1}",
                    "partition_key": "2013-01-21",
                    "moved_at": now_utc(),
                }
            )
        )
    return moves


@pytest.mark.parametrize(
    ("steps", "before"),
    [
        pytest.param([], None, id="no-champion"),
        pytest.param([("promote", "1")], None, id="the-first"),
        pytest.param([("promote", "1"), ("promote", "2")], "1", id="the-one-before"),
        pytest.param([("promote", "1"), ("promote", "2"), ("rollback", "1")], None, id="undone-already"),
        pytest.param(
            [("promote", "1"), ("promote", "2"), ("promote", "3"), ("rollback", "1")], None, id="gone-further"
        ),
        pytest.param(
            [("promote", "1"), ("promote", "2"), ("rollback", "1"), ("promote", "3")], "1", id="promoted-anew"
        ),
        pytest.param(
            [("promote", "1"), ("promote", "2"), ("rollback", "1"), ("rollback", "2")], "1", id="brought-back"
        ),
    ],
)
def test_the_version_before_is_what_the_latest_promotion_replaced(
    steps: list[tuple[str, str]], before: str | None
) -> None:
    assert version_before(moves_of(steps)) == before


@given(st.lists(st.sampled_from(["promote", "undo"]), max_size=12))
def test_undoing_twice_in_a_row_is_undoing_once(actions: list[str]) -> None:
    steps: list[tuple[str, str]] = []
    for number, action in enumerate(actions):
        target = version_before(moves_of(steps))
        if action == "promote":
            steps.append(("promote", str(number)))
        elif target is not None:
            steps.append(("rollback", target))
            assert version_before(moves_of(steps)) is None


def test_a_move_is_found_by_its_evidence() -> None:
    moves = moves_of([("promote", "1"), ("promote", "2")])
    assert move_by("evidence 2", moves) == moves[1]
    assert move_by("other", moves) is None


class RestlessChampions(Champions):
    """Real moves, to which somebody adds v2 and v1 in turn right after each look at the champion."""

    def __init__(self, url: str, *, n_moves: int) -> None:
        super().__init__(Database(url))
        self._n_moves = n_moves

    def present(self, dataset: str) -> ChampionMove | None:
        seen = super().present(dataset)
        history = self.history(dataset)
        if len(history) <= self._n_moves:
            steps = [(move.action, move.model_version) for move in history]
            other = "1" if steps[-1][1] == "2" else "2"
            self.move(moves_of([*steps, ("promote", other)])[-1])
        return seen


def test_without_a_champion_there_is_no_alias(world: Runtime) -> None:
    assert project_champion("toy", ledger=world.ledger, registry=world.registry) is None
    assert world.registry.alias("toy", CHAMPION) is None


def project(world: Runtime) -> Projection:
    """Project the toy's champion, as every step does."""
    shown = project_champion("toy", ledger=world.ledger, registry=world.registry)
    assert shown is not None
    return shown


def test_the_alias_shows_the_champion_and_the_head_is_anchored(rivals: Runtime) -> None:
    for move in moves_of([("promote", "1"), ("promote", "2")]):
        moved = rivals.ledger.champions.move(move)
        assert project(rivals) == Projection(champion=moved)
        assert rivals.registry.alias("toy", CHAMPION) == move.model_version
        assert rivals.registry.anchored_head("toy") == head_of(moved)


@pytest.mark.parametrize(
    "by_hand",
    [pytest.param("2", id="to-one-before"), pytest.param(None, id="taken-away")],
)
def test_an_alias_moved_by_hand_is_put_back(rivals: Runtime, by_hand: str | None) -> None:
    for move in moves_of([("promote", "2"), ("promote", "1")]):
        rivals.ledger.champions.move(move)
        project(rivals)
    client = MlflowClient(rivals.settings.mlflow_uri, registry_uri=rivals.settings.mlflow_uri)
    if by_hand is None:
        client.delete_registered_model_alias("toy", CHAMPION)
    else:
        rivals.registry.set_alias("toy", CHAMPION, by_hand)
    shown = project(rivals)
    assert (shown.is_repaired, shown.found) == (True, by_hand)
    assert rivals.registry.alias("toy", CHAMPION) == "1"
    assert not project(rivals).is_repaired


def test_what_a_killed_process_left_behind_is_nobodys_hand(rivals: Runtime) -> None:
    for move in moves_of([("promote", "1"), ("promote", "2"), ("rollback", "1")]):
        rivals.ledger.champions.move(move)
        if move.sequence == 1:
            project(rivals)
    assert not project(rivals).is_repaired
    rivals.registry.set_alias("toy", CHAMPION, "2")
    rivals.registry.anchor_head("toy", head_of(rivals.ledger.champions.history("toy")[1]))
    assert not project(rivals).is_repaired
    assert rivals.registry.alias("toy", CHAMPION) == "1"


def test_a_head_that_the_ledger_does_not_know_is_left_and_told(rivals: Runtime) -> None:
    moved = rivals.ledger.champions.move(moves_of([("promote", "1")])[0])
    gone = ChainHead(sequence=2, digest="f" * 64)
    project(rivals)
    rivals.registry.anchor_head("toy", gone)
    assert project(rivals) == Projection(champion=moved, contradiction=gone)
    assert rivals.registry.anchored_head("toy") == gone
    assert rivals.registry.alias("toy", CHAMPION) == "1"


def test_a_slow_projection_never_leaves_a_champion_of_the_past(rivals: Runtime) -> None:
    rivals.ledger.champions.move(moves_of([("promote", "1")])[0])
    restless = Ledger(rivals.settings.ledger_url)
    restless.__dict__["champions"] = RestlessChampions(rivals.settings.ledger_url, n_moves=3)
    project_champion("toy", ledger=restless, registry=rivals.registry)
    newest = rivals.ledger.champions.history("toy")[-1]
    assert (newest.sequence, rivals.registry.alias("toy", CHAMPION)) == (4, newest.model_version)


def test_a_champion_that_never_rests_is_a_conflict(rivals: Runtime) -> None:
    rivals.ledger.champions.move(moves_of([("promote", "1")])[0])
    restless = Ledger(rivals.settings.ledger_url)
    restless.__dict__["champions"] = RestlessChampions(rivals.settings.ledger_url, n_moves=99)
    with pytest.raises(ConflictError, match="kept moving"):
        project_champion("toy", ledger=restless, registry=rivals.registry)
