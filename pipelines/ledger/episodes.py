"""Episodes: one incident of a dataset each, at most one of them open."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import RowMapping, Select, insert, select, update

from pipelines.errors import ConflictError
from pipelines.ledger.database import Database, aware
from pipelines.ledger.schema import episodes
from pipelines.records import Episode, Record, Severity, now_utc

Action = Literal["record", "retrain", "investigate"]

_SEVERITIES: tuple[Severity, ...] = ("none", "info", "warning", "critical")
# What is done about an incident only ever gets more careful: a fault of the data is never trained on.
_ACTIONS: tuple[Action, ...] = ("record", "retrain", "investigate")


class Incident(Record):
    """What one night's confirmed alarm says of an incident."""

    dataset: str
    partition_key: str
    first_alarm: str
    action: Action
    severity: Severity
    kinds: tuple[str, ...]
    cause: str
    consequence: str
    next_step: str
    model_version: str


class Episodes:
    """The episodes of all datasets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, dataset: str, *, limit: int | None = None) -> Sequence[Episode]:
        """Return the episodes of a dataset, newest first; at most ``limit``."""
        return self._read(_of(dataset).limit(limit))

    def get(self, dataset: str, episode_id: int) -> Episode | None:
        """Return one episode; None if the dataset has none of that number."""
        return self._one(_of(dataset).where(episodes.c.id == episode_id))

    def current(self, dataset: str) -> Episode | None:
        """Return the open episode; None if there is none."""
        return self._one(_of(dataset).where(episodes.c.status == "open"))

    def newest(self, dataset: str) -> Episode | None:
        """Return the episode that was opened last, open or closed; None if there was none."""
        return self._one(_of(dataset).limit(1))

    def open(self, incident: Incident) -> Episode:
        """Open an episode for a night.

        Raises
        ------
        ConflictError
            If one is open already, or this night has opened one before.
        """
        row = incident.model_dump(exclude={"partition_key"}) | {
            "status": "open",
            "kinds": json.dumps(incident.kinds),
            "opened_for": incident.partition_key,
            "last_alarm": incident.partition_key,
            "opened_at": now_utc(),
        }
        with self._database.transaction(f"open an episode of {incident.dataset}") as connection:
            connection.execute(insert(episodes).values(row))
        opened = self._one(_of(incident.dataset).where(episodes.c.opened_for == incident.partition_key))
        assert opened is not None, "a row that was just committed is there"  # noqa: S101
        return opened

    def alarm(self, episode: Episode, *, night: str, incident: Incident | None = None) -> Episode:
        """Take another night with an alarm into an open episode; a closed one is left as it is.

        Nothing is ever taken back: the last alarm, the severity and the action only rise, in whatever order
        nights come. A confirmed alarm (an ``incident``) that raises one of the latter gives the episode its
        cause, consequence and next step too.
        """
        query = select(episodes).where(episodes.c.id == episode.id).with_for_update()
        with self._database.transaction("follow an episode") as connection:
            found = connection.execute(query).mappings().one()
            values: dict[str, Any] = {"last_alarm": max(found["last_alarm"], night)}
            if incident is not None:
                values |= _raised(found, incident)
            is_news = any(found[name] != value for name, value in values.items())
            if is_news and found["status"] == "open":
                connection.execute(update(episodes).where(episodes.c.id == episode.id).values(values))
        return self._there(episode)

    def close(self, episode: Episode, *, night: str, reason: str) -> Episode:
        """Close an episode, unless there was an alarm since it was read; a repeat keeps what is there.

        Raises
        ------
        ConflictError
            If there was an alarm since.
        """
        query = update(episodes).where(
            episodes.c.id == episode.id,
            episodes.c.status == "open",
            episodes.c.last_alarm == episode.last_alarm,
        )
        values = {"status": "closed", "closed_for": night, "closing_reason": reason, "closed_at": now_utc()}
        with self._database.transaction("close an episode") as connection:
            connection.execute(query.values(values))
        found = self._there(episode)
        if found.status == "open":
            raise ConflictError(
                f"Episode {episode.id} of {episode.dataset} has had an alarm for {found.last_alarm} since it "
                "was read: look again."
            )
        return found

    def _there(self, episode: Episode) -> Episode:
        found = self.get(episode.dataset, episode.id)
        assert found is not None, "episodes are never deleted"  # noqa: S101
        return found

    def _one(self, query: Select[Any]) -> Episode | None:
        found = self._read(query)
        return found[0] if found else None

    def _read(self, query: Select[Any]) -> Sequence[Episode]:
        with self._database.transaction("read the episodes") as connection:
            rows = connection.execute(query.order_by(episodes.c.id.desc())).mappings().all()
        return [Episode.model_validate(_content(row)) for row in rows]


def _of(dataset: str) -> Select[Any]:
    return select(episodes).where(episodes.c.dataset == dataset)


def _content(row: RowMapping) -> Mapping[str, Any]:
    content = dict(aware(row))
    return content | {"kinds": tuple(json.loads(content["kinds"]))}


def _raised(found: RowMapping, incident: Incident) -> dict[str, Any]:
    """Return what a further confirmed alarm changes of an open episode."""
    severity = max(found["severity"], incident.severity, key=_SEVERITIES.index)
    action = max(found["action"], incident.action, key=_ACTIONS.index)
    values: dict[str, Any] = {
        "severity": severity,
        "action": action,
        "kinds": json.dumps(list(dict.fromkeys([*json.loads(found["kinds"]), *incident.kinds]))),
    }
    # What a person reads is of the alarm that made it what it is.
    is_told_by_it = action == incident.action and (action, severity) != (found["action"], found["severity"])
    if is_told_by_it:
        told = ("cause", "consequence", "next_step")
        values |= {name: getattr(incident, name) for name in told}
    return values
