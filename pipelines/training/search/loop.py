"""Try one point after another until the budget is spent."""

from __future__ import annotations

import logging
import math
import time

from pipelines.errors import DataError
from pipelines.training.search.budget import Budget
from pipelines.training.search.proposals import Proposal, Space, propose
from pipelines.training.search.study import Study
from pipelines.training.search.trials import Measure, Trial, best_of

_LOG = logging.getLogger(__name__)


class _GivenUp(Exception):
    """The trial fell behind."""


class _OutOfTime(Exception):
    """The budget's time ended while the trial was under way."""


def search(measure: Measure, *, space: Space, budget: Budget, study: Study) -> list[Trial]:
    """Try the defaults, then what past trials suggest, until the budget is spent.

    What is found depends on the seed and the number of trials alone: after a kill, call it again with
    the same study. A trial that the end of the time cuts off counts for nothing, so that
    a search by time finds what one with as many trials finds.

    Parameters
    ----------
    measure : Measure
        Gives the same for the same point, each time. Where it finds a default impossible to fit, its
        ``DataError`` is passed on, as without a search; any other point then counts as failed.

    Returns
    -------
    list of Trial
        In the order in which they were tried; at least one for each candidate.
    """
    with study.alone():
        trials = study.read()[: max(budget.n_trials, len(space.candidates))]
        if trials:
            _LOG.info("The search goes on after trial %d of an earlier attempt.", trials[-1].number)
        while _goes_on(trials, space, budget):
            proposal = propose(trials, space)
            try:
                trial = _try(proposal, measure, number=len(trials), seconds=budget.seconds_left(trials))
            except _OutOfTime:
                _LOG.info("The time is over: trial %d is not finished, and does not count.", len(trials))
                break
            trials.append(trial)
            study.keep(trials)
            _LOG.info("%s", _spoken(trials, space, budget))
    return trials


def _goes_on(trials: list[Trial], space: Space, budget: Budget) -> bool:
    if len(trials) < len(space.candidates):
        return True
    if best_of(trials[: len(space.candidates)], space.metric) is None:
        # Such as an AUC where all validation rows are of one class: there is nothing to choose by.
        _LOG.warning("%s is not defined on the validation rows: nothing is searched.", space.metric.name)
        return False
    return len(trials) < budget.n_trials and budget.seconds_left(trials) > 0


def _try(proposal: Proposal, measure: Measure, *, number: int, seconds: float) -> Trial:
    losses: list[tuple[int, float]] = []
    start = time.monotonic()

    def on_round(n_round: int, loss: float) -> None:
        losses.append((n_round, float(loss)))
        if proposal.is_default:
            return
        if proposal.rule is not None and proposal.rule.gives_up(n_round, float(loss)):
            raise _GivenUp
        if time.monotonic() - start > seconds:
            raise _OutOfTime

    state, metrics, said = "complete", dict[str, float](), ""
    try:
        metrics = measure(proposal.candidate, proposal.parameters, on_round)
    except _GivenUp:
        state = "pruned"
    except DataError as error:
        if proposal.is_default:
            raise
        state, said = "failed", str(error)
    return Trial(
        number=number,
        candidate=proposal.candidate,
        parameters=dict(proposal.parameters),
        state=state,
        metrics=metrics,
        losses=tuple(losses),
        said=said,
        seconds=time.monotonic() - start,
    )


def _spoken(trials: list[Trial], space: Space, budget: Budget) -> str:
    """Return how the last trial did, and which is the best so far."""
    last, best = trials[-1], best_of(trials, space.metric)
    name = space.metric.name
    found = f"{name} {last.metrics.get(name, math.nan):.5f}" if last.state == "complete" else last.state
    so_far = f"; best {name} {best.metrics[name]:.5f} of trial {best.number}" if best else ""
    left = f", {budget.seconds_left(trials) / 60:.1f} min left" if math.isfinite(budget.seconds) else ""
    return (
        f"Trial {last.number} ({len(trials)} of at most {budget.n_trials}{left}): "
        f"{last.candidate} {found} in {last.seconds:.1f} s{so_far}."
    )
