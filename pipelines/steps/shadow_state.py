"""Which challengers are in the champion's shadow, how far they have come, and what their gate says."""

from __future__ import annotations

import numpy as np

from pipelines.metrics import compare_paired
from pipelines.records import (
    ChampionMove,
    GateRecord,
    GateResult,
    ScoringRecord,
    ShadowRecord,
    ShadowState,
    ShadowWithdrawal,
    TrainingRecord,
)
from pipelines.registry.challengers import training_record
from pipelines.registry.shadow_gate import NAME, better_in_shadow
from pipelines.runtime import Runtime
from pipelines.steps.paired_rows import labelled_nights, paired_rows, shadow_nights
from pipelines.training.row_split import row_units

# As for the gates on the holdout: fixed, and fewer nights say nothing about how nights differ.
_SEED, _MIN_DAYS = 20130101, 3


def await_shadow(dataset: str, model_version: str, *, runtime: Runtime) -> ShadowState | None:
    """Send a challenger into the champion's shadow, and tell how far it has come.

    Returns
    -------
    ShadowState or None
        None where nothing is to be waited for: ``promotion.shadow_nights`` is 0, there is no champion, the
        version has been champion itself, its nights are complete, or a person has taken it out of the
        shadow: then its gates refuse it. A repeat changes nothing.

    Raises
    ------
    ConfigError
        If the ledger knows no such version.
    """
    training = training_record(dataset, model_version, ledger=runtime.ledger)
    state = shadow_state(training, runtime=runtime)
    if state is None or state.is_complete or state.withdrawal is not None:
        return None
    record = ShadowRecord(
        dataset=dataset,
        partition_key=training.partition_key,
        model_version=model_version,
        champion_version=state.champion_version,
        n_nights=state.n_nights,
    )
    runtime.ledger.record(record)
    return state


def shadow_state(training: TrainingRecord, *, runtime: Runtime) -> ShadowState | None:
    """Return how far a challenger has come in the present champion's shadow; None where it needs none."""
    dataset, version = training.dataset, training.model_version
    n_nights = runtime.dataset(dataset).promotion.shadow_nights
    moves = runtime.ledger.champions.history(dataset)
    if not n_nights or not moves or version in {move.model_version for move in moves}:
        return None
    champion = moves[-1].model_version
    after = training.trained.last_partition
    nights = shadow_nights(dataset, version, beside=champion, after=after, runtime=runtime)[:n_nights]
    newest = runtime.ledger.newest_partition(ScoringRecord, dataset)
    return ShadowState(
        dataset=dataset,
        partition_key=training.partition_key,
        model_version=version,
        champion_version=champion,
        n_nights=n_nights,
        nights=tuple(nights),
        labelled=tuple(labelled_nights(dataset, nights, newest, runtime=runtime) if newest else ()),
        withdrawal=withdrawal_of(dataset, version, runtime=runtime),
    )


def withdrawal_of(dataset: str, model_version: str, *, runtime: Runtime) -> ShadowWithdrawal | None:
    """Return who took a challenger out of the shadow, and why; None where nobody did, or it is back."""
    said = runtime.ledger.latest(ShadowWithdrawal, dataset, subject=model_version)
    return said if said is not None and said.is_withdrawn else None


def challengers_in_shadow(dataset: str, night: str, *, runtime: Runtime) -> list[str]:
    """Return the challengers that score a night in the shadow, oldest first."""
    return [
        state.model_version
        for training, state in waiting_challengers(dataset, runtime=runtime)
        # None of them has learned from the night.
        if night > training.trained.last_partition
        and state.withdrawal is None
        and (not state.is_scored or night in state.nights)
    ]


def challenger_to_gate(dataset: str, *, runtime: Runtime) -> ShadowState | None:
    """Return the oldest challenger whose nights are complete, and whose gates were not evaluated since.

    An answer that is lost is given again the next time, until there is a verdict.
    """
    waiting = waiting_challengers(dataset, runtime=runtime)
    return next((state for _, state in waiting if state.is_complete), None)


def shadow_results(
    training: TrainingRecord, champion: ChampionMove | None, *, runtime: Runtime
) -> tuple[GateResult, ...]:
    """Return what the gates say of a challenger's nights in the shadow; nothing if it needs none."""
    state = shadow_state(training, runtime=runtime)
    if state is None or champion is None or champion.model_version != state.champion_version:
        return ()
    config = runtime.dataset(training.dataset)
    if not state.is_complete:
        return (better_in_shadow(state, None, task=config.task, config=config.promotion),)
    rows = paired_rows(
        state.dataset,
        state.labelled,
        public=state.champion_version,
        shadow=state.model_version,
        runtime=runtime,
    )
    is_few = np.unique(rows.nights).size < _MIN_DAYS
    units, unit = (row_units(rows.row_ids), "groups of rows") if is_few else (rows.nights, "days")
    gain = compare_paired(rows.target, rows.shadow, rows.public, units, config.task, seed=_SEED)
    return (better_in_shadow(state, gain, task=config.task, config=config.promotion, unit=unit),)


def waiting_challengers(dataset: str, *, runtime: Runtime) -> list[tuple[TrainingRecord, ShadowState]]:
    """Return the challengers that were sent into the shadow and wait for their gates, oldest first.

    Those that a person took out of it are among them: they wait for the person.
    """
    if not runtime.dataset(dataset).promotion.shadow_nights:
        return []
    # A version may have been sent for several nights that found its training done: once is enough.
    sent = {record.model_version: record for record in runtime.ledger.history(ShadowRecord, dataset)}
    found = []
    for version, record in sent.items():
        training = training_record(dataset, version, ledger=runtime.ledger)
        state = shadow_state(training, runtime=runtime)
        if state is not None and not _is_judged(state, record, runtime):
            found.append((training, state))
    return found


def _is_judged(state: ShadowState, sent: ShadowRecord, runtime: Runtime) -> bool:
    """Return whether there is a verdict with the nights in the shadow that stands.

    One beside the present champion does. One beside a champion of the past does if it was a refusal, unless
    the challenger was sent once more since: what was refused is not tried on every new champion.
    """
    verdicts = [
        verdict
        for verdict in runtime.ledger.revisions(GateRecord, state.dataset, state.partition_key)
        if verdict.model_version == state.model_version and _has_nights(verdict)
    ]
    if any(verdict.champion_version == state.champion_version for verdict in verdicts):
        return True
    is_refused = any(not verdict.is_passed for verdict in verdicts)
    return is_refused and sent.champion_version != state.champion_version


def _has_nights(verdict: GateRecord) -> bool:
    return any(result.name == NAME and result.details.get("is_complete") for result in verdict.gates)
