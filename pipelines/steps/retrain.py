"""Decide whether a night's drift is worth a training."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pipelines.config import DatasetConfig, RetrainingConfig
from pipelines.errors import ConflictError, NotReadyError
from pipelines.ledger.ledger import Ledger
from pipelines.records import (
    OPEN_RETRAINING,
    DriftRecord,
    Retraining,
    RetrainingVerdict,
    now_utc,
    partition_date,
    shift_partition,
)
from pipelines.runtime import Runtime

# No training takes that long: whoever should have finished it is gone.
_ABANDONED_AFTER = timedelta(hours=24)
_BUDGET_DAYS = 30
_N_NAMED_COLUMNS = 3


def decide_retraining(dataset: str, partition_key: str, *, runtime: Runtime) -> RetrainingVerdict:
    """Decide what is done about the drift of one night.

    Returns
    -------
    RetrainingVerdict
        ``calm``: there is no confirmed drift. ``wait``: another retraining is under way; ask
        again. ``suppressed``: there is one, but the model it is about has been replaced, the last
        retraining is too recent, or the budget is used up. ``go``: a retraining is requested, and
        the ledger holds it. A repeat gives the same verdict until that retraining is finished,
        and ``suppressed`` from then on. Of two deciders at once, about two nights, one gets ``go``.

    Raises
    ------
    NotReadyError
        If the night has not been monitored.
    """
    ledger, config = runtime.ledger, runtime.dataset(dataset)
    drift = ledger.latest(DriftRecord, dataset, partition_key)
    if drift is None:
        raise NotReadyError(
            f"{dataset} {partition_key} has not been monitored: "
            f"run `holdfast monitor {dataset} {partition_key}`."
        )
    if not drift.is_confirmed:
        reason = "a drift alarm, not confirmed yet" if drift.is_alarm else "no drift"
        return _verdict(dataset, partition_key, "calm", reason)
    decided = ledger.retraining(dataset, partition_key)
    if decided is not None:
        return _verdict_of(decided)
    in_flight = _in_flight(ledger, dataset, config)
    if in_flight is not None:
        return _wait(dataset, partition_key, in_flight)
    obstacle = _obstacle(ledger, drift, config.retraining)
    try:
        opened = ledger.open_retraining(
            dataset,
            partition_key,
            status="suppressed" if obstacle else "requested",
            reason=obstacle or _reason(drift),
        )
    except ConflictError:
        # Another night's decider was faster between our look and our leap.
        in_flight = ledger.retraining_in_flight(dataset)
        if in_flight is None:
            raise
        return _wait(dataset, partition_key, in_flight)
    return _verdict_of(opened)


def request_first_training(dataset: str, partition_key: str, *, runtime: Runtime) -> Retraining | None:
    """Request the training of a first champion, once there are days enough.

    Returns
    -------
    Retraining or None
        The open request, also on a repeat; None if there is a champion, if fewer than
        ``training.min_days`` labelled days are published, or if one is under way already.
    """
    ledger, config = runtime.ledger, runtime.dataset(dataset)
    newest_labelled = shift_partition(partition_key, -config.label_delay_days)
    if ledger.champion(dataset) is not None:
        return None
    requested = ledger.retraining(dataset, partition_key)
    if requested is not None:
        return requested if requested.status in OPEN_RETRAINING else None
    n_days = sum(key <= newest_labelled for key in runtime.lake.partition_keys(dataset, "validated"))
    if n_days < config.training.min_days or _in_flight(ledger, dataset, config) is not None:
        return None
    try:
        return ledger.open_retraining(dataset, partition_key, status="requested", reason="first champion")
    except ConflictError:  # another night's request was faster
        return None


def _in_flight(ledger: Ledger, dataset: str, config: DatasetConfig) -> Retraining | None:
    """Return the retraining under way, after marking one failed that nobody works on any more."""
    in_flight = ledger.retraining_in_flight(dataset)
    if in_flight is None:
        return None
    patience = _ABANDONED_AFTER
    if in_flight.status == "registered":
        # A challenger may wait for a person meanwhile.
        patience += timedelta(hours=config.promotion.approval_timeout_hours)
    if now_utc() - in_flight.updated_at <= patience:
        return in_flight
    silence = f"not heard of for {patience.total_seconds() / 3600:.0f} hours"
    ledger.update_retraining(
        dataset,
        in_flight.partition_key,
        status="failed",
        reason=f"{in_flight.reason}; abandoned as {in_flight.status}: {silence}",
    )
    return None


def _obstacle(ledger: Ledger, drift: DriftRecord, config: RetrainingConfig) -> str | None:
    """Return why a confirmed drift is not worth a training now; None if it is."""
    champion = ledger.champion(drift.dataset)
    if champion is None or champion.model_version != drift.model_version:
        present = "there is none" if champion is None else f"it is version {champion.model_version}"
        return f"the champion has been replaced since: the alarm is about {drift.model_version}, {present}"
    # One that was opened since we looked is under way: the database will refuse ours, and we wait.
    unspent = OPEN_RETRAINING | {"suppressed"}
    spent = [r for r in ledger.retrainings(drift.dataset) if r.status not in unspent]
    ages = {r.partition_key: _days_between(r.partition_key, drift.partition_key) for r in spent}
    newest = max(ages, default=None)
    if newest is not None and ages[newest] < 0:
        return f"a newer night, {newest}, has had its retraining: an older one would know less"
    if newest is not None and ages[newest] < config.cooldown_days:
        return f"cooldown: the last retraining was for {newest}, less than {config.cooldown_days} days before"
    n_recent = sum(age < _BUDGET_DAYS for age in ages.values())
    if n_recent >= config.max_per_30_days:
        return f"budget: {n_recent} retrainings in {_BUDGET_DAYS} days, of {config.max_per_30_days} allowed"
    return None


def _days_between(first: str, last: str) -> int:
    return (partition_date(last) - partition_date(first)).days


def _reason(drift: DriftRecord) -> str:
    """Return what drifted: the kinds, and the columns that are farthest beyond their thresholds."""
    drifted = sorted(
        (column for column in drift.columns if column.is_drifted),
        key=lambda column: column.distance / column.threshold,
        reverse=True,
    )
    names = list(dict.fromkeys(column.column for column in drifted))[:_N_NAMED_COLUMNS]
    columns = f" (most: {', '.join(names)})" if names else ""
    return f"{', '.join(drift.kinds)} drift on {drift.n_alarm_nights} nights{columns}"


def _verdict_of(decided: Retraining) -> RetrainingVerdict:
    if decided.status in OPEN_RETRAINING:
        return _verdict(decided.dataset, decided.partition_key, "go", decided.reason, decided)
    reason = decided.reason if decided.status == "suppressed" else f"finished already: {decided.status}"
    return _verdict(decided.dataset, decided.partition_key, "suppressed", reason, decided)


def _wait(dataset: str, partition_key: str, in_flight: Retraining) -> RetrainingVerdict:
    reason = f"the retraining for {in_flight.partition_key} is under way ({in_flight.status})"
    return _verdict(dataset, partition_key, "wait", reason, in_flight)


def _verdict(
    dataset: str,
    partition_key: str,
    verdict: Literal["calm", "suppressed", "wait", "go"],
    reason: str,
    retraining: Retraining | None = None,
) -> RetrainingVerdict:
    return RetrainingVerdict(
        dataset=dataset, partition_key=partition_key, verdict=verdict, reason=reason, retraining=retraining
    )
