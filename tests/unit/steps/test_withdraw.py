"""A challenger that a person took out of the shadow stays out, on record, until a person lets it in again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import toy_world
from shadowed_nights import crown, day, pass_nights
from toy_world import DATASET, NIGHT

from pipelines.errors import ConfigError, NotReadyError
from pipelines.records import ShadowScoringRecord, ShadowWithdrawal
from pipelines.runtime import Runtime
from pipelines.steps.card import card_facts
from pipelines.steps.challengers import standings
from pipelines.steps.gate import gate
from pipelines.steps.shadow_state import await_shadow, challenger_to_gate
from pipelines.steps.withdraw import resume, withdraw

WEAK, STRONG = "1", "2"
WHY = {"actor": "ada", "reason": "its features are wrong"}


@pytest.fixture
def world(tmp_path: Path) -> Runtime:
    """Return a world whose strong challenger has scored one of two nights in the shadow."""
    rules = {"shadow_nights": 2, "max_load_seconds": None, "max_load_megabytes": None}
    opened = toy_world.open_world(tmp_path, "rivals", promotion=rules)
    crown(opened, WEAK)
    await_shadow(DATASET, STRONG, runtime=opened)
    pass_nights(opened, 1, 1)
    return opened


def nights_of(world: Runtime) -> list[str]:
    found = world.ledger.history(ShadowScoringRecord, DATASET, subject=STRONG)
    return [record.partition_key for record in found]


def test_out_of_the_shadow_it_scores_no_more_and_its_gates_refuse_it(world: Runtime) -> None:
    withdraw(DATASET, STRONG, runtime=world, **WHY)
    # What Airflow runs again by itself sends it nowhere.
    assert await_shadow(DATASET, STRONG, runtime=world) is None
    pass_nights(world, 2, 4)
    assert nights_of(world) == [day(1)]
    assert challenger_to_gate(DATASET, runtime=world) is None
    record = gate(DATASET, STRONG, runtime=world)
    (failed,) = [result for result in record.gates if not result.is_passed]
    assert failed.name == "better_in_shadow"
    assert failed.observed.endswith("taken out of the shadow by ada: its features are wrong")
    assert standings(DATASET, runtime=world) == {STRONG: "out of the shadow, by ada"}


def test_let_in_again_its_nights_so_far_count_and_its_gates_follow(world: Runtime) -> None:
    withdraw(DATASET, STRONG, runtime=world, **WHY)
    pass_nights(world, 2, 2)
    gate(DATASET, STRONG, runtime=world)
    said = resume(DATASET, STRONG, runtime=world, actor="ada", reason="they were right")
    assert resume(DATASET, STRONG, runtime=world, actor="bob", reason="again") == said
    pass_nights(world, 3, 4)
    assert nights_of(world) == [day(1), day(3)]
    ready = challenger_to_gate(DATASET, runtime=world)
    assert ready is not None
    assert ready.labelled == (day(1), day(3))
    assert gate(DATASET, STRONG, runtime=world).is_passed
    told = card_facts(DATASET, STRONG, runtime=world).said
    assert [sentence.partition("UTC: ")[2] for sentence in told] == [
        "taken out of the shadow by ada: its features are wrong",
        "let into the shadow again by ada: they were right",
    ]


def test_a_repeat_changes_nothing_and_tells_of_the_first_time(world: Runtime) -> None:
    said = withdraw(DATASET, STRONG, runtime=world, **WHY)
    assert withdraw(DATASET, STRONG, runtime=world, actor="bob", reason="me too") == said
    assert len(world.ledger.revisions(ShadowWithdrawal, DATASET)) == 1
    resume(DATASET, STRONG, runtime=world, **WHY)
    assert withdraw(DATASET, STRONG, runtime=world, **WHY).is_withdrawn
    assert len(world.ledger.revisions(ShadowWithdrawal, DATASET)) == 3


def test_two_people_at_once_take_it_out_once(world: Runtime) -> None:
    with ThreadPoolExecutor(4) as people:
        found = list(people.map(lambda _: withdraw(DATASET, STRONG, runtime=world, **WHY), range(4)))
    assert {said.digest for said in found} == {found[0].digest}
    assert len(world.ledger.revisions(ShadowWithdrawal, DATASET)) == 1


def test_its_retraining_is_closed_so_that_another_may_start(world: Runtime) -> None:
    world.ledger.open_retraining(DATASET, NIGHT, status="requested", reason="drift")
    world.ledger.update_retraining(DATASET, NIGHT, status="registered", model_version=STRONG)
    withdraw(DATASET, STRONG, runtime=world, **WHY)
    closed = world.ledger.retraining(DATASET, NIGHT)
    assert closed is not None
    assert (closed.status, closed.reason) == (
        "refused",
        "v2 was taken out of the shadow by ada: its features are wrong",
    )


def test_who_is_not_in_the_shadow_is_not_taken_out_of_it(world: Runtime) -> None:
    with pytest.raises(NotReadyError, match=r"v1 of toy is not in the champion's shadow.* v2"):
        withdraw(DATASET, WEAK, runtime=world, **WHY)
    with pytest.raises(ConfigError, match="no model version '7'"):
        withdraw(DATASET, "7", runtime=world, **WHY)
    with pytest.raises(NotReadyError, match="there is nothing to undo"):
        resume(DATASET, STRONG, runtime=world, **WHY)
    pass_nights(world, 2, 3)
    gate(DATASET, STRONG, runtime=world)
    with pytest.raises(NotReadyError, match="No challenger is"):
        withdraw(DATASET, STRONG, runtime=world, **WHY)
