"""Retrainings: at most one of a dataset is open, and a finished one stays finished."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, insert, select, update

from pipelines.errors import ConflictError
from pipelines.ledger.database import Database, aware
from pipelines.ledger.schema import retrainings
from pipelines.records import OPEN_RETRAINING, Retraining, RetrainingStatus, now_utc

_DECIDED: tuple[RetrainingStatus, ...] = ("promoted", "refused")
_OPEN = sorted(OPEN_RETRAINING)


class Retrainings:
    """What is written down of retrainings; a part of :class:`~pipelines.ledger.ledger.Ledger`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open_retraining(
        self, dataset: str, partition_key: str, *, status: RetrainingStatus, reason: str
    ) -> Retraining:
        """Write down what is done about a night's drift; a repeat returns what was written first.

        Raises
        ------
        ConflictError
            If ``status`` is an open one and another retraining of the dataset is still open.
        """
        try:
            with self._database.transaction(f"open a retraining of {dataset}") as connection:
                insert_retraining(connection, dataset, partition_key, status=status, reason=reason)
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
        """Move a retraining on; unknown ones (a person trained by hand) are left alone.

        What came late changes nothing: a retraining whose challenger was decided on is not opened again (by
        a doubled run of its training, say), only an open one fails, and a promoted one stays promoted.

        Raises
        ------
        ConflictError
            If that would make it the second open one of its dataset.
        """
        values: dict[str, Any] = {"status": status, "updated_at": now_utc()}
        if reason is not None:
            values["reason"] = reason
        if model_version is not None:
            values["model_version"] = model_version
        query = update(retrainings).where(
            retrainings.c.dataset == dataset, retrainings.c.partition_key == partition_key
        )
        if status in OPEN_RETRAINING:
            query = query.where(retrainings.c.status.not_in(_DECIDED))
        elif status == "failed":
            query = query.where(retrainings.c.status.in_(_OPEN))
        elif status == "refused":
            query = query.where(retrainings.c.status != "promoted")
        with self._database.transaction(f"update the retraining of {dataset}") as connection:
            connection.execute(query.values(**values))

    def give_up_retraining(self, seen: Retraining, *, reason: str) -> None:
        """Mark a retraining as failed, unless it was heard of since it was ``seen``."""
        query = update(retrainings).where(
            retrainings.c.id == seen.id,
            retrainings.c.status == seen.status,
            retrainings.c.updated_at == seen.updated_at,
        )
        with self._database.transaction(f"give up the retraining of {seen.dataset}") as connection:
            connection.execute(query.values(status="failed", reason=reason, updated_at=now_utc()))

    def retraining(self, dataset: str, partition_key: str) -> Retraining | None:
        """Return what was done about one night's drift; None if nothing was decided yet."""
        found = self._read(_of(dataset).where(retrainings.c.partition_key == partition_key))
        return found[0] if found else None

    def retrainings(self, dataset: str) -> list[Retraining]:
        """Return all retrainings of a dataset, requested or suppressed, oldest first."""
        return self._read(_of(dataset))

    def retraining_in_flight(self, dataset: str) -> Retraining | None:
        """Return the one open retraining of a dataset; None if there is none."""
        found = self._read(_of(dataset).where(retrainings.c.status.in_(_OPEN)))
        return found[0] if found else None

    def _read(self, query: Select[Any]) -> list[Retraining]:
        with self._database.transaction("read the retrainings") as connection:
            rows = connection.execute(query.order_by(retrainings.c.id)).mappings().all()
        return [Retraining.model_validate(aware(row)) for row in rows]


def insert_retraining(
    connection: Connection, dataset: str, partition_key: str, *, status: RetrainingStatus, reason: str
) -> None:
    """Add the row of a retraining within somebody's transaction."""
    stamp = now_utc()
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


def _of(dataset: str) -> Select[Any]:
    return select(retrainings).where(retrainings.c.dataset == dataset)
