"""Who is champion: read from the ledger's moves, shown by MLflow's alias."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pipelines.errors import ConflictError
from pipelines.ledger.ledger import Ledger
from pipelines.records import ChampionMove
from pipelines.registry.mlflow_registry import CHAMPION, Registry

_LOG = logging.getLogger(__name__)
_PROJECTION_ATTEMPTS = 10


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


def project_champion(dataset: str, *, ledger: Ledger, registry: Registry) -> str | None:
    """Point MLflow's alias ``champion`` at the ledger's champion, wherever it pointed before.

    Safe to run twice and at once: the ledger is read again after the alias was set, so that a
    slow process can't leave the alias at a champion of the past.

    Returns
    -------
    str or None
        The champion's version; None before the first.

    Raises
    ------
    ConflictError
        If the champion kept moving.
    """
    for _ in range(_PROJECTION_ATTEMPTS):
        champion = ledger.champion(dataset)
        if champion is None:
            return None
        shown = registry.alias(dataset, CHAMPION)
        if shown == champion.model_version:
            return shown
        if shown not in (None, champion.previous_version):
            _LOG.warning(
                "MLflow's alias %s of %s pointed at v%s, which the ledger did not decide; back to v%s.",
                CHAMPION,
                dataset,
                shown,
                champion.model_version,
            )
        registry.set_alias(dataset, CHAMPION, champion.model_version)
    raise ConflictError(f"The champion of {dataset} kept moving while its alias was set; try again.")
