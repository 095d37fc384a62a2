"""Who was champion when, by whose decision, and why: all of it from the ledger, without MLflow."""

from __future__ import annotations

from datetime import UTC, datetime

from pipelines.errors import ConfigError
from pipelines.records import (
    ChampionMove,
    ChampionNote,
    GateRecord,
    Reign,
    ScoringRecord,
    partition_date,
)
from pipelines.runtime import Runtime

_DAY_CHARS = len("2013-07-04")


def champion_notes(dataset: str, *, runtime: Runtime) -> list[ChampionNote]:
    """Return what was noted beside the champion's moves, oldest first."""
    return runtime.ledger.revisions(ChampionNote, dataset)


def reign_at(dataset: str, asked: str, *, runtime: Runtime) -> Reign:
    """Return who was champion at a moment or for a night, by whose decision, and on what evidence.

    Parameters
    ----------
    asked : str
        A night, as ``2013-07-04``; or a moment, as ``2026-03-01T12:00:00+01:00`` (in UTC without an offset).

    Raises
    ------
    ConfigError
        If it is neither.
    """
    runtime.dataset(dataset)
    champions = runtime.ledger.champions
    scored_by = None
    if len(asked) == _DAY_CHARS:
        partition_date(asked)
        move = champions.at(dataset, night=asked)
        scoring = runtime.ledger.latest(ScoringRecord, dataset, asked)
        scored_by = None if scoring is None else scoring.model_version
    else:
        move = champions.at(dataset, moment=_moment(asked))
    if move is None:
        return Reign(dataset=dataset, asked=asked, move=None, scored_by=scored_by)
    moves = champions.history(dataset)
    later = next((other.moved_at for other in moves if other.sequence > move.sequence), None)
    return Reign(
        dataset=dataset,
        asked=asked,
        move=move,
        until=later,
        evidence=_evidence(move, moves, runtime),
        scored_by=scored_by,
    )


def _evidence(move: ChampionMove, moves: list[ChampionMove], runtime: Runtime) -> GateRecord | None:
    """Return the gates that the version passed when it was last promoted, up to a move."""
    for earlier in reversed(moves[: move.sequence]):
        if earlier.action == "promote" and earlier.model_version == move.model_version:
            return runtime.ledger.find(GateRecord, move.dataset, earlier.evidence_digest)
    return None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is neither a night (2013-07-04) nor a moment (2026-03-01T12:00:00+00:00)."
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
