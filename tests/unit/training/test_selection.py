"""The model that a training gives, with a search and without: the best on validation rows, and repeatable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sample_models
from search_hill import CANDIDATES

from pipelines.bundle.files import with_outputs, write_bundle
from pipelines.config import Task, TrainingRun
from pipelines.errors import IntegrityError
from pipelines.training.candidates import FittedCandidate
from pipelines.training.search import Study
from pipelines.training.search.trials import OnRound
from pipelines.training.selection import Fitting, Rows, SelectedModel, select_model

# The ninth of them is the best.
N_TRIALS = 10
RUN = TrainingRun(training_key="key")


def _fitting(task: Task = "binary", **search: Any) -> Fitting:
    candidates = CANDIDATES if task == "binary" else sample_models.CANDIDATES
    config = sample_models.config(task, candidates=candidates, max_iterations=8, max_epochs=2, search=search)
    train, valid = (sample_models.rows(n, seed, task=task) for n, seed in ((600, 1), (300, 2)))
    return Fitting(Rows(train, valid, valid.slice(0, 0)), config, sample_models.encoding(task), seed=7)


def _bytes(selection: SelectedModel, folder: Path) -> dict[str, bytes]:
    """Return the files of the bundle that a selection makes."""
    best, sample = selection.best, sample_models.rows(20, 3)
    write_bundle(folder, best.description, best.tensors, with_outputs(sample, best.predict(sample)))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> SelectedModel:
    """Return what is selected without a search."""
    return select_model(_fitting(), RUN, studies=tmp_path_factory.mktemp("none"))


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> SelectedModel:
    """Return what a search that nothing happened to selects."""
    return select_model(_fitting(trials=N_TRIALS), RUN, studies=tmp_path_factory.mktemp("whole"))


def test_without_a_search_the_best_candidate_is_chosen_and_nothing_is_kept(
    plain: SelectedModel, tmp_path: Path
) -> None:
    select_model(_fitting(), RUN, studies=tmp_path / "studies")
    assert not (tmp_path / "studies").exists()
    assert set(plain.told) == {"candidate", "validation"}
    auc_of = {name: metrics["auc"] for name, metrics in plain.told["validation"].items()}
    assert plain.told["candidate"] == plain.best.name == max(auc_of, key=auc_of.__getitem__)
    assert plain.best.description.training.parameters == {}


def test_a_search_tells_every_trial_and_chooses_none_worse_than_without_it(
    plain: SelectedModel, searched: SelectedModel
) -> None:
    trials, told = searched.told["trials"], searched.told["search"]
    assert [trial["number"] for trial in trials] == list(range(N_TRIALS)) == list(range(told["n_trials"]))
    assert [trial["metrics"] for trial in trials[:2]] == list(plain.told["validation"].values())
    best = trials[told["best_trial"]]
    assert best["metrics"]["auc"] == max(trial["metrics"].get("auc", 0.0) for trial in trials)
    assert best["candidate"] == searched.told["candidate"] == searched.best.name
    assert best["parameters"] == searched.best.description.training.parameters
    assert searched.told["validation"][best["candidate"]] == best["metrics"]


def test_a_search_that_finds_nothing_better_gives_the_bytes_of_none(
    plain: SelectedModel, tmp_path: Path
) -> None:
    defaults_only = select_model(_fitting(trials=1), RUN, studies=tmp_path / "studies")
    assert _bytes(defaults_only, tmp_path / "one") == _bytes(plain, tmp_path / "other")


@dataclass(frozen=True)
class _Interrupted(Fitting):
    """Stops in the second round of a trial."""

    trial: int = 0
    fits: list[str] = field(default_factory=list)

    def fit(
        self, name: str, parameters: Mapping[str, float | int] | None = None, on_round: OnRound | None = None
    ) -> FittedCandidate:
        self.fits.append(name)

        def stop(n_round: int, loss: float) -> None:
            assert on_round is not None
            on_round(n_round, loss)
            if len(self.fits) == self.trial + 1 and n_round == 2:
                raise KeyboardInterrupt

        return super().fit(name, parameters, stop)


@pytest.mark.parametrize(
    "trial", [pytest.param(3, id="before-the-best-trial"), pytest.param(9, id="after-the-best-trial")]
)
def test_a_search_that_was_stopped_gives_the_bytes_of_one_that_was_not(
    trial: int, searched: SelectedModel, tmp_path: Path
) -> None:
    studies = tmp_path / "studies"
    whole = _fitting(trials=N_TRIALS)
    stopped = _Interrupted(whole.rows, whole.config, whole.encoding, whole.seed, trial)
    with pytest.raises(KeyboardInterrupt):
        select_model(stopped, RUN, studies=studies)
    assert len(Study(studies / "key.json").read()) == trial

    resumed = select_model(whole, RUN, studies=studies)

    assert resumed.told == searched.told
    assert _bytes(resumed, tmp_path / "one") == _bytes(searched, tmp_path / "other")


def test_the_model_of_a_finished_search_is_fitted_again_to_the_same_bytes(
    searched: SelectedModel, tmp_path: Path
) -> None:
    select_model(_fitting(trials=N_TRIALS), RUN, studies=tmp_path)
    again = select_model(_fitting(trials=N_TRIALS), RUN, studies=tmp_path)
    assert again.told == searched.told
    assert _bytes(again, tmp_path / "one") == _bytes(searched, tmp_path / "other")


def test_a_search_that_was_kept_on_another_kind_of_machine_is_refused(tmp_path: Path) -> None:
    select_model(_fitting(trials=3), RUN, studies=tmp_path)
    study = Study(tmp_path / "key.json")
    study.keep([trial.model_copy(update={"metrics": {"auc": 0.9}}) for trial in study.read()])
    with pytest.raises(IntegrityError, match=r"another kind of machine\. Remove its file"):
        select_model(_fitting(trials=3), RUN, studies=tmp_path)


def test_a_search_to_be_repeated_has_as_many_trials_as_it_had(
    searched: SelectedModel, tmp_path: Path
) -> None:
    run = TrainingRun(n_trials=N_TRIALS)
    repeated = select_model(_fitting(minutes=0.0001), run, studies=tmp_path / "studies")
    assert repeated.told["trials"] == searched.told["trials"]
    granted = {"trials": 0, "minutes": 0.0001, "is_pruned": True}
    assert repeated.told["search"] == searched.told["search"] | {"budget": granted}
    assert not (tmp_path / "studies").exists(), "a run without a key keeps nothing"


@pytest.mark.parametrize(("task", "metric"), [("regression", "rmse"), ("multiclass", "log_loss")])
def test_every_candidate_is_searched_for_every_task(task: Task, metric: str, tmp_path: Path) -> None:
    n_trials = 2 * len(sample_models.CANDIDATES)
    selected = select_model(_fitting(task, trials=n_trials, prune=False), TrainingRun(), studies=tmp_path)
    trials = selected.told["trials"]
    assert [trial["candidate"] for trial in trials] == [*sample_models.CANDIDATES] * 2
    assert {trial["state"] for trial in trials} == {"complete"}
    values = [trial["metrics"][metric] for trial in trials]
    assert values[selected.told["search"]["best_trial"]] == min(values)
    assert all(trial["parameters"] for trial in trials[len(sample_models.CANDIDATES) :])
