"""A new champion that is worse than the one before would have been is taken back; no other is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import toy_world
from shadowed_nights import crown, day, pass_nights, relabel
from toy_world import DATASET

from pipelines.errors import ConflictError, IntegrityError
from pipelines.records import ChampionMove, Message, WatchRecord
from pipelines.registry.mlflow_registry import CHAMPION
from pipelines.registry.watching import watch_sentence
from pipelines.runtime import Runtime
from pipelines.steps.gate import gate
from pipelines.steps.rollback import rollback
from pipelines.steps.watch import watch

WEAK, STRONG = "1", "2"


def open_world(tmp_path: Path, *champions: str, **promotion: object) -> Runtime:
    """Return a world in which versions were promoted one after the other."""
    # Without a limit no clean process is started, which takes seconds.
    rules = {"max_load_seconds": None, "max_load_megabytes": None, **promotion}
    world = toy_world.open_world(tmp_path, "rivals", promotion=rules)
    crown(world, *champions)
    return world


def look(world: Runtime, n: int) -> WatchRecord:
    record = watch(DATASET, day(n), runtime=world)
    assert record is not None
    return record


def champion(world: Runtime) -> tuple[int, str, str]:
    move = world.ledger.champions.present(DATASET)
    assert move is not None
    return move.sequence, move.model_version, move.actor


def told(world: Runtime) -> list[Message]:
    return [message for message in world.ledger.outbox.newest(DATASET) if "rolled back" in message.title]


@pytest.fixture(scope="module")
def worse(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """Return a world in which the weak model followed the strong one, and was watched night by night."""
    world = open_world(tmp_path_factory.mktemp("worse"), STRONG, WEAK)
    for n in range(1, 13):
        pass_nights(world, n, n)
        watch(DATASET, day(n), runtime=world)
        if champion(world)[1] == STRONG:
            break
    return world


def test_a_worse_champion_is_taken_back_by_the_watch(worse: Runtime) -> None:
    move = worse.ledger.champions.present(DATASET)
    assert move is not None
    assert (move.sequence, move.model_version, move.previous_version) == (3, STRONG, WEAK)
    assert (move.action, move.actor) == ("rollback", "watch")
    assert "worse beyond doubt" in move.reason
    assert worse.registry.alias(DATASET, CHAMPION) == STRONG


def test_people_are_told_once_and_why(worse: Runtime) -> None:
    newest = worse.ledger.latest(WatchRecord, DATASET)
    assert newest is not None
    for _ in range(2):
        watch(DATASET, newest.partition_key, runtime=worse)
    messages = told(worse)
    assert len(messages) == 1
    assert messages[0].title == "toy: rolled back to v2"
    assert "watch asked for it: v1 had auc" in messages[0].cause
    assert "v2 would have had" in messages[0].cause


def test_every_night_of_the_watch_is_on_record(worse: Runtime) -> None:
    records = worse.ledger.history(WatchRecord, DATASET, subject="2")
    assert [record.partition_key for record in records] == [day(n + 1) for n in range(len(records))]
    assert [len(record.nights) for record in records] == list(range(len(records)))
    assert [record.verdict for record in records] == ["watching"] * (len(records) - 1) + ["worse"]
    assert records[-1].evidence >= records[-1].threshold == pytest.approx(1 / 0.03)
    assert records[-1].champion_value is not None
    assert records[-1].former_value is not None
    assert records[-1].champion_value < records[-1].former_value


def test_what_was_taken_back_does_not_come_back_through_the_gates(worse: Runtime) -> None:
    failed = {found.name: found for found in gate(DATASET, WEAK, runtime=worse).gates if not found.is_passed}
    assert failed["not_rolled_back"].observed.startswith("rolled back by the watch: v1 had auc ")
    assert failed["not_rolled_back"].required == "not taken back by the watch"


def test_a_better_champion_is_kept_and_then_left_alone(tmp_path: Path) -> None:
    world = open_world(tmp_path, WEAK, STRONG, watch_nights=4)
    pass_nights(world, 1, 6)
    assert [look(world, n).verdict for n in (2, 4, 5)] == ["watching", "watching", "kept"]
    assert look(world, 6).partition_key == day(5)
    assert champion(world) == (2, STRONG, "test")
    assert world.lake.partition_keys(DATASET, "shadow_predictions") == [day(n) for n in (1, 2, 3, 4)]
    assert told(world) == []
    assert "the watch is over" in watch_sentence(look(world, 6))


def test_only_nights_with_mature_labels_count(tmp_path: Path) -> None:
    world = open_world(tmp_path, WEAK, STRONG)
    pass_nights(world, 1, 3)
    assert look(world, 1).nights == ()
    assert look(world, 1).evidence == 1.0
    assert "no night has mature labels" in watch_sentence(look(world, 1))
    assert look(world, 3).nights == (day(1), day(2))


def test_corrected_labels_are_measured_again_and_others_are_not(tmp_path: Path) -> None:
    world = open_world(tmp_path, WEAK, STRONG)
    pass_nights(world, 1, 4)
    before = look(world, 3)
    relabel(world, 1)
    after = look(world, 4)
    assert [each.nights for each in after.watched] == [(day(1),), (day(2),), (day(3),)]
    assert after.watched[0].gain == pytest.approx(-before.watched[0].gain)
    assert after.watched[1] == before.watched[1]


def test_a_repeat_gives_the_same_record_and_an_old_night_changes_nothing(tmp_path: Path) -> None:
    world = open_world(tmp_path, WEAK, STRONG)
    pass_nights(world, 1, 4)
    first, second = look(world, 3), look(world, 3)
    assert first.digest == second.digest
    later = look(world, 4)
    relabel(world, 1)
    assert look(world, 3) == world.ledger.latest(WatchRecord, DATASET, day(3)) != later
    assert len(world.ledger.revisions(WatchRecord, DATASET)) == 2


def test_a_loss_that_is_put_up_with_brings_nobody_back(tmp_path: Path) -> None:
    world = open_world(tmp_path, STRONG, WEAK, watch_margin=0.4)
    pass_nights(world, 1, 8)
    record = look(world, 8)
    assert record.verdict == "watching"
    assert "of which 0.4 is put up with" in watch_sentence(record)
    assert champion(world)[1] == WEAK


@pytest.mark.parametrize(
    "champions",
    [pytest.param((), id="no-champion"), pytest.param((STRONG,), id="the-first-one")],
)
def test_where_there_is_none_before_there_is_no_watch(champions: tuple[str, ...], tmp_path: Path) -> None:
    world = open_world(tmp_path, *champions)
    assert watch(DATASET, day(1), runtime=world) is None


def test_who_a_person_brought_back_is_not_watched(tmp_path: Path) -> None:
    world = open_world(tmp_path, WEAK, STRONG)
    world.registry.set_alias(DATASET, CHAMPION, STRONG)
    rollback(DATASET, runtime=world, actor="ada", reason="odd")
    pass_nights(world, 1, 2)
    assert watch(DATASET, day(2), runtime=world) is None
    assert not world.lake.exists(DATASET, "shadow_predictions")


def test_nights_of_few_rows_are_taken_together(tmp_path: Path) -> None:
    world = open_world(tmp_path, WEAK, STRONG)
    pass_nights(world, 1, 4)
    labels = world.lake.read(DATASET, "labels", partitions=[day(1)]).drop_columns(["partition_key"])
    world.lake.replace(DATASET, "labels", day(1), labels.slice(0, 4))
    record = look(world, 4)
    assert [each.nights for each in record.watched] == [(day(1), day(2)), (day(3),)]
    assert record.nights == (day(1), day(2), day(3))


def test_a_champion_that_moved_meanwhile_is_left_alone(tmp_path: Path) -> None:
    world = open_world(tmp_path, STRONG, WEAK)
    pass_nights(world, 1, 6)
    third = toy_world.challenge(world, tmp_path / "third", toy_world.STRONGER)
    rivalled = Runtime(settings=world.settings, params=world.params)

    class RivalledLedger(type(world.ledger)):  # type: ignore[misc]
        """A real ledger on which somebody promotes v3 as soon as the watch has written its verdict down."""

        def record(self, decision: object) -> bool:
            is_new = bool(super().record(decision))
            if isinstance(decision, WatchRecord):
                crown(world, third)
            return is_new

    rivalled.__dict__["ledger"] = RivalledLedger(world.settings.ledger_url)
    with pytest.raises(ConflictError, match="it has moved meanwhile") as refused:
        look(rivalled, 6)
    assert refused.value.is_retryable
    assert champion(world) == (3, third, "test")
    # Who tries again finds a new promotion, and nothing of it yet.
    assert look(world, 6).nights == ()


def test_a_former_champion_whose_bytes_are_spoilt_does_not_come_back(tmp_path: Path) -> None:
    world = open_world(tmp_path, STRONG, WEAK)
    pass_nights(world, 1, 6)
    trained = world.registry.training_of(DATASET, STRONG)
    stored = Path(world.registry.artifact_uri(trained, "bundle").removeprefix("file://"))
    (stored / "model.json").write_text("{}")
    shutil.rmtree(world.settings.home / "models")
    with pytest.raises(IntegrityError):
        look(world, 6)
    assert champion(world)[1] == WEAK


def test_a_rollback_that_died_half_way_is_finished_by_the_next_look(tmp_path: Path) -> None:
    world = open_world(tmp_path, STRONG, WEAK)
    pass_nights(world, 1, 6)
    world.registry.set_alias(DATASET, CHAMPION, WEAK)
    present = world.ledger.champions.present(DATASET)
    assert present is not None
    # All that a process leaves that is killed just after the ledger's move.
    world.ledger.champions.move(
        ChampionMove(
            dataset=DATASET,
            sequence=3,
            model_version=STRONG,
            previous_version=WEAK,
            action="rollback",
            actor="watch",
            reason="worse beyond doubt",
            evidence_digest="evidence",
            partition_key=present.partition_key,
            moved_at=present.moved_at,
        )
    )
    watch(DATASET, day(6), runtime=world)
    assert world.registry.alias(DATASET, CHAMPION) == STRONG
    assert len(told(world)) == 1
    assert champion(world)[0] == 3
