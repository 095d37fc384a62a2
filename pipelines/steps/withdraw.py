"""Take a challenger out of the champion's shadow by hand, and let it in again."""

from __future__ import annotations

from pipelines.errors import NotReadyError
from pipelines.records import OPEN_RETRAINING, ShadowState, ShadowWithdrawal, TrainingRecord
from pipelines.registry.challengers import training_record
from pipelines.registry.champion import as_recorded
from pipelines.runtime import Runtime
from pipelines.steps.card import refresh_cards
from pipelines.steps.origin import first_record
from pipelines.steps.shadow_state import waiting_challengers, withdrawal_of


def withdraw(
    dataset: str, model_version: str, *, runtime: Runtime, actor: str, reason: str
) -> ShadowWithdrawal:
    """Take a challenger out of the shadow: it scores no more nights, and its gates refuse it.

    Its retraining is closed as refused, so that another may start. The nights that it has scored are kept.
    It stays out, whatever is run again, until :func:`resume`. A repeat changes nothing, and returns what was
    said first.

    Parameters
    ----------
    actor, reason : str
        Who takes it out, and why; both go on record.

    Raises
    ------
    ConfigError
        If the ledger knows no such version.
    NotReadyError
        If it is not in the shadow; names those that are.
    """
    training = training_record(dataset, model_version, ledger=runtime.ledger)
    said = withdrawal_of(dataset, model_version, runtime=runtime)
    if said is None:
        waiting = [state for _, state in waiting_challengers(dataset, runtime=runtime)]
        if model_version not in {state.model_version for state in waiting}:
            raise NotReadyError(
                f"v{model_version} of {dataset} is not in the champion's shadow. {_named(waiting)}"
            )
        said = _say(training, runtime, is_withdrawn=True, actor=actor, reason=reason)
    # Also on a repeat: whoever took it out may have died before this.
    _close_retraining(training, said, runtime)
    refresh_cards(dataset, model_version, runtime=runtime)
    return said


def resume(
    dataset: str, model_version: str, *, runtime: Runtime, actor: str, reason: str
) -> ShadowWithdrawal:
    """Let a challenger that was taken out of the shadow in again; the nights that it has scored count.

    Its retraining stays closed: another may have started meanwhile. A repeat changes nothing.

    Raises
    ------
    ConfigError
        If the ledger knows no such version.
    NotReadyError
        If nobody has taken it out.
    """
    training = training_record(dataset, model_version, ledger=runtime.ledger)
    newest = runtime.ledger.latest(ShadowWithdrawal, dataset, subject=model_version)
    if newest is None:
        raise NotReadyError(
            f"Nobody has taken v{model_version} of {dataset} out of the shadow: there is nothing to undo. "
            f"Its gates send it there: run `promote_{dataset}` with it."
        )
    if newest.is_withdrawn:
        newest = _say(training, runtime, is_withdrawn=False, actor=actor, reason=reason)
    refresh_cards(dataset, model_version, runtime=runtime)
    return newest


def _say(
    training: TrainingRecord, runtime: Runtime, *, is_withdrawn: bool, actor: str, reason: str
) -> ShadowWithdrawal:
    actor, reason = as_recorded(actor, reason)
    said = ShadowWithdrawal(
        dataset=training.dataset,
        # Later nights may have found the training done: one partition holds all that is said of a version.
        partition_key=first_record(training, runtime).partition_key,
        model_version=training.model_version,
        is_withdrawn=is_withdrawn,
        actor=actor,
        reason=reason,
    )
    runtime.ledger.record(said)
    return said


def _close_retraining(training: TrainingRecord, said: ShadowWithdrawal, runtime: Runtime) -> None:
    for retraining in runtime.ledger.retrainings(training.dataset):
        if retraining.model_version == training.model_version and retraining.status in OPEN_RETRAINING:
            runtime.ledger.update_retraining(
                training.dataset,
                retraining.partition_key,
                status="refused",
                reason=f"v{said.model_version} was {said.sentence}",
            )


def _named(waiting: list[ShadowState]) -> str:
    if not waiting:
        return "No challenger is."
    return f"In it: {', '.join(f'v{state.model_version}' for state in waiting)}."
