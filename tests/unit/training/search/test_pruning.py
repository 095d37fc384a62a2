"""A trial is given up for falling behind the others of its kind, and for nothing else."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pipelines.training.search import Trial
from pipelines.training.search.pruning import LaggardRule

N_ROUNDS = 8


def _trial(loss: float, *, n_rounds: int = N_ROUNDS, state: Any = "complete") -> Trial:
    losses = tuple((n_round, loss) for n_round in range(1, n_rounds + 1))
    return Trial(number=0, candidate="linear_model", parameters={}, state=state, losses=losses)


OTHERS = [_trial(0.5), _trial(0.6), _trial(0.7)]


def _given_up_at(rule: LaggardRule, losses: list[float]) -> int | None:
    for n_round, loss in enumerate(losses, start=1):
        if rule.gives_up(n_round, loss):
            return n_round
    return None


@pytest.mark.parametrize(
    ("others", "losses", "round_given_up"),
    [
        pytest.param(OTHERS, [0.55] * N_ROUNDS, None, id="one-is-ahead"),
        pytest.param(OTHERS, [0.7] * N_ROUNDS, None, id="two-in-three-are-ahead"),
        pytest.param(OTHERS, [0.75] * N_ROUNDS, 2, id="all-are-ahead-after-a-quarter-of-the-rounds"),
        pytest.param(OTHERS, [0.9, 0.55, *[0.9] * 6], None, id="its-least-loss-counts"),
        pytest.param(OTHERS, [0.55, math.nan, math.nan], None, id="nan-after-a-good-round"),
        pytest.param(OTHERS, [math.nan] * N_ROUNDS, 2, id="nothing-but-nan"),
        pytest.param(OTHERS[:2], [0.9] * N_ROUNDS, None, id="too-few-to-be-held-to"),
        pytest.param([], [0.9] * N_ROUNDS, None, id="the-first-of-all"),
        pytest.param(
            [*OTHERS, *[_trial(0.9, n_rounds=4, state="pruned")] * 4],
            [0.75] * N_ROUNDS,
            5,
            id="those-given-up-count-as-far-as-they-came",
        ),
        pytest.param(
            [_trial(0.5), *[_trial(0.6, n_rounds=4, state="pruned")] * 4],
            [0.9] * N_ROUNDS,
            None,
            id="too-few-that-ended-by-themselves",
        ),
    ],
)
def test_a_trial_is_given_up_where_most_others_were_better_by_then(
    others: list[Trial], losses: list[float], round_given_up: int | None
) -> None:
    assert _given_up_at(LaggardRule(others), losses) == round_given_up
