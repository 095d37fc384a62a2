"""Decide whether an incident is worth a training now."""

from __future__ import annotations

from pipelines.errors import ConflictError, NotReadyError
from pipelines.records import (
    OPEN_RETRAINING,
    DriftRecord,
    Retraining,
    RetrainingVerdict,
    shift_partition,
)
from pipelines.runtime import Runtime
from pipelines.steps.breaker import tripped_breaker
from pipelines.steps.episodes import follow_episode
from pipelines.steps.retraining_decision import RetrainingDecision, give_up_abandoned

_ATTEMPTS = 8


def decide_retraining(dataset: str, partition_key: str, *, runtime: Runtime) -> RetrainingVerdict:
    """Decide what is done about the drift of one night.

    The record decides, not who asks: an episode gets one retraining, and one more where that one failed or
    was refused, within cooldown, budget and breaker. Asked twice, late, or in another order, the answer is
    about the same episode; an episode that was never asked for is made up for by the next night. Each
    verdict is kept as a :class:`~pipelines.records.Trigger`.

    Returns
    -------
    RetrainingVerdict
        ``calm``: nothing calls for a retraining. ``wait``: one is under way; ask again. ``suppressed``:
        one is called for, and something speaks against it. ``go``: a retraining is requested, and the
        ledger holds it as of the newest night of the episode. A repeat gives ``go`` again until that
        retraining is finished, and so does any night while a request was lost on its way. Of several
        deciders at once one opens the retraining.

    Raises
    ------
    NotReadyError
        If the night has not been monitored.
    ConflictError
        If others keep deciding about the same dataset at the same moment; a repeat is harmless.
    """
    drift = runtime.ledger.latest(DriftRecord, dataset, partition_key)
    if drift is None:
        raise NotReadyError(
            f"{dataset} {partition_key} has not been monitored: "
            f"run `holdfast monitor {dataset} {partition_key}`."
        )
    _catch_up(drift, runtime)
    for _ in range(_ATTEMPTS):
        try:
            decided = RetrainingDecision(runtime, drift).decide()
        except ConflictError:
            # Another decider was faster between our look and our leap.
            continue
        episode = runtime.ledger.episodes.current(dataset)
        runtime.ledger.triggers.keep(
            dataset,
            partition_key,
            episode_id=None if episode is None else episode.id,
            verdict=decided.verdict,
            reason=decided.reason,
        )
        return decided
    raise ConflictError(f"What is done about {dataset} kept changing; decide about {partition_key} again.")


def _catch_up(drift: DriftRecord, runtime: Runtime) -> None:
    """Do what the monitoring of the night may have died before: follow the episode, and tell of it."""
    from pipelines.steps.tell import tell_episode

    episode = follow_episode(drift, runtime=runtime)
    if episode is not None:
        tell_episode(episode, runtime=runtime)


def request_first_training(dataset: str, partition_key: str, *, runtime: Runtime) -> Retraining | None:
    """Request the training of a first champion, once there are days enough.

    Returns
    -------
    Retraining or None
        The open request, also on a repeat; None if there is a champion, if fewer than
        ``training.min_days`` labelled days are published, if one is under way already, or if the breaker
        is open.
    """
    ledger, config = runtime.ledger, runtime.dataset(dataset)
    newest_labelled = shift_partition(partition_key, -config.label_delay_days)
    if ledger.champions.present(dataset) is not None:
        return None
    requested = ledger.retraining(dataset, partition_key)
    if requested is not None:
        return requested if requested.status in OPEN_RETRAINING else None
    n_days = sum(key <= newest_labelled for key in runtime.lake.partition_keys(dataset, "validated"))
    if n_days < config.training.min_days:
        return None
    give_up_abandoned(dataset, runtime=runtime)
    if ledger.retraining_in_flight(dataset) is not None:
        return None
    if tripped_breaker(dataset, partition_key, runtime=runtime) is not None:
        return None
    try:
        return ledger.open_retraining(dataset, partition_key, status="requested", reason="first champion")
    except ConflictError:  # another night's request was faster
        return None
