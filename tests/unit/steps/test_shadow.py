"""What scores in the champion's shadow scores the same rows, and nobody is given its predictions."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
import toy_world
from shadowed_nights import crown, day, pass_nights, relabel
from toy_world import DATASET, NIGHT

from pipelines.errors import IntegrityError, NotReadyError
from pipelines.records import GateRecord, GateResult, ScoringRecord, ShadowRecord, ShadowScoringRecord
from pipelines.runtime import Runtime
from pipelines.steps.gate import gate
from pipelines.steps.promote import promote
from pipelines.steps.score import score
from pipelines.steps.shadow import shadow
from pipelines.steps.shadow_state import await_shadow, challenger_to_gate

WEAK, STRONG = "1", "2"


def open_world(tmp_path: Path, **promotion: object) -> Runtime:
    """Return a world with v1 (weak) and v2 (strong), neither of them promoted."""
    # Without a limit no clean process is started, which takes seconds.
    rules = {"max_load_seconds": None, "max_load_megabytes": None, **promotion}
    return toy_world.open_world(tmp_path, "rivals", promotion=rules)


def scored(world: Runtime, night: str, version: str) -> dict[str, float]:
    """Return the shadow predictions of a night by one version, by row."""
    rows = world.lake.read(DATASET, "shadow_predictions", partitions=[night])
    rows = rows.filter(pc.equal(rows["model_version"], version))
    return dict(zip(rows["row_id"].to_pylist(), rows["prediction"].to_pylist(), strict=True))


def shadow_result(record: GateRecord) -> GateResult | None:
    return next((found for found in record.gates if found.name == "better_in_shadow"), None)


def test_the_champion_before_scores_the_same_rows_as_the_new_one(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    crown(world, WEAK, STRONG)
    pass_nights(world, 1, 1)
    public = world.lake.read(DATASET, "predictions", partitions=[day(1)])
    found = scored(world, day(1), WEAK)
    assert set(found) == set(public["row_id"].to_pylist())
    assert pc.unique(public["model_version"]).to_pylist() == [STRONG]
    score(DATASET, day(1), runtime=world, model_version=WEAK)
    by_itself = world.lake.read(DATASET, "predictions", partitions=[day(1)])
    expected = dict(zip(by_itself["row_id"].to_pylist(), by_itself["prediction"].to_pylist(), strict=True))
    assert found == expected


def test_a_row_that_was_withheld_from_the_public_is_withheld_in_the_shadow(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    crown(world, WEAK, STRONG)
    toy_world.publish(world, [day(1)])
    score(DATASET, day(1), runtime=world)
    public = world.lake.read(DATASET, "predictions", partitions=[day(1)])
    world.lake.replace(DATASET, "predictions", day(1), public.drop_columns(["partition_key"]).slice(7))
    record = shadow(DATASET, day(1), runtime=world)[0]
    assert record.n_rows == public.num_rows - 7


def test_a_repeat_changes_nothing(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    crown(world, WEAK, STRONG)
    pass_nights(world, 1, 1)
    version = world.lake.version(DATASET, "shadow_predictions")
    record = world.ledger.latest(ShadowScoringRecord, DATASET, day(1))
    assert [found.digest for found in shadow(DATASET, day(1), runtime=world)] == [record and record.digest]
    assert world.lake.version(DATASET, "shadow_predictions") == version
    assert len(world.ledger.revisions(ShadowScoringRecord, DATASET)) == 1


@pytest.mark.parametrize(
    ("champions", "watch_nights"),
    [
        pytest.param((STRONG,), 14, id="the-first-champion"),
        pytest.param((WEAK, STRONG), 0, id="no-watch-asked-for"),
    ],
)
def test_without_a_version_in_the_shadow_nothing_is_scored(
    champions: tuple[str, ...], watch_nights: int, tmp_path: Path
) -> None:
    world = open_world(tmp_path, watch_nights=watch_nights)
    crown(world, *champions)
    pass_nights(world, 1, 1)
    assert not world.lake.exists(DATASET, "shadow_predictions")


def test_a_day_that_one_of_them_learned_from_is_no_night_of_the_watch(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    crown(world, WEAK, STRONG)
    score(DATASET, toy_world.LAST_LABELLED, runtime=world)
    assert shadow(DATASET, toy_world.LAST_LABELLED, runtime=world) == ()


def test_a_night_that_was_not_scored_has_no_shadow(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    crown(world, WEAK, STRONG)
    with pytest.raises(NotReadyError, match=f"holdfast score toy {day(1)}"):
        shadow(DATASET, day(1), runtime=world)


def test_rows_that_were_published_since_are_scored_in_public_first(tmp_path: Path) -> None:
    world = open_world(tmp_path)
    crown(world, WEAK, STRONG)
    pass_nights(world, 1, 1)
    rows = world.lake.read(DATASET, "validated", partitions=[day(1)]).drop_columns(["partition_key"])
    written = world.lake.replace(DATASET, "validated", day(1), rows.slice(5))
    world.ledger.record(toy_world.validation_of(day(1), written.digest))
    with pytest.raises(NotReadyError, match="published anew after it was scored"):
        shadow(DATASET, day(1), runtime=world)
    score(DATASET, day(1), runtime=world)
    assert shadow(DATASET, day(1), runtime=world)[0].n_rows == rows.num_rows - 5


def test_a_challenger_waits_in_the_shadow_until_its_nights_have_labels(tmp_path: Path) -> None:
    world = open_world(tmp_path, shadow_nights=3)
    crown(world, WEAK)
    state = await_shadow(DATASET, STRONG, runtime=world)
    assert state is not None
    assert state.partition_key == NIGHT
    assert world.ledger.latest(ShadowRecord, DATASET, subject=STRONG) is not None
    pass_nights(world, 1, 3)
    # The labels of the third night come with the fourth.
    waiting = await_shadow(DATASET, STRONG, runtime=world)
    assert waiting is not None
    assert (len(waiting.nights), len(waiting.labelled)) == (3, 2)
    assert challenger_to_gate(DATASET, runtime=world) is None
    early = shadow_result(gate(DATASET, STRONG, runtime=world))
    assert early is not None
    assert not early.is_passed
    assert "scored 3 of 3 nights in the shadow of v1; the labels of 2 are mature" in early.observed
    pass_nights(world, 4, 4)
    assert await_shadow(DATASET, STRONG, runtime=world) is None
    ready = challenger_to_gate(DATASET, runtime=world)
    assert ready is not None
    assert (ready.model_version, ready.labelled) == (STRONG, (day(1), day(2), day(3)))
    # It has scored its three nights: the fourth is none of them.
    assert world.lake.partition_keys(DATASET, "shadow_predictions") == [day(1), day(2), day(3)]


@pytest.mark.parametrize(
    ("champion", "challenger", "is_passed"),
    [
        pytest.param(WEAK, STRONG, True, id="better-live"),
        pytest.param(STRONG, WEAK, False, id="worse-live"),
    ],
)
def test_live_labels_have_a_gate_of_their_own(
    champion: str, challenger: str, is_passed: bool, tmp_path: Path
) -> None:
    world = open_world(tmp_path, shadow_nights=4, min_baseline_gain=0.0)
    crown(world, champion)
    await_shadow(DATASET, challenger, runtime=world)
    pass_nights(world, 1, 5)
    record = gate(DATASET, challenger, runtime=world)
    result = shadow_result(record)
    assert result is not None
    assert result.is_passed is is_passed
    assert result.details["nights"] == [day(n) for n in (1, 2, 3, 4)]
    assert (result.details["gain"] > 0) is is_passed
    assert challenger_to_gate(DATASET, runtime=world) is None
    assert promote(DATASET, challenger, runtime=world, actor="test").is_promoted is is_passed


def test_what_was_better_on_the_holdout_alone_is_refused(tmp_path: Path) -> None:
    world = open_world(tmp_path, shadow_nights=3)
    crown(world, WEAK)
    await_shadow(DATASET, STRONG, runtime=world)
    pass_nights(world, 1, 4)
    for n in (1, 2, 3):
        relabel(world, n)
    record = gate(DATASET, STRONG, runtime=world)
    assert [found.name for found in record.gates if not found.is_passed] == ["better_in_shadow"]


def test_how_sure_the_live_nights_must_be_is_configured(tmp_path: Path) -> None:
    world = open_world(tmp_path, shadow_nights=2, shadow_confidence=0.9999999999)
    crown(world, WEAK)
    await_shadow(DATASET, STRONG, runtime=world)
    pass_nights(world, 1, 3)
    result = shadow_result(gate(DATASET, STRONG, runtime=world))
    assert result is not None
    assert not result.is_passed
    assert result.details["gain"] > 0
    assert "groups of rows of 2 nights in the shadow" in result.observed


def test_a_spoilt_version_keeps_no_other_from_scoring(tmp_path: Path) -> None:
    world = open_world(tmp_path, shadow_nights=2)
    crown(world, WEAK, STRONG)
    third = toy_world.challenge(world, tmp_path / "third", toy_world.STRONGER)
    await_shadow(DATASET, third, runtime=world)
    trained = world.registry.training_of(DATASET, WEAK)
    stored = Path(world.registry.artifact_uri(trained, "bundle").removeprefix("file://"))
    (stored / "model.json").write_text("{}")
    shutil.rmtree(world.settings.home / "models", ignore_errors=True)
    with pytest.raises(IntegrityError):
        pass_nights(world, 1, 1)
    assert len(scored(world, day(1), third)) == 60
    assert scored(world, day(1), WEAK) == {}


def test_a_new_champion_is_another_shadow(tmp_path: Path) -> None:
    world = open_world(tmp_path, shadow_nights=2)
    crown(world, WEAK)
    third = toy_world.challenge(world, tmp_path / "third", toy_world.STRONGER)
    await_shadow(DATASET, third, runtime=world)
    pass_nights(world, 1, 3)
    assert await_shadow(DATASET, third, runtime=world) is None
    crown(world, STRONG)
    state = await_shadow(DATASET, third, runtime=world)
    assert state is not None
    assert (state.champion_version, state.nights) == (STRONG, ())
    pass_nights(world, 4, 4)
    # Beside the new champion score the one before, on watch, and the challenger.
    assert set(scored(world, day(4), WEAK)) == set(scored(world, day(4), third))
    assert len(scored(world, day(4), WEAK)) == 60


def test_what_was_refused_does_not_try_every_new_champion_by_itself(tmp_path: Path) -> None:
    world = open_world(tmp_path, shadow_nights=2)
    crown(world, STRONG)
    await_shadow(DATASET, WEAK, runtime=world)
    pass_nights(world, 1, 3)
    assert not gate(DATASET, WEAK, runtime=world).is_passed
    crown(world, toy_world.challenge(world, tmp_path / "third", toy_world.STRONGER))
    pass_nights(world, 4, 4)
    assert scored(world, day(4), WEAK) == {}
    # Whoever holds it to the gates once more sends it again.
    assert await_shadow(DATASET, WEAK, runtime=world) is not None
    pass_nights(world, 5, 5)
    assert len(scored(world, day(5), WEAK)) == 60


def test_nobody_waits_without_a_champion_or_where_no_shadow_is_asked_for(tmp_path: Path) -> None:
    world = open_world(tmp_path, shadow_nights=3)
    assert await_shadow(DATASET, STRONG, runtime=world) is None
    assert shadow_result(gate(DATASET, STRONG, runtime=world)) is None
    crown(world, WEAK)
    plain = toy_world.open_world(tmp_path, "rivals")
    assert await_shadow(DATASET, STRONG, runtime=plain) is None
    assert shadow_result(gate(DATASET, STRONG, runtime=plain)) is None


def test_a_night_that_another_version_scored_anew_no_longer_counts(tmp_path: Path) -> None:
    world = open_world(tmp_path, shadow_nights=2)
    crown(world, WEAK)
    await_shadow(DATASET, STRONG, runtime=world)
    pass_nights(world, 1, 3)
    assert challenger_to_gate(DATASET, runtime=world) is not None
    score(DATASET, day(1), runtime=world, model_version=STRONG)
    assert challenger_to_gate(DATASET, runtime=world) is None
    newest = world.ledger.latest(ScoringRecord, DATASET, day(1))
    assert newest is not None
    assert newest.model_version == STRONG
    assert np.isfinite(list(scored(world, day(1), STRONG).values())).all()
