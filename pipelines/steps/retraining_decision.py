"""The rules by which an episode gets its retraining, or does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from pipelines.ledger.figures import days_between
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.triggers import Verdict
from pipelines.records import (
    OPEN_RETRAINING,
    DriftRecord,
    Episode,
    Retraining,
    RetrainingVerdict,
    Trigger,
    now_utc,
)
from pipelines.runtime import Runtime
from pipelines.steps.breaker import tripped_breaker
from pipelines.steps.incidents import what_drifted

# No training takes that long: whoever should have finished it is gone.
_ABANDONED_AFTER = timedelta(hours=24)
# A request that nobody took up for so long was lost on its way: it is handed on again. A training that only
# waits for its turn is then asked for twice, which changes nothing.
_LOST_AFTER = timedelta(minutes=30)
_BUDGET_DAYS = 30
# The first, and one more where it failed or its challenger was refused.
_MAX_OF_EPISODE = 2


@dataclass(frozen=True)
class RetrainingDecision:
    """One look at what is on record, and the one step that follows from it.

    Parameters
    ----------
    runtime : Runtime
        The stores.
    drift : DriftRecord
        The verdict of the night that is decided about; its episode is followed already.
    """

    runtime: Runtime
    drift: DriftRecord

    @property
    def _ledger(self) -> Ledger:
        return self.runtime.ledger

    def decide(self) -> RetrainingVerdict:
        """Return what is done; ConflictError where the record has changed between the look and the leap."""
        give_up_abandoned(self.drift.dataset, runtime=self.runtime)
        # All that follows is of this one look: what is opened after it makes the leap fail.
        known = self._ledger.retrainings(self.drift.dataset)
        in_flight = next((retraining for retraining in known if retraining.status in OPEN_RETRAINING), None)
        breaker = tripped_breaker(self.drift.dataset, self.drift.partition_key, runtime=self.runtime)
        if in_flight is not None and self._is_handed_on(in_flight):
            return self._answer("go", in_flight.reason, in_flight)
        episode = self._ledger.episodes.current(self.drift.dataset)
        if episode is None or not self._is_wanted(episode):
            return self._nothing_to_do(episode)
        if in_flight is not None:
            reason = f"the retraining for {in_flight.partition_key} is under way ({in_flight.status})"
            return self._answer("wait", reason, in_flight)
        asked = {retraining.id for retraining in self._ledger.triggers.retrainings_of(episode.id)}
        mine = [retraining for retraining in known if retraining.id in asked]
        night = max(self.drift.partition_key, episode.last_alarm)
        obstacle = self._spent(episode, mine) or (breaker and f"the breaker is open: {breaker.reason}")
        obstacle = obstacle or self._obstacle(known, night)
        if obstacle:
            return self._answer("suppressed", obstacle, mine[-1] if mine else None)
        return self._go(episode, known, night=night, attempt=len(mine) + 1)

    def _is_handed_on(self, in_flight: Retraining) -> bool:
        """Return whether the retraining under way is this night's own, or a request that was lost."""
        asker = self._ledger.triggers.asker(in_flight) or in_flight.partition_key
        is_lost = in_flight.status == "requested" and now_utc() - in_flight.updated_at > _LOST_AFTER
        return is_lost or asker == self.drift.partition_key

    def _is_wanted(self, episode: Episode) -> bool:
        """Return whether an open episode calls for a retraining at this night."""
        if episode.action != "retrain" or self.drift.partition_key < episode.opened_for:
            return False
        if self.drift.is_alarm and not self.drift.is_judged_again:
            return True
        # A calm night, or one of the past, asks for nothing of its own. It makes up for the last alarm, if
        # nobody ever decided about it: its event was lost.
        asked = self._ledger.triggers.list(self.drift.dataset, partition_key=episode.last_alarm)
        return all(trigger.verdict == "wait" for trigger in asked)

    def _nothing_to_do(self, episode: Episode | None) -> RetrainingVerdict:
        drift = self.drift
        if not drift.is_confirmed or drift.action == "none":
            open_still = f"; episode {episode.id} is open still" if episode else ""
            reason = "a drift alarm, not confirmed yet" if drift.is_alarm else "no drift"
            reason = "drift that calls for nothing" if drift.is_confirmed else reason
            return self._answer("calm", f"{reason}{open_still}")
        if drift.is_judged_again:
            reason = f"{drift.partition_key} was judged again, with v{drift.model_version}: it is of the past"
        elif episode is not None and drift.partition_key < episode.opened_for:
            reason = f"out of date: episode {episode.id} was opened for {episode.opened_for}"
        elif episode is not None and episode.action == "investigate":
            reason = f"episode {episode.id} is a fault of the data, for a person: {episode.cause}"
        elif episode is not None:
            reason = f"episode {episode.id} is on record only: {episode.consequence}"
        else:
            reason = self._replaced() or self._over()
        return self._answer("suppressed", reason)

    def _replaced(self) -> str | None:
        champion = self._ledger.champions.present(self.drift.dataset)
        if champion is not None and champion.model_version == self.drift.model_version:
            return None
        present = "there is none" if champion is None else f"it is version {champion.model_version}"
        return (
            f"the champion has been replaced since: the alarm is about {self.drift.model_version}, {present}"
        )

    def _over(self) -> str:
        newest = self._ledger.episodes.newest(self.drift.dataset)
        if newest is None:
            return "out of date: the nights after it are judged already"
        return f"episode {newest.id} was closed for {newest.closed_for}: {newest.closing_reason}"

    def _spent(self, episode: Episode, mine: Sequence[Retraining]) -> str | None:
        """Return why the episode can't have another retraining; None if it can."""
        if not mine:
            return None
        outcomes = ", ".join(f"{retraining.partition_key} {retraining.status}" for retraining in mine)
        if len(mine) < _MAX_OF_EPISODE and mine[-1].status in ("refused", "failed"):
            return None
        return f"episode {episode.id} has had its retraining: {outcomes}"

    def _obstacle(self, known: Sequence[Retraining], night: str) -> str | None:
        """Return why a retraining as of a night is not due; None if it is."""
        replaced = self._replaced()
        if replaced is not None:
            return replaced
        config = self.runtime.dataset(self.drift.dataset).retraining
        ages = {
            r.partition_key: days_between(r.partition_key, night) for r in known if r.status != "suppressed"
        }
        newest = max(ages, default=None)
        if newest is not None and ages[newest] < 0:
            return f"a newer night, {newest}, has had its retraining: an older one would know less"
        if any(retraining.partition_key == night for retraining in known):
            return f"{night} has been decided already: a later night may ask again"
        if newest is not None and ages[newest] < config.cooldown_days:
            return (
                f"cooldown: the last retraining was for {newest}, "
                f"less than {config.cooldown_days} days before"
            )
        n_recent = sum(age < _BUDGET_DAYS for age in ages.values())
        if n_recent >= config.max_per_30_days:
            return (
                f"budget: {n_recent} retrainings in {_BUDGET_DAYS} days, of {config.max_per_30_days} allowed"
            )
        return None

    def _go(
        self, episode: Episode, known: Sequence[Retraining], *, night: str, attempt: int
    ) -> RetrainingVerdict:
        asked = Trigger(
            id=0,
            dataset=self.drift.dataset,
            partition_key=self.drift.partition_key,
            episode_id=episode.id,
            verdict="go",
            reason=self._reason(episode),
            decided_at=now_utc(),
        )
        self._ledger.triggers.request_retraining(
            asked,
            retraining_key=night,
            attempt=attempt,
            newest_seen=max((retraining.id for retraining in known), default=0),
        )
        return self._answer("go", asked.reason, self._ledger.retraining(asked.dataset, night))

    def _reason(self, episode: Episode) -> str:
        if self.drift.is_confirmed:
            return f"episode {episode.id}: {what_drifted(self.drift)}"
        return f"episode {episode.id}: {episode.cause}"

    def _answer(
        self, verdict: Verdict, reason: str, retraining: Retraining | None = None
    ) -> RetrainingVerdict:
        return RetrainingVerdict(
            dataset=self.drift.dataset,
            partition_key=self.drift.partition_key,
            verdict=verdict,
            reason=reason,
            retraining=retraining,
        )


def give_up_abandoned(dataset: str, *, runtime: Runtime) -> None:
    """Mark the retraining under way as failed, if nobody works on it any more."""
    ledger = runtime.ledger
    in_flight = ledger.retraining_in_flight(dataset)
    if in_flight is None:
        return
    patience = _ABANDONED_AFTER
    if in_flight.status == "registered":
        # A challenger may wait for a person meanwhile, or for its nights in the champion's shadow.
        config = runtime.dataset(dataset)
        patience += timedelta(hours=config.promotion.approval_timeout_hours)
        if config.promotion.shadow_nights:
            patience += timedelta(days=config.promotion.shadow_nights + config.maturity_days)
    if now_utc() - in_flight.updated_at > patience:
        silence = f"not heard of for {patience.total_seconds() / 3600:.0f} hours"
        reason = f"{in_flight.reason}; abandoned as {in_flight.status}: {silence}"
        ledger.give_up_retraining(in_flight, reason=reason)
