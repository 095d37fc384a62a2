"""Validate a night: publish the good rows of its raw partition, quarantine the bad ones, or refuse it.

Rows stay in DuckDB and in streams: memory does not grow with them. What is examined is the raw
partition with the amendments that people made to single rows
(:mod:`pipelines.validation.amendments`); :mod:`pipelines.validation.verdict` says what follows from
what. Commits come in an order that a kill at any moment leaves harmless, and a retry completes:
quarantine, validated partition, ledger. A partition counts as published only by its newest
:class:`~pipelines.records.ValidationRecord`; readers compare its outcome and ``validated_digest``. A
refusal leaves an earlier published version where it is, and says so; where rows are held
(:mod:`pipelines.steps.hold`) it is withdrawn, since nobody is to learn from it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import duckdb

from pipelines.config import DatasetConfig
from pipelines.errors import (
    EngineError,
    HoldfastError,
    NotReadyError,
    SchemaError,
    ValidationFailed,
)
from pipelines.records import (
    IngestionRecord,
    PartitionVersion,
    ValidationRecord,
    partition_date,
    partition_range,
)
from pipelines.runtime import Runtime
from pipelines.steps.night import draw_night, has_page
from pipelines.steps.reference import reference_profile
from pipelines.storage.engine import connect
from pipelines.validation.amendments import Applied
from pipelines.validation.docs import PAGE, portable_result, remove_docs, sampled_positions, write_docs
from pipelines.validation.engine import Examiner
from pipelines.validation.suite import Suite, load_suite
from pipelines.validation.trial import Trial

Progress = Callable[[str, int, int], None]

# How much is read, examined and committed at a time; a larger partition is streamed, alone.
_CHUNK_PARTITIONS = 60
_CHUNK_ROWS = 100_000
_MEMORY = "768MB"
_MAX_NAMED = 5
_MAX_REASON_CHARS = 1_200


@dataclass(frozen=True)
class _Job:
    """What stays the same over the partitions of one call, and the problems met on the way."""

    runtime: Runtime
    dataset: str
    config: DatasetConfig
    suite: Suite
    examiner: Examiner
    # Whose training the expectations are held against, where one asks for that.
    reference_version: str | None
    # A page for every night, or only for those that a person may want to look into.
    has_all_docs: bool
    problems: dict[str, HoldfastError] = field(default_factory=dict)

    @classmethod
    def open(cls, runtime: Runtime, dataset: str, *, has_all_docs: bool) -> _Job:
        config = runtime.dataset(dataset)
        path = runtime.settings.project / "expectations" / f"{dataset}_raw.yaml"
        suite = load_suite(path, config)
        reference, champion = None, None
        if any(rule.needs_reference for rule in suite.rules):
            reference = reference_profile(dataset, runtime)
            champion = runtime.ledger.champions.present(dataset)
        return cls(
            runtime,
            dataset,
            config,
            suite,
            Examiner(suite, reference=reference),
            champion.model_version if reference is not None and champion is not None else None,
            has_all_docs,
        )


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
        If an expectation could not be evaluated, or a store fails: nothing was judged.
    """
    partition_date(partition_key)
    job = _Job.open(runtime, dataset, has_all_docs=True)
    records = [record for chunk in _chunks(job, [partition_key]) for record in _validate_chunk(job, chunk)]
    if job.problems:
        raise job.problems[partition_key]
    (record,) = records
    if record.outcome == "refused":
        raise refusal(record, is_misshapen=not record.expectations and record.n_in > 0)
    return record


def refusal(record: ValidationRecord, *, is_misshapen: bool = False) -> HoldfastError:
    """Return the error that says why a night is refused, and what to do."""
    kind = SchemaError if is_misshapen else ValidationFailed
    where = f"{record.dataset} {record.partition_key}"
    return kind(
        f"{where} is not published: the data does not meet what is expected of it, and a retry would read "
        f"the same data. {'; '.join(record.reasons)[:_MAX_REASON_CHARS]}. See its page {record.docs_path} "
        f"and `holdfast quarantine show {where}`; release or repair rows there, or mend the source or the "
        f"suite {record.dataset}_raw.yaml, then run `holdfast ingest` and `holdfast validate` again."
    )


def validate_range(
    dataset: str,
    first: str,
    last: str,
    *,
    runtime: Runtime,
    progress: Progress | None = None,
    has_all_docs: bool = False,
) -> list[ValidationRecord]:
    """Validate every night from ``first`` to ``last``; what is wrong with one does not stop the others.

    Parameters
    ----------
    first, last : str
        Partition keys, both included.
    progress : callable, optional
        Told each partition's key as it is done, how many are, and out of how many.
    has_all_docs : bool
        Whether nights that are plainly passed get a page too.

    Returns
    -------
    list of ValidationRecord
        One a night, in order, refused ones too. Pages are written for nights that are not plainly
        passed; an older page of one that is goes away, unless ``has_all_docs``.

    Raises
    ------
    NotReadyError, ConflictError, EngineError
        As :func:`validate`, naming the nights; the other nights have been validated then.
    ConfigError
        If the suite is wrong, or the range is empty.
    """
    nights = partition_range(first, last)
    job = _Job.open(runtime, dataset, has_all_docs=has_all_docs)
    records: list[ValidationRecord] = []
    for chunk in _chunks(job, nights):
        for record in _validate_chunk(job, chunk):
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


def _validate_chunk(job: _Job, ingestions: Mapping[str, IngestionRecord]) -> Iterator[ValidationRecord]:
    started = time.perf_counter()
    with _wrapped(job, ingestions), connect(memory=_MEMORY, threads=2) as connection:
        trial = Trial(connection, job.runtime.lake, job.dataset, job.config, job.suite, ingestions)
        trial.run(job.examiner)
        job.problems.update(trial.conflicts)
        job.problems.update({key: _not_judged(job, key, error) for key, error in trial.failures.items()})
        if not trial.verdicts:
            return
        quarantines, landed = _commit(job, trial)
        seconds = (time.perf_counter() - started) / len(trial.verdicts)
        records = [
            _document(job, trial, _record(job, trial, quarantines[key], landed.get(key), seconds))
            for key in trial.verdicts
        ]
    for record in records:
        job.runtime.ledger.record(record)
        if record.docs_path or has_page(job.dataset, record.partition_key, runtime=job.runtime):
            draw_night(job.dataset, record.partition_key, runtime=job.runtime)
        yield record


@contextmanager
def _wrapped(job: _Job, ingestions: Mapping[str, IngestionRecord]) -> Iterator[None]:
    """Turn DuckDB's own errors into ours: none of them says anything about the data."""
    try:
        yield
    except duckdb.Error as error:
        keys = list(ingestions)
        span = keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]}"
        raise EngineError(
            f"The engine failed on {job.dataset} {span}, and nothing was judged: {error}"
        ) from error


def _not_judged(job: _Job, key: str, error: EngineError) -> EngineError:
    return EngineError(f"{job.dataset} {key} was not judged: the engine failed, not the data. {error}")


def _commit(job: _Job, trial: Trial) -> tuple[dict[str, PartitionVersion], dict[str, PartitionVersion]]:
    """Write the quarantines, then what is published; return the versions of both, by partition."""
    lake, keys = job.runtime.lake, list(trial.verdicts)
    good = [key for key in keys if trial.verdicts[key].outcome != "refused"]
    if all(trial.ingestions[key].n_rows <= _CHUNK_ROWS for key in keys):
        quarantines = lake.replace_many(job.dataset, "quarantine", trial.small_quarantines(keys))
        published = lake.replace_many(job.dataset, "validated", trial.small_tables(good)) if good else []
    else:
        quarantines = [
            lake.replace_stream(job.dataset, "quarantine", key, partial(trial.quarantine, key))
            for key in keys
        ]
        published = [
            lake.replace_stream(job.dataset, "validated", key, partial(trial.published, key)) for key in good
        ]
    held = {key for key in keys if key not in good and trial.applied.get(key, Applied()).n_held}
    if withdrawn := held.intersection(lake.partition_keys(job.dataset, "validated")):
        none = trial.published_schema.empty_table()
        lake.replace_many(job.dataset, "validated", dict.fromkeys(sorted(withdrawn), none))
    return _by_key(quarantines), _by_key(published)


def _by_key(versions: Iterable[PartitionVersion]) -> dict[str, PartitionVersion]:
    return {version.partition_key: version for version in versions}


def _record(
    job: _Job, trial: Trial, quarantine: PartitionVersion, published: PartitionVersion | None, seconds: float
) -> ValidationRecord:
    key = quarantine.partition_key
    verdict, ingestion = trial.verdicts[key], trial.ingestions[key]
    applied = trial.applied.get(key, Applied())
    n_published = published.n_rows if published else 0
    if published and n_published + quarantine.n_rows != ingestion.n_rows:
        raise EngineError(
            f"{job.dataset} {key}: {ingestion.n_rows} rows came in, {n_published} were published and "
            f"{quarantine.n_rows} went to quarantine: the counts do not add up, and nothing is on record."
        )
    return ValidationRecord(
        dataset=job.dataset,
        partition_key=key,
        duration_seconds=seconds,
        raw_digest=ingestion.raw_digest,
        suite_digest=job.suite.digest,
        outcome=verdict.outcome,
        n_in=ingestion.n_rows,
        n_published=n_published,
        n_quarantined=quarantine.n_rows,
        validated_digest=published.digest if published else None,
        delta_version=published.delta_version if published else -1,
        reasons=verdict.reasons if published else (*verdict.reasons, *_left_in_place(job, key)),
        expectations=verdict.expectations,
        amendments_digest=applied.digest,
        n_amended=applied.n_repaired,
        n_released=applied.n_released,
        reference_version=job.reference_version,
        engines=dict(Counter(verdict.ran_by)),
    )


def _left_in_place(job: _Job, partition_key: str) -> list[str]:
    """Say so, where an earlier published version of a refused partition is left in place."""
    if partition_key not in job.runtime.lake.partition_keys(job.dataset, "validated"):
        return []
    revisions = job.runtime.ledger.revisions(ValidationRecord, job.dataset, partition_key)
    earlier = next((record for record in reversed(revisions) if record.validated_digest is not None), None)
    if earlier is None:
        return []
    return [
        f"an earlier version ({earlier.n_published} rows, digest {str(earlier.validated_digest)[:12]}) was "
        "published and is left in place; it is not scored again until the partition passes"
    ]


def _document(job: _Job, trial: Trial, record: ValidationRecord) -> ValidationRecord:
    """Write the night's page, or remove an outdated one; return the record with its address."""
    place = Path(record.dataset) / record.partition_key
    folder = job.runtime.settings.reports / place
    is_plain = record.outcome == "passed" and not record.reasons
    if is_plain and not job.has_all_docs:
        remove_docs(folder)
        return record
    examination = trial.examinations.get(record.partition_key)
    result = None
    if examination is not None:
        positions = sampled_positions(examination.result)
        result = portable_result(
            examination.result,
            row_ids=trial.row_ids(record.partition_key, positions),
            partition_key=record.partition_key,
            validated_at=record.decided_at,
        )
    record = record.model_copy(update={"docs_path": (place / PAGE).as_posix()})
    write_docs(folder, record, result, ran_by=trial.verdicts[record.partition_key].ran_by)
    return record
