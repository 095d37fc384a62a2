"""Replay: what an edited suite would have decided on the nights that were, before it is merged.

The baseline (git's HEAD by default) and the edited suite run over the same landed partitions, with their
amendments, as validation would run them. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import duckdb

from pipelines.config import DatasetConfig
from pipelines.errors import ConfigError, EngineError, NotReadyError
from pipelines.records import IngestionRecord, Record, ValidationRecord
from pipelines.runtime import Runtime
from pipelines.steps.suite_trials import MEMORY, reference_of
from pipelines.steps.suites import both_versions
from pipelines.storage.engine import connect
from pipelines.validation.compare import SuiteDifference, compare_suites
from pipelines.validation.engine import Examiner
from pipelines.validation.incidents import Incident, incidents_path, load_incidents
from pipelines.validation.replay import (
    SIDES,
    DifferingRow,
    NightDifference,
    Side,
    caught_row_ids,
    differences,
    differing_rows,
    keep,
)
from pipelines.validation.suite import Suite, make_suite
from pipelines.validation.trial import Trial

Progress = Callable[[str, int, int], None]

_CHUNK_PARTITIONS = 120
_CHUNK_ROWS = 2_000_000
_EXAMPLES = 3
_RANK = {"passed": 0, "warned": 1, "refused": 2}


@dataclass(frozen=True)
class Nights:
    """Which nights to replay: the newest ``last``, or those from ``first`` to ``to``."""

    last: int | None = None
    first: str | None = None
    to: str | None = None


class IncidentCheck(Record):
    """Whether each version would have noticed an incident that is known.

    A recorded incident is noticed if the night is judged at least as severely as it was; a declared one
    if the night is warned or refused, or all its rows are caught.
    """

    partition_key: str
    what: str
    source: Literal["recorded", "declared"]
    is_caught_by_baseline: bool
    is_caught_by_edited: bool
    # Declared rows that the edited suite lets through.
    missed_row_ids: tuple[str, ...] = ()

    @property
    def is_now_missed(self) -> bool:
        """Whether the edit is what lets it through."""
        return self.is_caught_by_baseline and not self.is_caught_by_edited


class Replay(Record):
    """The difference that an edit makes over past nights; exact, and complete but for the rows."""

    dataset: str
    baseline: str
    edited: str
    first: str
    last: str
    n_partitions: int
    n_rows: int
    newly_blocked: tuple[str, ...]
    let_through: tuple[str, ...]
    newly_warned: tuple[str, ...]
    no_longer_warned: tuple[str, ...]
    n_newly_caught: int
    n_no_longer_caught: int
    now_missed: tuple[IncidentCheck, ...]
    incidents: tuple[IncidentCheck, ...]
    nights: tuple[NightDifference, ...]
    examples: tuple[DifferingRow, ...]
    # Nights that neither version could be held to, and why.
    not_judged: dict[str, str]
    changes: SuiteDifference

    @property
    def is_same(self) -> bool:
        """Whether the edit would have changed nothing on these nights."""
        return all(night.is_same for night in self.nights)


@dataclass
class _Job:
    runtime: Runtime
    dataset: str
    config: DatasetConfig
    suites: Mapping[Side, Suite]
    examiners: Mapping[Side, Examiner]
    incidents: Sequence[Incident]
    recorded: Mapping[str, ValidationRecord]
    # Told every row that differs, one by one; None where examples will do.
    on_row: Callable[[DifferingRow], None] | None
    nights: list[NightDifference] = field(default_factory=list)
    examples: list[DifferingRow] = field(default_factory=list)
    checks: list[IncidentCheck] = field(default_factory=list)
    not_judged: dict[str, str] = field(default_factory=dict)


def replay(
    dataset: str,
    nights: Nights,
    *,
    runtime: Runtime,
    suite_file: Path | None = None,
    against: str | None = None,
    on_row: Callable[[DifferingRow], None] | None = None,
    progress: Progress | None = None,
) -> Replay:
    """Return what an edited raw suite would have decided otherwise than its baseline.

    Parameters
    ----------
    nights : Nights
        Of those that were ingested.
    suite_file : Path, optional
        The edited suite; the dataset's own file, as it is on disk, by default.
    against : str, optional
        The baseline: a file, or a commit of git; ``HEAD`` by default.
    on_row : callable, optional
        Told every row that only one version catches, as they are found.
    progress : callable, optional
        Told how many partitions are done, out of how many.

    Raises
    ------
    NotReadyError
        If none of the nights has been ingested.
    ConfigError
        If a version of the suite, or the file of incidents, is wrong.
    EngineError
        If the engine fails; an expectation that can't be evaluated on a night is told in ``not_judged``.
    """
    baseline, edited, names = both_versions(
        dataset, runtime=runtime, stage="raw", against=against, suite_file=suite_file
    )
    ingestions = _ingestions(dataset, nights, runtime)
    suites: dict[Side, Suite] = {"baseline": baseline or make_suite(edited.name, []), "edited": edited}
    reference = reference_of(list(suites.values()), dataset, runtime)
    job = _Job(
        runtime,
        dataset,
        runtime.dataset(dataset),
        suites,
        {side: Examiner(suite, reference=reference) for side, suite in suites.items()},
        load_incidents(incidents_path(runtime.settings.project, dataset)),
        {record.partition_key: record for record in runtime.ledger.history(ValidationRecord, dataset)},
        on_row,
    )
    done = 0
    for chunk in _chunks(ingestions):
        _replay_chunk(job, chunk)
        done += len(chunk)
        if progress is not None:
            progress(dataset, done, len(ingestions))
    return _summary(
        job, ingestions, names, compare_suites(baseline, edited, old_name=names[0], new_name=names[1])
    )


def _ingestions(dataset: str, nights: Nights, runtime: Runtime) -> list[IngestionRecord]:
    if nights.last is None and nights.first is None:
        raise ConfigError("Say which nights to replay: --last N, or --first and --to.")
    found = runtime.ledger.history(IngestionRecord, dataset, first=nights.first, last=nights.to)
    found = found if nights.last is None else found[-nights.last :]
    if not found:
        raise NotReadyError(f"{dataset} has no such night: run `holdfast ingest {dataset}` first.")
    return found


def _chunks(ingestions: Sequence[IngestionRecord]) -> Iterator[dict[str, IngestionRecord]]:
    chunk: dict[str, IngestionRecord] = {}
    n_rows = 0
    for ingestion in ingestions:
        if chunk and (len(chunk) == _CHUNK_PARTITIONS or n_rows + ingestion.n_rows > _CHUNK_ROWS):
            yield chunk
            chunk, n_rows = {}, 0
        chunk[ingestion.partition_key] = ingestion
        n_rows += ingestion.n_rows
    yield chunk


def _replay_chunk(job: _Job, ingestions: Mapping[str, IngestionRecord]) -> None:
    trials: dict[Side, Trial] = {}
    try:
        with connect(memory=MEMORY, threads=2) as connection:
            for side in SIDES:
                trial = Trial(
                    connection, job.runtime.lake, job.dataset, job.config, job.suites[side], ingestions
                )
                trial.run(job.examiners[side])
                keep(connection, side)
                trials[side] = trial
                problems = {**trial.conflicts, **trial.failures}
                job.not_judged |= {key: f"{side}: {error}" for key, error in problems.items()}
            _compare(job, connection, trials)
    except duckdb.Error as error:
        raise EngineError(f"The engine failed while it replayed {job.dataset}: {error}") from error


def _compare(job: _Job, connection: duckdb.DuckDBPyConnection, trials: dict[Side, Trial]) -> None:
    found = differences(connection, trials)
    job.nights += found
    job.examples += differing_rows(connection, trials, most=_EXAMPLES)
    if job.on_row is not None:
        for row in differing_rows(connection, trials):
            job.on_row(row)
    by_key = {night.partition_key: night for night in found}
    for key, night in by_key.items():
        record = job.recorded.get(key)
        if record is not None and record.outcome != "passed":
            job.checks.append(_recorded(night, record))
    for incident in job.incidents:
        if incident.partition_key in by_key:
            job.checks.append(_declared(connection, by_key[incident.partition_key], incident))


def _recorded(night: NightDifference, record: ValidationRecord) -> IncidentCheck:
    wanted = _RANK[record.outcome]
    reasons = "; ".join(record.reasons)[:300]
    return IncidentCheck(
        partition_key=night.partition_key,
        what=f"{record.outcome} when it was validated: {reasons}",
        source="recorded",
        is_caught_by_baseline=_RANK[night.baseline.outcome] >= wanted,
        is_caught_by_edited=_RANK[night.edited.outcome] >= wanted,
    )


def _declared(
    connection: duckdb.DuckDBPyConnection, night: NightDifference, incident: Incident
) -> IncidentCheck:
    check = IncidentCheck(
        partition_key=night.partition_key,
        what=incident.what,
        source="declared",
        is_caught_by_baseline=night.baseline.outcome != "passed",
        is_caught_by_edited=night.edited.outcome != "passed",
    )
    if not incident.row_ids:
        return check
    missed: dict[Side, list[str]] = {}
    for side in SIDES:
        caught = caught_row_ids(connection, side, night.partition_key, incident.row_ids)
        outcome = night.baseline.outcome if side == "baseline" else night.edited.outcome
        missed[side] = [] if outcome == "refused" else [key for key in incident.row_ids if key not in caught]
    return check.model_copy(
        update={
            "is_caught_by_baseline": not missed["baseline"],
            "is_caught_by_edited": not missed["edited"],
            "missed_row_ids": tuple(missed["edited"]),
        }
    )


def _summary(
    job: _Job,
    ingestions: Sequence[IngestionRecord],
    names: tuple[str, str],
    changes: SuiteDifference,
) -> Replay:
    nights = job.nights

    def turned(before: str, after: str) -> tuple[str, ...]:
        return tuple(
            night.partition_key
            for night in nights
            if night.baseline.outcome == before and night.edited.outcome == after
        )

    return Replay(
        dataset=job.dataset,
        baseline=names[0],
        edited=names[1],
        first=ingestions[0].partition_key,
        last=ingestions[-1].partition_key,
        n_partitions=len(ingestions),
        n_rows=sum(ingestion.n_rows for ingestion in ingestions),
        newly_blocked=tuple(sorted(turned("passed", "refused") + turned("warned", "refused"))),
        let_through=tuple(sorted(turned("refused", "passed") + turned("refused", "warned"))),
        newly_warned=turned("passed", "warned"),
        no_longer_warned=turned("warned", "passed"),
        n_newly_caught=sum(night.n_newly_caught for night in nights),
        n_no_longer_caught=sum(night.n_no_longer_caught for night in nights),
        now_missed=tuple(check for check in job.checks if check.is_now_missed),
        incidents=tuple(job.checks),
        nights=tuple(nights),
        examples=tuple(job.examples),
        not_judged=dict(job.not_judged),
        changes=changes,
    )
