"""All that is measured of a model on its holdout, as one record."""

from __future__ import annotations

import logging
import math
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pipelines.evaluation import baselines, fairness, importance, label_noise, plots, slices, stress
from pipelines.evaluation.holdout import Holdout, Predict
from pipelines.evaluation.intervals import CONFIDENCE, METHOD, jackknife, measured, primary_interval
from pipelines.features.encoding import Encoding
from pipelines.metrics import evaluate_predictions, measure_calibration, primary_metric
from pipelines.records import (
    BaselineMeasure,
    CalibrationBin,
    CalibrationMeasure,
    Evaluation,
    Measured,
)
from pipelines.storage.lake import PARTITION_COLUMN

_LOG = logging.getLogger(__name__)
_CALIBRATED = {
    "binary": "the probability of 1",
    "multiclass": "the probability of the likeliest class",
    "regression": "the value",
}


class Subject(NamedTuple):
    """The model that is measured: what it is, and how it answers.

    ``predict`` takes a table of features and gives predictions as the scorer does; ``encoding`` says what
    its training rows were like.
    """

    dataset: str
    candidate: str
    bundle_digest: str
    encoding: Encoding
    predict: Predict


def evaluate_holdout(subject: Subject, holdout: Holdout, seen: pa.Table) -> Evaluation:
    """Measure a model on its holdout in every way that the task and the rows allow.

    Parameters
    ----------
    seen : pyarrow.Table
        The rows that the model was made from, with the columns of ``holdout.rows``.

    Returns
    -------
    Evaluation
        Without plots. The same model and rows give the same record. What can't be measured is left empty,
        and ``not_measured`` says why.
    """
    days = sorted(set(holdout.rows[PARTITION_COLUMN].to_pylist()))
    metric = primary_metric(holdout.task)
    groups, no_groups = _groups(holdout)
    answers, no_answers = _answers(subject, holdout, seen)
    naive, no_naive = _baselines(holdout, seen)
    about = {
        "dataset": subject.dataset,
        "task": holdout.task,
        "candidate": subject.candidate,
        "bundle_digest": subject.bundle_digest,
        "metric": metric.name,
        "greater_is_better": metric.greater_is_better,
        "first_day": days[0],
        "last_day": days[-1],
        "n_days": len(days),
        "n_rows": holdout.rows.num_rows,
        "unit": holdout.unit,
        "n_units": int(np.unique(holdout.units).size),
        "confidence": CONFIDENCE,
        "interval_method": METHOD.format(unit=holdout.unit),
        "metrics": _metrics(holdout),
        "calibration": _calibration(holdout),
        "baselines": naive,
        "not_measured": no_groups | no_answers | no_naive | _undefined(holdout),
    }
    return Evaluation.model_validate(about | groups | answers)


_Parts = tuple[dict[str, Any], dict[str, str]]


def _groups(holdout: Holdout) -> _Parts:
    """Return what was measured of groups of rows, and why the rest of it was not."""
    settings = holdout.config.evaluation
    _tell("groups", holdout)
    declared = slices.asked_slices(holdout, settings.slices, "declared")
    protected = slices.asked_slices(holdout, settings.protected, "protected")
    discovered, n_looked_at = slices.discovered_slices(holdout)
    gaps, problems = fairness.fairness_gaps(holdout, settings.protected, threshold=settings.threshold)
    missing = {f"fairness.{column}": problem for column, problem in problems.items()}
    if not settings.protected:
        missing["fairness"] = "evaluation.protected names no column"
    if not n_looked_at:
        missing["slices.discovered"] = "no group of rows is large enough to be looked at"
    missing |= _unknown_slices(holdout, {name for found in declared for name in found.where})
    measured = {
        "slices": (*declared, *protected, *discovered),
        "n_slices_looked_at": n_looked_at,
        "fairness": gaps,
    }
    return measured, missing


def _answers(subject: Subject, holdout: Holdout, seen: pa.Table) -> _Parts:
    """Return what the model's answers to other rows tell, and why the rest of it is not told."""
    missing: dict[str, str] = {}
    _tell("stress", holdout)
    stressed = stress.stress_results(holdout, subject.predict, subject.encoding)
    _tell("importance", holdout)
    n_rows = holdout.config.evaluation.explained_rows
    important, problem = importance.shap_importance(holdout, seen, subject.predict, n_rows=n_rows)
    if problem:
        missing["importance"] = problem
    _tell("label noise", holdout)
    noise, problem = label_noise.estimate_label_noise(seen, holdout.config, subject.encoding)
    if problem:
        missing["label_noise"] = problem
    return {"stress": stressed, "importance": important, "label_noise": noise}, missing


def _tell(what: str, holdout: Holdout) -> None:
    _LOG.info("Measure %s on %d rows", what, holdout.rows.num_rows)


def _metrics(holdout: Holdout) -> dict[str, Measured]:
    def measure(rows: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> dict[str, float]:
        found = evaluate_predictions(holdout.target[rows], holdout.prediction[rows], holdout.task)
        return {name: value for name, value in found.items() if name != "n"}

    return jackknife(measure, holdout.units)


def _calibration(holdout: Holdout) -> CalibrationMeasure:
    found = measure_calibration(
        holdout.target, holdout.prediction, holdout.units, holdout.task, confidence=CONFIDENCE
    )
    table = plots.calibration_table(holdout.target, holdout.prediction)
    return CalibrationMeasure(
        of=_CALIBRATED[holdout.task],
        error=measured(*found.error),
        luck=measured(found.luck).value,
        bias=measured(*found.bias),
        slope=measured(*found.slope),
        intercept=measured(*found.intercept),
        bins=tuple(CalibrationBin.model_validate(row) for row in table.to_pylist()),
    )


def _baselines(holdout: Holdout, seen: pa.Table) -> tuple[tuple[BaselineMeasure, ...], dict[str, str]]:
    """Measure what knows next to nothing; also return why there is no "as last time", if there is none."""
    unit = np.unique(holdout.units, return_inverse=True)[1]
    found = baselines.naive_predictions(seen, holdout.rows, holdout.config)
    records = []
    for naive in found:
        metrics = evaluate_predictions(holdout.target, naive.prediction, holdout.task)
        both = [holdout.prediction, naive.prediction]
        records.append(
            BaselineMeasure(
                kind=naive.kind,
                what=naive.what,
                coverage=naive.coverage,
                metrics={
                    name: value for name, value in metrics.items() if name != "n" and math.isfinite(value)
                },
                gain=primary_interval(holdout.target, both, unit, holdout.task),
            )
        )
    is_by_rows = holdout.config.training.split == "rows"
    why = "the table is split by rows: they have no order" if is_by_rows else "nothing was seen"
    return tuple(records), {} if len(found) > 1 else {"baselines.as_last_time": why}


def _unknown_slices(holdout: Holdout, found: set[str]) -> dict[str, str]:
    return {
        f"slices.{name}": "fewer than two of its groups have 50 rows"
        if name in holdout.rows.column_names
        else f"the rows have no column {name}"
        for name in holdout.config.evaluation.slices
        if name not in found
    }


def _undefined(holdout: Holdout) -> dict[str, str]:
    """Say why a metric or its bounds have no value."""
    reasons = {}
    if holdout.task != "regression" and np.unique(holdout.target).size < 2:
        reasons["metrics"] = "the holdout holds one class only"
    if holdout.task == "regression" and not np.ptp(holdout.target):
        reasons["metrics"] = "the target is the same in all rows of the holdout"
    if np.unique(holdout.units).size < 2:
        reasons["intervals"] = f"the holdout has one of its {holdout.unit}: luck can't be told from it"
    return reasons
