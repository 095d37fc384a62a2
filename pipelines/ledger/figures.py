"""The figures of a dataset's incidents and retrainings, for pages and metrics."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

from pipelines.config import RetrainingConfig
from pipelines.ledger.ledger import Ledger
from pipelines.records import (
    Breaker,
    Episode,
    Record,
    Retraining,
    partition_date,
    shift_partition,
)

_RECENT_DAYS = 30
_MEAN_OVER_DAYS = 90


class EpisodeFigures(Record):
    """How a dataset fares.

    ``mean_nights_to_detect`` is from an incident's first alarm to the night that confirmed it;
    ``mean_nights_to_repair`` from there to the night it was closed for. Both are over the episodes of the
    last 90 days that call for something (a retraining or a person), None where there is none.
    ``n_retrainings_30_days`` counts as the budget does: a retraining that is under way, too.
    ``days_since_retraining`` is of the newest one that a night up to ``today`` asked for.
    """

    n_open: int
    n_last_30_days: int
    mean_nights_to_detect: float | None
    mean_nights_to_repair: float | None
    n_retrainings_30_days: int
    budget: int
    days_since_retraining: int | None
    breaker: Breaker | None


def episode_figures(
    ledger: Ledger, dataset: str, *, today: str, config: RetrainingConfig | None = None
) -> EpisodeFigures:
    """Return the figures of a dataset as of a night.

    Parameters
    ----------
    today : str
        The partition key of the night.
    config : RetrainingConfig, optional
        The dataset's, which holds the budget; None: the default one.
    """
    episodes = [e for e in ledger.episodes.list(dataset) if e.opened_for <= today]
    recent = shift_partition(today, 1 - _RECENT_DAYS)
    told = [
        episode
        for episode in episodes
        if episode.action != "record" and episode.opened_for > shift_partition(today, -_MEAN_OVER_DAYS)
    ]
    spent = [r for r in ledger.retrainings(dataset) if r.status != "suppressed" and r.partition_key <= today]
    return EpisodeFigures(
        n_open=sum(episode.status == "open" for episode in episodes),
        n_last_30_days=sum(episode.opened_for >= recent for episode in episodes),
        mean_nights_to_detect=_mean(days_between(e.first_alarm, e.opened_for) for e in told),
        mean_nights_to_repair=_mean(_nights_to_repair(told)),
        n_retrainings_30_days=sum(retraining.partition_key >= recent for retraining in spent),
        budget=(config or RetrainingConfig()).max_per_30_days,
        days_since_retraining=_days_since(spent, today),
        breaker=ledger.breakers.state(dataset),
    )


def days_between(first: str, last: str) -> int:
    """Return how many days lie between two partition keys; negative if the first is the later one."""
    return (partition_date(last) - partition_date(first)).days


def _nights_to_repair(episodes: Iterable[Episode]) -> list[int]:
    return [days_between(e.opened_for, e.closed_for) for e in episodes if e.closed_for is not None]


def _days_since(spent: Iterable[Retraining], today: str) -> int | None:
    newest = max((retraining.partition_key for retraining in spent), default=None)
    return None if newest is None else days_between(newest, today)


def _mean(figures: Iterable[float]) -> float | None:
    values = list(figures)
    return fmean(values) if values else None
