"""The breaker: refused challengers in a row switch retraining off, and only a person switches it on."""

from __future__ import annotations

from datetime import datetime

from pipelines.errors import NotReadyError
from pipelines.ledger.ledger import Ledger
from pipelines.records import Breaker
from pipelines.runtime import Runtime

_ACTOR = "holdfast"


def tripped_breaker(dataset: str, partition_key: str, *, runtime: Runtime) -> Breaker | None:
    """Return the dataset's breaker if it is open, after opening it where it is due; None if it is closed.

    It is due once ``breaker_refusals`` challengers in a row, since a person closed it last, were refused.
    A training that failed says nothing of challengers, and counts neither way. Whoever is to be told is
    told, once.

    Parameters
    ----------
    partition_key : str
        The night that is decided about.
    """
    from pipelines.steps.tell import tell_breaker

    ledger, config = runtime.ledger, runtime.dataset(dataset).retraining
    state = ledger.breakers.state(dataset)
    if state is None or not state.is_open:
        n_refused = refused_in_a_row(ledger, dataset, since=None if state is None else state.changed_at)
        if n_refused < config.breaker_refusals:
            return None
        reason = f"{n_refused} challengers in a row were refused"
        state = ledger.breakers.switch(dataset, is_open=True, reason=reason, actor=_ACTOR)
    # Also where it was open before: whoever opened it may have died before it told anybody.
    tell_breaker(state, partition_key=partition_key, runtime=runtime)
    return state


def close_breaker(dataset: str, *, runtime: Runtime, actor: str, reason: str) -> Breaker:
    """Switch retraining on again.

    Raises
    ------
    NotReadyError
        If it is on.
    ConflictError
        If somebody switched it at the same moment.
    """
    runtime.dataset(dataset)
    if not runtime.ledger.breakers.is_open(dataset):
        raise NotReadyError(f"The breaker of {dataset} is closed already: retraining is on.")
    return runtime.ledger.breakers.switch(dataset, is_open=False, reason=reason, actor=actor)


def refused_in_a_row(ledger: Ledger, dataset: str, *, since: datetime | None) -> int:
    """Return how many challengers of a dataset were refused since the last that was promoted.

    Parameters
    ----------
    since : datetime, optional
        Only those that were decided on after it.
    """
    n_refused = 0
    for retraining in reversed(ledger.retrainings(dataset)):
        if since is not None and retraining.updated_at <= since:
            continue
        if retraining.status == "promoted":
            break
        n_refused += retraining.status == "refused"
    return n_refused
