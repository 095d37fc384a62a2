"""Put a challenger through every gate, against the present champion, on the challenger's holdout."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pipelines.metrics import primary_metric
from pipelines.records import ChampionMove, GateRecord, GateResult, TrainingRecord
from pipelines.registry import gates
from pipelines.registry.challengers import training_record
from pipelines.runtime import Runtime
from pipelines.steps.card import refresh_cards
from pipelines.steps.gating.data import weigh_data
from pipelines.steps.gating.holdout import Holdout, load_holdout
from pipelines.steps.gating.models import (
    Measured,
    compare_models,
    measure_models,
    training_error_of,
    try_loading,
    weigh_model,
)
from pipelines.steps.gating.reuse import refused_before
from pipelines.steps.shadow_state import shadow_results


def gate(dataset: str, model_version: str, *, runtime: Runtime) -> GateRecord:
    """Evaluate every gate for a challenger, and put the evidence on record; a refusal is a value.

    Challenger and champion are scored by the one scorer on the same rows: the challenger's holdout
    (its newest days, or the rows that their keys hold out), with features computed anew from the lake.
    The evidence holds against the champion of this moment. A repeat for the version that such evidence
    made champion returns that evidence.

    Raises
    ------
    ConfigError
        If the ledger knows no such version.
    NotReadyError
        If none of the holdout's days is in the lake any more.
    IntegrityError
        If the bytes of either model are not those that were trained.
    """
    started = time.monotonic()
    training = training_record(dataset, model_version, ledger=runtime.ledger)
    moves = runtime.ledger.champions.history(dataset)
    champion = moves[-1] if moves else None
    if settled := _settled(training, champion, runtime):
        return settled
    holdout = load_holdout(training.trained, runtime)
    measured = measure_models(training, champion, holdout, runtime=runtime)
    results = _evaluate(training, moves, holdout, measured, runtime)
    record = GateRecord(
        dataset=dataset,
        partition_key=training.partition_key,
        model_version=model_version,
        bundle_digest=training.trained.bundle_digest,
        champion_version=champion.model_version if champion else None,
        champion_sequence=champion.sequence if champion else 0,
        metric=primary_metric(runtime.dataset(dataset).task).name,
        challenger_value=measured.value,
        champion_value=measured.champion_value,
        gates=results,
        is_passed=all(result.is_passed for result in results),
        duration_seconds=time.monotonic() - started,
    )
    runtime.ledger.record(record)
    refresh_cards(dataset, model_version, runtime=runtime)
    return record


def _settled(training: TrainingRecord, champion: ChampionMove | None, runtime: Runtime) -> GateRecord | None:
    """Return the evidence by which this very night's challenger became the present champion."""
    if champion is None or champion.model_version != training.model_version:
        return None
    evidence = runtime.ledger.find(GateRecord, training.dataset, champion.evidence_digest)
    return evidence if evidence and evidence.partition_key == training.partition_key else None


def _evaluate(
    training: TrainingRecord,
    moves: Sequence[ChampionMove],
    holdout: Holdout,
    measured: Measured,
    runtime: Runtime,
) -> tuple[GateResult, ...]:
    config = runtime.dataset(training.dataset)
    champion = moves[-1] if moves else None
    version = champion.model_version if champion else None
    earlier = runtime.ledger.revisions(GateRecord, training.dataset)
    before = refused_before(training, version, earlier, runtime=runtime)
    training_error = training_error_of(training, runtime)
    comparison = compare_models(measured, champion, holdout, config, training_error=training_error)
    return (
        gates.challenger_is_not_champion(training.model_version, champion),
        gates.not_rolled_back(training.model_version, moves),
        *weigh_data(training, champion, holdout, runtime=runtime),
        measured.golden,
        try_loading(training, earlier, runtime=runtime),
        *weigh_model(measured, holdout, config),
        gates.no_slice_worse(comparison, config=config.promotion),
        gates.holdout_reuse(before, champion=version, days=holdout.days, config=config.promotion),
        *shadow_results(training, champion, runtime=runtime),
        gates.beats_champion(comparison, config=config.promotion, n_before=len(before)),
    )
