"""The last stage of a training: measure the model, and keep what later nights are held against."""

from __future__ import annotations

import json
import math
import re
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.bundle.files import PREDICTION
from pipelines.config import DatasetConfig
from pipelines.evaluation.baselines import baseline_metrics
from pipelines.evaluation.evaluating import Subject, evaluate_holdout
from pipelines.evaluation.holdout import Holdout
from pipelines.evaluation.plots import write_plots
from pipelines.evaluation.reference import parity_error, sample_reference
from pipelines.evaluation.slices import with_columns
from pipelines.evaluation.speed import measure_speed, write_speed
from pipelines.metrics import evaluate_predictions
from pipelines.monitoring.reference_sketch import sketch_reference
from pipelines.records import Evaluation
from pipelines.scoring.outcome import with_predictions
from pipelines.scoring.scorer import Scorer
from pipelines.steps.retraining_noise import measure_retraining_noise
from pipelines.steps.stage_folder import StageFolder
from pipelines.storage.digest import ROW_KEY
from pipelines.storage.lake import PARTITION_COLUMN
from pipelines.training.examples import count_strangers, read_days
from pipelines.training.refits import Recipe
from pipelines.training.row_split import row_units
from pipelines.training.snapshot import EVENTS, LABELS, write_parquet
from pipelines.validation.reference import learn

if TYPE_CHECKING:
    from pipelines.training.row_split import Examples

Floats = npt.NDArray[np.float64]

# Fewer days than this say nothing about how much days differ: groups of rows are compared then.
_MIN_DAYS = 3


def evaluate(folder: StageFolder, examples: Examples, config: DatasetConfig) -> dict[str, Any]:
    """Measure the model of a training by the scorer that production uses; write all but the metrics.

    Returns
    -------
    dict of str to any
        The content of ``metrics.json``.
    """
    started = time.perf_counter()
    # The CPU reckons the same everywhere; what a GPU gives is checked where one scores.
    with Scorer.open(folder.bundle, device="cpu") as scorer:
        open_seconds = time.perf_counter() - started
        guess = scorer.predict(examples.holdout)
        evaluation = _evaluation(folder, examples, guess, scorer)
        _write_reference(folder, examples, scorer, config)
        features = examples.holdout.select(list(config.features.columns))
        speed = measure_speed(features, scorer.predict, open_seconds=open_seconds, device=scorer.device)
        parity = parity_error(folder.bundle, scorer.predict)
    folder.evaluation.write_text(evaluation.model_dump_json(indent=1) + "\n", encoding="utf-8")
    write_speed(speed, folder.speed)
    scored = with_predictions(examples.holdout, guess, config)
    _write_sketch(examples.seen, scored, folder, config)
    _write_profile(scored, folder, config)
    found = {"parity_error": parity, "evaluation": _headlines(evaluation)}
    return _metrics(folder, examples, guess, config) | found


def _evaluation(folder: StageFolder, examples: Examples, guess: Floats, scorer: Scorer) -> Evaluation:
    """Measure the model, and write its plots."""
    run, config = folder.run()
    landed = _landed(folder, config)
    seen, held_out = (
        with_columns(rows, landed, landed.column_names, key=ROW_KEY)
        for rows in (examples.seen, examples.holdout)
    )
    holdout = _holdout(held_out, guess, config)
    told = scorer.description
    subject = Subject(run.dataset, told.candidate, scorer.digest, told.encoding, scorer.predict)
    evaluation = evaluate_holdout(subject, holdout, seen)
    plots = write_plots(holdout, evaluation.importance, folder.plots)
    places = {title: f"{folder.plots.name}/{name}" for title, name in plots.items()}
    recipe = Recipe(told.candidate, told.training.parameters, told.training.seed)
    noise, problem = measure_retraining_noise(examples, holdout, recipe)
    missing = evaluation.not_measured | ({"retraining_noise": problem} if problem else {})
    return evaluation.model_copy(update={"plots": places, "retraining_noise": noise, "not_measured": missing})


def _write_reference(folder: StageFolder, examples: Examples, scorer: Scorer, config: DatasetConfig) -> None:
    reference = sample_reference(examples.seen, examples.holdout, n_rows=config.monitoring.reference_rows)
    reference = with_predictions(reference, scorer.predict(reference), config)
    write_parquet(reference, folder.outputs / "reference.parquet")


def _landed(folder: StageFolder, config: DatasetConfig) -> pa.Table:
    """Return the landed columns by which groups of rows are told apart, beside the features."""
    wanted = [*config.key, *config.evaluation.slices, *config.evaluation.protected]
    names = [name for name in dict.fromkeys(wanted) if name in config.columns]
    return read_days(folder.snapshot / EVENTS, folder.days()).select([ROW_KEY, *names])


def _holdout(rows: pa.Table, guess: Floats, config: DatasetConfig) -> Holdout:
    days = rows[PARTITION_COLUMN].to_numpy(zero_copy_only=False)
    if config.training.split == "rows" or np.unique(days.astype(str)).size < _MIN_DAYS:
        return Holdout(rows, guess, row_units(rows[ROW_KEY]), "groups of rows", config)
    return Holdout(rows, guess, days.astype(str), "days", config)


def _metrics(folder: StageFolder, examples: Examples, guess: Floats, config: DatasetConfig) -> dict[str, Any]:
    happened = examples.holdout[config.target].to_numpy()
    past = examples.seen[config.target].to_numpy()
    selection = json.loads(folder.selection.read_text(encoding="utf-8"))
    return {
        **{name: found for name, found in selection.items() if name != "trials"},
        "holdout": _finite(evaluate_predictions(happened, guess, config.task)),
        "baseline": _finite(baseline_metrics(past, happened, config.task, n_classes=len(config.classes))),
        "strange_labels": count_strangers(folder.snapshot / LABELS, config, folder.days()),
        "n_withheld_rows": json.loads(folder.withheld.read_text(encoding="utf-8"))["n_rows"],
        "n_look_ahead_columns": len(json.loads(folder.look_ahead.read_text(encoding="utf-8"))["columns"]),
    }


def _headlines(evaluation: Evaluation) -> dict[str, float]:
    """Return the figures of an evaluation that two trainings are compared by, one name each."""
    primary, calibration = evaluation.metrics[evaluation.metric], evaluation.calibration
    found: dict[str, float | None] = {
        f"{evaluation.metric}_lower": primary.lower,
        f"{evaluation.metric}_upper": primary.upper,
    }
    if calibration is not None:
        found["calibration_error"] = calibration.error.value
        found["calibration_slope"] = calibration.slope.value
    found["n_worse_slices"] = sum(part.is_worse for part in evaluation.slices)
    for naive in evaluation.baselines:
        name = f"gain_over_{naive.kind}"
        gains = [gain for gain in (naive.gain.value, found.get(name)) if gain is not None]
        if naive.kind != "prior" and gains:
            found[name] = min(gains)  # groups can be told apart in several ways; the best of them counts
    for stressed in evaluation.stress:
        found[f"loss_by_{stressed.kind}_{stressed.amount:.10g}"] = stressed.loss
    for gap in evaluation.fairness:
        found[f"gap_of_{gap.column}_in_{gap.measure}"] = gap.gap.value
    if evaluation.label_noise is not None:
        found["label_noise"] = evaluation.label_noise.share
        found["surest_contradicted"] = evaluation.label_noise.surest_contradicted
    if evaluation.retraining_noise is not None:
        found["retraining_noise"] = evaluation.retraining_noise.standard_deviation
        found["retraining_noise_ratio"] = evaluation.retraining_noise.ratio
    # MLflow takes no other characters in a metric's name.
    return {re.sub(r"[^\w.-]", "_", name): float(value) for name, value in found.items() if value is not None}


def _write_sketch(seen: pa.Table, scored: pa.Table, folder: StageFolder, config: DatasetConfig) -> None:
    """Count every row of every day: what the days of a night are held against."""
    rows = pa.concat_tables([seen, scored.select(seen.column_names)])
    path = folder.outputs / "reference.sketch"
    path.write_bytes(sketch_reference(rows, scored, config).to_bytes())


def _write_profile(scored: pa.Table, folder: StageFolder, config: DatasetConfig) -> None:
    """Remember what the training saw of each column: what ``$REFERENCE`` in a suite stands for."""
    days = folder.days()
    predicted = [name for name in scored.column_names if name.startswith((PREDICTION, "probability_"))]
    tables = {
        "raw": read_days(folder.snapshot / EVENTS, days).select([PARTITION_COLUMN, *config.columns]),
        "features": read_days(folder.features, days).select([PARTITION_COLUMN, *config.features.columns]),
        "labels": read_days(folder.snapshot / LABELS, days).select([PARTITION_COLUMN, *config.labels]),
        "predictions": scored.select([PARTITION_COLUMN, *predicted]),
    }
    path = folder.outputs / "reference_profile.json"
    path.write_text(learn(tables).model_dump_json(indent=1) + "\n", encoding="utf-8")


def _finite(metrics: dict[str, float]) -> dict[str, float]:
    """Leave out what is not defined: JSON has no nan."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}
