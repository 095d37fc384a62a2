"""Keep nights whose data shows a fault out of training: they are held until a person lets them go."""

from __future__ import annotations

import logging

from pipelines.records import AmendmentRecord, DriftRecord, partition_range
from pipelines.runtime import Runtime

_log = logging.getLogger(__name__)


def hold_faulty_nights(record: DriftRecord, *, runtime: Runtime) -> tuple[str, ...]:
    """Hold the nights whose columns a verdict takes for faulty, each of them once.

    A night that a person has released, or whose hold was lifted, is not held again: people know better. A
    fault of what the features' query makes, rather than of a column that landed, holds nothing.

    Parameters
    ----------
    record : DriftRecord
        The verdict; nothing is done unless it is confirmed and asks to look at the data, nor where the night
        was judged again: what an older version takes for a fault, a newer one may have learned.

    Returns
    -------
    tuple of str
        The nights that were held now.

    Raises
    ------
    ConflictError, EngineError
        As :func:`~pipelines.steps.hold.hold`; a repeat goes on.
    """
    if record.action != "investigate" or not record.is_confirmed or record.is_judged_again:
        return ()
    # Great Expectations takes seconds to import, and few nights need it.
    from pipelines.steps.hold import hold

    config = runtime.dataset(record.dataset)
    landed = [bug for bug in record.bugs if bug.column in config.columns]
    if not landed:
        return ()
    published = set(runtime.lake.partition_keys(record.dataset, "validated"))
    held = []
    for night in partition_range(record.window[0], record.partition_key):
        bugs = [bug for bug in landed if bug.first_partition <= night]
        if not bugs or night not in published or _was_held(record.dataset, night, runtime):
            continue
        hold(
            record.dataset,
            [night],
            columns=tuple(dict.fromkeys(bug.column for bug in bugs)),
            reason="; ".join(bug.explanation for bug in bugs),
            runtime=runtime,
        )
        _log.warning("%s %s is held: %s", record.dataset, night, bugs[0].explanation)
        held.append(night)
    return tuple(held)


def is_held(dataset: str, partition_key: str, *, runtime: Runtime) -> bool:
    """Return whether a night is held now: nothing of it is published until a person lets it go."""
    newest = runtime.ledger.latest(AmendmentRecord, dataset, partition_key)
    return newest is not None and newest.action == "hold" and not newest.n_published


def _was_held(dataset: str, night: str, runtime: Runtime) -> bool:
    history = runtime.ledger.revisions(AmendmentRecord, dataset, night)
    return any(record.action == "hold" for record in history)
