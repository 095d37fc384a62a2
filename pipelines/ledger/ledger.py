"""The ledger: append decisions, keep retrainings to one at a time, reach every other record of its database.

Each call is one transaction. What must never happen twice (a champion's move, an open
retraining) is refused by a constraint of the database, not by a look before the leap.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Select, func, insert, select

from pipelines.errors import ConflictError
from pipelines.ledger.breakers import Breakers
from pipelines.ledger.champions import Champions
from pipelines.ledger.database import Database
from pipelines.ledger.episodes import Episodes
from pipelines.ledger.retrainings import Retrainings
from pipelines.ledger.schema import decisions
from pipelines.ledger.triggers import Triggers
from pipelines.records import Decision

if TYPE_CHECKING:
    from pipelines.ledger.outbox import Outbox

DecisionT = TypeVar("DecisionT", bound=Decision)


class Ledger(Retrainings):
    """The decisions of record.

    Parameters
    ----------
    url : str
        A SQLAlchemy URL; SQLite and PostgreSQL are supported. The schema is made at first use.
    run_id : str, optional
        The run on whose behalf it is written, such as ``dag_id/run_id`` of Airflow: new decisions that name
        no run of their own bear it. It is no part of what was decided.

    Raises
    ------
    EngineError
        From every method, if the database fails.
    """

    def __init__(self, url: str, *, run_id: str | None = None) -> None:
        super().__init__(Database(url))
        self._run_id = run_id

    def close(self) -> None:
        """Give back every connection."""
        self._database.close()

    @cached_property
    def champions(self) -> Champions:
        """The champions' moves: append-only, and a hash chain."""
        return Champions(self._database)

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
        if decision.run_id is None and self._run_id is not None:
            decision = decision.model_copy(update={"run_id": self._run_id})
        about = (
            (decisions.c.kind == decision.kind)
            & (decisions.c.dataset == decision.dataset)
            & (decisions.c.partition_key == decision.partition_key)
            & (decisions.c.subject == decision.subject)
        )
        newest = (
            select(decisions.c.id, decisions.c.revision, decisions.c.digest)
            .where(about)
            .order_by(decisions.c.revision.desc())
            .limit(1)
        )
        with self._database.transaction("record a decision") as connection:
            found = connection.execute(newest).one_or_none()
            if found is not None and found.digest == decision.digest:
                is_in_force = not decision.is_exclusive or found.id == _newest_id(connection, decision)
                if is_in_force:
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


def _newest_id(connection: Connection, decision: Decision) -> int:
    """Return the id of the newest decision of a kind about a partition, whatever its subject."""
    query = _narrow(
        select(func.max(decisions.c.id)), type(decision), decision.dataset, decision.partition_key, None
    )
    found: int = connection.execute(query).scalar_one()
    return found


def _narrow(
    query: Select[Any], kind: type[Decision], dataset: str, partition_key: str | None, subject: str | None
) -> Select[Any]:
    query = query.where(decisions.c.kind == kind.kind, decisions.c.dataset == dataset)
    if partition_key is not None:
        query = query.where(decisions.c.partition_key == partition_key)
    if subject is not None:
        query = query.where(decisions.c.subject == subject)
    return query
