"""The ledger: append decisions, move the champion, keep retrainings to one at a time.

Each call is one transaction. What must never happen twice (a champion's move, an open
retraining) is refused by a constraint of the database, not by a look before the leap.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Select, func, insert, select

from pipelines.errors import ConflictError
from pipelines.ledger.breakers import Breakers
from pipelines.ledger.database import Database, aware
from pipelines.ledger.episodes import Episodes
from pipelines.ledger.retrainings import Retrainings
from pipelines.ledger.schema import champions, decisions
from pipelines.ledger.triggers import Triggers
from pipelines.records import ChampionMove, Decision

if TYPE_CHECKING:
    from pipelines.ledger.outbox import Outbox

DecisionT = TypeVar("DecisionT", bound=Decision)


class Ledger(Retrainings):
    """The decisions of record.

    Parameters
    ----------
    url : str
        A SQLAlchemy URL; SQLite and PostgreSQL are supported. The schema is made at first use.

    Raises
    ------
    EngineError
        From every method, if the database fails.
    """

    def __init__(self, url: str) -> None:
        super().__init__(Database(url))

    def close(self) -> None:
        """Give back every connection."""
        self._database.close()

    @cached_property
    def episodes(self) -> Episodes:
        """The incidents: from a confirmed alarm until it has been calm."""
        return Episodes(self._database)

    @cached_property
    def triggers(self) -> Triggers:
        """What was asked of the drift of nights, and what was decided."""
        return Triggers(self._database)

    @cached_property
    def breakers(self) -> Breakers:
        """Whether retraining is switched off."""
        return Breakers(self._database)

    @cached_property
    def outbox(self) -> Outbox:
        """The messages to people, sent or to be sent."""
        from pipelines.ledger.outbox import Outbox

        return Outbox(self._database)

    def record(self, decision: Decision) -> bool:
        """Append a decision, unless it repeats the newest one about the same thing.

        Returns
        -------
        bool
            Whether it was new.
        """
        try:
            return self._append(decision)
        except ConflictError:
            # Somebody appended at the same moment: most likely the very same decision.
            return self._append(decision)

    def _append(self, decision: Decision) -> bool:
        about = (
            (decisions.c.kind == decision.kind)
            & (decisions.c.dataset == decision.dataset)
            & (decisions.c.partition_key == decision.partition_key)
            & (decisions.c.subject == decision.subject)
        )
        newest = (
            select(decisions.c.revision, decisions.c.digest)
            .where(about)
            .order_by(decisions.c.revision.desc())
            .limit(1)
        )
        with self._database.transaction("record a decision") as connection:
            found = connection.execute(newest).one_or_none()
            if found is not None and found.digest == decision.digest:
                return False
            connection.execute(
                insert(decisions).values(
                    kind=decision.kind,
                    dataset=decision.dataset,
                    partition_key=decision.partition_key,
                    subject=decision.subject,
                    revision=0 if found is None else found.revision + 1,
                    digest=decision.digest,
                    decided_at=decision.decided_at,
                    payload=decision.model_dump_json(),
                )
            )
        return True

    def latest(
        self,
        kind: type[DecisionT],
        dataset: str,
        partition_key: str | None = None,
        subject: str | None = None,
    ) -> DecisionT | None:
        """Return the newest decision of a kind, narrowed as asked; None if there is none."""
        query = _narrow(select(decisions.c.payload), kind, dataset, partition_key, subject)
        with self._database.transaction("read the ledger") as connection:
            payload = connection.execute(query.order_by(decisions.c.id.desc()).limit(1)).scalar_one_or_none()
        return None if payload is None else kind.model_validate_json(payload)

    def newest_partition(self, kind: type[Decision], dataset: str) -> str | None:
        """Return the latest partition that a decision of a kind is about; None if there is none."""
        query = _narrow(select(func.max(decisions.c.partition_key)), kind, dataset, None, None)
        with self._database.transaction("read the ledger") as connection:
            found: str | None = connection.execute(query).scalar_one()
        return found

    def find(self, kind: type[DecisionT], dataset: str, digest: str) -> DecisionT | None:
        """Return the decision of a kind that has this digest, superseded or not; None if there is none."""
        query = _narrow(select(decisions.c.payload), kind, dataset, None, None).where(
            decisions.c.digest == digest
        )
        with self._database.transaction("read the ledger") as connection:
            payload = connection.execute(query.order_by(decisions.c.id).limit(1)).scalar_one_or_none()
        return None if payload is None else kind.model_validate_json(payload)

    def history(
        self,
        kind: type[DecisionT],
        dataset: str,
        *,
        first: str | None = None,
        last: str | None = None,
        subject: str | None = None,
    ) -> list[DecisionT]:
        """Return the newest decision of each partition and subject, by partition, then by age.

        Parameters
        ----------
        first, last : str, optional
            The partition keys to start and end with, both included.
        """
        newest = _narrow(select(func.max(decisions.c.id)), kind, dataset, None, subject)
        # Narrowed before it is grouped: a few nights cost the same however long the history is.
        if first is not None:
            newest = newest.where(decisions.c.partition_key >= first)
        if last is not None:
            newest = newest.where(decisions.c.partition_key <= last)
        newest = newest.group_by(decisions.c.partition_key, decisions.c.subject)
        query = select(decisions.c.payload).where(decisions.c.id.in_(newest))
        with self._database.transaction("read the ledger") as connection:
            found = connection.execute(query.order_by(decisions.c.partition_key, decisions.c.id))
            payloads = found.scalars().all()
        # Read once the lock is free again: wide verdicts take long.
        return [kind.model_validate_json(payload) for payload in payloads]

    def revisions(
        self, kind: type[DecisionT], dataset: str, partition_key: str | None = None
    ) -> list[DecisionT]:
        """Return every decision of a kind, superseded ones too, oldest first."""
        query = _narrow(select(decisions.c.payload), kind, dataset, partition_key, None)
        with self._database.transaction("read the ledger") as connection:
            payloads = connection.execute(query.order_by(decisions.c.id)).scalars().all()
        return [kind.model_validate_json(payload) for payload in payloads]

    def champion(self, dataset: str) -> ChampionMove | None:
        """Return the move that made the present champion; None before the first."""
        moves = self._moves(select(champions).where(champions.c.dataset == dataset), newest=1)
        return moves[0] if moves else None

    def champion_history(self, dataset: str) -> list[ChampionMove]:
        """Return every move of the champion, oldest first."""
        return self._moves(select(champions).where(champions.c.dataset == dataset))

    def _moves(self, query: Select[Any], newest: int | None = None) -> list[ChampionMove]:
        order = champions.c.sequence.desc() if newest else champions.c.sequence
        with self._database.transaction("read the champions") as connection:
            rows = connection.execute(query.order_by(order).limit(newest)).mappings().all()
        return [ChampionMove.model_validate(aware(row)) for row in rows]

    def move_champion(self, move: ChampionMove) -> ChampionMove:
        """Append a move, if ``move.sequence`` is still the next one: the compare-and-set.

        Raises
        ------
        ConflictError
            If the champion has moved since the caller looked; nothing was written.
        """
        with self._database.transaction(f"move the champion of {move.dataset}") as connection:
            newest = connection.execute(
                select(func.max(champions.c.sequence)).where(champions.c.dataset == move.dataset)
            ).scalar_one()
            if move.sequence != (newest or 0) + 1:
                raise ConflictError(
                    f"The champion of {move.dataset} has moved to sequence {newest or 0} since it was read; "
                    "evaluate against the present champion and promote again."
                )
            connection.execute(insert(champions).values(**move.model_dump()))
        return move


def _narrow(
    query: Select[Any], kind: type[Decision], dataset: str, partition_key: str | None, subject: str | None
) -> Select[Any]:
    query = query.where(decisions.c.kind == kind.kind, decisions.c.dataset == dataset)
    if partition_key is not None:
        query = query.where(decisions.c.partition_key == partition_key)
    if subject is not None:
        query = query.where(decisions.c.subject == subject)
    return query
