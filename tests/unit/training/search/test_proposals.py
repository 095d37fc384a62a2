"""What is proposed lies within the declared bounds, and every candidate has its turn."""

from __future__ import annotations

from collections import Counter

import pytest

from pipelines.metrics import primary_metric
from pipelines.training.candidates.parameters import PARAMETERS, complete
from pipelines.training.search import Space, Trial
from pipelines.training.search.proposals import Proposal, propose

METRIC = primary_metric("regression")


def _trials(space: Space, n: int, rmse_of: dict[str, float]) -> list[Trial]:
    """Return trials whose metric is their candidate's, and a little more with each."""
    trials: list[Trial] = []
    for number in range(n):
        proposal: Proposal = propose(trials, space)
        trials.append(
            Trial(
                number=number,
                candidate=proposal.candidate,
                parameters=dict(proposal.parameters),
                state="complete",
                metrics={"rmse": rmse_of[proposal.candidate] + 0.001 * number},
            )
        )
    return trials


@pytest.mark.parametrize("name", PARAMETERS)
def test_all_parameters_of_a_candidate_are_proposed_within_their_bounds(name: str) -> None:
    trials = _trials(Space((name,), METRIC, 1), 15, {name: 1.0})
    for trial in trials[1:]:
        assert set(trial.parameters) == set(PARAMETERS[name])
        assert complete(name, trial.parameters) == trial.parameters, "the fit takes them as they are"
    for key in PARAMETERS[name]:
        assert len({trial.parameters[key] for trial in trials[1:]}) > 1


def test_every_candidate_has_its_turns_before_the_best_one_gets_most_of_them() -> None:
    names = tuple(PARAMETERS)
    rmse_of = {name: float(rank) for rank, name in enumerate(names, start=1)}
    trials = _trials(Space(names, METRIC, 1), 30, rmse_of)
    first, later = (Counter(trial.candidate for trial in part) for part in (trials[:12], trials[12:]))
    assert first == dict.fromkeys(names, 4)
    assert later[names[0]] > len(trials[12:]) / 2
