"""Which days a training learns from: those that are published, whose labels are known, and their history."""

from __future__ import annotations

from collections.abc import Iterable

from pipelines.config import DatasetConfig
from pipelines.errors import NotReadyError
from pipelines.ledger.ledger import Ledger
from pipelines.records import ValidationRecord, shift_partition
from pipelines.storage.digest import table_digest
from pipelines.storage.lake import Lake
from pipelines.training.digest_memory import DigestMemory
from pipelines.training.snapshot import EVENTS, LABELS, Snapshot, SnapshotDay, read_partitions


def plan_snapshot(
    dataset: str,
    last: str,
    *,
    first: str | None,
    config: DatasetConfig,
    lake: Lake,
    ledger: Ledger,
    memory: DigestMemory | None = None,
) -> Snapshot:
    """Choose the published, labelled days from ``first`` to ``last``, and the history before them.

    Parameters
    ----------
    last : str
        The newest partition whose labels are known.
    first : str, optional
        The first day to learn from; the first published one by default.
    memory : DigestMemory, optional
        Spares the days that were digested before; without it, all of them are read.

    Raises
    ------
    NotReadyError
        If fewer days than ``training.min_days`` (or than a holdout leaves room for) qualify.
    """
    published = {
        record.partition_key: record.validated_digest
        for record in ledger.history(ValidationRecord, dataset, last=last)
        if record.outcome != "refused" and record.validated_digest is not None
    }
    start = first or min(published, default=last)
    history = shift_partition(start, -config.features.history_days)
    wanted = [key for key in sorted(published) if key >= history]
    digests = _digests if memory is None else memory.digests
    events, labels = digests(lake, dataset, EVENTS, wanted), digests(lake, dataset, LABELS, wanted)
    days = tuple(
        SnapshotDay(
            partition_key=key,
            events_digest=events[key][0],
            labels_digest=labels[key][0] if key in labels else None,
            n_rows=events[key][1],
            is_training=key >= start and key in labels,
        )
        for key in wanted
        if key in events and events[key][0] == published[key]
    )
    intact = {day.partition_key for day in days}
    snapshot = Snapshot(
        dataset=dataset,
        first_partition=start,
        last_partition=last,
        days=days,
        left_out=tuple(key for key in wanted if key in events and key not in intact),
    )
    _require_enough(snapshot, config)
    return snapshot


def _require_enough(snapshot: Snapshot, config: DatasetConfig) -> None:
    present = len(snapshot.training_days)
    required = config.training.min_days
    if config.training.split == "time":
        # A holdout, a day to choose between candidates, and a day to learn from.
        required = max(required, config.training.holdout_days + 2)
    if present >= required:
        return
    mismatched = (
        f" The rows of {len(snapshot.left_out)} more (from {snapshot.left_out[0]}) are not those that their "
        "validation published: validate them again."
        if snapshot.left_out
        else ""
    )
    raise NotReadyError(
        f"{snapshot.dataset} has {present} published days with labels from {snapshot.first_partition} to "
        f"{snapshot.last_partition}; a training needs {required}. Ingest and validate "
        f"{required - present} more, or lower `training.min_days` in params.yaml.{mismatched}"
    )


def _digests(lake: Lake, dataset: str, table: str, keys: Iterable[str]) -> dict[str, tuple[str, int]]:
    return {
        key: (table_digest(rows), rows.num_rows) for key, rows in read_partitions(lake, dataset, table, keys)
    }
