"""Write landed partitions: many small ones in one commit, a large one as a stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.ingestion.calendar import source_date
from pipelines.ingestion.deliveries import Delivered
from pipelines.ingestion.landed import MAX_SMALL_ROWS, Landed
from pipelines.ingestion.merging import Counts
from pipelines.ingestion.partitions import QUERY, Reading
from pipelines.ingestion.sources import Source
from pipelines.records import IngestionRecord, PartitionVersion, shift_partition
from pipelines.runtime import Runtime


@dataclass(frozen=True)
class Refusals:
    """Which nights can't land, as some of their rows may be in files that are not as they should be.

    Parameters
    ----------
    days : mapping of str to str
        Days of the source that are refused, and why.
    suspects : str or None
        Why a night of which the source has no rows is refused; None if it is merely empty.
    n_undated : int
        Rows of files in which no row has a time that can be read.
    """

    days: Mapping[str, str]
    suspects: str | None
    n_undated: int

    @classmethod
    def of(cls, config: DatasetConfig, source: Source, delivered: Delivered) -> Refusals:
        """Find them in what a source has delivered."""
        days = {day: why for name, why in source.incomplete.items() for day in delivered.days.get(name, {})}
        own_days = {file.name: file.day.isoformat() for file in source.files if file.day is not None}
        days |= {own_days[name]: why for name, why in source.incomplete.items() if name in own_days}
        suspects = None
        for file in source.refused:
            why = str(file.refusal) if file.name in str(file.refusal) else f"{file.name}: {file.refusal}"
            if file.day is not None:
                days[file.day.isoformat()] = why
            elif file.name in delivered.known.days:
                days |= dict.fromkeys(delivered.known.days[file.name], why)
            else:
                suspects = f"the source has no row of this day, and {why}"
        undated = delivered.undated() if config.event_time is not None else {}
        for name, n_rows in undated.items():
            where = source.name if name == QUERY else name
            why = f"in {where} no row has an event_time that can be read ({n_rows} rows)"
            if name in own_days:
                days.setdefault(own_days[name], f"{why}.")
            else:
                suspects = f"the source has no row of this day, and {why}: they may be this day's."
        return cls(days=days, suspects=suspects, n_undated=sum(undated.values()))


@dataclass
class Landing:
    """Lands nights: each its rows, and the labels of the partition ``label_delay_days`` before.

    Parameters
    ----------
    runtime : Runtime
        Its lake is written.
    dataset : str
        As ``params.yaml`` names it.
    refusals : Refusals
        What must not land.
    scratch : Path
        A folder for large partitions, until they are written.
    """

    runtime: Runtime
    dataset: str
    refusals: Refusals
    scratch: Path
    refused: dict[str, str] = field(default_factory=dict)
    _versions: dict[tuple[str, str], PartitionVersion] = field(default_factory=dict)
    _counts: dict[str, Counts] = field(default_factory=dict)
    _n_events: dict[str, int] = field(default_factory=dict)
    _large: list[tuple[str, Landed]] = field(default_factory=list)
    _pending: dict[str, dict[str, pa.Table]] = field(default_factory=lambda: {"raw": {}, "labels": {}})

    @property
    def config(self) -> DatasetConfig:
        """The dataset's configuration."""
        return self.runtime.dataset(self.dataset)

    def land(
        self,
        reading: Reading,
        nights: Sequence[str],
        delivered: Delivered,
        *,
        tell: Callable[[str, int, int], None],
    ) -> None:
        """Read the nights' partitions, and write those that are whole and small; keep the large ones.

        Parameters
        ----------
        reading : Reading
            Of the dataset's source.
        nights : sequence of str
            Without repeats.
        delivered : Delivered
            Which file holds which days.
        tell : callable
            Told what is being done, how many partitions are, and out of how many.
        """
        for night in nights:
            if why := self.refusals.days.get(self._day(night)):
                self.refused[night] = why
        raw = [night for night in nights if night not in self.refused]
        labels = [self._label_key(night) for night in raw]
        keys = sorted({*raw, *labels})
        files = delivered.files_of({self._day(key) for key in keys}, reading.source.files)
        found = reading.partitions(keys, files, scratch=self.scratch) if keys else ()
        for n_done, landed in enumerate(found, start=1):
            if landed.key in set(raw):
                self._take_raw(landed)
            if landed.key in set(labels):
                self._take_labels(landed)
            tell("landing partitions", n_done, len(keys))

    def finish(self) -> None:
        """Write what is left, the large partitions as streams; best when the source is closed."""
        self._flush("raw")
        for table, landed in self._large:
            rows = partial(landed.raw if table == "raw" else landed.labels, self.config)
            version = self.runtime.lake.replace_stream(self.dataset, table, landed.key, rows)
            self._versions[table, landed.key] = version
        self._flush("labels")

    def record(self, night: str, base: IngestionRecord) -> IngestionRecord:
        """Return the record of a night that has landed; ``base`` says what all of them share."""
        raw = self._versions["raw", night]
        labels = self._versions["labels", self._label_key(night)]
        counts, n_events = self._counts[night], self._n_events[labels.partition_key]
        return base.model_copy(
            update={
                "partition_key": night,
                "raw_digest": raw.digest,
                "n_rows": raw.n_rows,
                "delta_version": raw.delta_version,
                "n_miscast": counts.n_miscast,
                "n_read": counts.n_read,
                "n_replayed": counts.n_replayed,
                "n_superseded": counts.n_superseded,
                "n_unreadable": counts.n_unreadable,
                # Before the source begins there is nothing whose labels could come.
                "labels_partition_key": labels.partition_key if n_events else None,
                "labels_digest": labels.digest if n_events else None,
                "n_labels": labels.n_rows,
                "n_unlabelled": n_events - labels.n_rows,
            }
        )

    def unsettled(self, nights: Sequence[str]) -> set[str]:
        """Return the days of the source that were to land and were refused."""
        return {self._day(night) for night in nights if night in self.refused}

    def _take_raw(self, landed: Landed) -> None:
        if landed.n_rows == 0 and self.refusals.suspects is not None:
            self.refused[landed.key] = self.refusals.suspects
            return
        self._counts[landed.key] = landed.counts
        self._write("raw", landed)

    def _take_labels(self, landed: Landed) -> None:
        self._n_events[landed.key] = landed.n_rows
        self._write("labels", landed)

    def _write(self, table: str, landed: Landed) -> None:
        if landed.is_large:
            self._large.append((table, landed))
            return
        pending = self._pending[table]
        rows = landed.raw(self.config) if table == "raw" else landed.labels(self.config)
        pending[landed.key] = rows.read_all()
        if sum(small.num_rows for small in pending.values()) > MAX_SMALL_ROWS:
            self._flush(table)

    def _flush(self, table: str) -> None:
        pending = self._pending[table]
        if pending:
            for version in self.runtime.lake.replace_many(self.dataset, table, pending):
                self._versions[table, version.partition_key] = version
        pending.clear()

    def _day(self, partition_key: str) -> str:
        return source_date(partition_key, self.config.source.replay_year).isoformat()

    def _label_key(self, night: str) -> str:
        return shift_partition(night, -self.config.label_delay_days)
