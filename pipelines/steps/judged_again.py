"""A night whose predictions others took the place of is judged again: for the record, not for an incident.

After a rollback, nights of the past are scored again with the version gone back to. What was found wrong with
them was told and acted on then. Their new verdicts are shown, and count for the nights that come after them;
but they open no episode, make none worse, hold no data back and ask for no retraining. The next night that is
judged for the first time does all of that, with them behind it.
"""

from __future__ import annotations

from pipelines.records import DriftRecord, PerformanceRecord
from pipelines.runtime import Runtime
from pipelines.steps.reconcile import performance_as_known_at


def mark_judged_again(record: DriftRecord, *, runtime: Runtime) -> DriftRecord:
    """Return a verdict as one that comes again, where the night had one about another version before.

    A repeat keeps what the first verdict about the version was. The night that a version was promoted for is
    scored anew as the first of its own: its verdict is none that comes again.
    """
    dataset, night, version = record.dataset, record.partition_key, record.model_version
    before = runtime.ledger.latest(DriftRecord, dataset, night)
    if before is None or (before.model_version == version and not before.is_judged_again):
        return record
    if before.model_version != version and _is_promoted_for(record, runtime):
        return record
    # The newest of another version: on a repeat, that is not the newest of all.
    verdicts = runtime.ledger.revisions(DriftRecord, dataset, night)
    other = next(found.model_version for found in reversed(verdicts) if found.model_version != version)
    note = (
        f"It was judged again: its predictions are version {version}'s since, in place of version {other}'s, "
        "whose verdict stays on record. What is judged again opens no episode and asks for no retraining."
    )
    return record.model_copy(
        update={"is_judged_again": True, "is_page": False, "notes": (*record.notes, note)}
    )


def _is_promoted_for(record: DriftRecord, runtime: Runtime) -> bool:
    champion = runtime.ledger.champions.present(record.dataset)
    return (
        champion is not None
        and champion.action == "promote"
        and champion.model_version == record.model_version
        and champion.partition_key == record.partition_key
    )


def performance_of_night(record: DriftRecord, cohort: str, *, runtime: Runtime) -> PerformanceRecord | None:
    """Return the performance that a night's report shows: as known then, or of the new predictions."""
    found = None
    if record.is_judged_again:
        found = runtime.ledger.latest(PerformanceRecord, record.dataset, cohort, record.model_version)
    return found or performance_as_known_at(runtime.ledger, record.dataset, cohort, record.partition_key)
