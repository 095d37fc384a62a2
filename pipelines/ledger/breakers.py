"""Breakers: whether the retraining of a dataset is switched off, and who switched it."""

from __future__ import annotations

from sqlalchemy import func, insert, select

from pipelines.ledger.database import Database, aware
from pipelines.ledger.schema import breakers
from pipelines.records import Breaker, now_utc

_COLUMNS = (
    breakers.c.dataset,
    breakers.c.is_open,
    breakers.c.reason,
    breakers.c.actor,
    breakers.c.changed_at,
)


class Breakers:
    """The breakers of all datasets; every switch is kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def state(self, dataset: str) -> Breaker | None:
        """Return how the breaker of a dataset was switched last; None if it never was: retraining is on."""
        found = self.history(dataset)
        return found[-1] if found else None

    def history(self, dataset: str) -> list[Breaker]:
        """Return every switch of a dataset's breaker, oldest first."""
        query = select(*_COLUMNS).where(breakers.c.dataset == dataset).order_by(breakers.c.sequence)
        with self._database.transaction("read the breaker") as connection:
            rows = connection.execute(query).mappings().all()
        return [Breaker.model_validate(aware(row)) for row in rows]

    def is_open(self, dataset: str) -> bool:
        """Return whether retraining is switched off."""
        state = self.state(dataset)
        return state is not None and state.is_open

    def switch(self, dataset: str, *, is_open: bool, reason: str, actor: str) -> Breaker:
        """Open or close the breaker; a repeat changes nothing and returns the switch that did it.

        Raises
        ------
        ConflictError
            If somebody switched it at the same moment.
        """
        state = self.state(dataset)
        if state is not None and state.is_open == is_open:
            return state
        newest = select(func.max(breakers.c.sequence)).where(breakers.c.dataset == dataset)
        switched = Breaker(dataset=dataset, is_open=is_open, reason=reason, actor=actor, changed_at=now_utc())
        with self._database.transaction(f"switch the breaker of {dataset}") as connection:
            sequence = (connection.execute(newest).scalar_one() or 0) + 1
            connection.execute(insert(breakers).values(sequence=sequence, **switched.model_dump()))
        return switched
