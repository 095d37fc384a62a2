"""Challenger and champion, scored by the one scorer on the same rows, and what is measured of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.errors import IntegrityError
from pipelines.evaluation.baselines import naive_predictions
from pipelines.metrics import (
    Calibration,
    compare_paired,
    declared_slices,
    evaluate_predictions,
    measure_calibration,
    measure_gaps,
    primary_metric,
    sure_training_error,
)
from pipelines.records import ChampionMove, GateRecord, GateResult, TrainingRecord
from pipelines.registry import gates
from pipelines.runtime import Runtime
from pipelines.scoring.clean_process import run_in_clean_process
from pipelines.scoring.outcome import predict
from pipelines.scoring.scorer import Scorer
from pipelines.steps.gating.holdout import Floats, Holdout, load_seen

# Fixed, so that the same models on the same rows always get the same verdict.
_SEED = 20130101


@dataclass(frozen=True)
class Measured:
    """What both models and the baselines say of the same rows, and how good that is.

    ``value`` is the challenger's primary metric, ``naive`` that of each baseline by what it says.
    """

    ours: Floats
    theirs: Floats | None
    value: float
    champion_value: float | None
    naive: dict[str, float]
    golden: GateResult


def measure_models(
    training: TrainingRecord, champion: ChampionMove | None, holdout: Holdout, *, runtime: Runtime
) -> Measured:
    """Score the holdout by challenger, champion and baselines.

    Raises
    ------
    IntegrityError
        If the bytes of either model are not those that were trained.
    """
    config = runtime.dataset(training.dataset)
    metric = primary_metric(config.task).name

    def measure(predictions: Floats) -> float:
        return evaluate_predictions(holdout.target, predictions, config.task)[metric]

    ours, golden = _score_challenger(training, holdout, runtime)
    theirs = None
    if champion is not None:
        bundle = runtime.registry.bundle(champion.dataset, champion.model_version)
        with Scorer.open(bundle, device=runtime.settings.device) as scorer:
            theirs = predict(scorer, holdout.features, config)
    rows = holdout.landed.append_column(config.target, pa.array(holdout.target, from_pandas=True))
    naive = naive_predictions(load_seen(training.trained, runtime), rows, config)
    return Measured(
        ours=ours,
        theirs=theirs,
        value=measure(ours),
        champion_value=None if theirs is None else measure(theirs),
        naive={found.what: measure(found.prediction) for found in naive},
        golden=golden,
    )


def weigh_model(measured: Measured, holdout: Holdout, config: DatasetConfig) -> tuple[GateResult, ...]:
    """Return the results of the gates on the challenger by itself: baseline, calibration, fairness."""
    promotion, protected = config.promotion, config.evaluation.protected

    def calibration(prediction: Floats) -> Calibration:
        return measure_calibration(holdout.target, prediction, holdout.units, config.task, seed=_SEED)

    known = holdout.target[np.isfinite(holdout.target)]
    is_regression = config.task == "regression" and known.size > 0
    gaps = measure_gaps(
        declared_slices(holdout.features, protected),
        holdout.target,
        measured.ours,
        holdout.units,
        config.task,
        seed=_SEED,
    )
    return (
        gates.beats_naive_baseline(
            measured.value, measured.naive, task=config.task, min_gain=promotion.min_baseline_gain
        ),
        gates.calibrated(
            calibration(measured.ours),
            None if measured.theirs is None else calibration(measured.theirs),
            scale=float(known.std()) if is_regression else 1.0,
            config=promotion,
        ),
        gates.fairness_gap(gaps, protected, config=promotion),
    )


def compare_models(
    measured: Measured,
    champion: ChampionMove | None,
    holdout: Holdout,
    config: DatasetConfig,
    *,
    training_error: float = 0.0,
) -> gates.Comparison | None:
    """Compare challenger and champion on all rows, and in each group of them; None without a champion.

    Groups are those of the columns of ``evaluation.slices`` and ``protected``, and of categorical features.
    ``training_error`` is that of :class:`~pipelines.registry.gates.Comparison`.
    """
    ours, theirs = measured.ours, measured.theirs
    if champion is None or theirs is None or measured.champion_value is None:
        return None
    metric = primary_metric(config.task)
    sign = 1.0 if metric.greater_is_better else -1.0
    # A baseline that is not defined leads nobody.
    naive = [sign * value for value in measured.naive.values() if np.isfinite(value)]
    columns = [*config.evaluation.slices, *config.evaluation.protected, *config.features.categorical]
    slices = declared_slices(holdout.features, columns)
    return gates.Comparison(
        champion=champion.model_version,
        metric=metric.name,
        gain=compare_paired(holdout.target, ours, theirs, holdout.units, config.task, seed=_SEED),
        lead=sign * measured.champion_value - max(naive, default=np.nan),
        slices={
            part.name: compare_paired(
                holdout.target[part.rows],
                ours[part.rows],
                theirs[part.rows],
                holdout.units[part.rows],
                config.task,
                seed=_SEED,
            )
            for part in slices
        },
        unit=holdout.unit,
        training_error=training_error,
    )


def training_error_of(training: TrainingRecord, runtime: Runtime) -> float:
    """Return by how much two models of a recipe surely differ beyond what days explain; 0 if not told."""
    evaluation = runtime.registry.evaluation(training.dataset, training.model_version)
    if evaluation is None or (noise := evaluation.retraining_noise) is None:
        return 0.0
    return sure_training_error(
        noise.standard_deviation, noise.ratio, n_models=len(noise.values), n_units=evaluation.n_units
    )


def try_loading(training: TrainingRecord, earlier: Iterable[GateRecord], *, runtime: Runtime) -> GateResult:
    """Open the challenger in a fresh interpreter, unless that was done and is on record.

    What was measured of the same bytes under the same budget stands: a repeat is the same evidence.
    """
    config = runtime.dataset(training.dataset).promotion
    if config.max_load_seconds is None and config.max_load_megabytes is None:
        return gates.loads_in_clean_process(None, config=config)
    for record in earlier:
        found = next((gate for gate in record.gates if gate.name == "loads_in_clean_process"), None)
        is_same = record.bundle_digest == training.trained.bundle_digest
        if found and is_same and found.is_passed and found.details["limits"] == gates.load_limits(config):
            return found
    load = run_in_clean_process(
        runtime.registry.bundle(training.dataset, training.model_version),
        training.trained.bundle_digest,
        device=runtime.settings.device,
        timeout_seconds=config.max_load_seconds,
    )
    return gates.loads_in_clean_process(gates.CleanLoad(*load), config=config)


def _score_challenger(
    training: TrainingRecord, holdout: Holdout, runtime: Runtime
) -> tuple[Floats, GateResult]:
    """Return predictions of the holdout; all nan where the scorer does not repeat the golden rows."""
    bundle = runtime.registry.bundle(training.dataset, training.model_version)
    config, device = runtime.dataset(training.dataset), runtime.settings.device
    try:
        with Scorer.open(bundle, device=device) as scorer:
            return predict(scorer, holdout.features, config), gates.golden_rows(None, device=scorer.device)
    except IntegrityError as error:
        # The bytes are those that were trained: it is the scorer that differs from the library.
        n_columns = (len(config.classes),) if config.task == "multiclass" else ()
        return np.full(holdout.target.shape + n_columns, np.nan), gates.golden_rows(str(error), device=device)
