"""The made-up histories of the shipped datasets, made once."""

from __future__ import annotations

import histories
import pytest
from histories import World


@pytest.fixture(scope="session")
def flights() -> World:
    return histories.flights()


@pytest.fixture(scope="session")
def bikes() -> World:
    return histories.bikes()


@pytest.fixture(params=["flights", "bikes"])
def world(request: pytest.FixtureRequest) -> World:
    """Return each of the two in turn."""
    found: World = request.getfixturevalue(request.param)
    return found
