"""What a source has delivered, and which days a new or changed file touches.

The ledger knows each file by the digest of its bytes, and what it holds of each day by a digest of
the rows. A file whose digest is known is not looked into; one that is new or changed is surveyed, and
touches the days of which it holds something else than before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.config import DatasetConfig
from pipelines.ingestion.partitions import NO_DAY, QUERY, Reading
from pipelines.ingestion.reading import StagedFile
from pipelines.ingestion.sources import Source
from pipelines.records import DeliveryRecord, digest_of

DayRows = Mapping[str, tuple[int, str]]
# A file that holds less than this of what it held of a day was cut off, or is another file by now.
_MIN_KEPT_FRACTION = 0.5


@dataclass
class Known:
    """What the deliveries on record say about a source's files."""

    reading_digest: str = ""
    files: dict[str, str] = field(default_factory=dict)
    days: dict[str, DayRows] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[DeliveryRecord]) -> Known:
        """Put together all deliveries, oldest first."""
        known = cls()
        for record in records:
            known.reading_digest = record.reading_digest
            known.files |= record.files
            known.days |= record.days
        return known


@dataclass(frozen=True)
class Delivered:
    """What a source has now, beside what is known of it.

    Parameters
    ----------
    reading_digest : str
        Of all that says how the files are read.
    files : mapping of str to str
        New and changed files, and the digests of their bytes; under a query of the user's, which is one
        file of the name ``""``, of all files.
    days : mapping of str to mapping
        What every file holds of each day.
    known : Known
        What was known before.
    """

    reading_digest: str
    files: Mapping[str, str]
    days: Mapping[str, DayRows]
    known: Known

    @property
    def touched(self) -> set[str]:
        """The days of which a new or changed file holds something else than before; ISO dates."""
        found = set()
        for name in self.files:
            before, now = self.known.days.get(name, {}), self.days[name]
            found |= {day for day in now if day != NO_DAY and before.get(day) != now[day]}
        return found

    def lost(self, day: str) -> str | None:
        """Return the file that once held a day and no longer does, or only the lesser part of it.

        Sources let old files go, and write new ones over them: what is left is not the whole day.
        """
        for name, days in self.known.days.items():
            if day in days:
                n_rows, _ = self.days.get(name, {}).get(day, (0, ""))
                if n_rows < days[day][0] * _MIN_KEPT_FRACTION:
                    return name
        return None

    def files_of(self, days: set[str], files: Sequence[StagedFile]) -> list[StagedFile]:
        """Return the files that hold rows of some days, or none that is known."""
        return [file for file in files if not self.days.get(file.name) or days & self.days[file.name].keys()]

    def undated(self) -> dict[str, int]:
        """Return the files in which no row has a time that can be read, and how many rows each has."""
        return {
            name: days[NO_DAY][0] for name, days in self.days.items() if NO_DAY in days and len(days) == 1
        }

    def record(self, dataset: str, partition_key: str, *, unsettled: set[str]) -> DeliveryRecord | None:
        """Return what is to be remembered; None if nothing is new.

        Parameters
        ----------
        unsettled : set of str
            Days that should have been landed anew and were not: their files count as not yet seen.
        """
        settled = [name for name in self.files if not unsettled & self.days[name].keys()]
        if not settled:
            return None
        return DeliveryRecord(
            dataset=dataset,
            partition_key=partition_key,
            reading_digest=self.reading_digest,
            files={name: self.files[name] for name in settled},
            days={name: dict(self.days[name]) for name in settled},
        )


def look_for_changes(reading: Reading, known: Known) -> Delivered:
    """Compare the files of an open source with what is known of them; survey the new and the changed."""
    source, config = reading.source, reading.config
    digest = _reading_digest(config)
    is_known = digest == known.reading_digest
    present = _fingerprints(source)
    changed = {
        name: fingerprint
        for name, fingerprint in present.items()
        if not is_known or known.files.get(name) != fingerprint
    }
    days: dict[str, DayRows] = {name: known.days.get(name, {}) for name in present}
    if changed and _has_days(source, config):
        surveyed = reading.survey([file for file in source.files if file.name in changed])
        days |= {name: surveyed[name] for name in changed}
    return Delivered(reading_digest=digest, files=changed, days=days, known=known)


def _has_days(source: Source, config: DatasetConfig) -> bool:
    return config.event_time is not None or any(file.day is not None for file in source.files)


def _fingerprints(source: Source) -> dict[str, str]:
    prints = {file.name: file.fingerprint for file in source.files}
    return {QUERY: digest_of(prints)} if source.has_query else prints


def _reading_digest(config: DatasetConfig) -> str:
    source = config.source.model_dump(
        mode="json", exclude={"lookback_days", "replay_year", "limits", "headers"}
    )
    return digest_of([source, config.key, config.event_time, config.columns, config.labels])
