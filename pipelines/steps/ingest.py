"""Land a night: the rows of its partition, and the labels that have come in for an earlier one.

A partition's content follows from what its source holds at present, and from nothing else: whoever
ingests a night, and however often, lands the same rows. So a night's ingestion also looks for late
rows and corrections: earlier nights of which a new or changed file holds something else than before
are landed anew, and those that have another content then get a new record.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from pipelines.config import DatasetConfig
from pipelines.errors import SchemaError
from pipelines.ingestion.calendar import source_date
from pipelines.ingestion.deliveries import Delivered, Known, look_for_changes
from pipelines.ingestion.partitions import Reading
from pipelines.ingestion.reading import source_uri
from pipelines.ingestion.sources import open_source
from pipelines.records import DeliveryRecord, IngestionRecord, partition_range, shift_partition
from pipelines.runtime import Runtime
from pipelines.steps.landing import Landing, Refusals

Progress = Callable[[str, int, int], None]
_MAX_NAMED, _MAX_NIGHTS = 5, 31
_log = logging.getLogger(__name__)


def ingest(dataset: str, partition_key: str, *, runtime: Runtime) -> IngestionRecord:
    """Land ``raw`` of one partition, and ``labels`` of the one ``label_delay_days`` before.

    Parameters
    ----------
    dataset : str
        As ``params.yaml`` names it.
    partition_key : str
        The night, ``YYYY-MM-DD``.

    Returns
    -------
    IngestionRecord
        As the ledger keeps it; a repeat over an unchanged source gives the same digests. A day of
        which the source has nothing gives a partition of no rows, for validation to judge.
        ``restated`` names the earlier nights that have another content now.

    Raises
    ------
    ConfigError, SourceError
        If the source is not as ``params.yaml`` says, or can't be read.
    SchemaError
        If a file of the night lacks a declared column, or can't be read as a whole.
    """
    return ingest_range(dataset, partition_key, partition_key, runtime=runtime)[0]


def ingest_range(
    dataset: str, first: str, last: str, *, runtime: Runtime, progress: Progress | None = None
) -> list[IngestionRecord]:
    """Land every night from ``first`` to ``last``: one read of the source, few commits a table.

    Parameters
    ----------
    first, last : str
        Partition keys, both included.
    progress : callable, optional
        Told what is being done, how many partitions are, and out of how many.

    Returns
    -------
    list of IngestionRecord
        One a night, in order; the last one's ``restated`` names the other nights that were landed anew.

    Raises
    ------
    ConfigError, SourceError
        As :func:`ingest`.
    SchemaError
        As :func:`ingest`; names the nights that it refuses. The other nights have landed then.
    """
    started = time.perf_counter()
    nights = partition_range(first, last)
    tell = progress or (lambda *_: None)
    tell("reading the source", 0, len(nights))
    history = _History.of(dataset, runtime)
    config = runtime.dataset(dataset)
    lookback = [
        night
        for night in partition_range(shift_partition(first, -config.source.lookback_days), first)[:-1]
        if night in history.ingested
    ]
    days = _days(config, [*lookback, *nights])
    with tempfile.TemporaryDirectory(prefix="holdfast-landing-") as scratch:
        with open_source(config, runtime.settings, days=days) as source:
            reading = Reading(source, config)
            delivered = look_for_changes(reading, history.known)
            touched = _touched(config, delivered, history, lookback=lookback, is_whole=not source.is_by_day)
            again = [night for night in touched.nights if night not in nights]
            landing = Landing(runtime, dataset, Refusals.of(config, source, delivered), Path(scratch))
            landing.land(reading, [*again, *nights], delivered, tell=tell)
        # What the source's engine held is free by now for the lake's.
        landing.finish()
    tell("landing labels", len(nights), len(nights))
    base = IngestionRecord(
        dataset=dataset,
        partition_key=last,
        source_uri=source_uri(config.source, sources=runtime.settings.sources),
        raw_digest="",
        n_rows=0,
        n_undated=landing.refusals.n_undated,
        duration_seconds=(time.perf_counter() - started) / (len(again) + len(nights)),
    )
    restated = _record_restated(landing, again, history, base)
    records = _record_nights(landing, nights, base.model_copy(update={"restated": tuple(restated)}))
    unsettled = touched.unsettled | landing.unsettled([*again, *nights])
    if (delivery := delivered.record(dataset, last, unsettled=unsettled)) is not None:
        runtime.ledger.record(delivery)
    if refused := {night: landing.refused[night] for night in nights if night in landing.refused}:
        raise SchemaError(_refusal(refused, n_landed=len(records)))
    return records


@dataclass(frozen=True)
class _History:
    """What is on record of a dataset: its nights, and what its source has delivered."""

    ingested: Mapping[str, IngestionRecord]
    known: Known

    @classmethod
    def of(cls, dataset: str, runtime: Runtime) -> _History:
        nights = runtime.ledger.history(IngestionRecord, dataset)
        deliveries = runtime.ledger.revisions(DeliveryRecord, dataset)
        return cls({record.partition_key: record for record in nights}, Known.of(deliveries))


@dataclass(frozen=True)
class _Touched:
    """Ingested nights of which the source holds something else by now, and days that it has in part."""

    nights: list[str]
    unsettled: set[str]


def _touched(
    config: DatasetConfig,
    delivered: Delivered,
    history: _History,
    *,
    lookback: Sequence[str],
    is_whole: bool,
) -> _Touched:
    days = delivered.touched
    # Read in another way, or for the first time, every day is new; that is no word on its rows.
    is_comparable = delivered.reading_digest == history.known.reading_digest
    nights = history.ingested if is_whole and is_comparable else lookback
    found, lost = [], set()
    for night in nights:
        its_days = {_day(config, key) for key in (night, _label_key(config, night))}
        if not its_days & days:
            continue
        gone = {day: name for day in its_days & days if (name := delivered.lost(day))}
        lost |= set(gone)
        if gone:
            day, name = next(iter(gone.items()))
            _log.warning(
                "%s is left as it was: %s no longer holds most of its rows of %s. If that is what "
                "the source means, run `holdfast ingest` for that night.",
                night,
                name or "the query",
                day,
            )
        else:
            found.append(night)
    return _Touched(found, lost)


def _days(config: DatasetConfig, nights: Sequence[str]) -> list[date]:
    """Return the days for which a source that is asked by day is asked: late rows come in later files."""
    reach = 0 if config.event_time is None else max(config.source.lookback_days, 1)
    before = min(reach, 1)
    found = set()
    for night in nights:
        for key in (night, _label_key(config, night)):
            day = source_date(key, config.source.replay_year)
            found |= {day + timedelta(days=n) for n in range(-before, reach + 1)}
    return sorted(found)


def _day(config: DatasetConfig, partition_key: str) -> str:
    return source_date(partition_key, config.source.replay_year).isoformat()


def _label_key(config: DatasetConfig, night: str) -> str:
    return shift_partition(night, -config.label_delay_days)


def _record_restated(
    landing: Landing, again: Sequence[str], history: _History, base: IngestionRecord
) -> list[str]:
    """Record the nights that were landed anew and have another content now; return their keys."""
    restated = []
    for night in again:
        if night in landing.refused:
            _log.warning("%s can't be landed anew: %s", night, landing.refused[night])
            continue
        record = landing.record(night, base.model_copy(update={"restated_by": base.partition_key}))
        before = history.ingested[night]
        if (record.raw_digest, record.labels_digest) != (before.raw_digest, before.labels_digest):
            landing.runtime.ledger.record(record)
            restated.append(night)
    if restated:
        _log.info(
            "The source of %s has changed; landed anew: %s.", base.dataset, ", ".join(restated[-_MAX_NIGHTS:])
        )
    return restated


def _record_nights(landing: Landing, nights: Sequence[str], base: IngestionRecord) -> list[IngestionRecord]:
    records = []
    for night in nights:
        if night not in landing.refused:
            # Of a range, the last night says what else was landed.
            restated = base.restated if night == nights[-1] else ()
            records.append(landing.record(night, base.model_copy(update={"restated": restated})))
            landing.runtime.ledger.record(records[-1])
    return records


def _refusal(refused: Mapping[str, str], *, n_landed: int) -> str:
    named = " ".join(f"{night}: {why}" for night, why in list(refused.items())[:_MAX_NAMED])
    more = f" And {len(refused) - _MAX_NAMED} more." if len(refused) > _MAX_NAMED else ""
    return f"{len(refused)} partition(s) can't be ingested, {n_landed} landed. {named}{more}"
