"""The exact rows of one training: named by the digests of its days, kept as one file a day and table.

The same rows give the same bytes, so a later training shares all files but the new days'.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import ConflictError, IntegrityError
from pipelines.records import Record, digest_of
from pipelines.storage.digest import canonical, table_digest
from pipelines.storage.lake import PARTITION_COLUMN, Lake
from pipelines.training.kept_days import KeptDays

EVENTS, LABELS = "events", "labels"
LAKE_TABLES = {EVENTS: "validated", LABELS: "labels"}


class SnapshotDay(Record):
    """One published day; ``labels_digest`` is None where none arrived (the day is history only)."""

    partition_key: str
    events_digest: str
    labels_digest: str | None
    n_rows: int
    is_training: bool


class Snapshot(Record):
    """The exact days of one training: those to learn from, and the history that their features need.

    ``left_out`` names days whose rows in the lake are not those that their validation published.
    """

    dataset: str
    first_partition: str
    last_partition: str
    days: tuple[SnapshotDay, ...]
    left_out: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The SHA-256 of the days, their roles and the digests of their rows, in hex."""
        return digest_of(
            [[d.partition_key, d.events_digest, d.labels_digest, d.is_training] for d in self.days]
        )

    @property
    def training_days(self) -> list[str]:
        """The days to learn from, in order."""
        return [day.partition_key for day in self.days if day.is_training]


def write_snapshot(snapshot: Snapshot, folder: Path, *, lake: Lake, kept: KeptDays | None = None) -> int:
    """Write the snapshot's rows as ``events/<day>.parquet`` and ``labels/<day>.parquet``.

    Parameters
    ----------
    kept : KeptDays, optional
        Files of days that were written before: they are copied, and hashed, and not read from the lake.

    Returns
    -------
    int
        How many files were read from the lake.

    Raises
    ------
    ConflictError
        If the lake no longer holds the rows that the snapshot names.
    """
    n_written = 0
    for table in (EVENTS, LABELS):
        (folder / table).mkdir(parents=True, exist_ok=True)
        paths = {
            key: folder / table / f"{key}.parquet"
            for key, digest in expected_digests(snapshot, table).items()
            if kept is None or not kept.copy(digest, folder / table / f"{key}.parquet")
        }
        write_days(snapshot, table, paths, lake=lake)
        if kept is not None:
            for key, path in paths.items():
                kept.remember(expected_digests(snapshot, table)[key], path)
        n_written += len(paths)
    return n_written


def write_days(snapshot: Snapshot, table: str, paths: Mapping[str, Path], *, lake: Lake) -> None:
    """Write the rows of some days of ``events`` or ``labels`` from the lake; raises as `write_snapshot`."""
    expected = expected_digests(snapshot, table)
    found = dict(read_partitions(lake, snapshot.dataset, table, paths))
    for key, path in paths.items():
        if key not in found or table_digest(found[key]) != expected[key]:
            raise ConflictError(
                f"The {table} of {snapshot.dataset} {key} changed in the lake since the training was "
                "planned. Start it again: it will plan on the present rows."
            )
        write_parquet(found[key], path)


def read_snapshot(snapshot: Snapshot, folder: Path) -> tuple[pa.Table, pa.Table]:
    """Read events and labels back, each with its ``partition_key``, and check every day's digest.

    Raises
    ------
    IntegrityError
        If a file is missing, or is not what the snapshot names: the cache that it came from is damaged.
    """
    tables = []
    for table in (EVENTS, LABELS):
        days = []
        for key, digest in expected_digests(snapshot, table).items():
            path = folder / table / f"{key}.parquet"
            rows = pq.read_table(path) if path.is_file() else None
            if rows is None or table_digest(rows) != digest:
                raise IntegrityError(
                    f"The {table} of {snapshot.dataset} {key} in the snapshot are not the rows that it "
                    "names. The DVC cache is damaged: remove the object, or the whole cache, and train again."
                )
            days.append(rows.append_column(PARTITION_COLUMN, pa.repeat(key, rows.num_rows)))
        tables.append(pa.concat_tables(days, promote_options="permissive"))
    return tables[0], tables[1]


def expected_digests(snapshot: Snapshot, table: str) -> dict[str, str]:
    """Return the digest of each day's rows in ``events`` or ``labels``, by partition key."""
    if table == EVENTS:
        return {day.partition_key: day.events_digest for day in snapshot.days}
    return {day.partition_key: day.labels_digest for day in snapshot.days if day.labels_digest is not None}


def read_partitions(
    lake: Lake, dataset: str, table: str, keys: Iterable[str]
) -> Iterator[tuple[str, pa.Table]]:
    """Give each partition that has rows, in canonical form, from one read of the lake."""
    wanted = list(keys)
    if not wanted or not lake.exists(dataset, LAKE_TABLES[table]):
        return
    rows = lake.read(dataset, LAKE_TABLES[table], partitions=wanted).sort_by(PARTITION_COLUMN)
    names, starts, sizes = np.unique(rows[PARTITION_COLUMN].to_numpy(), return_index=True, return_counts=True)
    plain = rows.drop_columns([PARTITION_COLUMN])
    for name, start, size in zip(names, starts, sizes, strict=True):
        yield str(name), canonical(plain.slice(int(start), int(size)))


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write a table so that the same rows always give the same bytes."""
    pq.write_table(table.combine_chunks(), path, compression="zstd", version="2.6", store_schema=False)
