"""Roll the champion back: to the one before, or to a named one."""

from __future__ import annotations

from pipelines.errors import ConfigError, ConflictError, NotReadyError
from pipelines.ledger.champions import request_digest
from pipelines.records import ChampionMove, ScoringRecord, now_utc
from pipelines.registry.challengers import known_versions
from pipelines.registry.champion import as_recorded, version_before
from pipelines.runtime import Runtime
from pipelines.steps.card import refresh_cards
from pipelines.steps.champions import follow_champion
from pipelines.steps.scored_nights import nights_scored_by
from pipelines.steps.tell import tell_rollback


def rollback(
    dataset: str,
    *,
    runtime: Runtime,
    actor: str,
    reason: str,
    model_version: str | None = None,
    away_from: str | None = None,
) -> ChampionMove:
    """Make an earlier champion the champion again, in one compare-and-set of the ledger.

    Without a version, the latest promotion is undone. That is done once: where it was undone
    already, nothing moves and the present champion's move is returned, so that a repeat (a retried
    task, a second click) never goes one further back. To go further, name the version. People are
    told of the move. A process killed after it leaves MLflow's alias and the message behind, and a
    repeat sets them right.

    The next night is scored with the version gone back to, and judged against what that version was
    trained on. Predictions that are there stay: :func:`~pipelines.steps.rescore.rescore` makes them anew.

    Parameters
    ----------
    actor, reason : str
        Who rolls back, and why; both go on record, and keep the gates from bringing the version back.
    model_version : str, optional
        A version that has been champion before. No other is taken: a version that never passed
        its gates comes in by a promotion.
    away_from : str, optional
        Only if this version is the champion, as whoever found fault with it asks for.

    Raises
    ------
    NotReadyError
        If there is no champion, or none before the present one.
    ConfigError
        If the named version has never been champion; names those that have.
    IntegrityError
        If the earlier champion's bytes are not those that were trained; nothing was written.
    ConflictError
        If somebody else moves the champion at the same time, or the champion is not the version to
        go away from; nothing was written.
    """
    actor, reason = as_recorded(actor, reason)
    moves = runtime.ledger.champions.history(dataset)
    if not moves:
        raise NotReadyError(f"{dataset} has no champion yet, so there is nothing to roll back.")
    target, move = _target(dataset, moves, model_version), moves[-1]
    if target != move.model_version and away_from not in (None, move.model_version):
        raise ConflictError(
            f"The champion of {dataset} is v{move.model_version}, not v{away_from}: it has moved meanwhile."
        )
    if target != move.model_version:
        # Are they there, and whole? What can't be loaded must not become the champion.
        runtime.registry.training_of(dataset, target)
        runtime.registry.bundle(dataset, target)
        move = _move(runtime, move, target, actor=actor, reason=reason)
    follow_champion(dataset, move.partition_key, runtime=runtime)
    refresh_cards(dataset, move.model_version, move.previous_version, runtime=runtime)
    if move.action == "rollback":
        nights = nights_scored_by(dataset, move.previous_version or "", ledger=runtime.ledger)
        tell_rollback(move, runtime=runtime, nights=nights)
    return move


def _target(dataset: str, moves: list[ChampionMove], named: str | None) -> str:
    present = moves[-1]
    if named is not None:
        champions = list(dict.fromkeys(move.model_version for move in moves))
        if named not in champions:
            raise ConfigError(f"v{named} has never been champion of {dataset}. {known_versions(champions)}")
        return named
    before = version_before(moves)
    if before is None and present.action == "promote":
        raise NotReadyError(
            f"v{present.model_version} is the first champion of {dataset}: there is none before it."
        )
    return before or present.model_version


def _move(runtime: Runtime, present: ChampionMove, target: str, *, actor: str, reason: str) -> ChampionMove:
    scored = runtime.ledger.newest_partition(ScoringRecord, present.dataset) or present.partition_key
    move = ChampionMove(
        dataset=present.dataset,
        sequence=present.sequence + 1,
        model_version=target,
        previous_version=present.model_version,
        action="rollback",
        actor=actor,
        reason=reason,
        evidence_digest="",
        partition_key=max(present.partition_key, scored),
        moved_at=now_utc(),
    )
    try:
        return runtime.ledger.champions.move(
            move.model_copy(update={"evidence_digest": request_digest(move)})
        )
    except ConflictError:
        # Two people may press the button at once, for the same version.
        now = runtime.ledger.champions.present(present.dataset)
        if now is not None and now.model_version == target:
            return now
        raise
