"""Promote a challenger that passed its gates: the champion moves by compare-and-set."""

from __future__ import annotations

from contextlib import suppress

from pipelines.errors import ConflictError, NotReadyError
from pipelines.records import ChampionMove, GateRecord, PromotionDecision, TrainingRecord, now_utc
from pipelines.registry.challengers import training_record
from pipelines.registry.champion import as_recorded, move_by
from pipelines.runtime import Runtime
from pipelines.steps.card import refresh_cards
from pipelines.steps.champions import follow_champion

_ATTEMPTS = 4


def promote(
    dataset: str, model_version: str, *, runtime: Runtime, actor: str, note: str = ""
) -> PromotionDecision:
    """Make a challenger champion, if its gates say so; a refusal is a value.

    The move is one row of the ledger, bound to the digest of the evidence and to the champion that
    the evidence was taken against. MLflow's alias and the retraining's status follow it; a process
    killed in between leaves them behind, and a repeat sets them right. Evidence moves the champion
    once: a repeat, even after a rollback, tells of the first time and moves nothing.

    Where the champion has moved since the gates were evaluated, they are evaluated again, once;
    where a person approved (``promotion.approval: human``), what was approved no longer holds, and
    the promotion is refused.

    Parameters
    ----------
    actor : str
        Who or what promotes; goes on record.
    note : str
        What the actor has to say.

    Raises
    ------
    ConfigError
        If the ledger knows no such version.
    NotReadyError
        If the challenger's gates were never evaluated.
    ConflictError
        If the champion kept moving; nothing was written.
    """
    training = training_record(dataset, model_version, ledger=runtime.ledger)
    actor, note = as_recorded(actor, note)
    decision = _decide(training, runtime, actor=actor, note=note)
    follow_champion(dataset, training.partition_key, runtime=runtime)
    refresh_cards(dataset, model_version, decision.previous_version, runtime=runtime)
    _close_retraining(decision, runtime)
    return decision


def _decide(training: TrainingRecord, runtime: Runtime, *, actor: str, note: str) -> PromotionDecision:
    dataset, version = training.dataset, training.model_version
    is_regated = False
    for _ in range(_ATTEMPTS):
        evidence = _evidence(dataset, version, runtime)
        moves = runtime.ledger.champions.history(dataset)
        if done := move_by(evidence.digest, moves):
            return _promoted(training, done)
        if not evidence.is_passed:
            return _refused(training, _failures(evidence))
        if evidence.champion_sequence == (moves[-1].sequence if moves else 0):
            # Somebody may still move it first, with this very evidence or another version: then look again.
            with suppress(ConflictError):
                return _promoted(training, runtime.ledger.champions.move(_move(evidence, actor, note)))
        elif runtime.dataset(dataset).promotion.approval == "human":
            return _refused(training, f"{_stale(evidence)}: evaluate the gates and approve again")
        elif is_regated:
            break
        else:
            # Seldom needed: a promotion that starts anew does not import the scorer, and torch with it.
            from pipelines.steps.gate import gate

            gate(dataset, version, runtime=runtime)
            is_regated = True
    raise ConflictError(f"The champion of {dataset} kept moving; promote v{version} again.")


def _evidence(dataset: str, version: str, runtime: Runtime) -> GateRecord:
    evidence = runtime.ledger.latest(GateRecord, dataset, subject=version)
    if evidence is None:
        raise NotReadyError(
            f"The gates of {dataset} v{version} were not evaluated yet: "
            f"run `holdfast gate {dataset} {version}` first."
        )
    return evidence


def _move(evidence: GateRecord, actor: str, note: str) -> ChampionMove:
    passed = f"passed {len(evidence.gates)} gates; {evidence.gates[-1].observed}"
    return ChampionMove(
        dataset=evidence.dataset,
        sequence=evidence.champion_sequence + 1,
        model_version=evidence.model_version,
        previous_version=evidence.champion_version,
        action="promote",
        actor=actor,
        reason=f"{note} ({passed})" if note else passed,
        evidence_digest=evidence.digest,
        partition_key=evidence.partition_key,
        moved_at=now_utc(),
    )


def _failures(evidence: GateRecord) -> str:
    failed = [f"{gate.name} ({gate.observed})" for gate in evidence.gates if not gate.is_passed]
    return f"did not pass {', '.join(failed)}"


def _stale(evidence: GateRecord) -> str:
    against = "no champion" if evidence.champion_version is None else f"v{evidence.champion_version}"
    return f"the gates were evaluated against {against}, and the champion has moved since"


def _promoted(training: TrainingRecord, move: ChampionMove) -> PromotionDecision:
    return PromotionDecision(
        dataset=training.dataset,
        partition_key=training.partition_key,
        model_version=training.model_version,
        is_promoted=True,
        reason=move.reason,
        sequence=move.sequence,
        previous_version=move.previous_version,
    )


def _refused(training: TrainingRecord, reason: str) -> PromotionDecision:
    return PromotionDecision(
        dataset=training.dataset,
        partition_key=training.partition_key,
        model_version=training.model_version,
        is_promoted=False,
        reason=reason,
    )


def _close_retraining(decision: PromotionDecision, runtime: Runtime) -> None:
    retraining = runtime.ledger.retraining(decision.dataset, decision.partition_key)
    if retraining is None or retraining.status == "promoted":
        return  # a person trained by hand; or a later look at a promotion that did happen
    runtime.ledger.update_retraining(
        decision.dataset,
        decision.partition_key,
        status="promoted" if decision.is_promoted else "refused",
        model_version=decision.model_version,
    )
