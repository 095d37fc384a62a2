"""A workspace runs DVC apart from everything else, and is gone, or kept, at the end."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from pipelines.config import TrainingRun, load_params, load_settings
from pipelines.errors import EngineError, NotReadyError
from pipelines.runtime import Runtime
from pipelines.training.checkout import capture_code
from pipelines.training.workspace import Workspace, open_workspace

Git = Callable[..., str]
Opener = Callable[[], AbstractContextManager[Workspace]]
RUN = TrainingRun(dataset="flights", first_partition="2013-01-01", last_partition="2013-03-01", seed=1)


@pytest.fixture
def opened(checkout: Path, git: Git, runtime: Runtime, tmp_path: Path) -> Opener:
    """Return an opener of workspaces of a checkout whose one stage runs ``code.py``."""
    (checkout / ".dvc").mkdir()
    (checkout / ".dvc" / "config").write_text("[core]\n    remote = holdfast\n    check_update = false\n")
    stage = {"cmd": "python code.py", "deps": ["code.py"], "outs": ["out.txt"]}
    (checkout / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"only": stage}}))
    (checkout / "params.yaml").write_text("{}\n")
    (checkout / "pipelines").mkdir()
    (checkout / "pipelines" / "__init__.py").write_text("marker = 'of the workspace'\n")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", "With DVC")

    @contextmanager
    def run() -> Iterator[Workspace]:
        scratch = tmp_path / f"scratch-{time.monotonic_ns()}"
        scratch.mkdir()
        with open_workspace(capture_code(checkout, scratch), "flights", runtime.settings) as workspace:
            yield workspace

    return run


def _left(runtime: Runtime) -> list[Path]:
    return list((runtime.settings.home / "workspaces").iterdir())


def _reproduce(opened: Opener, runtime: Runtime) -> None:
    with opened() as workspace:
        workspace.fill_in(runtime.params, RUN, {})
        workspace.dvc("repro")


def test_params_are_filled_in_with_dates_as_text_and_every_default(opened: Opener, runtime: Runtime) -> None:
    with opened() as workspace:
        workspace.fill_in(runtime.params, RUN, {"environment.txt": "python\n"})

        params = load_params(workspace.root / "params.yaml")
        plain = yaml.safe_load((workspace.root / "params.yaml").read_text())
        assert params.run == RUN
        assert params.datasets == runtime.params.datasets
        assert plain["run"]["first_partition"] == "2013-01-01"
        assert plain["datasets"]["flights"]["training"]["max_epochs"] == 6  # a default, not in the file
        assert (workspace.root / "workspace" / "inputs" / "environment.txt").read_text() == "python\n"


def test_a_stage_runs_and_its_output_is_in_the_shared_cache_and_the_remote(
    opened: Opener, runtime: Runtime, checkout: Path, git: Git
) -> None:
    (checkout / "code.py").write_text("open('out.txt', 'w').write('made')\n")
    with opened() as workspace:
        workspace.fill_in(runtime.params, RUN, {})
        workspace.dvc("repro")
        workspace.dvc("push")
        assert (workspace.root / "out.txt").read_text() == "made"
        assert (workspace.root / "dvc.lock").is_file()

    assert [path.read_text() for path in Path(runtime.settings.dvc_remote).rglob("*") if path.is_file()] == [
        "made"
    ]
    assert any(
        path.read_bytes() == b"made" for path in runtime.settings.dvc_cache.rglob("*") if path.is_file()
    )
    assert _left(runtime) == []
    assert git(checkout, "status", "--short") == "M code.py"


def test_what_dvc_does_is_logged_as_it_happens(
    opened: Opener, runtime: Runtime, checkout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (checkout / "code.py").write_text("open('out.txt', 'w').write('made'); print('so far, so good')\n")
    with caplog.at_level(logging.INFO, "pipelines.training.workspace"):
        _reproduce(opened, runtime)

    assert "so far, so good" in caplog.messages


def test_a_failed_stage_shows_the_end_of_its_output_and_keeps_the_workspace(
    opened: Opener, runtime: Runtime, checkout: Path
) -> None:
    (checkout / "code.py").write_text("print('x' * 100_000); raise SystemExit('the disk is on fire')\n")

    with pytest.raises(EngineError) as caught:
        _reproduce(opened, runtime)

    message = str(caught.value)
    [kept] = _left(runtime)
    assert "`dvc repro` ended with status" in message
    assert "the disk is on fire" in message
    assert message.endswith(str(kept))
    assert len(message) < 2_000
    assert (kept / "dvc.yaml").is_file()


@pytest.mark.parametrize(
    "error", [NotReadyError("later"), KeyboardInterrupt(), ValueError("a bug")], ids=repr
)
def test_whatever_else_goes_wrong_leaves_no_workspace(
    opened: Opener, runtime: Runtime, error: BaseException
) -> None:
    with pytest.raises(type(error)), opened():
        raise error

    assert _left(runtime) == []


def test_the_workspaces_own_code_wins_over_an_installed_one(opened: Opener) -> None:
    with opened() as workspace:
        found = subprocess.run(
            [sys.executable, "-c", "import pipelines; print(pipelines.marker)"],
            env=workspace.environ(1),
            cwd="/",
            capture_output=True,
            text=True,
            check=True,
        )

    assert found.stdout == "of the workspace\n"


def test_a_stage_sees_the_same_places_and_its_own_project(opened: Opener, runtime: Runtime) -> None:
    with opened() as workspace:
        (workspace.root / "params.yaml").write_text("{}")
        seen = load_settings(workspace.environ(1))

        assert seen.project == workspace.root
        assert seen.params == workspace.root / "params.yaml"
        ours = runtime.settings.model_dump(exclude={"project", "params"})
        assert seen.model_dump(exclude={"project", "params"}) == ours


def test_a_stage_does_not_get_the_addresses_of_people(opened: Opener, runtime: Runtime) -> None:
    told = runtime.settings.model_copy(update={"notify_urls": SecretStr("json://a/")})
    with opened() as workspace:
        assert "HOLDFAST_NOTIFY_URLS" not in Workspace(workspace.root, told).environ(1)


def test_folders_that_were_given_from_where_we_are_are_the_same_for_a_stage(
    opened: Opener, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    near = runtime.settings.model_copy(
        update={"lake_uri": "lake", "dvc_remote": "remote", "dvc_cache": Path("cache")}
    )
    with opened() as workspace:
        near_workspace = Workspace(workspace.root, near)
        near_workspace.fill_in(runtime.params, RUN, {})
        config = (workspace.root / ".dvc" / "config.local").read_text()

    assert near_workspace.environ(1)["HOLDFAST_LAKE_URI"] == str(tmp_path / "lake")
    assert f'url = "{tmp_path / "remote"}"' in config
    assert f'dir = "{tmp_path / "cache"}"' in config


def test_workspaces_that_were_kept_are_removed_after_a_week(opened: Opener, runtime: Runtime) -> None:
    parent = runtime.settings.home / "workspaces"
    for name, days in (("flights-old", 8), ("flights-recent", 6), (".locks", 8)):
        (parent / name / "inner").mkdir(parents=True)
        then = time.time() - days * 24 * 3600
        os.utime(parent / name, (then, then))

    with opened():
        pass

    assert sorted(path.name for path in parent.iterdir()) == [".locks", "flights-recent"]


def test_a_stage_sees_nothing_that_only_happens_to_be_set(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", "/somewhere")
    monkeypatch.setenv("PYTHONHASHSEED", "3")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    with opened() as workspace:
        environ = workspace.environ(3)

    assert "AIRFLOW_HOME" not in environ
    assert "PYTHONHASHSEED" not in environ
    assert environ["AWS_ACCESS_KEY_ID"] == "somebody"
    assert environ["OMP_NUM_THREADS"] == "3"


def test_a_remote_on_s3_knows_its_endpoint(opened: Opener, runtime: Runtime) -> None:
    elsewhere = runtime.settings.model_copy(
        update={"dvc_remote": "s3://models/dvc", "s3_endpoint_url": "http://127.0.0.1:9000"}
    )
    with opened() as workspace:
        Workspace(workspace.root, elsewhere).fill_in(runtime.params, RUN, {})
        listed = subprocess.run(
            [sys.executable, "-m", "dvc", "config", "--list"],
            cwd=workspace.root,
            env=workspace.environ(1),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()

    assert "remote.holdfast.url=s3://models/dvc" in listed
    assert "remote.holdfast.endpointurl=http://127.0.0.1:9000" in listed
    assert f"cache.dir={runtime.settings.dvc_cache}" in listed


def test_whoever_stops_the_training_stops_its_stages(
    opened: Opener, runtime: Runtime, checkout: Path, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    (checkout / "code.py").write_text(
        f"import os, pathlib, time\npathlib.Path({str(started)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(60)\n"
    )

    def interrupt() -> None:
        while not (started.exists() and started.read_text()):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        _reproduce(opened, runtime)

    stage = int(started.read_text())
    deadline = time.monotonic() + 5
    while _is_running(stage) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_running(stage)
    assert _left(runtime) == []


def _is_running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
