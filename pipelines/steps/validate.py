"""Validate a night: publish the good rows of its raw partition, quarantine the bad ones, or refuse it.

:mod:`pipelines.validation.verdict` says what follows from what. Commits come in an order that a
kill at any moment leaves harmless, and a retry completes: quarantine, validated partition, ledger.
A partition counts as published only by its newest :class:`~pipelines.records.ValidationRecord`;
readers compare its outcome and ``validated_digest``. A refusal leaves an earlier published version
where it is, and says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.errors import (
    EngineError,
    HoldfastError,
    NotReadyError,
    SchemaError,
    ValidationFailed,
)
from pipelines.records import IngestionRecord, ValidationRecord, partition_date, partition_range
from pipelines.runtime import Runtime
from pipelines.storage.digest import table_digest
from pipelines.validation.docs import PAGE, portable_result, remove_docs, write_docs
from pipelines.validation.examination import Examination, Examiner
from pipelines.validation.raw import read_partition, read_raw
from pipelines.validation.suite import Suite, load_suite
from pipelines.validation.verdict import Verdict, judge, refuse_unseen

Progress = Callable[[str, int, int], None]

# How much is read, examined and committed at a time; bounds the memory of a long range.
_CHUNK_PARTITIONS = 60
_CHUNK_ROWS = 100_000
_MAX_NAMED = 5


@dataclass(frozen=True)
class _Job:
    """What stays the same over the partitions of one call, and the problems met on the way."""

    runtime: Runtime
    dataset: str
    config: DatasetConfig
    suite: Suite
    examiner: Examiner
    # A page for every night, or only for those that a person may want to look into.
    has_all_docs: bool
    problems: dict[str, HoldfastError] = field(default_factory=dict)

    @classmethod
    def open(cls, runtime: Runtime, dataset: str, *, has_all_docs: bool) -> _Job:
        config = runtime.dataset(dataset)
        path = runtime.settings.project / "expectations" / f"{dataset}_raw.yaml"
        suite = load_suite(path, config)
        return cls(runtime, dataset, config, suite, Examiner(suite), has_all_docs)


@dataclass(frozen=True)
class _Judged:
    ingestion: IngestionRecord
    rows: pa.Table
    verdict: Verdict
    examination: Examination | None


def validate(dataset: str, partition_key: str, *, runtime: Runtime) -> ValidationRecord:
    """Hold one raw partition to its suite; publish it, or refuse it.

    Parameters
    ----------
    dataset : str
        As ``params.yaml`` names it; the suite is ``expectations/<dataset>_raw.yaml``.
    partition_key : str
        The night, ``YYYY-MM-DD``, already ingested.

    Returns
    -------
    ValidationRecord
        Of outcome ``passed`` or ``warned``, as the ledger keeps it. A repeat over the same raw
        partition and suite gives the same digests and adds no record.

    Raises
    ------
    ValidationFailed, SchemaError
        If the partition is refused (SchemaError: a declared column is missing or of another type);
        the refusal is in the ledger, and the bad rows are in quarantine.
    NotReadyError
        If the partition has not been ingested.
    ConflictError
        If the raw partition is not the one that the newest ingestion recorded.
    ConfigError
        If the suite is wrong.
    EngineError
        If an expectation could not be evaluated, or a store fails.
    """
    partition_date(partition_key)
    job = _Job.open(runtime, dataset, has_all_docs=True)
    judged = [pair for chunk in _chunks(job, [partition_key]) for pair in _validate_chunk(job, chunk)]
    if job.problems:
        raise job.problems[partition_key]
    ((record, verdict),) = judged
    if record.outcome == "refused":
        refusal = SchemaError if verdict.is_misshapen else ValidationFailed
        raise refusal(
            f"{dataset} {partition_key} is not published. {'; '.join(record.reasons)}. See its page "
            f"{record.docs_path} and its rows in the table `quarantine`; mend the source or the suite "
            f"{job.suite.name}.yaml, then run `holdfast ingest` and `holdfast validate` again."
        )
    return record


def validate_range(
    dataset: str, first: str, last: str, *, runtime: Runtime, progress: Progress | None = None
) -> list[ValidationRecord]:
    """Validate every night from ``first`` to ``last``; what is wrong with one does not stop the others.

    Parameters
    ----------
    first, last : str
        Partition keys, both included.
    progress : callable, optional
        Told each partition's key as it is done, how many are, and out of how many.

    Returns
    -------
    list of ValidationRecord
        One a night, in order, refused ones too. Pages are written for nights that are not plainly
        passed; an older page of one that is goes away.

    Raises
    ------
    NotReadyError, ConflictError, EngineError
        As :func:`validate`, naming the nights; the other nights have been validated then.
    ConfigError
        If the suite is wrong, or the range is empty.
    """
    nights = partition_range(first, last)
    job = _Job.open(runtime, dataset, has_all_docs=False)
    records: list[ValidationRecord] = []
    for chunk in _chunks(job, nights):
        for record, _ in _validate_chunk(job, chunk):
            records.append(record)
            if progress is not None:
                progress(record.partition_key, len(records), len(nights))
    if job.problems:
        # One that a retry can mend goes first: a retry leaves the others as they are.
        worst = max(job.problems.values(), key=lambda problem: problem.is_retryable)
        named = " ".join(f"{key}: {why}" for key, why in sorted(job.problems.items())[:_MAX_NAMED])
        more = f" And {len(job.problems) - _MAX_NAMED} more." if len(job.problems) > _MAX_NAMED else ""
        raise type(worst)(
            f"{len(job.problems)} of {len(nights)} nights of {dataset} could not be validated, "
            f"the others were. {named}{more}"
        )
    return records


def _chunks(job: _Job, nights: list[str]) -> Iterator[dict[str, IngestionRecord]]:
    """Yield the ingested nights, as many at a time as are held in memory; note the others."""
    ledger = job.runtime.ledger
    found = ledger.history(IngestionRecord, job.dataset, first=nights[0], last=nights[-1])
    ingested = {record.partition_key: record for record in found}
    chunk: dict[str, IngestionRecord] = {}
    for night in nights:
        record = ingested.get(night)
        if record is None:
            job.problems[night] = NotReadyError(
                f"{job.dataset} {night} has not been ingested: "
                f"run `holdfast ingest {job.dataset} {night}` first."
            )
            continue
        n_rows = record.n_rows + sum(other.n_rows for other in chunk.values())
        if chunk and (len(chunk) == _CHUNK_PARTITIONS or n_rows > _CHUNK_ROWS):
            yield chunk
            chunk = {}
        chunk[night] = record
    if chunk:
        yield chunk


def _validate_chunk(
    job: _Job, ingestions: Mapping[str, IngestionRecord]
) -> Iterator[tuple[ValidationRecord, Verdict]]:
    started = time.perf_counter()
    lake = job.runtime.lake
    judged = list(_judge(job, ingestions))
    if not judged:
        return
    keyed = {each.ingestion.partition_key: each.verdict for each in judged}
    lake.replace_many(job.dataset, "quarantine", {key: verdict.quarantine for key, verdict in keyed.items()})
    published = {key: verdict.published for key, verdict in keyed.items() if verdict.published is not None}
    versions = lake.replace_many(job.dataset, "validated", published) if published else []
    landed = {version.partition_key: version for version in versions}
    seconds = (time.perf_counter() - started) / len(judged)
    for each in judged:
        verdict, version = each.verdict, landed.get(each.ingestion.partition_key)
        record = ValidationRecord(
            dataset=job.dataset,
            partition_key=each.ingestion.partition_key,
            duration_seconds=seconds,
            raw_digest=each.ingestion.raw_digest,
            suite_digest=job.suite.digest,
            outcome=verdict.outcome,
            n_in=each.rows.num_rows,
            n_published=version.n_rows if version else 0,
            n_quarantined=verdict.quarantine.num_rows,
            validated_digest=version.digest if version else None,
            delta_version=version.delta_version if version else -1,
            reasons=verdict.reasons
            if version
            else (*verdict.reasons, *_left_in_place(job, each.ingestion.partition_key)),
            expectations=verdict.expectations,
        )
        record = _document(job, each, record)
        job.runtime.ledger.record(record)
        yield record, verdict


def _judge(job: _Job, ingestions: Mapping[str, IngestionRecord]) -> Iterator[_Judged]:
    raw, conflicts = read_raw(job.runtime.lake, job.dataset, ingestions, job.config.columns)
    job.problems.update(conflicts)
    unseen = {key: refuse_unseen(rows, job.config.columns) for key, rows in raw.items()}
    columns = ["row_id", "event_time", *job.config.columns]
    examined = {key: rows.select(columns) for key, rows in raw.items() if unseen[key] is None}
    clean = job.examiner.screen(examined)
    for key, rows in raw.items():
        if (verdict := unseen[key]) is not None:
            yield _Judged(ingestions[key], rows, verdict, None)
            continue
        try:
            examination = job.examiner.examine(examined[key], key, is_screened=key in clean)
        except EngineError as error:
            job.problems[key] = error
            continue
        verdict = judge(
            rows.select([*columns, "miscast"]),
            examination.findings,
            max_quarantined_fraction=job.config.quality.max_quarantined_fraction,
        )
        yield _Judged(ingestions[key], rows, verdict, examination)


def _left_in_place(job: _Job, partition_key: str) -> list[str]:
    """Say so, where an earlier published version of a refused partition is left in place."""
    earlier = read_partition(job.runtime.lake, job.dataset, "validated", partition_key)
    if earlier is None:
        return []
    return [
        f"an earlier version ({earlier.num_rows} rows, digest {table_digest(earlier)[:12]}) was published "
        "and is left in place; it is not scored again until the partition passes"
    ]


def _document(job: _Job, judged: _Judged, record: ValidationRecord) -> ValidationRecord:
    """Write the night's page, or remove an outdated one; return the record with its address."""
    place = Path(record.dataset) / record.partition_key
    folder = job.runtime.settings.reports / place
    is_plain = record.outcome == "passed" and not record.reasons
    if is_plain and not job.has_all_docs:
        remove_docs(folder)
        return record
    examination = judged.examination
    result = None
    if examination is not None and examination.result is not None:
        result = portable_result(
            examination.result,
            row_ids=judged.rows["row_id"].to_pylist(),
            partition_key=record.partition_key,
            validated_at=record.decided_at,
        )
    record = record.model_copy(update={"docs_path": (place / PAGE).as_posix()})
    write_docs(folder, record, result)
    return record
