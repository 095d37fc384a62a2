"""A passport says what made a model and who decided about it, and whether that still holds."""

from __future__ import annotations

from pathlib import Path

import pytest
import toy_world
from toy_world import DATASET, STRONG

from pipelines.errors import ConfigError, NotReadyError
from pipelines.registry.passport import ModelPassport
from pipelines.runtime import Runtime
from pipelines.steps.gate import gate
from pipelines.steps.rollback import rollback
from pipelines.steps.show import render_passport, show_model


@pytest.fixture
def world(tmp_path: Path) -> Runtime:
    """Return a world in which v1 was champion, then v2."""
    return toy_world.open_world(tmp_path, "champions")


def stored(world: Runtime, version: str, path: str) -> Path:
    trained = world.registry.training_of(DATASET, version)
    return Path(world.registry.artifact_uri(trained, path).removeprefix("file://"))


def test_the_champion_tells_what_made_it(world: Runtime) -> None:
    passport = show_model(DATASET, "champion", runtime=world)
    trained = world.registry.training_of(DATASET, "2")
    assert (passport.model_version, passport.aliases) == ("2", ("champion", "challenger"))
    assert passport.trained == trained
    assert passport.n_digests == {"events": 20, "labels": 20}
    assert passport.config == world.dataset(DATASET).model_dump(mode="json")
    assert passport.is_intact == dict.fromkeys(("snapshot", "configuration", "environment", "bundle"), True)
    assert passport.promotion is not None
    assert passport.evidence is not None
    assert passport.promotion.evidence_digest == passport.evidence.digest
    assert [move.model_version for move in passport.history] == ["1", "2"]
    assert ModelPassport.model_validate(passport.to_json()) == passport


def test_the_terminal_shows_it_all(world: Runtime) -> None:
    text = render_passport(show_model(DATASET, "champion", runtime=world))
    for part in (
        "toy v2 @champion @challenger",
        "2013-01-01 to 2013-01-20, held out from 2013-01-16",
        "20 days, 1200 rows",
        "over the digests of 20 events, 20 labels partitions, checked",
        "commit c0ffee",
        "reason          drift of x",
        "promoted        by test at ",
        "pass  beats_champion: auc gain over v1",
        "1. promote v1",
        "* 2. promote v2",
    ):
        assert part in text
    assert "NOT WHAT WAS RECORDED" not in text


def test_a_rolled_back_champion_shows_the_rollback_and_the_gates_it_once_passed(world: Runtime) -> None:
    rollback(DATASET, runtime=world, actor="ada", reason="odd on site north")
    passport = show_model(DATASET, "champion", runtime=world)
    assert (passport.model_version, passport.aliases) == ("1", ("champion",))
    assert passport.evidence is not None
    assert passport.evidence.is_passed
    text = render_passport(passport)
    assert "brought back    by ada" in text
    assert "odd on site north" in text


def test_a_challenger_that_failed_shows_why(world: Runtime, tmp_path: Path) -> None:
    version = toy_world.challenge(world, tmp_path / "bad", STRONG._replace(height=-0.5), is_dirty=True)
    before = render_passport(show_model(DATASET, "challenger", runtime=world))
    assert "its gates were not evaluated yet" in before
    gate(DATASET, version, runtime=world)
    text = render_passport(show_model(DATASET, version, runtime=world))
    assert "champion        never" in text
    assert "FAIL  beats_naive_baseline" in text
    assert "commit c0ffee + uncommitted changes" in text


@pytest.mark.parametrize(
    ("path", "part"),
    [
        pytest.param("lineage/snapshot.json", "snapshot", id="snapshot"),
        pytest.param("lineage/params.yaml", "configuration", id="configuration"),
        pytest.param("lineage/environment.txt", "environment", id="environment"),
    ],
)
@pytest.mark.parametrize("text", [pytest.param("{}", id="changed"), pytest.param(None, id="lost")])
def test_what_is_not_what_was_recorded_is_said(
    path: str, part: str, text: str | None, world: Runtime
) -> None:
    if text is None:
        stored(world, "2", path).unlink()
    else:
        stored(world, "2", path).write_text(text)
    passport = show_model(DATASET, "2", runtime=world)
    assert {name for name, intact in passport.is_intact.items() if not intact} == {part}
    assert "NOT WHAT WAS RECORDED" in render_passport(passport)


def test_a_tampered_bundle_is_said_and_everything_else_still_shown(world: Runtime, tmp_path: Path) -> None:
    version = toy_world.challenge(world, tmp_path / "other", STRONG._replace(height=0.4))
    (stored(world, version, "bundle") / "model.json").write_text("{}")
    passport = show_model(DATASET, version, runtime=world)
    assert passport.is_intact["bundle"] is False
    assert passport.is_intact["snapshot"] is True
    assert passport.golden_digest == ""


@pytest.mark.parametrize("reference", ["champion", "challenger"])
def test_without_any_model_the_way_to_one_is_told(reference: str, tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path)
    with pytest.raises(NotReadyError, match=f"toy has no {reference} yet: run `holdfast train toy"):
        show_model(DATASET, reference, runtime=world)


def test_an_unknown_version_is_told_with_the_known_ones(world: Runtime) -> None:
    with pytest.raises(ConfigError, match=r"no model version 'best'\. Known: 1, 2\."):
        show_model(DATASET, "best", runtime=world)


def test_an_unknown_dataset_is_told(world: Runtime) -> None:
    with pytest.raises(ConfigError, match="no dataset 'toys'"):
        show_model("toys", "champion", runtime=world)
