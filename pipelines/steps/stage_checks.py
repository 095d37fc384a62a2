"""Hold what a model is given, and what it says, to the suites of their stages.

``expectations/<dataset>_features.yaml`` is held to the features of a night before they are scored, and
``<dataset>_predictions.yaml`` to the predictions before they are written; a stage without a file has
no expectations. Rows that break a row-level expectation (critical or warning) are split off, with
their reasons, to ``quarantine_features`` or ``quarantine_predictions``; what is critical and not met,
or too large a share, stops the night. As for the raw partition, nothing is dropped: rows in = rows
passed + rows in quarantine, and the ledger has the counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import duckdb
import pyarrow as pa

from pipelines.errors import NotReadyError, ValidationFailed
from pipelines.records import StageValidationRecord
from pipelines.runtime import Runtime
from pipelines.steps.night import draw_night
from pipelines.steps.reference import profile_of
from pipelines.storage.digest import table_digest
from pipelines.storage.engine import connect

if TYPE_CHECKING:
    from pipelines.validation.stage_tables import Split
    from pipelines.validation.suite import Suite


@dataclass(frozen=True)
class StageRun:
    """One stage of one scoring: whose rows, of which night, by which model, from which published rows."""

    stage: Literal["features", "predictions"]
    dataset: str
    partition_key: str
    model_version: str
    validated_digest: str

    @property
    def quarantine(self) -> str:
        """The table that its bad rows go to."""
        return f"quarantine_{self.stage}"


def hold_to_suite(rows: pa.Table, run: StageRun, *, runtime: Runtime) -> pa.Table:
    """Return the rows that a stage lets through; write down what it did not.

    Parameters
    ----------
    rows : pyarrow.Table, shape (n, k)
        Features or predictions of one partition, with ``row_id`` and ``event_time``.
    run : StageRun
        What they are.

    Returns
    -------
    pyarrow.Table, shape (m, k)
        In their order; all of them where the stage has no suite, or there are no rows.

    Raises
    ------
    ValidationFailed
        If a critical expectation is not met, or more than ``quality.max_quarantined_fraction`` of the
        rows belong in quarantine. The refusal is in the ledger, and the bad rows are in quarantine.
    ConfigError
        If the suite is wrong.
    EngineError
        If an expectation could not be evaluated; this says nothing about the rows.
    """
    path = runtime.settings.project / "expectations" / f"{run.dataset}_{run.stage}.yaml"
    if not path.is_file() or not rows.num_rows:
        return rows
    # Great Expectations takes seconds to import: only a stage that has a suite pays for it.
    from pipelines.validation.stage_tables import split_rows
    from pipelines.validation.suite import load_suite, suite_columns

    config = runtime.dataset(run.dataset)
    suite = load_suite(path, config, run.stage)
    needs_reference = any(rule.needs_reference for rule in suite.rules)
    reference = profile_of(run.dataset, run.model_version, runtime) if needs_reference else None
    with connect(memory="1GB") as connection:
        _attach_origin(connection, run, runtime)
        split = split_rows(
            connection,
            rows,
            run.partition_key,
            suite=suite,
            types=suite_columns(config, run.stage),
            reference=reference,
        )
    record = _record(run, rows, split, suite=suite, limit=config.quality.max_quarantined_fraction)
    if reference is not None:
        record = record.model_copy(update={"reference_version": run.model_version})
    if split.quarantine.num_rows or runtime.lake.exists(run.dataset, run.quarantine):
        runtime.lake.replace(run.dataset, run.quarantine, run.partition_key, split.quarantine)
    runtime.ledger.record(record)
    if record.outcome == "refused":
        draw_night(run.dataset, run.partition_key, runtime=runtime)
        raise ValidationFailed(
            f"The {run.stage} of {run.dataset} {run.partition_key} are not fit for use, and nothing is "
            f"predicted. {'; '.join(record.reasons)}. See its rows in the table `{run.quarantine}`; mend the "
            f"query, the model or the suite {suite.name}.yaml, then run `holdfast score {run.dataset} "
            f"{run.partition_key}` again."
        )
    return split.passed


def _attach_origin(connection: duckdb.DuckDBPyConnection, run: StageRun, runtime: Runtime) -> None:
    """Show DuckDB which file and line each row of the night came from, as far as that is known."""
    from pipelines.validation.stage_tables import ORIGIN

    try:
        runtime.lake.attach(connection, run.dataset, "raw", view=ORIGIN, partitions=[run.partition_key])
    except NotReadyError:  # published by other means than an ingestion
        columns = [("row_id", pa.string()), ("source_file", pa.string()), ("source_line", pa.int64())]
        connection.register(ORIGIN, pa.schema(columns).empty_table())


def _record(
    run: StageRun, rows: pa.Table, split: Split, *, suite: Suite, limit: float
) -> StageValidationRecord:
    from pipelines.validation.verdict import judge

    n_bad = split.quarantine.num_rows
    verdict = judge(
        split.examination.findings,
        n_rows=rows.num_rows,
        n_bad=n_bad,
        held_back={},
        max_quarantined_fraction=limit,
    )
    return StageValidationRecord(
        dataset=run.dataset,
        partition_key=run.partition_key,
        stage=run.stage,
        model_version=run.model_version,
        suite_digest=suite.digest,
        validated_digest=run.validated_digest,
        input_digest=table_digest(rows),
        n_in=rows.num_rows,
        n_passed=split.passed.num_rows,
        n_quarantined=n_bad,
        outcome=verdict.outcome,
        reasons=verdict.reasons,
        expectations=verdict.expectations,
    )
