"""What a repeat of a training refuses to start on, and how its result reads."""

from __future__ import annotations

from pathlib import Path

import pytest
import toy_world
from toy_world import DATASET

from pipelines.errors import ConfigError, IntegrityError, NotReadyError
from pipelines.records import ReproducedFile, Reproduction
from pipelines.runtime import Runtime
from pipelines.steps.reproduce import reproduce
from pipelines.steps.reproduction_report import render_reproduction

ALIKE = ReproducedFile(path="workspace/outputs/bundle/model.json", recorded="a" * 32, rebuilt="a" * 32)
OTHER = ReproducedFile(path="workspace/outputs/bundle/weights.safetensors", recorded="b" * 32, rebuilt="")
FOUND = Reproduction(
    dataset="flights",
    model_version="3",
    candidate="embedding_network",
    is_identical=True,
    bundle_digest="d" * 64,
    rebuilt_digest="d" * 64,
    files=(ALIKE,),
    n_days=38,
    sources={"cache": 70, "remote": 6},
    code_commit="c0ffee" * 6,
    is_dirty=True,
    is_code_confirmed=True,
)


@pytest.fixture
def world(tmp_path: Path) -> Runtime:
    """Return a world with two registered models, of which none is champion."""
    return toy_world.open_world(tmp_path, "rivals")


def _lineage(world: Runtime, name: str) -> Path:
    trained = world.registry.training_of(DATASET, "1")
    return Path(world.registry.artifact_uri(trained, f"lineage/{name}").removeprefix("file://"))


@pytest.mark.parametrize(
    ("reference", "error", "told"),
    [
        pytest.param("champion", NotReadyError, "no champion yet", id="no champion"),
        pytest.param("7", ConfigError, "no model version '7'", id="no such version"),
    ],
)
def test_a_model_that_is_not_there_is_named(
    world: Runtime, reference: str, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        reproduce(DATASET, reference, runtime=world)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        pytest.param("params.yaml", "holdout_days: 5", "holdout_days: 6", id="params"),
        pytest.param("environment.txt", "numpy==2.4.6", "numpy==2.4.7", id="environment"),
        pytest.param("snapshot.json", "2013-01-02", "2013-01-31", id="days"),
        pytest.param("snapshot.json", "{", "", id="no JSON"),
    ],
)
def test_a_record_that_was_changed_afterwards_is_refused_by_name(
    world: Runtime, name: str, old: str, new: str
) -> None:
    path = _lineage(world, name)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))

    with pytest.raises(IntegrityError, match=f"lineage/{name} of the run .* was changed afterwards"):
        reproduce(DATASET, "1", runtime=world)


def test_a_record_that_lacks_a_part_is_refused_by_its_name(world: Runtime) -> None:
    _lineage(world, "params.yaml").unlink()

    with pytest.raises(IntegrityError, match=r"lacks lineage/params\.yaml"):
        reproduce(DATASET, "1", runtime=world)


def test_the_same_bytes_are_said_with_where_they_came_from() -> None:
    text = render_reproduction(FOUND.model_copy(update={"damaged": ("workspace/snapshot/events/a.parquet",)}))

    for part in (
        "flights v3 (embedding_network), rebuilt: the same bytes.",
        "1 of 1 alike",
        "38 days; files 70 from the DVC cache, 6 from the DVC remote",
        "c0ffeec0ffeec0ff + the uncommitted changes on record",
        "the same packages",
        "1 damaged object(s) taken out: workspace/snapshot/events/a.parquet",
        "gave back all of them",
    ):
        assert part in text
    assert "Why" not in text


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param(
            {"environment_changes": ("numpy 2.4.5 -> 2.4.6",)}, "the environment is another", id="packages"
        ),
        pytest.param({"is_code_confirmed": False}, "the code on record is not what", id="code"),
        pytest.param({}, "What is left is the machine", id="neither"),
    ],
)
def test_other_bytes_are_named_with_their_reason(changes: dict[str, object], why: str) -> None:
    found = FOUND.model_copy(
        update={"is_identical": False, "files": (ALIKE, OTHER), "kept_at": "/kept", **changes}
    )

    text = render_reproduction(found)

    assert "NOT the same bytes" in text
    assert "workspace/outputs/bundle/weights.safetensors: not made (on record: bbbbbbbbbbbbbbbb)" in text
    assert why in text.split("Why: ")[1]
    assert "kept at /kept" in text
    assert all(change in text for change in found.environment_changes)
