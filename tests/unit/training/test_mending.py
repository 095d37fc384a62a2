"""DVC serves a damaged object as if nothing were wrong; here it is found, said, and brought back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from pipelines.config import TrainingRun
from pipelines.errors import IntegrityError
from pipelines.runtime import Runtime
from pipelines.training.checkout import capture_code
from pipelines.training.dvc_objects import ObjectCache, Output, content_digest, read_outputs
from pipelines.training.mending import mend_workspace, require_inputs
from pipelines.training.workspace import Workspace, open_workspace

Git = Callable[..., str]
RUN = TrainingRun(dataset="flights", first_partition="2013-01-01", last_partition="2013-03-01", seed=1)
MAKE = """
import pathlib
made = pathlib.Path("made")
made.mkdir()
(made / "a").write_text("first")
(made / "b").write_text("second")
"""


@pytest.fixture
def project(checkout: Path, git: Git) -> Path:
    """Return a checkout of one stage that makes a folder of two files."""
    (checkout / ".dvc").mkdir()
    (checkout / ".dvc" / "config").write_text("[core]\n    remote = holdfast\n    check_update = false\n")
    (checkout / "make.py").write_text(MAKE)
    stage = {"cmd": "python make.py", "deps": ["make.py"], "outs": ["made"]}
    (checkout / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"make": stage}}))
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", "With DVC")
    return checkout


@contextmanager
def _workspace(project: Path, runtime: Runtime, scratch: Path) -> Iterator[Workspace]:
    scratch.mkdir()
    with open_workspace(capture_code(project, scratch), "flights", runtime.settings) as workspace:
        workspace.fill_in(runtime.params, RUN, {})
        workspace.dvc("repro")
        yield workspace


def _spoil(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"fIrst")
    path.chmod(0o444)


@pytest.mark.parametrize("is_remote_good", [True, False], ids=["from the remote", "made anew"])
def test_what_dvc_checked_out_damaged_comes_back(
    project: Path,
    runtime: Runtime,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    is_remote_good: bool,
) -> None:
    cache = ObjectCache(runtime.settings.dvc_cache)
    with _workspace(project, runtime, tmp_path / "first") as workspace:
        workspace.dvc("push")
        [made] = read_outputs(workspace.lock)
        assert not mend_workspace(workspace, cache)
    [victim] = [name for name, path in cache.survey([made]).good.items() if path == "made/a"]
    _spoil(cache.path_of(victim))
    if not is_remote_good:
        _spoil(Path(runtime.settings.dvc_remote) / "files" / "md5" / victim[:2] / victim[2:])

    with _workspace(project, runtime, tmp_path / "second") as workspace:
        caplog.clear()
        # What this is all for: DVC took it for good.
        assert (workspace.root / "made" / "a").read_text() == "fIrst"
        with caplog.at_level(logging.INFO, "pipelines.training"):
            assert mend_workspace(workspace, cache)
            workspace.dvc("repro")
        assert (workspace.root / "made" / "a").read_text() == "first"
        assert not mend_workspace(workspace, cache)

    assert "damaged, such as that of made/a" in caplog.text
    assert ("1 object(s) were brought back from the DVC remote" in caplog.text) == is_remote_good
    assert ("The DVC remote has no good copy of made/a" in caplog.text) != is_remote_good
    assert ("Running stage 'make'" in caplog.text) != is_remote_good


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """Return a workspace whose lock names two outputs, of which the stage `use` reads one."""
    for name in ("read", "unread"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "file").write_text(name)
    outs = [Output(name, content_digest(tmp_path / name)) for name in ("read", "unread")]
    stages = {"make": {"outs": [{"path": out.path, "md5": out.md5} for out in outs]}}
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"stages": stages}))
    (tmp_path / "dvc.yaml").write_text(
        yaml.safe_dump({"stages": {"use": {"deps": ["read/deep", "code.py"]}}})
    )
    return tmp_path


def test_a_stage_does_not_start_on_damaged_inputs(locked: Path) -> None:
    require_inputs(locked, "use")
    (locked / "read" / "deep" / "file").write_text("reed")

    with pytest.raises(IntegrityError, match=r"^read in .* not those that dvc\.lock names"):
        require_inputs(locked, "use")


def test_a_stage_starts_where_only_what_it_does_not_read_is_damaged(locked: Path) -> None:
    (locked / "unread" / "deep" / "file").write_text("other")

    require_inputs(locked, "use")


def test_the_first_stage_has_nothing_to_check(locked: Path) -> None:
    (locked / "dvc.lock").unlink()

    require_inputs(locked, "use")
