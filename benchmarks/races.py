"""Two hundred races of eight promoters, some killed at a write, on SQLite and PostgreSQL: one champion each.

After each race there is exactly one promotion of its candidate, the chain verifies, MLflow's alias and the
anchored head are the record's, and nobody was blamed for moving the alias by hand; after all of them it is
asked a thousand times who was champion at a moment and for a night. The world is the toy of the tests.
It takes minutes, so that it runs only when it is named: ``make bench ARGS=races``.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from pipelines.config import PROJECT_ROOT

N_RACES, N_PROMOTERS, N_TIMES = 200, 8, 1_000


def main() -> None:
    """Print a line a database."""
    sys.path.insert(0, str(PROJECT_ROOT / "tests" / "support"))
    import promotion_races as races
    import toy_world
    from postgresql import postgresql_database, postgresql_server

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    for kind in ("sqlite", "postgresql"):
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="holdfast-races-"))
            world = toy_world.open_world(Path(folder), "rivals")
            if kind == "postgresql":
                server = stack.enter_context(postgresql_server())
                world = races.on_ledger(world, stack.enter_context(postgresql_database(server)))
            versions = races.candidates(world, N_RACES)
            started = time.perf_counter()
            with races.promoters(world, N_PROMOTERS) as crew:
                tally = races.race(world, crew, versions, seed=1)
            took = time.perf_counter() - started
            races.check_times(world, tally, N_TIMES, seed=1)
            world.ledger.close()
            print(
                f"  {kind:10} {tally.n_races} races of {N_PROMOTERS}, {tally.n_kills} killed: each candidate "
                f"promoted once, the chain whole, alias and record agree; right at {N_TIMES} moments "
                f"and for {N_TIMES} nights   ({took:.0f} s)",
                flush=True,
            )


if __name__ == "__main__":
    main()
