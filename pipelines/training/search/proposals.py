"""What to try next: Optuna's TPE sampler, asked anew for each trial.

It has a seed of the trial's own and is told of the trials before it. Nothing else is remembered, so it
makes no difference in which process they ran.

References
----------
.. [1] Bergstra, Bardenet, Bengio & Kegl, Algorithms for Hyper-Parameter Optimization, NIPS 2011.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines.metrics import PrimaryMetric
from pipelines.training.candidates.parameters import PARAMETERS, Parameter
from pipelines.training.search.pruning import LaggardRule
from pipelines.training.search.trials import Trial

if TYPE_CHECKING:
    import optuna

# So many trials of each candidate, its default among them, before what they gave is learned from.
_N_STARTUP = 4
_CANDIDATE = "candidate"


@dataclass(frozen=True)
class Space:
    """What is searched.

    Parameters
    ----------
    candidates : tuple of str
        Each a key of ``PARAMETERS``. Their defaults are tried first, in this order.
    metric : PrimaryMetric
        What is made best.
    seed : int
        Of the whole search.
    is_pruned : bool
        Whether a trial that falls behind is given up.
    """

    candidates: tuple[str, ...]
    metric: PrimaryMetric
    seed: int
    is_pruned: bool = True


@dataclass(frozen=True)
class Proposal:
    """A point to try.

    Parameters
    ----------
    parameters : mapping of str to float or int
        Empty for a candidate as it is without a search.
    rule : LaggardRule or None
        When to give it up; None where it is tried to the end.
    """

    candidate: str
    parameters: Mapping[str, int | float]
    rule: LaggardRule | None = None

    @property
    def is_default(self) -> bool:
        """Whether it is a candidate as it is without a search."""
        return not self.parameters


def propose(trials: Sequence[Trial], space: Space) -> Proposal:
    """Return what to try after these trials: first each default, then what TPE suggests.

    Parameters
    ----------
    trials : sequence of Trial
        All before, in order.
    """
    number = len(trials)
    if number < len(space.candidates):
        return Proposal(space.candidates[number], {})
    seed, another = _seeds(space.seed, number)
    candidate = _next_candidate(trials, space, seed)
    own = [trial for trial in trials if trial.candidate == candidate]
    study = _open(another, n_startup=_N_STARTUP)
    distributions = {name: _distribution(known) for name, known in PARAMETERS[candidate].items()}
    for trial in own:
        params = {name: float(known.default) for name, known in PARAMETERS[candidate].items()}
        _add(study, trial, params | trial.parameters, distributions, space.metric)
    asked = study.ask(distributions)
    return Proposal(candidate, asked.params, LaggardRule(own) if space.is_pruned else None)


def _next_candidate(trials: Sequence[Trial], space: Space, seed: int) -> str:
    """Return which candidate's turn it is: each in turn at first, then the one that TPE expects most of.

    TPE is told of all trials, with nothing but the candidate's name for a parameter. Hyperparameters are
    chosen among one candidate's own afterwards: it can't model a joint space in which each kind has others.
    """
    import optuna

    if len(trials) < _N_STARTUP * len(space.candidates) or len(space.candidates) == 1:
        return space.candidates[len(trials) % len(space.candidates)]
    study = _open(seed, n_startup=0)
    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        _CANDIDATE: optuna.distributions.CategoricalDistribution(space.candidates)
    }
    for trial in trials:
        _add(study, trial, {_CANDIDATE: trial.candidate}, distributions, space.metric, with_losses=False)
    chosen: str = study.ask(distributions).params[_CANDIDATE]
    return chosen


def _open(seed: int, *, n_startup: int) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=n_startup, constant_liar=False)
    return optuna.create_study(direction="minimize", sampler=sampler)


def _add(
    study: optuna.Study,
    trial: Trial,
    params: dict[str, str] | dict[str, float],
    distributions: Mapping[str, optuna.distributions.BaseDistribution],
    metric: PrimaryMetric,
    *,
    with_losses: bool = True,
) -> None:
    """Tell the study of a trial; one that gave nothing to compare ranks last, and is kept away from."""
    from optuna.trial import TrialState, create_trial

    cost = trial.cost(metric)
    is_complete = math.isfinite(cost)
    study.add_trial(
        create_trial(
            state=TrialState.COMPLETE if is_complete else TrialState.PRUNED,
            value=cost if is_complete else None,
            params=dict(params),
            distributions=dict(distributions),
            intermediate_values=dict(trial.losses) if with_losses else {},
        )
    )


def _distribution(known: Parameter) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import FloatDistribution, IntDistribution

    if known.is_int:
        return IntDistribution(int(known.low), int(known.high), log=known.is_log)
    return FloatDistribution(known.low, known.high, log=known.is_log)


def _seeds(seed: int, number: int) -> tuple[int, int]:
    """Return two seeds of one trial's own, none of which is another trial's."""
    first, second = np.random.SeedSequence((seed, number)).generate_state(2)
    return int(first), int(second)
