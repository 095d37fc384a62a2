"""Try a suite on one night, as it is on disk: what would it decide? Nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import pyarrow as pa

from pipelines.errors import NotReadyError
from pipelines.features.query import load_features
from pipelines.records import IngestionRecord, Record, partition_date
from pipelines.runtime import Runtime
from pipelines.steps.reference import reference_profile
from pipelines.storage.engine import connect
from pipelines.validation.engine import Examiner, Finding
from pipelines.validation.reference import ReferenceProfile
from pipelines.validation.rules import Stage
from pipelines.validation.samples import RowSample, sample_rows
from pipelines.validation.stage_tables import ORIGIN, split_rows
from pipelines.validation.suite import Suite, load_suite, suite_columns, suite_path
from pipelines.validation.trial import Trial
from pipelines.validation.verdict import judge

MEMORY = "768MB"


class RuleTrial(Record):
    """How one rule did on one night."""

    rule: str
    severity: str
    line: int
    is_met: bool
    n_unexpected: int
    observed: str
    engine: str
    is_evaluated: bool = True
    examples: tuple[RowSample, ...] = ()


class SuiteTrial(Record):
    """What a suite would decide on one night."""

    dataset: str
    stage: Stage
    partition_key: str
    suite: str
    outcome: Literal["passed", "warned", "refused"]
    n_rows: int
    n_quarantined: int
    reasons: tuple[str, ...]
    rules: tuple[RuleTrial, ...]


def try_suite(
    dataset: str,
    partition_key: str,
    *,
    runtime: Runtime,
    stage: Stage = "raw",
    suite_file: Path | None = None,
) -> SuiteTrial:
    """Return what a suite, as it is on disk, would decide on a night; write nothing.

    Parameters
    ----------
    suite_file : Path, optional
        Another file than the dataset's own.

    Raises
    ------
    NotReadyError
        If the night has not been ingested (``raw``), validated (``features``) or scored (``predictions``).
    ConflictError
        If the raw partition is not the one that was ingested.
    ConfigError
        If the suite is wrong.
    EngineError
        If an expectation could not be evaluated.
    """
    partition_date(partition_key)
    config = runtime.dataset(dataset)
    path = suite_file or suite_path(runtime.settings.project, dataset, stage)
    suite = load_suite(path, config, stage)
    reference = reference_of([suite], dataset, runtime)
    if stage == "raw":
        return _test_raw(suite, dataset, partition_key, runtime, reference)
    return _test_stage(suite, dataset, partition_key, runtime, reference)


def reference_of(suites: Sequence[Suite], dataset: str, runtime: Runtime) -> ReferenceProfile | None:
    """Return the champion's reference, where a suite asks for it and there is one."""
    if not any(rule.needs_reference for suite in suites for rule in suite.rules):
        return None
    return reference_profile(dataset, runtime)


def _ingestion_of(dataset: str, partition_key: str, runtime: Runtime) -> IngestionRecord:
    """Return the newest ingestion of a night; NotReadyError if there is none."""
    found = runtime.ledger.latest(IngestionRecord, dataset, partition_key)
    if found is None:
        raise NotReadyError(
            f"{dataset} {partition_key} has not been ingested: "
            f"run `holdfast ingest {dataset} {partition_key}` first."
        )
    return found


def _test_raw(
    suite: Suite, dataset: str, key: str, runtime: Runtime, reference: ReferenceProfile | None
) -> SuiteTrial:
    ingestion = _ingestion_of(dataset, key, runtime)
    config = runtime.dataset(dataset)
    with connect(memory=MEMORY, threads=2) as connection:
        trial = Trial(connection, runtime.lake, dataset, config, suite, {key: ingestion})
        trial.run(Examiner(suite, reference=reference))
        for problem in (*trial.conflicts.values(), *trial.failures.values()):
            raise problem
        verdict = trial.verdicts[key]
        examination = trial.examinations.get(key)
        findings = examination.findings if examination else ()
        samples = sample_rows(connection, "holdfast_present") if examination else {}
    return SuiteTrial(
        dataset=dataset,
        stage="raw",
        partition_key=key,
        suite=suite.name,
        outcome=verdict.outcome,
        n_rows=ingestion.n_rows,
        n_quarantined=trial.n_bad.get(key, 0),
        reasons=verdict.reasons,
        rules=_rule_trials(findings, samples),
    )


def _test_stage(
    suite: Suite, dataset: str, key: str, runtime: Runtime, reference: ReferenceProfile | None
) -> SuiteTrial:
    config, lake = runtime.dataset(dataset), runtime.lake
    rows = _stage_rows(suite.stage, dataset, key, runtime)
    if not rows.num_rows:
        before = "validate" if suite.stage == "features" else "score"
        raise NotReadyError(
            f"{dataset} {key} has no {suite.stage} yet: run `holdfast {before} {dataset} {key}` first."
        )
    with connect(memory=MEMORY, threads=2) as connection:
        columns = [("row_id", pa.string()), ("source_file", pa.string()), ("source_line", pa.int64())]
        connection.register(ORIGIN, pa.schema(columns).empty_table())
        with suppress(NotReadyError):
            lake.attach(connection, dataset, "raw", view=ORIGIN, partitions=[key])
        split = split_rows(
            connection,
            rows,
            key,
            suite=suite,
            types=suite_columns(config, suite.stage),
            reference=reference,
        )
        samples = sample_rows(connection, "holdfast_stage_traced")
    n_bad = split.quarantine.num_rows
    findings = split.examination.findings
    verdict = judge(
        findings,
        n_rows=rows.num_rows,
        n_bad=n_bad,
        held_back={},
        max_quarantined_fraction=config.quality.max_quarantined_fraction,
    )
    return SuiteTrial(
        dataset=dataset,
        stage=suite.stage,
        partition_key=key,
        suite=suite.name,
        outcome=verdict.outcome,
        n_rows=rows.num_rows,
        n_quarantined=n_bad,
        reasons=verdict.reasons,
        rules=_rule_trials(findings, samples),
    )


def _stage_rows(stage: Stage, dataset: str, key: str, runtime: Runtime) -> pa.Table:
    if stage == "predictions":
        return runtime.lake.read(dataset, "predictions", partitions=[key])
    return load_features(
        runtime.lake,
        dataset,
        config=runtime.dataset(dataset),
        project=runtime.settings.project,
        partitions=[key],
    )


def _rule_trials(
    findings: Sequence[Finding], samples: dict[int, tuple[RowSample, ...]]
) -> tuple[RuleTrial, ...]:
    return tuple(
        RuleTrial(
            rule=finding.rule.title,
            severity=finding.rule.severity,
            line=finding.rule.line,
            is_met=finding.is_met,
            n_unexpected=finding.n_unexpected,
            observed=finding.observed,
            engine=finding.engine,
            is_evaluated=finding.is_evaluated,
            examples=samples.get(finding.rule.position, ()),
        )
        for finding in findings
    )
