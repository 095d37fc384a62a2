"""A toy world with published days, and MLflow on SQLite, below a temporary folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import toy_world

from pipelines.runtime import Runtime


@pytest.fixture
def world(tmp_path: Path) -> Runtime:
    """Return a Runtime whose lake and ledger hold the published days."""
    runtime = toy_world.open_world(tmp_path)
    toy_world.publish(runtime, toy_world.all_days())
    return runtime


@pytest.fixture
def rivals(world: Runtime, tmp_path: Path) -> tuple[str, str]:
    """Register a weak model, then a strong one; return their versions."""
    weak = toy_world.challenge(world, tmp_path / "weak", toy_world.WEAK)
    return weak, toy_world.challenge(world, tmp_path / "strong", toy_world.STRONG)
