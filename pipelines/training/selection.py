"""The model that a training gives: the best candidate as it is, or what a search among them finds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipelines.config import DatasetConfig, TrainingRun
from pipelines.errors import IntegrityError
from pipelines.features.encoding import Encoding
from pipelines.metrics import evaluate_predictions, primary_metric
from pipelines.training.candidates import FittedCandidate, calibrate, fit_candidate
from pipelines.training.evaluation import choose_candidate

if TYPE_CHECKING:
    import pyarrow as pa

    from pipelines.training.search import Trial
    from pipelines.training.search.trials import OnRound


@dataclass(frozen=True)
class SelectedModel:
    """What was chosen, and from what.

    Parameters
    ----------
    best : FittedCandidate
        The model.
    told : dict
        What goes on record as JSON: ``candidate``, the ``validation`` metrics of each candidate, and of
        a search its ``search`` in numbers and all its ``trials``.
    """

    best: FittedCandidate
    told: dict[str, Any]


class Rows(NamedTuple):
    """The rows to fit on, those to stop early and to choose by, and those to calibrate on, if any."""

    train: pa.Table
    valid: pa.Table
    to_calibrate: pa.Table


@dataclass(frozen=True)
class Fitting:
    """What every fit of one training shares."""

    rows: Rows
    config: DatasetConfig
    encoding: Encoding
    seed: int

    def fit(
        self, name: str, parameters: Mapping[str, float | int] | None = None, on_round: OnRound | None = None
    ) -> FittedCandidate:
        """Fit one kind of model, and calibrate it."""
        fitted = fit_candidate(
            name,
            self.rows.train,
            self.rows.valid,
            config=self.config,
            encoding=self.encoding,
            seed=self.seed,
            parameters=parameters,
            on_round=on_round,
        )
        return calibrate(fitted, self.rows.to_calibrate, config=self.config)

    def measure(self, fitted: FittedCandidate) -> dict[str, float]:
        """Measure a model on the validation rows."""
        valid = self.rows.valid
        happened = valid[self.config.target].to_numpy()
        return evaluate_predictions(happened, fitted.predict(valid), self.config.task)


def select_model(fitting: Fitting, run: TrainingRun, *, studies: Path) -> SelectedModel:
    """Fit the candidates, search where the configuration asks for it, and choose by the validation rows.

    Parameters
    ----------
    studies : Path
        The folder in which searches keep their trials; of a run without a ``training_key`` nothing is kept.

    Raises
    ------
    DataError
        If a candidate, as it is without a search, can't be fitted.
    IntegrityError
        If a search that was kept is not what this machine finds.
    """
    if fitting.config.training.search.is_on:
        return _searched(fitting, run, studies)
    fitted: dict[str, FittedCandidate] = {
        name: fitting.fit(name) for name in fitting.config.training.candidates
    }
    measured = {name: fitting.measure(model) for name, model in fitted.items()}
    best = fitted[choose_candidate(measured, fitting.config.task)]
    return SelectedModel(best, {"candidate": best.name, "validation": _validation(measured)})


class _Memory:
    """Measures points, and keeps the model of the best one, so that it need not be fitted again."""

    def __init__(self, fitting: Fitting) -> None:
        self._fitting = fitting
        self._metric = primary_metric(fitting.config.task)
        self._kept: tuple[str, Mapping[str, float | int], FittedCandidate] | None = None
        self._cost = math.inf

    def __call__(
        self, candidate: str, parameters: Mapping[str, float | int], on_round: OnRound | None
    ) -> dict[str, float]:
        model = self._fitting.fit(candidate, parameters, on_round)
        metrics = self._fitting.measure(model)
        cost = metrics[self._metric.name] * (-1 if self._metric.greater_is_better else 1)
        if self._kept is None or cost < self._cost:
            self._cost = math.inf if math.isnan(cost) else cost
            self._kept = candidate, dict(parameters), model
        return metrics

    def model_of(self, trial: Trial) -> FittedCandidate:
        """Return the model of a trial; one of an earlier attempt is fitted again, and comes out the same."""
        if self._kept is not None and self._kept[:2] == (trial.candidate, trial.parameters):
            return self._kept[2]
        model = self._fitting.fit(trial.candidate, trial.parameters)
        found = self._fitting.measure(model)
        if any(not _is_same(value, found.get(name, math.nan)) for name, value in trial.metrics.items()):
            raise IntegrityError(
                f"Trial {trial.number} of the search that was kept gave {trial.metrics}, and gives {found} "
                "here: it ran on another kind of machine. Remove its file below `studies` in "
                "HOLDFAST_HOME, and train again."
            )
        return model


def _searched(fitting: Fitting, run: TrainingRun, studies: Path) -> SelectedModel:
    from pipelines.training.search import Budget, Space, Study, best_of, search

    training, metric = fitting.config.training, primary_metric(fitting.config.task)
    memory = _Memory(fitting)
    trials = search(
        memory,
        space=Space(training.candidates, metric, fitting.seed, is_pruned=training.search.prune),
        budget=Budget.of(training.search, run.n_trials),
        study=Study(studies / f"{run.training_key}.json" if run.training_key else None),
    )
    # Without a single value to compare, the first candidate as it is: what a training without a search takes.
    best = best_of(trials, metric) or trials[0]
    of_each = {
        name: best_of([trial for trial in trials if trial.candidate == name], metric) or trials[index]
        for index, name in enumerate(training.candidates)
    }
    told = {
        "candidate": best.candidate,
        "validation": _validation({name: trial.metrics for name, trial in of_each.items()}),
        "search": {
            "metric": metric.name,
            "best_trial": best.number,
            "n_trials": len(trials),
            **{f"n_{state}": sum(trial.state == state for trial in trials) for state in ("pruned", "failed")},
            "greater_is_better": metric.greater_is_better,
            # What was granted, also where a search of so many trials is repeated: a repeat gives these bytes.
            "budget": {
                "trials": training.search.trials,
                "minutes": training.search.minutes,
                "is_pruned": training.search.prune,
            },
            "seed": fitting.seed,
        },
        "trials": [trial.told() for trial in trials],
    }
    return SelectedModel(memory.model_of(best), told)


def _validation(measured: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Leave out what is not defined: JSON has no nan."""
    return {
        name: {key: value for key, value in metrics.items() if math.isfinite(value)}
        for name, metrics in measured.items()
    }


def _is_same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))
