"""How long a search may go on: a number of trials, a time, or whichever ends first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.config.training import SearchConfig
from pipelines.training.search.trials import Trial

# Where only a time is given: beyond so many, TPE learns next to nothing from one more.
_MOST_TRIALS = 1_000


@dataclass(frozen=True)
class Budget:
    """A number of trials, and a time.

    Parameters
    ----------
    n_trials : int
        Defaults included. They are all tried, however few trials are granted.
    seconds : float
        Over all attempts at one search together; what a kill took away does not count.
    """

    n_trials: int
    seconds: float = math.inf

    @classmethod
    def of(cls, config: SearchConfig, n_repeated: int = 0) -> Budget:
        """Return what the configuration grants.

        Parameters
        ----------
        n_repeated : int
            How many trials the search had that is to be repeated: a time ends another search
            elsewhere, a number of trials does not. 0 for a search of its own.
        """
        if n_repeated:
            return cls(n_repeated)
        return cls(config.trials or _MOST_TRIALS, config.minutes * 60 if config.minutes else math.inf)

    def seconds_left(self, trials: Sequence[Trial]) -> float:
        """Return how much time is left after these trials."""
        return self.seconds - sum(trial.seconds for trial in trials)
