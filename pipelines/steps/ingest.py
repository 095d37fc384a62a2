"""Land a night: the rows of its partition, and the labels that have come in for an earlier one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import DatasetConfig
from pipelines.errors import SchemaError
from pipelines.ingestion.files import source_uri
from pipelines.ingestion.partitions import SourceRows, read_partitions
from pipelines.ingestion.sources import open_source
from pipelines.records import IngestionRecord, PartitionVersion, partition_range, shift_partition
from pipelines.runtime import Runtime

Progress = Callable[[str, int, int], None]
_MAX_NAMED = 5


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

    Raises
    ------
    ConfigError, SourceError
        If the source is not as ``params.yaml`` says, or can't be read.
    SchemaError
        If a file of the night lacks a declared column, or can't be parsed.
    """
    return ingest_range(dataset, partition_key, partition_key, runtime=runtime)[0]


def ingest_range(
    dataset: str, first: str, last: str, *, runtime: Runtime, progress: Progress | None = None
) -> list[IngestionRecord]:
    """Land every night from ``first`` to ``last``: one read of the source, one commit a table.

    Parameters
    ----------
    first, last : str
        Partition keys, both included.
    progress : callable, optional
        Told what is being done, how many partitions are, and out of how many.

    Returns
    -------
    list of IngestionRecord
        One a night, in order.

    Raises
    ------
    ConfigError, SourceError
        As :func:`ingest`.
    SchemaError
        If files of some nights lack a declared column; the other nights have landed then.
    """
    started = time.perf_counter()
    tell = progress or (lambda _what, _done, _total: None)
    config, nights = runtime.dataset(dataset), partition_range(first, last)
    brings = {night: shift_partition(night, -config.label_delay_days) for night in nights}
    tell("reading the source", 0, len(nights))
    with open_source(config, runtime.settings) as source:
        found = read_partitions(source, config, sorted({*nights, *brings.values()}))
    refused = _refused(found, nights)
    landing = {night: brings[night] for night in nights if night not in refused}
    records: list[IngestionRecord] = []
    if landing:
        raw = _land(runtime, dataset, "raw", {night: _raw(found, night, config) for night in landing})
        tell("landing rows", len(landing), len(nights))
        labels = _land(
            runtime, dataset, "labels", {day: _labels(found, day, config) for day in landing.values()}
        )
        tell("landing labels", len(landing), len(nights))
        uri = source_uri(config.source, sources=runtime.settings.sources)
        seconds = (time.perf_counter() - started) / len(nights)
        for night, day in landing.items():
            record = _record(dataset, uri, found, raw[night], labels[day])
            records.append(record.model_copy(update={"duration_seconds": seconds}))
            runtime.ledger.record(records[-1])
    if refused:
        raise SchemaError(_refusal(refused, n_landed=len(landing)))
    return records


def _refused(found: SourceRows, nights: Sequence[str]) -> dict[str, str]:
    """Return the nights that can't land, and why; what is merely empty lands."""
    refused = {night: found.incomplete[night] for night in nights if night in found.incomplete}
    if found.undated_file is not None:
        for night in nights:
            if found.rows[night].num_rows == 0:
                refused.setdefault(
                    night,
                    f"the source has no row of this day, and in {found.undated_file} no row has an "
                    f"event_time that can be read ({found.n_undated} rows): they may be this day's.",
                )
    return refused


def _refusal(refused: Mapping[str, str], *, n_landed: int) -> str:
    named = " ".join(f"{night}: {why}" for night, why in list(refused.items())[:_MAX_NAMED])
    more = f" And {len(refused) - _MAX_NAMED} more." if len(refused) > _MAX_NAMED else ""
    return f"{len(refused)} partition(s) can't be ingested, {n_landed} landed. {named}{more}"


def _raw(found: SourceRows, night: str, config: DatasetConfig) -> pa.Table:
    return found.rows[night].select(["row_id", "event_time", *config.columns, "miscast"])


def _labels(found: SourceRows, day: str, config: DatasetConfig) -> pa.Table:
    rows = found.rows[day]
    return rows.filter(pc.is_valid(rows[config.target])).select(["row_id", *config.labels])


def _land(
    runtime: Runtime, dataset: str, table: str, partitions: Mapping[str, pa.Table]
) -> dict[str, PartitionVersion]:
    versions = runtime.lake.replace_many(dataset, table, partitions)
    return {version.partition_key: version for version in versions}


def _record(
    dataset: str, uri: str, found: SourceRows, raw: PartitionVersion, labels: PartitionVersion
) -> IngestionRecord:
    n_events = found.rows[labels.partition_key].num_rows
    has_labels = n_events > 0
    return IngestionRecord(
        dataset=dataset,
        partition_key=raw.partition_key,
        source_uri=uri,
        raw_digest=raw.digest,
        n_rows=raw.n_rows,
        n_miscast=pc.count(found.rows[raw.partition_key]["miscast"]).as_py(),
        delta_version=raw.delta_version,
        # Before the source begins there is nothing whose labels could come.
        labels_partition_key=labels.partition_key if has_labels else None,
        labels_digest=labels.digest if has_labels else None,
        n_labels=labels.n_rows,
        n_unlabelled=n_events - labels.n_rows,
        n_undated=found.n_undated,
    )
