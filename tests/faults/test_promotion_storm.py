"""Races of eight promoters, some killed: one promotion a candidate, a whole chain, one answer everywhere.

``python -m benchmarks races`` runs two hundred of them on each database.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import toy_world
from promotion_races import candidates, check_times, on_ledger, promoters, race

from pipelines.runtime import Runtime

N_PROMOTERS, N_RACES, N_TIMES = 8, 4, 200


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Runtime]:
    """Return a world with registered candidates, its ledger in SQLite or PostgreSQL."""
    world = toy_world.open_world(tmp_path, "rivals")
    if request.param == "postgresql":
        world = on_ledger(world, request.getfixturevalue("postgresql_url"))
    yield world
    world.ledger.close()


def test_eight_promoters_at_once_some_killed_promote_each_candidate_once(world: Runtime) -> None:
    versions = candidates(world, N_RACES)
    with promoters(world, N_PROMOTERS) as crew:
        tally = race(world, crew, versions, seed=1)
    assert (tally.n_races, tally.n_kills > 0) == (N_RACES, True)
    check_times(world, tally, N_TIMES, seed=1)
