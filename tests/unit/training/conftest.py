"""A small git checkout, and a lake and ledger with published days."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.config import DatasetConfig, TrainingConfig
from pipelines.records import ValidationRecord
from pipelines.runtime import Runtime
from pipelines.training.planning import plan_snapshot
from pipelines.training.snapshot import Snapshot

Git = Callable[..., str]
Publish = Callable[..., dict[str, str]]


@pytest.fixture
def git() -> Git:
    """Return a function that runs git in a folder, as somebody, and returns what it prints."""

    def run(folder: Path, *arguments: str) -> str:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=folder, capture_output=True, check=True, text=True
        )
        return done.stdout.strip()

    return run


@pytest.fixture
def checkout(tmp_path: Path, git: Git) -> Path:
    """Return a clean checkout of three files: ``code.py``, ``gone.py`` and ``.gitignore``."""
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "code.py").write_text("answer = 42\n")
    (root / "gone.py").write_text("soon = True\n")
    (root / ".gitignore").write_text("ignored/\n")
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "First")
    return root


@pytest.fixture
def publish(runtime: Runtime) -> Publish:
    """Return a function that lands days of two events each, as published, with their labels."""

    def fill(
        keys: Iterable[str],
        *,
        labelled: bool = True,
        outcome: str = "passed",
        distance: float = 1.0,
        record: bool = True,
    ) -> dict[str, str]:
        events = {key: events_of(key, distance) for key in keys}
        digests = {
            version.partition_key: version.digest
            for version in runtime.lake.replace_many("flights", "validated", events)
        }
        if labelled:
            runtime.lake.replace_many("flights", "labels", {key: labels_of(key) for key in events})
        for key, digest in digests.items() if record else ():
            runtime.ledger.record(
                ValidationRecord(
                    dataset="flights",
                    partition_key=key,
                    raw_digest="raw",
                    suite_digest="suite",
                    outcome=outcome,  # type: ignore[arg-type]
                    n_in=2,
                    n_published=2,
                    n_quarantined=0,
                    validated_digest=None if outcome == "refused" else digest,
                )
            )
        return digests

    return fill


@pytest.fixture
def config(runtime: Runtime) -> DatasetConfig:
    """Return a configuration that four days are enough for."""
    return runtime.dataset("flights").model_copy(
        update={"training": TrainingConfig(min_days=4, holdout_days=1)}
    )


@pytest.fixture
def plan(runtime: Runtime, config: DatasetConfig) -> Callable[..., Snapshot]:
    """Return a planner of snapshots up to 12 January 2013."""

    def run(last: str = "2013-01-12", first: str | None = None) -> Snapshot:
        return plan_snapshot(
            "flights", last, first=first, config=config, lake=runtime.lake, ledger=runtime.ledger
        )

    return run


def events_of(key: str, distance: float = 1.0) -> pa.Table:
    """Return two events of a day."""
    return pa.table({"row_id": [f"{key}|1", f"{key}|2"], "distance": [distance, None]})


def labels_of(key: str) -> pa.Table:
    """Return what happened to them."""
    return pa.table({"row_id": [f"{key}|1", f"{key}|2"], "is_late": [0, 1]})
