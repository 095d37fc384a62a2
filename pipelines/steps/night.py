"""Draw a night's page: all that is on record of it, whatever became of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb

from pipelines.monitoring.pages.night_facts import NightFacts, QuarantinedRow, QuarantinedRule
from pipelines.monitoring.pages.night_page import night_page
from pipelines.records import (
    DriftRecord,
    IngestionRecord,
    PerformanceRecord,
    ScoringRecord,
    StageValidationRecord,
    ValidationRecord,
    shift_partition,
)
from pipelines.runtime import Runtime
from pipelines.steps.pages import DRAWN_PAGES, episode_of, triggers_of
from pipelines.steps.scored_nights import is_out_of_date
from pipelines.storage.engine import connect
from pipelines.storage.whole_files import write_atomically

PAGE = "index.html"
_TABLES = {"raw": "quarantine", "features": "quarantine_features", "predictions": "quarantine_predictions"}
# The page's other files, by the text of their link, in the order in which they are shown.
PAGES = {**DRAWN_PAGES, "JSON: validation": "validation.json", "JSON: drift": "drift.json"}
_VIEW = "holdfast_shown"
_N_RULES, _N_EXAMPLES, _MAX_VALUE_CHARS = 20, 3, 200


def draw_night(
    dataset: str, partition_key: str, *, runtime: Runtime, drift: DriftRecord | None = None
) -> Path:
    """Write the page of a night anew from what is on record; a repeat writes the same.

    Parameters
    ----------
    drift : DriftRecord, optional
        The verdict of the moment, where it is not on record yet.

    Returns
    -------
    Path
        ``<reports>/<dataset>/<night>/index.html``.

    Raises
    ------
    EngineError
        If a store or the disk fails.
    """
    folder = runtime.settings.reports / dataset / partition_key
    facts = night_facts(dataset, partition_key, runtime=runtime, drift=drift)
    links = {text: name for text, name in PAGES.items() if (folder / name).is_file()}
    write_atomically(folder / PAGE, night_page(replace(facts, links=links)))
    return folder / PAGE


def has_page(dataset: str, partition_key: str, *, runtime: Runtime) -> bool:
    """Return whether a night has a page, which may be out of date."""
    return (runtime.settings.reports / dataset / partition_key / PAGE).is_file()


def night_facts(
    dataset: str, partition_key: str, *, runtime: Runtime, drift: DriftRecord | None = None
) -> NightFacts:
    """Return all that is on record of a night, without links: where they lead is up to who shows it.

    Parameters
    ----------
    drift : DriftRecord, optional
        The verdict of the moment, where it is not on record yet.

    Raises
    ------
    EngineError
        If a store fails.
    """
    ledger = runtime.ledger
    labelled = shift_partition(partition_key, -runtime.dataset(dataset).label_delay_days)
    ingestion = ledger.latest(IngestionRecord, dataset, partition_key)
    validation = ledger.latest(ValidationRecord, dataset, partition_key)
    scoring = ledger.latest(ScoringRecord, dataset, partition_key)
    verdict = ledger.latest(DriftRecord, dataset, partition_key)
    if drift is not None and (verdict is None or verdict.digest != drift.digest):
        verdict = drift  # one that was found again is shown as it is on record
    stages = [
        ledger.latest(StageValidationRecord, dataset, partition_key, subject=stage)
        for stage in ("features", "predictions")
    ]
    return NightFacts(
        dataset=dataset,
        partition_key=partition_key,
        ingestion=ingestion,
        validation=validation,
        stages=tuple(record for record in stages if record is not None),
        scoring=scoring,
        drift=verdict,
        performance=ledger.latest(PerformanceRecord, dataset, labelled),
        quarantine=_quarantine(dataset, partition_key, runtime),
        episode=episode_of(ledger, dataset, partition_key),
        triggers=triggers_of(ledger, dataset, partition_key, partition_key),
        notes=(*_notes(ingestion, validation, scoring), *_notes_of_verdict(verdict, scoring)),
    )


def _notes_of_verdict(verdict: DriftRecord | None, scoring: ScoringRecord | None) -> Iterator[str]:
    if verdict is None:
        return
    if scoring is not None and is_out_of_date(verdict, scoring):
        yield (
            f"Its verdict is about predictions of version {verdict.model_version} that version "
            f"{scoring.model_version}'s have taken the place of. It is judged again with them by "
            f"`holdfast monitor {scoring.dataset} {scoring.partition_key}`."
        )
    yield from verdict.notes


def _notes(
    ingestion: IngestionRecord | None, validation: ValidationRecord | None, scoring: ScoringRecord | None
) -> list[str]:
    notes = []
    if ingestion is not None and ingestion.restated_by:
        notes.append(
            f"It was landed anew with {ingestion.restated_by}, which brought late rows or corrections of it."
        )
    if ingestion is not None and ingestion.restated:
        notes.append(
            "What came with this night changed earlier nights, by late rows or corrections; they were "
            f"landed anew: {', '.join(ingestion.restated[:31])}"
            + (f" and {len(ingestion.restated) - 31} more." if len(ingestion.restated) > 31 else ".")
        )
    if validation is None:
        return notes
    night = f"{validation.dataset} {validation.partition_key}"
    if ingestion is not None and ingestion.raw_digest != validation.raw_digest:
        notes.append(
            "Its rows were landed anew since it was validated. The next night validates it too; or run "
            f"`holdfast validate {night}`."
        )
    if scoring is None or validation.outcome == "refused":
        return notes
    if scoring.validated_digest != validation.validated_digest:
        notes.append(
            f"Its published rows have changed since version {scoring.model_version} scored them. The next "
            f"night has it scored again; or run `holdfast score {night}`."
        )
    if scoring.n_withheld:
        notes.append(f"{scoring.n_withheld} published rows have no prediction: see the stages below.")
    return notes


def _quarantine(dataset: str, partition_key: str, runtime: Runtime) -> tuple[QuarantinedRule, ...]:
    found: list[QuarantinedRule] = []
    for stage, table in _TABLES.items():
        if not runtime.lake.exists(dataset, table):
            continue
        with connect() as connection:
            runtime.lake.attach(connection, dataset, table, view=_VIEW, partitions=[partition_key])
            found += _rules(connection, stage)
    return tuple(found)


def _rules(connection: duckdb.DuckDBPyConnection, stage: str) -> list[QuarantinedRule]:
    connection.execute(
        f"""
        CREATE TEMP VIEW reasons AS
        SELECT
            coalesce(quarantine_id, '') AS quarantine_id, row_id, source_file, source_line,
            json_extract_string(reason, '$.rule') AS rule,
            json_extract_string(reason, '$.column') AS "column",
            json_extract_string(reason, '$.severity') AS severity,
            json_extract(reason, '$.value') AS "value"
        FROM (SELECT *, unnest(from_json(reasons, '["JSON"]')) AS reason FROM {_VIEW})
        """  # noqa: S608
    )
    counted = connection.execute(
        'SELECT rule, "column", min(severity), count(*) FROM reasons '
        'GROUP BY rule, "column" ORDER BY count(*) DESC, rule, "column" LIMIT ?',
        [_N_RULES],
    ).fetchall()
    rules = []
    for rule, column, severity, n_rows in counted:
        examples = connection.execute(
            'SELECT quarantine_id, row_id, source_file, source_line, "value" FROM reasons '
            'WHERE rule = ? AND "column" = ? ORDER BY source_file, source_line, quarantine_id '
            "LIMIT ?",
            [rule, column, _N_EXAMPLES],
        ).fetchall()
        rows = tuple(
            QuarantinedRow(id_, key, file, line, _shown(value)) for id_, key, file, line, value in examples
        )
        rules.append(QuarantinedRule(stage, rule, column, severity or "warning", n_rows, rows))
    return rules


def _shown(value: Any) -> str:
    text = "null" if value is None else str(value)
    if text.startswith('"'):
        text = str(json.loads(text))
    return text if len(text) <= _MAX_VALUE_CHARS else text[: _MAX_VALUE_CHARS - 1] + "…"
