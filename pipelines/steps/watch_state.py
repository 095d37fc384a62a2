"""Which promotion is watched, and on which nights."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.records import ChampionMove
from pipelines.registry.challengers import training_record
from pipelines.runtime import Runtime
from pipelines.steps.paired_rows import shadow_nights


@dataclass(frozen=True)
class WatchedMove:
    """A promotion that is watched, the champion before, and the last day that either has learned from."""

    move: ChampionMove
    former_version: str
    after: str


def watched_move(dataset: str, *, runtime: Runtime) -> WatchedMove | None:
    """Return the promotion that made the present champion, where it is watched.

    None where there is no champion, where it is the first one or was brought back by a rollback, or where
    ``promotion.watch_nights`` is 0.
    """
    move = runtime.ledger.champions.present(dataset)
    if move is None or move.action != "promote" or move.previous_version is None:
        return None
    if not runtime.dataset(dataset).promotion.watch_nights:
        return None
    learned = (
        training_record(dataset, version, ledger=runtime.ledger).trained.last_partition
        for version in (move.model_version, move.previous_version)
    )
    return WatchedMove(move, move.previous_version, max(learned))


def watched_nights(watched: WatchedMove, *, runtime: Runtime) -> list[str]:
    """Return the nights of the watch that both champions have scored, in order."""
    move = watched.move
    found = shadow_nights(
        move.dataset,
        watched.former_version,
        beside=move.model_version,
        after=watched.after,
        runtime=runtime,
    )
    return found[: runtime.dataset(move.dataset).promotion.watch_nights]
