"""The outbox: messages to people, written down before they are sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, Select, func, insert, or_, select, update

from pipelines.errors import ConflictError
from pipelines.ledger.database import Database, aware
from pipelines.ledger.schema import messages
from pipelines.records import Message, now_utc

#: So often a message is tried before it is left to a person.
MAX_ATTEMPTS = 8
#: For so long after somebody began to send a message nobody else does; where that process was killed,
#: the next one that asks takes over.
CLAIM = timedelta(minutes=3)


class Outbox:
    """The messages of a ledger.

    A message is sent by whoever claims it. The claim ends when the outcome is written down, or after three
    minutes: where a process is killed after sending and before writing, the message is sent once more. None
    is lost.

    Parameters
    ----------
    database : Database
        The ledger's.

    Raises
    ------
    EngineError
        From every method, if the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, message: Message) -> bool:
        """Write a message down, unless there is one of its key; return whether it is new."""
        values = message.model_dump() | {"delivered_to": json.dumps(message.delivered_to)}
        try:
            with self._database.transaction("keep a message") as connection:
                connection.execute(insert(messages).values(**values))
        except ConflictError:
            return False
        return True

    def claim(self, key: str, *, now: datetime | None = None) -> Message | None:
        """Take a message for sending, so that nobody else sends it meanwhile.

        Returns
        -------
        Message or None
            With this attempt counted. None if it is sent, given up, unknown, or being sent by somebody else.
        """
        moment = now or now_utc()
        is_free = or_(messages.c.claimed_at.is_(None), messages.c.claimed_at <= moment - CLAIM)
        taking = (
            update(messages)
            .where(messages.c.key == key, messages.c.sent_at.is_(None), is_free)
            .where(messages.c.n_attempts < MAX_ATTEMPTS)
            .values(claimed_at=moment, n_attempts=messages.c.n_attempts + 1)
        )
        with self._database.transaction("claim a message") as connection:
            if not connection.execute(taking).rowcount:
                return None
            row = connection.execute(_query().where(messages.c.key == key)).mappings().one()
        return _message(row)

    def mark_sent(self, message: Message, *, delivered_to: Sequence[str]) -> Message:
        """Write down that every channel has taken a message; it is never sent again."""
        return self._settle(message, sent_at=now_utc(), last_error=None, delivered_to=delivered_to)

    def mark_failed(self, message: Message, *, error: str, delivered_to: Sequence[str]) -> Message:
        """Write down what went wrong, and which channels have taken the message all the same."""
        return self._settle(message, sent_at=None, last_error=error, delivered_to=delivered_to)

    def _settle(self, message: Message, *, delivered_to: Sequence[str], **outcome: Any) -> Message:
        settling = (
            update(messages)
            .where(messages.c.key == message.key, messages.c.sent_at.is_(None))
            # Whoever outlived its own claim leaves the next one's alone.
            .where(messages.c.n_attempts == message.n_attempts)
            .values(claimed_at=None, delivered_to=json.dumps(tuple(delivered_to)), **outcome)
        )
        with self._database.transaction("write down what became of a message") as connection:
            connection.execute(settling)
        return message.model_copy(update={"delivered_to": tuple(delivered_to), **outcome})

    def get(self, key: str) -> Message | None:
        """Return a message; None if there is none of that key."""
        found = self._read(_query().where(messages.c.key == key))
        return found[0] if found else None

    def newest(self, dataset: str | None = None, *, limit: int = 100) -> list[Message]:
        """Return the newest messages, of one dataset or of all."""
        query = _query().order_by(messages.c.created_at.desc(), messages.c.key).limit(limit)
        return self._read(query if dataset is None else query.where(messages.c.dataset == dataset))

    def unsent(self, *, limit: int = 100) -> list[Message]:
        """Return the messages that are not sent and not given up, oldest first."""
        query = _query().where(messages.c.sent_at.is_(None), messages.c.n_attempts < MAX_ATTEMPTS)
        return self._read(query.order_by(messages.c.created_at, messages.c.key).limit(limit))

    def count_unsent(self, dataset: str) -> int:
        """Return how many messages of a dataset have not been sent, those given up included."""
        counting = select(func.count()).where(messages.c.dataset == dataset, messages.c.sent_at.is_(None))
        with self._database.transaction("count the messages") as connection:
            return int(connection.execute(counting).scalar_one())

    def _read(self, query: Select[Any]) -> list[Message]:
        with self._database.transaction("read the messages") as connection:
            return [_message(row) for row in connection.execute(query).mappings()]


def _query() -> Select[Any]:
    return select(*(messages.c[name] for name in Message.model_fields))


def _message(row: RowMapping) -> Message:
    content = dict(aware(row))
    return Message.model_validate(content | {"delivered_to": json.loads(content["delivered_to"])})
