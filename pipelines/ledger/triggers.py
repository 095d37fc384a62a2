"""Triggers: what was asked of the drift of nights, what was decided and why; the suppressed ones too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import Connection, func, insert, select

from pipelines.errors import ConflictError
from pipelines.ledger.database import Database, aware
from pipelines.ledger.retrainings import insert_retraining
from pipelines.ledger.schema import episodes, retrainings, triggers
from pipelines.records import Retraining, Trigger, digest_of, now_utc

Verdict = Literal["calm", "suppressed", "wait", "go"]

_COLUMNS = (
    triggers.c.id,
    triggers.c.dataset,
    triggers.c.partition_key,
    triggers.c.episode_id,
    triggers.c.verdict,
    triggers.c.reason,
    triggers.c.decided_at,
)


class Triggers:
    """The triggers of all datasets, and the one way in which a trigger becomes a retraining."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(
        self,
        dataset: str,
        *,
        partition_key: str | None = None,
        episode_id: int | None = None,
        first: str | None = None,
        limit: int | None = None,
    ) -> Sequence[Trigger]:
        """Return the triggers of a dataset, newest first, narrowed as asked.

        Parameters
        ----------
        partition_key, episode_id : optional
            Only those about this night, or this episode.
        first : str, optional
            Only those about this night and later ones.
        limit : int, optional
            At most so many.
        """
        query = select(*_COLUMNS).where(triggers.c.dataset == dataset)
        if partition_key is not None:
            query = query.where(triggers.c.partition_key == partition_key)
        if episode_id is not None:
            query = query.where(triggers.c.episode_id == episode_id)
        if first is not None:
            query = query.where(triggers.c.partition_key >= first)
        with self._database.transaction("read the triggers") as connection:
            rows = connection.execute(query.order_by(triggers.c.id.desc()).limit(limit)).mappings().all()
        return [Trigger.model_validate(aware(row)) for row in rows]

    def keep(
        self, dataset: str, partition_key: str, *, episode_id: int | None, verdict: Verdict, reason: str
    ) -> None:
        """Write a decision down; one that was decided in the same way before is kept once."""
        row = _row(dataset, partition_key, verdict=verdict, reason=reason) | {"episode_id": episode_id}
        known = select(triggers.c.id).where(
            triggers.c.dataset == dataset,
            triggers.c.partition_key == partition_key,
            triggers.c.digest == row["digest"],
        )
        try:
            with self._database.transaction("keep a trigger") as connection:
                if connection.execute(known).first() is None:
                    connection.execute(insert(triggers).values(row))
        except ConflictError:
            # The same trigger, doubled, was decided at the same moment.
            return

    def asker(self, retraining: Retraining) -> str | None:
        """Return the night whose trigger asked for a retraining; None if no trigger did."""
        query = select(triggers.c.partition_key).where(
            triggers.c.dataset == retraining.dataset,
            triggers.c.retraining_key == retraining.partition_key,
        )
        with self._database.transaction("read the triggers") as connection:
            found: str | None = connection.execute(query.limit(1)).scalar_one_or_none()
        return found

    def retrainings_of(self, episode_id: int) -> Sequence[Retraining]:
        """Return the retrainings that an episode has asked for, oldest first."""
        query = (
            select(retrainings)
            .join(
                triggers,
                (triggers.c.dataset == retrainings.c.dataset)
                & (triggers.c.retraining_key == retrainings.c.partition_key),
            )
            .where(triggers.c.episode_id == episode_id, triggers.c.attempt.is_not(None))
            .order_by(triggers.c.attempt)
        )
        with self._database.transaction("read the retrainings of an episode") as connection:
            rows = connection.execute(query).mappings().all()
        return [Retraining.model_validate(aware(row)) for row in rows]

    def request_retraining(
        self, asked: Trigger, *, retraining_key: str, attempt: int, newest_seen: int
    ) -> None:
        """Open a retraining for an episode, and keep the trigger that did: in one transaction, or not at all.

        Parameters
        ----------
        asked : Trigger
            What asks, with its episode and the reason; its ``id`` and ``decided_at`` are not used.
        retraining_key : str
            The night as of which to train.
        attempt : int
            Which retraining of its episode it is, from 1.
        newest_seen : int
            The ``id`` of the newest retraining of the dataset that the decision knew; 0 for none.

        Raises
        ------
        ConflictError
            If the decision rests on what is no longer so: the episode was closed, another retraining was
            opened since, or this attempt was made. Nothing was written.
        """
        row = _row(asked.dataset, asked.partition_key, verdict="go", reason=asked.reason)
        row |= {"episode_id": asked.episode_id, "attempt": attempt, "retraining_key": retraining_key}
        with self._database.transaction(f"request a retraining of {asked.dataset}") as connection:
            _require_open(connection, asked.episode_id)
            newest = select(func.max(retrainings.c.id)).where(retrainings.c.dataset == asked.dataset)
            if (connection.execute(newest).scalar_one() or 0) != newest_seen:
                raise ConflictError(f"Another retraining of {asked.dataset} was opened since; decide again.")
            insert_retraining(
                connection, asked.dataset, retraining_key, status="requested", reason=asked.reason
            )
            connection.execute(insert(triggers).values(row))


def _require_open(connection: Connection, episode_id: int | None) -> None:
    # The lock makes deciders about one episode take turns; SQLite has one writer at a time anyway.
    state = select(episodes.c.status).where(episodes.c.id == episode_id).with_for_update()
    if connection.execute(state).scalar_one_or_none() != "open":
        raise ConflictError("The episode was closed since; decide again.")


def _row(dataset: str, partition_key: str, *, verdict: Verdict, reason: str) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "partition_key": partition_key,
        "verdict": verdict,
        "reason": reason,
        "digest": digest_of([verdict, reason]),
        "decided_at": now_utc(),
    }
