"""The versions of partitions: which wait for their validation, which scores are of an older one, and why.

All of it follows from the ledger: nothing has to be remembered, and so nothing can be forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Literal, TypeVar

from pipelines.errors import NotReadyError
from pipelines.records import (
    AmendmentRecord,
    Decision,
    IngestionRecord,
    Record,
    ScoringRecord,
    ValidationRecord,
    partition_date,
)
from pipelines.runtime import Runtime

DecisionT = TypeVar("DecisionT", bound=Decision)
_SHORT = 12


class PartitionEvent(Record):
    """One thing that happened to a partition.

    ``digest`` is of what it made (the raw rows, the published rows, the predictions), ``input_digest`` of
    what it was made of, ``previous_digest`` of what it replaced; None where there is no such thing.
    """

    kind: Literal["ingestion", "validation", "amendment", "scoring"]
    decided_at: datetime
    why: str
    digest: str | None
    input_digest: str | None = None
    previous_digest: str | None = None
    n_rows: int
    model_version: str | None = None
    is_stale: bool = False


class PartitionHistory(Record):
    """Every version of one partition, oldest first, and what is to be done next."""

    dataset: str
    partition_key: str
    events: tuple[PartitionEvent, ...]
    is_unvalidated: bool
    is_stale: bool
    next_command: str | None


def unvalidated_partitions(dataset: str, *, runtime: Runtime) -> list[str]:
    """Return the partitions that were landed anew since they were validated, newest first.

    Their newest raw rows are others than those that their newest validation saw. A partition that
    was never validated is not among them: it waits for its own night.
    """
    seen = _newest(ValidationRecord, dataset, runtime)
    return [
        key
        for key, landed in sorted(_newest(IngestionRecord, dataset, runtime).items(), reverse=True)
        if key in seen and seen[key].raw_digest != landed.raw_digest
    ]


def stale_partitions(dataset: str, *, runtime: Runtime) -> list[str]:
    """Return the partitions whose newest scores are of rows that are no longer published, newest first.

    One whose newest validation refused it can't be scored again, and is not among them.
    """
    scored = _newest(ScoringRecord, dataset, runtime)
    return [
        key
        for key, verdict in sorted(_newest(ValidationRecord, dataset, runtime).items(), reverse=True)
        if key in scored and _is_stale(scored[key], verdict)
    ]


def show_partition(dataset: str, partition_key: str, *, runtime: Runtime) -> PartitionHistory:
    """Tell what happened to a partition: each version, when and why, and which model scored which.

    Parameters
    ----------
    dataset, partition_key : str
        The partition, landed at least once.

    Returns
    -------
    PartitionHistory
        Oldest first.

    Raises
    ------
    ConfigError
        If there is no such dataset, or the key is no date.
    NotReadyError
        If the partition was never landed.
    """
    partition_date(partition_key)
    runtime.dataset(dataset)
    ledger = runtime.ledger
    landings = ledger.revisions(IngestionRecord, dataset, partition_key)
    if not landings:
        raise NotReadyError(
            f"{dataset} {partition_key} was never landed: run `holdfast ingest {dataset} {partition_key}`."
        )
    verdicts = ledger.revisions(ValidationRecord, dataset, partition_key)
    scorings = ledger.revisions(ScoringRecord, dataset, partition_key)
    amendments = ledger.revisions(AmendmentRecord, dataset, partition_key)
    is_unvalidated = not verdicts or verdicts[-1].raw_digest != landings[-1].raw_digest
    published = verdicts[-1] if verdicts else None
    is_stale = bool(scorings) and published is not None and _is_stale(scorings[-1], published)
    events = [
        *_landed(landings),
        *_validated(verdicts),
        *_amended(amendments),
        *_scored(scorings, published),
    ]
    return PartitionHistory(
        dataset=dataset,
        partition_key=partition_key,
        events=tuple(sorted(events, key=lambda event: event.decided_at)),
        is_unvalidated=is_unvalidated,
        is_stale=is_stale,
        next_command=_next(dataset, partition_key, is_unvalidated=is_unvalidated, is_stale=is_stale),
    )


def render_partition(history: PartitionHistory) -> str:
    """Return a partition's history as text, a line a version."""
    lines = [f"{history.dataset} {history.partition_key}:"]
    for event in history.events:
        digest = (event.digest or "nothing")[:_SHORT]
        made_of = f" of {event.input_digest[:_SHORT]}" if event.input_digest else ""
        before = f", before {event.previous_digest[:_SHORT]}" if event.previous_digest else ""
        stale = "; STALE: these rows are not published any more" if event.is_stale else ""
        lines.append(
            f"  {event.decided_at:%Y-%m-%d %H:%M:%S}  {event.kind:<10} {digest}{made_of}{before}, "
            f"{event.n_rows} rows: {event.why}{stale}"
        )
    if history.next_command is None:
        lines.append("  Everything rests on the newest version.")
    else:
        lines.append(f"  Next: `{history.next_command}`")
    return "\n".join(lines)


def _newest(kind: type[DecisionT], dataset: str, runtime: Runtime) -> Mapping[str, DecisionT]:
    """Return the newest decision about each partition, whatever its subject."""
    # By age within a partition: the last one stays.
    return {record.partition_key: record for record in runtime.ledger.history(kind, dataset)}


def _is_stale(scoring: ScoringRecord, verdict: ValidationRecord) -> bool:
    return verdict.outcome != "refused" and verdict.validated_digest != scoring.validated_digest


def _landed(records: list[IngestionRecord]) -> Iterator[PartitionEvent]:
    previous: str | None = None
    for record in records:
        if previous is None:
            why = "landed for the first time"
        elif previous == record.raw_digest:
            why = "its labels changed" if record.n_labels else "landed again"
        else:
            why = "its source changed"
        if record.restated_by is not None:
            why += f", as the ingestion of {record.restated_by} found"
        merged = [f"{record.n_replayed} replayed"] if record.n_replayed else []
        merged += [f"{record.n_superseded} corrected"] if record.n_superseded else []
        yield PartitionEvent(
            kind="ingestion",
            decided_at=record.decided_at,
            why=", ".join([why, *merged]),
            digest=record.raw_digest,
            previous_digest=previous if previous != record.raw_digest else None,
            n_rows=record.n_rows,
        )
        previous = record.raw_digest


def _validated(records: list[ValidationRecord]) -> Iterator[PartitionEvent]:
    previous: str | None = None
    for record in records:
        reasons = f": {'; '.join(record.reasons)[:200]}" if record.reasons else ""
        yield PartitionEvent(
            kind="validation",
            decided_at=record.decided_at,
            why=f"{record.outcome}, {record.n_quarantined} in quarantine{reasons}",
            digest=record.validated_digest,
            input_digest=record.raw_digest,
            previous_digest=previous if previous != record.validated_digest else None,
            n_rows=record.n_published,
        )
        previous = record.validated_digest or previous


def _amended(records: list[AmendmentRecord]) -> Iterator[PartitionEvent]:
    for record in records:
        yield PartitionEvent(
            kind="amendment",
            decided_at=record.decided_at,
            why=f"{record.action} by {record.actor}: {record.reason[:200]}",
            digest=record.validated_digest,
            n_rows=record.n_rows,
        )


def _scored(records: list[ScoringRecord], published: ValidationRecord | None) -> Iterator[PartitionEvent]:
    for record in records:
        yield PartitionEvent(
            kind="scoring",
            decided_at=record.decided_at,
            why=f"scored by version {record.model_version}",
            digest=record.predictions_digest,
            input_digest=record.validated_digest,
            n_rows=record.n_rows,
            model_version=record.model_version,
            is_stale=published is not None and record.validated_digest != published.validated_digest,
        )


def _next(dataset: str, partition_key: str, *, is_unvalidated: bool, is_stale: bool) -> str | None:
    if is_unvalidated:
        return f"holdfast validate {dataset} {partition_key}"
    return f"holdfast score {dataset} {partition_key}" if is_stale else None
