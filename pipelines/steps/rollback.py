"""Roll the champion back: to the one before, or to a named one."""

from __future__ import annotations

from pipelines.errors import ConfigError, ConflictError, NotReadyError
from pipelines.records import ChampionMove, digest_of, now_utc
from pipelines.registry.challengers import known_versions
from pipelines.registry.champion import project_champion, version_before
from pipelines.runtime import Runtime
from pipelines.steps.tell import tell_rollback


def rollback(
    dataset: str, *, runtime: Runtime, model_version: str | None = None, actor: str, reason: str
) -> ChampionMove:
    """Make an earlier champion the champion again, in one compare-and-set of the ledger.

    Without a version, the latest promotion is undone. That is done once: where it was undone
    already, nothing moves and the present champion's move is returned, so that a repeat (a retried
    task, a second click) never goes one further back. To go further, name the version. People are
    told of the move.

    Parameters
    ----------
    model_version : str, optional
        A version that has been champion before. No other is taken: a version that never passed
        its gates comes in by a promotion.
    actor, reason : str
        Who rolls back, and why; both go on record, and keep the gates from bringing the version back.

    Raises
    ------
    NotReadyError
        If there is no champion, or none before the present one.
    ConfigError
        If the named version has never been champion; names those that have.
    IntegrityError
        If the earlier champion's bytes are not those that were trained; nothing was written.
    ConflictError
        If somebody else moves the champion at the same time; nothing was written.
    """
    moves = runtime.ledger.champion_history(dataset)
    if not moves:
        raise NotReadyError(f"{dataset} has no champion yet, so there is nothing to roll back.")
    target = _target(dataset, moves, model_version)
    move = moves[-1]
    if target != move.model_version:
        runtime.registry.bundle(dataset, target)  # is it there, and whole?
        move = _move(runtime, moves[-1], target, actor=actor, reason=reason)
    project_champion(dataset, ledger=runtime.ledger, registry=runtime.registry)
    if move.action == "rollback":
        tell_rollback(move, runtime=runtime)
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
    request = {"from": present.sequence, "to": target, "actor": actor, "reason": reason}
    move = ChampionMove(
        dataset=present.dataset,
        sequence=present.sequence + 1,
        model_version=target,
        previous_version=present.model_version,
        action="rollback",
        actor=actor,
        reason=reason,
        evidence_digest=digest_of(request),
        partition_key=present.partition_key,
        moved_at=now_utc(),
    )
    try:
        return runtime.ledger.move_champion(move)
    except ConflictError:
        # Two people may press the button at once, for the same version.
        now = runtime.ledger.champion(present.dataset)
        if now is not None and now.model_version == target:
            return now
        raise
