"""The hash chain of the champion's moves: what a move's digest is of, and where a chain is broken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pipelines.records import ChainBreak, ChainHead, ChampionMove, digest_of

#: What the first move of a dataset follows.
GENESIS = "0" * 64
# Spelled out: a field that is added later must not change the digests of moves that are written.
_LINKED_FIELDS = (
    "dataset",
    "sequence",
    "model_version",
    "previous_version",
    "action",
    "actor",
    "reason",
    "evidence_digest",
    "partition_key",
    "evidence_seal",
    "previous_digest",
)
_SEALED_FIELDS = (
    "kind",
    "dataset",
    "partition_key",
    "subject",
    "revision",
    "digest",
    "decided_at",
    "payload",
)


def link(move: ChampionMove, *, previous_digest: str, evidence_seal: str) -> ChampionMove:
    """Return a move as the next one of a chain, its digest filled in."""
    placed = move.model_copy(update={"previous_digest": previous_digest, "evidence_seal": evidence_seal})
    return placed.model_copy(update={"digest": move_digest(placed)})


def move_digest(move: ChampionMove) -> str:
    """Return the SHA-256 of all that a move says, the digest of the one before included, in hex."""
    return digest_of(
        {name: getattr(move, name) for name in _LINKED_FIELDS} | {"moved_at": _moment(move.moved_at)}
    )


def seal_of(decision: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a decision's row as it lies in the ledger, its payload to the byte, in hex."""
    content = {name: decision[name] for name in _SEALED_FIELDS}
    return digest_of(content | {"decided_at": _moment(decision["decided_at"])})


def link_breaks(moves: Sequence[ChampionMove]) -> Iterator[ChainBreak]:
    """Yield where a chain is broken: a changed, missing or misplaced move.

    Parameters
    ----------
    moves : sequence of ChampionMove
        Of one dataset, in order of their sequence.
    """
    before, expected = GENESIS, 1
    for move in moves:
        if move.sequence != expected:
            yield ChainBreak(sequence=expected, problem=f"it is missing: move {move.sequence} comes next")
        elif not move.digest:
            yield ChainBreak(
                sequence=move.sequence,
                problem="it has no digest: a version of Holdfast from before the chain wrote it",
            )
        elif move.previous_digest != before:
            yield ChainBreak(sequence=move.sequence, problem="it does not follow the move before it")
        if move.digest and move_digest(move) != move.digest:
            yield ChainBreak(sequence=move.sequence, problem="it is not what was written: its digest differs")
        before, expected = move.digest or before, move.sequence + 1


def anchor_break(moves: Sequence[ChampionMove], anchor: ChainHead) -> ChainBreak | None:
    """Return how a chain contradicts the head that was anchored outside; None if it does not.

    A chain that has grown since is no contradiction.
    """
    anchored = next((move for move in moves if move.sequence == anchor.sequence), None)
    if anchored is None:
        newest = f"ends with move {moves[-1].sequence}" if moves else "is empty"
        return ChainBreak(
            sequence=anchor.sequence,
            problem=f"it is missing: MLflow was told of it, and the record {newest}",
        )
    if anchored.digest != anchor.digest:
        return ChainBreak(
            sequence=anchor.sequence,
            problem=f"it is another move than MLflow was told of ({anchor.digest[:16]})",
        )
    return None


def is_as_written(raw: object, moment: datetime) -> bool:
    """Return whether a timestamp is stored the way it is written; SQLite keeps text, which may be changed."""
    return not isinstance(raw, str) or raw == f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
