"""Who is champion: read from the ledger's moves, shown by MLflow's alias."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.errors import ConflictError, printable
from pipelines.ledger.chain import anchor_break
from pipelines.ledger.ledger import Ledger
from pipelines.records import ChainHead, ChampionMove
from pipelines.registry.mlflow_registry import CHAMPION, Registry

_PROJECTION_ATTEMPTS = 12
_SECOND_LOOK_SECONDS = 0.5
_MAX_ACTOR_CHARS, _MAX_REASON_CHARS = 200, 2_000


def as_recorded(actor: str, reason: str) -> tuple[str, str]:
    """Return who and why as they go on record for good: as text that steers nothing, of bounded length."""
    return printable(actor)[:_MAX_ACTOR_CHARS], printable(reason, kept="\n")[:_MAX_REASON_CHARS]


def move_by(evidence_digest: str, moves: Sequence[ChampionMove]) -> ChampionMove | None:
    """Return the move that this evidence has already made; evidence is used once."""
    return next((move for move in moves if move.evidence_digest == evidence_digest), None)


def version_before(moves: Sequence[ChampionMove]) -> str | None:
    """Return the version that undoing the latest promotion brings back.

    None where there is nothing to undo: no champion before the first promotion, or the latest
    promotion was undone already. So a repeat of an undo never goes one further back.

    Parameters
    ----------
    moves : sequence of ChampionMove
        The champion's history, oldest first.
    """
    promotions = [move for move in moves if move.action == "promote"]
    if not promotions or moves[-1].model_version != promotions[-1].model_version:
        return None
    return promotions[-1].previous_version


@dataclass(frozen=True)
class Projection:
    """What MLflow shows of the champion now, and what it showed before.

    Parameters
    ----------
    champion : ChampionMove
        The move that made the champion; MLflow's alias points at its version now.
    is_repaired : bool
        Whether the alias pointed where the ledger had never sent it: somebody moved it by hand.
    found : str or None
        Where it pointed then; None where it had been taken away.
    contradiction : ChainHead or None
        The newest move that MLflow had been told of, where it is none of the ledger's: moves were taken
        away or changed. It is left there, for that is how it shows.
    """

    champion: ChampionMove
    is_repaired: bool = False
    found: str | None = None
    contradiction: ChainHead | None = None


def project_champion(dataset: str, *, ledger: Ledger, registry: Registry) -> Projection | None:
    """Point MLflow's alias ``champion`` at the ledger's champion, wherever it pointed before.

    MLflow is also told which move that was: the head of the chain, anchored where who changes the ledger
    alone does not reach. Safe to run twice and at once: the ledger is read again after MLflow was written,
    so that a slow process can't leave it at a champion of the past.

    Returns
    -------
    Projection or None
        None before the first champion.

    Raises
    ------
    ConflictError
        If the champion kept moving.
    """
    ours: set[str | None] = set()
    suspected, found = False, None
    is_repaired = False
    for _ in range(_PROJECTION_ATTEMPTS):
        # MLflow first: what it shows is then never newer than what is read of the ledger.
        anchor, shown = registry.anchored_head(dataset), registry.alias(dataset, CHAMPION)
        champion = ledger.champions.present(dataset)
        if champion is None:
            return None
        moves = [champion] if anchor == head_of(champion) else ledger.champions.history(dataset)
        contradiction = anchor if anchor is not None and anchor_break(moves, anchor) else None
        is_anchored = anchor == head_of(champion) or contradiction is not None
        if shown == champion.model_version and is_anchored:
            return Projection(champion, is_repaired, found if is_repaired else None, contradiction)
        if shown not in ours and not contradiction and shown not in _expected(champion, moves, anchor):
            if not suspected or shown != found:
                # Somebody may be between two writes: what a person did is still there a moment later.
                suspected, found = True, shown
                time.sleep(_SECOND_LOOK_SECONDS)
                continue
            is_repaired = True
        if shown != champion.model_version:
            registry.set_alias(dataset, CHAMPION, champion.model_version)
            ours.add(champion.model_version)
        if not is_anchored:
            registry.anchor_head(dataset, head_of(champion))
    raise ConflictError(f"The champion of {dataset} kept moving while its alias was set; try again.")


def head_of(move: ChampionMove) -> ChainHead:
    """Return what stands for a move, and for all before it."""
    return ChainHead(sequence=move.sequence, digest=move.digest)


def _expected(
    champion: ChampionMove, moves: Sequence[ChampionMove], anchor: ChainHead | None
) -> set[str | None]:
    """Return where the alias may point without anybody's hand: where a killed process left it."""
    if anchor is None:
        return {None, champion.previous_version, champion.model_version}
    # It was set for the anchored move, and perhaps for later ones.
    return {move.model_version for move in moves if move.sequence >= anchor.sequence}
