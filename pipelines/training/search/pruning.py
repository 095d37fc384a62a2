"""When to give a trial up: where it lags behind the others of its own kind.

References
----------
.. [1] Golovin et al., Google Vizier: A Service for Black-Box Optimization, KDD 2017, section 3.1 (the median
   rule, of which this is a milder kind).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from pipelines.training.search.trials import Trial

# Trials that must have ended by themselves, and have reached a round, before another is held against them.
_N_LEAST = 3
# Small steps start slowly: no trial is judged before this share of the rounds that its kind takes.
_FREE_FRACTION = 0.25
# On flights, giving up those behind half of the others cut two of the five best networks of 28; behind two
# thirds none of them, and a third of all epochs still.
_MOST_AHEAD = 2 / 3


class LaggardRule:
    """Give up a trial if more than two in three others had shown a lower loss by the same round.

    All trials that came so far count, also those that were given up there or later: where only the
    survivors do, as in Optuna's own median pruner, the rule grows stricter with every trial.

    Parameters
    ----------
    trials : sequence of Trial
        Of one candidate. Rounds of different ones (a tree, an epoch) do not compare.
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        ended = [trial.n_rounds for trial in trials if trial.state == "complete" and trial.n_rounds]
        self._first_round = (
            math.ceil(statistics.median(ended) * _FREE_FRACTION) if len(ended) >= _N_LEAST else math.inf
        )
        self._others = [_least_by_round(trial.losses) for trial in trials]
        self._least = math.inf

    def gives_up(self, n_round: int, loss: float) -> bool:
        """Return whether to give the trial up after this round; to be asked after each."""
        self._least = loss if loss < self._least else self._least
        if n_round < self._first_round:
            return False
        reached = [least[n_round] for least in self._others if n_round in least]
        n_ahead = sum(least < self._least for least in reached)
        return len(reached) >= _N_LEAST and n_ahead > len(reached) * _MOST_AHEAD


def _least_by_round(losses: Sequence[tuple[int, float]]) -> dict[int, float]:
    """Return, for each round, the least loss up to it."""
    least, found = math.inf, {}
    for n_round, loss in losses:
        least = loss if loss < least else least
        found[n_round] = least
    return found
