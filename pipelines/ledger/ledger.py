"""The ledger: append decisions, move the champion, keep retrainings to one at a time.

Each call is one transaction. What must never happen twice (a champion's move, an open
retraining) is refused by a constraint of the database, not by a look before the leap.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    RowMapping,
    Select,
    create_engine,
    event,
    func,
    insert,
    make_url,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from pipelines.errors import ConflictError, EngineError
from pipelines.ledger.schema import champions, decisions, metadata, retrainings
from pipelines.records import (
    OPEN_RETRAINING,
    ChampionMove,
    Decision,
    Retraining,
    RetrainingStatus,
    now_utc,
)

DecisionT = TypeVar("DecisionT", bound=Decision)
_SQLITE_BUSY_SECONDS = 30
_CREATE_ATTEMPTS = 5


class Ledger:
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
        self._engine = _connect(url)
        _create_schema(self._engine)

    def close(self) -> None:
        """Give back every connection."""
        self._engine.dispose()

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
        with self._transaction("record a decision") as connection:
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
        with self._transaction("read the ledger") as connection:
            payload = connection.execute(query.order_by(decisions.c.id.desc()).limit(1)).scalar_one_or_none()
        return None if payload is None else kind.model_validate_json(payload)

    def find(self, kind: type[DecisionT], dataset: str, digest: str) -> DecisionT | None:
        """Return the decision of a kind that has this digest, superseded or not; None if there is none."""
        query = _narrow(select(decisions.c.payload), kind, dataset, None, None).where(
            decisions.c.digest == digest
        )
        with self._transaction("read the ledger") as connection:
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
        newest = select(func.max(decisions.c.id)).group_by(decisions.c.partition_key, decisions.c.subject)
        query = select(decisions.c.payload).where(
            decisions.c.id.in_(_narrow(newest, kind, dataset, None, subject))
        )
        if first is not None:
            query = query.where(decisions.c.partition_key >= first)
        if last is not None:
            query = query.where(decisions.c.partition_key <= last)
        with self._transaction("read the ledger") as connection:
            payloads = connection.execute(query.order_by(decisions.c.partition_key, decisions.c.id)).scalars()
            return [kind.model_validate_json(payload) for payload in payloads]

    def revisions(
        self, kind: type[DecisionT], dataset: str, partition_key: str | None = None
    ) -> list[DecisionT]:
        """Return every decision of a kind, superseded ones too, oldest first."""
        query = _narrow(select(decisions.c.payload), kind, dataset, partition_key, None)
        with self._transaction("read the ledger") as connection:
            payloads = connection.execute(query.order_by(decisions.c.id)).scalars()
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
        with self._transaction("read the champions") as connection:
            rows = connection.execute(query.order_by(order).limit(newest)).mappings().all()
        return [ChampionMove.model_validate(_aware(row)) for row in rows]

    def move_champion(self, move: ChampionMove) -> ChampionMove:
        """Append a move, if ``move.sequence`` is still the next one: the compare-and-set.

        Raises
        ------
        ConflictError
            If the champion has moved since the caller looked; nothing was written.
        """
        with self._transaction(f"move the champion of {move.dataset}") as connection:
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

    def open_retraining(
        self, dataset: str, partition_key: str, *, status: RetrainingStatus, reason: str
    ) -> Retraining:
        """Write down what is done about a night's drift; a repeat returns what was written first.

        Raises
        ------
        ConflictError
            If ``status`` is an open one and another retraining of the dataset is still open.
        """
        stamp = now_utc()
        try:
            with self._transaction(f"open a retraining of {dataset}") as connection:
                connection.execute(
                    insert(retrainings).values(
                        dataset=dataset,
                        partition_key=partition_key,
                        status=status,
                        reason=reason,
                        requested_at=stamp,
                        updated_at=stamp,
                    )
                )
        except ConflictError:
            existing = self.retraining(dataset, partition_key)
            if existing is None:
                raise
            return existing
        opened = self.retraining(dataset, partition_key)
        assert opened is not None, "a row that was just committed is there"  # noqa: S101
        return opened

    def update_retraining(
        self,
        dataset: str,
        partition_key: str,
        *,
        status: RetrainingStatus,
        reason: str | None = None,
        model_version: str | None = None,
    ) -> None:
        """Move a retraining on; unknown ones (a person trained by hand) are left alone."""
        values: dict[str, Any] = {"status": status, "updated_at": now_utc()}
        if reason is not None:
            values["reason"] = reason
        if model_version is not None:
            values["model_version"] = model_version
        with self._transaction(f"update the retraining of {dataset}") as connection:
            connection.execute(
                update(retrainings)
                .where(retrainings.c.dataset == dataset, retrainings.c.partition_key == partition_key)
                .values(**values)
            )

    def retraining(self, dataset: str, partition_key: str) -> Retraining | None:
        """Return what was done about one night's drift; None if nothing was decided yet."""
        found = [r for r in self.retrainings(dataset) if r.partition_key == partition_key]
        return found[0] if found else None

    def retrainings(self, dataset: str) -> list[Retraining]:
        """Return all retrainings of a dataset, requested or suppressed, oldest first."""
        query = select(retrainings).where(retrainings.c.dataset == dataset).order_by(retrainings.c.id)
        with self._transaction("read the retrainings") as connection:
            rows = connection.execute(query).mappings().all()
        return [Retraining.model_validate(_aware(row)) for row in rows]

    def retraining_in_flight(self, dataset: str) -> Retraining | None:
        """Return the one open retraining of a dataset; None if there is none."""
        return next((r for r in self.retrainings(dataset) if r.status in OPEN_RETRAINING), None)

    @contextmanager
    def _transaction(self, purpose: str) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError as error:
            raise ConflictError(f"Can't {purpose}: somebody else just did. Read it again.") from error
        except DBAPIError as error:
            raise EngineError(f"Can't {purpose}: the ledger's database failed: {error.orig}") from error


def _narrow(
    query: Select[Any], kind: type[Decision], dataset: str, partition_key: str | None, subject: str | None
) -> Select[Any]:
    query = query.where(decisions.c.kind == kind.kind, decisions.c.dataset == dataset)
    if partition_key is not None:
        query = query.where(decisions.c.partition_key == partition_key)
    if subject is not None:
        query = query.where(decisions.c.subject == subject)
    return query


def _connect(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, connect_args={"timeout": _SQLITE_BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _tune(connection: Any, _record: Any) -> None:
        # Python's own transaction control would begin a read transaction that can't be upgraded
        # under contention; we begin immediate ones ourselves.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _create_schema(engine: Engine) -> None:
    for attempt in range(_CREATE_ATTEMPTS):
        try:
            metadata.create_all(engine)
        except DBAPIError as error:
            # Two processes that start at once may both try to create the tables.
            if attempt == _CREATE_ATTEMPTS - 1:
                raise EngineError(f"Can't set up the ledger: {error.orig}") from error
            time.sleep(0.2 * (attempt + 1))
        else:
            return


def _aware(row: RowMapping) -> Mapping[str, Any]:
    """Return the row with aware timestamps: SQLite gives back naive ones, which are UTC."""
    return {
        key: value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
        for key, value in row.items()
    }
