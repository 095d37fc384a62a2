"""A registered version is written as ONNX, whole, and only if it repeats its golden predictions."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import toy_world
import yaml
from toy_world import DATASET
from typer.testing import CliRunner

from pipelines.bundle.files import outputs_of, read_bundle
from pipelines.cli.main import app
from pipelines.errors import ConfigError
from pipelines.runtime import Runtime
from pipelines.steps.export_model import export_onnx, render_export


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """Return a world in which v1 was champion, then v2."""
    return toy_world.open_world(tmp_path_factory.mktemp("world"), "champions")


def test_the_champion_is_written_and_runs_without_holdfast(world: Runtime, tmp_path: Path) -> None:
    import onnxruntime

    target = tmp_path / "deep" / "model.onnx"
    exported = export_onnx(DATASET, "champion", target=target, runtime=world)
    assert (exported.model_version, exported.path) == ("2", str(target))
    assert exported.onnx_digest == sha256(target.read_bytes()).hexdigest()
    assert exported.parity_error < 1e-9
    bundle = read_bundle(world.registry.bundle(DATASET, "2"))
    given = {
        **{c.name: bundle.golden[c.name].to_numpy()[:, None] for c in bundle.description.encoding.numeric},
        **{
            c.name: np.array(bundle.golden[c.name].fill_null("").to_pylist(), dtype=object)[:, None]
            for c in bundle.description.encoding.categorical
        },
    }
    found = onnxruntime.InferenceSession(target.read_bytes()).run(["prediction"], given)[0]
    np.testing.assert_allclose(found, outputs_of(bundle.golden, bundle.description), atol=1e-9)
    assert f"{DATASET} v2 is written to {target}" in render_export(exported)


def test_a_repeat_replaces_the_file_by_the_same_bytes(world: Runtime, tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    target.write_text("something older")
    first, second = (export_onnx(DATASET, "1", target=target, runtime=world) for _ in range(2))
    assert first == second
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_a_place_that_can_not_be_written_is_named(world: Runtime, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    target = tmp_path / "file" / "model.onnx"
    with pytest.raises(ConfigError, match=r"Can't write .*model\.onnx"):
        export_onnx(DATASET, "1", target=target, runtime=world)


def test_an_unknown_version_is_told(world: Runtime, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no model version '9'"):
        export_onnx(DATASET, "9", target=tmp_path / "m.onnx", runtime=world)
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_wrote(
    world: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = world.settings.project / "params.yaml"
    params.write_text(yaml.safe_dump(world.params.model_dump(mode="json", exclude_defaults=True)))
    places = {"HOME": world.settings.home, "PROJECT": world.settings.project, "DEVICE": "cpu"}
    for name, value in places.items():
        monkeypatch.setenv(f"HOLDFAST_{name}", str(value))
    target = tmp_path / "model.onnx"
    done = CliRunner().invoke(app, ["model", "export", f"{DATASET}@2", "--onnx", str(target)])
    assert done.exit_code == 0, done.output
    assert "golden predictions" in done.output
    assert target.is_file()
