"""A search starts at the defaults, keeps to its budget, and finds the same whatever happens to it."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest
import yaml
from search_hill import CANDIDATES, METRIC, N_ROUNDS, NETWORK, TREES, Hill, space, timeless

from pipelines.config import SearchConfig, TrainingRun
from pipelines.errors import DataError
from pipelines.training.repeating import params_to_repeat
from pipelines.training.search import Budget, Study, Trial, best_of, search

N_TRIALS = 14


@pytest.fixture(scope="module")
def whole() -> list[Trial]:
    """Return the trials of a search that nothing happened to."""
    return search(Hill(), space=space(), budget=Budget(N_TRIALS), study=Study())


def test_the_candidates_as_they_are_without_a_search_come_first_and_are_tried_to_the_end(
    whole: list[Trial],
) -> None:
    first = whole[: len(CANDIDATES)]
    assert [(trial.candidate, trial.parameters, trial.state) for trial in first] == [
        (TREES, {}, "complete"),
        (NETWORK, {}, "complete"),
    ]


def test_what_is_chosen_is_better_than_every_default(whole: list[Trial]) -> None:
    best = best_of(whole, METRIC)
    assert best is not None
    assert best.metrics["auc"] > max(trial.metrics["auc"] for trial in whole[: len(CANDIDATES)])
    assert best.candidate == TREES
    assert best.parameters["learning_rate"] == pytest.approx(0.15, rel=0.4)


def test_the_seed_decides_what_is_tried(whole: list[Trial]) -> None:
    again = search(Hill(), space=space(), budget=Budget(N_TRIALS), study=Study())
    other = search(Hill(), space=space(seed=4), budget=Budget(N_TRIALS), study=Study())
    assert timeless(again) == timeless(whole)
    assert timeless(other)[len(CANDIDATES) :] != timeless(whole)[len(CANDIDATES) :]


@pytest.mark.parametrize("n", range(1, N_TRIALS + 1))
def test_a_search_that_was_stopped_in_any_trial_goes_on_and_finds_the_same(
    n: int, whole: list[Trial], tmp_path: Path
) -> None:
    class Stopped(Hill):
        def on_way(self, n_round: int) -> None:
            if len(self.asked) == n and n_round == 2:
                raise KeyboardInterrupt

    study = Study(tmp_path / "studies" / "key.json")
    with pytest.raises(KeyboardInterrupt):
        search(Stopped(), space=space(), budget=Budget(N_TRIALS), study=study)
    kept = study.read()
    hill = Hill()

    trials = search(hill, space=space(), budget=Budget(N_TRIALS), study=study)

    assert len(kept) == n - 1
    assert len(hill.asked) == N_TRIALS - len(kept), "what was finished is not tried again"
    assert timeless(trials) == timeless(whole) == timeless(study.read())


def test_a_search_that_is_done_tries_nothing_more(tmp_path: Path) -> None:
    study, hill = Study(tmp_path / "key.json"), Hill()
    done = search(Hill(), space=space(), budget=Budget(5), study=study)
    assert search(hill, space=space(), budget=Budget(5), study=study) == done
    assert hill.asked == []


def test_fewer_trials_find_what_more_of_them_begin_with(whole: list[Trial], tmp_path: Path) -> None:
    study = Study(tmp_path / "key.json")
    search(Hill(), space=space(), budget=Budget(9), study=study)
    assert timeless(search(Hill(), space=space(), budget=Budget(6), study=study)) == timeless(whole[:6])


def test_every_candidate_is_tried_however_few_trials_are_granted() -> None:
    trials = search(Hill(), space=space(), budget=Budget(1), study=Study())
    assert [trial.candidate for trial in trials] == list(CANDIDATES)


def test_a_search_by_time_finds_what_one_of_as_many_trials_finds(whole: list[Trial]) -> None:
    class Slow(Hill):
        def on_way(self, n_round: int) -> None:
            time.sleep(1 / 12 / N_ROUNDS)

    trials = search(Slow(), space=space(), budget=Budget(1_000, seconds=0.5), study=Study())
    assert len(trials) < N_TRIALS
    assert timeless(trials) == timeless(whole[: len(trials)])


def test_a_trial_that_the_time_cuts_off_counts_for_nothing(tmp_path: Path) -> None:
    class Stuck(Hill):
        def on_way(self, n_round: int) -> None:
            if len(self.asked) > len(CANDIDATES):
                time.sleep(0.2)

    study = Study(tmp_path / "key.json")
    trials = search(Stuck(), space=space(), budget=Budget(50, seconds=0.1), study=study)
    assert len(trials) == len(study.read()) == len(CANDIDATES)


def test_the_time_of_earlier_attempts_counts(tmp_path: Path) -> None:
    study, hill = Study(tmp_path / "key.json"), Hill()
    quick = search(Hill(), space=space(), budget=Budget(4), study=study)
    study.keep([trial.model_copy(update={"seconds": 100.0}) for trial in quick])
    trials = search(hill, space=space(), budget=Budget(50, seconds=400.0), study=study)
    assert timeless(trials) == timeless(quick)
    assert hill.asked == []


@pytest.mark.parametrize(
    ("config", "n_repeated", "budget"),
    [
        pytest.param(SearchConfig(trials=7), 0, Budget(7, math.inf), id="trials"),
        pytest.param(SearchConfig(minutes=0.5), 0, Budget(1_000, 30.0), id="minutes"),
        pytest.param(SearchConfig(trials=7, minutes=2), 0, Budget(7, 120.0), id="whichever-ends-first"),
        pytest.param(SearchConfig(minutes=0.5), 12, Budget(12, math.inf), id="a-repeat-has-as-many"),
    ],
)
def test_a_budget_is_trials_minutes_or_what_is_to_be_repeated(
    config: SearchConfig, n_repeated: int, budget: Budget
) -> None:
    assert Budget.of(config, n_repeated) == budget


def test_a_repeat_of_a_training_has_its_params_and_as_many_trials() -> None:
    run = TrainingRun(dataset="flights", last_partition="2013-03-31", training_key="key")
    params = yaml.safe_dump({"run": run.model_dump(), "datasets": {}}).encode()
    repeated = yaml.safe_load(params_to_repeat(params, n_trials=7))
    assert repeated == {"run": run.model_dump() | {"n_trials": 7}, "datasets": {}}
    assert params_to_repeat(params, n_trials=0) == params, "without a search they stay as they are"


def test_what_falls_behind_is_given_up_and_never_chosen() -> None:
    trials = search(Hill(), space=space(), budget=Budget(30), study=Study())
    pruned = [trial for trial in trials if trial.state == "pruned"]
    assert pruned
    assert all(trial.n_rounds < N_ROUNDS and not trial.metrics for trial in pruned)
    assert best_of(pruned, METRIC) is None


def test_nothing_is_given_up_where_that_is_not_wanted() -> None:
    trials = search(Hill(), space=space(is_pruned=False), budget=Budget(20), study=Study())
    assert {trial.state for trial in trials} == {"complete"}


class _Refusing(Hill):
    """Refuses what differs from the defaults, or everything."""

    def __init__(self, *, refuses_defaults: bool) -> None:
        super().__init__()
        self._refuses_defaults = refuses_defaults

    def on_way(self, n_round: int) -> None:
        if self._refuses_defaults or self.asked[-1][1]:
            raise DataError("no finite loss")


def test_a_point_that_gives_no_model_is_on_record_with_its_reason_and_the_search_goes_on() -> None:
    trials = search(_Refusing(refuses_defaults=False), space=space(), budget=Budget(5), study=Study())
    assert [trial.state for trial in trials] == ["complete", "complete", "failed", "failed", "failed"]
    assert trials[-1].told()["said"] == "no finite loss"


def test_data_that_no_default_can_learn_from_are_refused_as_without_a_search() -> None:
    with pytest.raises(DataError, match="no finite loss"):
        search(_Refusing(refuses_defaults=True), space=space(), budget=Budget(5), study=Study())


def test_nothing_is_searched_where_there_is_nothing_to_choose_by() -> None:
    class Undefined(Hill):
        def __call__(self, *arguments: object) -> dict[str, float]:
            return {**super().__call__(*arguments), "auc": math.nan}  # type: ignore[arg-type]

    trials = search(Undefined(), space=space(), budget=Budget(20), study=Study())
    assert len(trials) == len(CANDIDATES)
    assert best_of(trials, METRIC) is None
