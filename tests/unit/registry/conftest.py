"""A toy world with published days, and MLflow on SQLite, below a temporary folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import toy_world

from pipelines.runtime import Runtime


@pytest.fixture
def world(tmp_path: Path) -> Runtime:
    """Return a Runtime whose lake and ledger hold the published days."""
    return toy_world.open_world(tmp_path)


@pytest.fixture
def rivals(tmp_path: Path) -> Runtime:
    """Return a Runtime with a weak model registered as v1, and a strong one as v2."""
    return toy_world.open_world(tmp_path, "rivals")
