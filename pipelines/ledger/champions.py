"""The champions' moves: appended by compare-and-set, chained by their digests, never changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Select, String, and_, insert, or_, select, type_coerce

from pipelines.errors import ConflictError, EngineError, IntegrityError
from pipelines.ledger.chain import GENESIS, anchor_break, is_as_written, link, link_breaks
from pipelines.ledger.database import Database
from pipelines.ledger.evidence import evidence_row, evidence_seal
from pipelines.ledger.rows import aware
from pipelines.ledger.schema import champions
from pipelines.records import ChainBreak, ChainHead, ChainReport, ChampionMove, GateRecord, digest_of

# A clock that was set back must not make two moves of one moment, or the later one the earlier.
_TICK = timedelta(microseconds=1)
_RAW = "as_stored"
_CHAINED = ("evidence_seal", "previous_digest", "digest")


class Champions:
    """The moves of every dataset's champion.

    Parameters
    ----------
    database : Database
        The ledger's.

    Raises
    ------
    EngineError
        From every method, if the database fails.
    IntegrityError
        From every method but :meth:`verify`, if a move on record can't be read: it was changed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def present(self, dataset: str) -> ChampionMove | None:
        """Return the move that made the present champion; None before the first."""
        moves = self._read(_of(dataset).order_by(champions.c.sequence.desc()).limit(1))
        return moves[0] if moves else None

    def history(self, dataset: str) -> list[ChampionMove]:
        """Return every move of the champion, oldest first."""
        return self._read(_of(dataset).order_by(champions.c.sequence))

    def at(
        self, dataset: str, *, moment: datetime | None = None, night: str | None = None
    ) -> ChampionMove | None:
        """Return the move by which a version was champion at a moment, or for a night.

        Parameters
        ----------
        moment : datetime, optional
            Aware. The champion is the one of the newest move up to then.
        night : str, optional
            A partition key, in place of a moment. A promotion counts from the night of its challenger on,
            which is scored anew with it, a rollback from the night after the last one scored before it;
            of several that count, the newest.

        Returns
        -------
        ChampionMove or None
            None where there was no champion yet.
        """
        if night is not None:
            is_of_it = and_(champions.c.partition_key == night, champions.c.action == "promote")
            counts = or_(champions.c.partition_key < night, is_of_it)
        elif moment is not None:
            # In UTC, as it is stored: SQLite compares text.
            counts = champions.c.moved_at <= moment.astimezone(UTC)
        else:
            raise ValueError("Give a moment or a night.")
        newest = _of(dataset).where(counts).order_by(champions.c.sequence.desc()).limit(1)
        moves = self._read(newest)
        return moves[0] if moves else None

    def move(self, move: ChampionMove) -> ChampionMove:
        """Append a move, if ``move.sequence`` is still the next one: the compare-and-set.

        Returns
        -------
        ChampionMove
            As it is on record: chained to the one before, and sealed to its evidence.

        Raises
        ------
        ConflictError
            If the champion has moved since the caller looked; nothing was written.
        """
        newest = _of(move.dataset).order_by(champions.c.sequence.desc()).limit(1)
        with self._database.transaction(f"move the champion of {move.dataset}") as connection:
            row = connection.execute(newest).mappings().one_or_none()
            before = None if row is None else _move_of(aware(row))
            sequence = 0 if before is None else before.sequence
            if move.sequence != sequence + 1:
                raise ConflictError(
                    f"The champion of {move.dataset} has moved to sequence {sequence} since it was read; "
                    "evaluate against the present champion and promote again."
                )
            if before is not None and move.moved_at <= before.moved_at:
                move = move.model_copy(update={"moved_at": before.moved_at + _TICK})
            linked = link(
                move,
                previous_digest=GENESIS if before is None else before.digest,
                evidence_seal=evidence_seal(evidence_row(connection, move)),
            )
            connection.execute(insert(champions).values(**linked.model_dump()))
        return linked

    def verify(
        self, dataset: str, *, anchor: ChainHead | None = None, with_evidence: bool = True
    ) -> ChainReport:
        """Hold every move to the chain, to its evidence, and to what was anchored outside.

        It finds any byte of a move that was changed, a move that was taken out, put in or put elsewhere,
        and any byte of the gate evidence that a promotion names. That moves at the end are gone only the
        anchor shows.

        Parameters
        ----------
        anchor : ChainHead, optional
            What MLflow was told of the newest move last.
        with_evidence : bool
            Whether to look at the evidence as well.
        """
        moves, breaks = self._readable(dataset)
        if not breaks:
            breaks += link_breaks(moves)
        if with_evidence:
            breaks += filter(None, map(self._evidence_break, moves))
        if anchor is not None and (contradiction := anchor_break(moves, anchor)) is not None:
            breaks.append(contradiction)
        head = ChainHead(sequence=moves[-1].sequence, digest=moves[-1].digest) if moves else None
        return ChainReport(
            dataset=dataset,
            n_moves=len(moves),
            head=head,
            anchor=anchor,
            breaks=tuple(sorted(breaks, key=lambda found: found.sequence)),
        )

    def _readable(self, dataset: str) -> tuple[list[ChampionMove], list[ChainBreak]]:
        """Return the moves that can be read, one by one, and those that can't or aren't stored as written."""
        moves, breaks = [], []
        keys = select(champions.c.sequence).where(champions.c.dataset == dataset)
        with self._database.transaction("read the champions") as connection:
            sequences = connection.execute(keys.order_by(champions.c.sequence)).scalars().all()
        raw = type_coerce(champions.c.moved_at, String).label(_RAW)
        for sequence in sequences:
            query = _of(dataset).add_columns(raw).where(champions.c.sequence == sequence)
            try:
                with self._database.transaction("read a move") as connection:
                    row = dict(aware(connection.execute(query).mappings().one()))
                stored = row.pop(_RAW)
                move = _move_of(row)
            except (EngineError, IntegrityError, ValueError, TypeError):
                breaks.append(ChainBreak(sequence=sequence, problem="it can't be read: it was changed"))
                continue
            moves.append(move)
            if not is_as_written(stored, move.moved_at):
                breaks.append(ChainBreak(sequence=sequence, problem=f"its time was changed to {stored!r}"))
        return moves, breaks

    def _evidence_break(self, move: ChampionMove) -> ChainBreak | None:
        """Return why the evidence that a move names does not bear it; None if it does."""
        if move.action == "rollback":
            problem = None if request_digest(move) == move.evidence_digest else "is of another request"
        else:
            try:
                problem = self._gates_problem(move)
            except (EngineError, ValueError, TypeError):
                problem = "can't be read: it was changed"
        if problem is None:
            return None
        return ChainBreak(
            sequence=move.sequence, problem=f"its evidence {move.evidence_digest[:16]} {problem}"
        )

    def _gates_problem(self, move: ChampionMove) -> str | None:
        with self._database.transaction("read the evidence") as connection:
            row = evidence_row(connection, move)
        if row is None:
            return "is not in the ledger: it was changed or taken away"
        if evidence_seal(row) != move.evidence_seal:
            return "is not what it was when the champion moved"
        evidence = GateRecord.model_validate_json(row["payload"])
        if evidence.model_version != move.model_version:
            return f"is of v{evidence.model_version}"
        return None if evidence.is_passed else "says that the gates were not passed"

    def _read(self, query: Select[Any]) -> list[ChampionMove]:
        try:
            with self._database.transaction("read the champions") as connection:
                rows = [dict(aware(row)) for row in connection.execute(query).mappings()]
        except ValueError as error:
            raise _changed(str(error)) from error
        return [_move_of(row) for row in rows]


def request_digest(move: ChampionMove) -> str:
    """Return what stands for the evidence of a rollback: the digest of who asked for what, and why."""
    return digest_of(
        {
            "from": move.sequence - 1,
            "to": move.model_version,
            "actor": move.actor,
            "reason": move.reason,
        }
    )


def _of(dataset: str) -> Select[Any]:
    return select(champions).where(champions.c.dataset == dataset)


def _move_of(row: Any) -> ChampionMove:
    # Null in what an older program wrote.
    content = {name: "" if value is None and name in _CHAINED else value for name, value in row.items()}
    try:
        return ChampionMove.model_validate(content)
    except ValueError as error:
        raise _changed(f"{row['dataset']} {row['sequence']}") from error


def _changed(which: str) -> IntegrityError:
    return IntegrityError(
        f"A move of the champion can't be read, so it was changed in the database ({which}): "
        "`holdfast champion verify DATASET` says which; restore the ledger from a backup."
    )
