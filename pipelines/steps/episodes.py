"""Follow a dataset's incidents: one opens with a confirmed alarm, and closes when it has been calm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from pipelines.errors import ConflictError, NotReadyError
from pipelines.ledger.ledger import Ledger
from pipelines.records import DriftRecord, Episode, shift_partition
from pipelines.runtime import Runtime
from pipelines.steps.incidents import incident_of

_ATTEMPTS = 8
# A night that nobody followed, since a process died, is made up for by the nights after it. No more of
# them: what was recorded long ago, and maybe by an older version of ours, is history.
_LOOK_BACK_DAYS = 7


def follow_episode(record: DriftRecord, *, runtime: Runtime) -> Episode | None:
    """Bring the dataset's episode up to what is on record, after a night's verdict was written down.

    The record is the truth, and this call a hint to look at it: every verdict since the last night that an
    episode knows is taken in, in the order of the nights. So a repeat changes nothing, a call that was lost
    is made up for by the next, and nights may come in any order.

    An episode opens with a confirmed alarm that calls for something, about the present champion. It gets
    more serious with later ones, never less. It closes after ``calm_nights`` nights without an alarm, or
    once a new champion is judged in its place; except where a person is asked to look at the data, which
    is as broken for the next model. The alarm of a night that was judged again, on another version's
    predictions, is of the past: it neither opens an episode nor changes one.

    Returns
    -------
    Episode or None
        The open one, or the one that was closed by this night or this call; None if all is calm.

    Raises
    ------
    ConflictError
        If others keep following the same dataset at the same moment; a repeat is harmless.
    """
    for _ in range(_ATTEMPTS):
        try:
            return _Follower(runtime, record.dataset).follow(record)
        except ConflictError:
            # Another night's follower was faster: what it wrote is taken into account now.
            continue
    raise ConflictError(f"The episode of {record.dataset} kept changing; follow it again.")


def close_episode(dataset: str, *, runtime: Runtime, actor: str, reason: str) -> Episode:
    """Close the open episode by hand; a further confirmed alarm, of a later night, opens another.

    Raises
    ------
    NotReadyError
        If no episode is open.
    ConflictError
        If there was an alarm at the same moment.
    """
    runtime.dataset(dataset)
    episode = runtime.ledger.episodes.current(dataset)
    if episode is None:
        raise NotReadyError(f"No episode of {dataset} is open: there is nothing to close.")
    newest = runtime.ledger.newest_partition(DriftRecord, dataset)
    night = max(episode.last_alarm, newest or episode.last_alarm)
    return runtime.ledger.episodes.close(episode, night=night, reason=f"by {actor}: {reason}")


@dataclass(frozen=True)
class _Night:
    """One night's newest verdicts, one a model version, oldest first."""

    partition_key: str
    verdicts: tuple[DriftRecord, ...]


class _Follower:
    """Takes recorded nights into the newest episode of one dataset, one after the other."""

    def __init__(self, runtime: Runtime, dataset: str) -> None:
        self._ledger: Ledger = runtime.ledger
        self._config = runtime.dataset(dataset)
        self._dataset = dataset
        champion = self._ledger.champions.present(dataset)
        self._champion = None if champion is None else champion.model_version
        self._episode = self._ledger.episodes.newest(dataset)
        self._n_calm = 0

    def follow(self, record: DriftRecord) -> Episode | None:
        before = self._episode
        for night in self._nights(record):
            for verdict in night.verdicts:
                self._take(verdict)
            self._count_calm(night)
        episode = self._episode
        if episode is None or episode.status == "open":
            return episode
        is_news = episode != before or episode.closed_for == record.partition_key
        return episode if is_news else None

    def _nights(self, record: DriftRecord) -> Iterator[_Night]:
        """Give the nights that may change something, in their order."""
        newest = self._ledger.newest_partition(DriftRecord, self._dataset) or record.partition_key
        first = shift_partition(newest, -_LOOK_BACK_DAYS)
        episode = self._episode
        if episode is not None and episode.status == "open":
            # An alarm of an earlier night of the episode, judged only now, may still make it more serious.
            first = max(episode.opened_for, min(episode.last_alarm, record.partition_key))
        elif episode is not None and episode.closed_for is not None:
            first = max(first, shift_partition(episode.closed_for, 1))
        verdicts = self._ledger.history(DriftRecord, self._dataset, first=first)
        for key, group in groupby(verdicts, key=lambda verdict: verdict.partition_key):
            yield _Night(key, tuple(group))

    def _take(self, verdict: DriftRecord) -> None:
        episode = self._episode
        if episode is None or episode.status == "closed":
            if self._is_opening(verdict):
                self._open(verdict)
        elif verdict.model_version not in (episode.model_version, self._champion):
            return  # of a model that is neither what the episode is about nor in use
        elif self._is_replaced(episode, verdict):
            self._close(verdict.partition_key, f"version {verdict.model_version} is champion in its place")
        elif verdict.is_alarm and not verdict.is_judged_again:
            self._alarm(episode, verdict)

    def _is_opening(self, verdict: DriftRecord) -> bool:
        episode = self._episode
        if episode is not None and verdict.partition_key <= (episode.closed_for or ""):
            return False
        is_called_for = verdict.is_confirmed and verdict.action != "none" and not verdict.is_judged_again
        return is_called_for and verdict.model_version == self._champion

    def _is_replaced(self, episode: Episode, verdict: DriftRecord) -> bool:
        is_new = verdict.model_version == self._champion != episode.model_version
        return is_new and episode.action != "investigate" and verdict.partition_key >= episode.last_alarm

    def _open(self, verdict: DriftRecord) -> None:
        assert verdict.action != "none", "such an alarm opens nothing"  # noqa: S101
        days = self._config.monitoring.persistence_window
        earlier = self._ledger.history(
            DriftRecord,
            self._dataset,
            first=shift_partition(verdict.partition_key, 1 - days),
            last=verdict.partition_key,
            subject=verdict.model_version,
        )
        first_alarm = min(
            (night.partition_key for night in earlier if night.is_alarm), default=verdict.partition_key
        )
        incident = incident_of(verdict, verdict.action, first_alarm=first_alarm)
        self._episode = self._ledger.episodes.open(incident)
        self._n_calm = 0

    def _alarm(self, episode: Episode, verdict: DriftRecord) -> None:
        incident = None
        if verdict.is_confirmed and verdict.action != "none":
            incident = incident_of(verdict, verdict.action, first_alarm=episode.first_alarm)
        self._episode = self._ledger.episodes.alarm(episode, night=verdict.partition_key, incident=incident)

    def _count_calm(self, night: _Night) -> None:
        episode = self._episode
        if episode is None or episode.status == "closed" or night.partition_key <= episode.last_alarm:
            self._n_calm = 0
            return
        if any(verdict.is_judged_again and verdict.is_alarm for verdict in night.verdicts):
            return  # not calm, and no alarm of the present either
        self._n_calm += 1
        n_needed = self._config.retraining.calm_nights
        if self._n_calm >= n_needed:
            self._close(night.partition_key, f"calm for {n_needed} night{'s' * (n_needed > 1)}")

    def _close(self, night: str, reason: str) -> None:
        assert self._episode is not None, "an open one is closed"  # noqa: S101
        self._episode = self._ledger.episodes.close(self._episode, night=night, reason=reason)
        self._n_calm = 0
