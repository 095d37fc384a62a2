"""The sections of a night's page about its validation and its quarantine; every value in them is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from pipelines.monitoring.pages.night_facts import NightFacts, QuarantinedRow, QuarantinedRule
from pipelines.pages.markup import bullets, shown, table
from pipelines.records import ExpectationOutcome, StageValidationRecord, ValidationRecord

_HEADLINES = {
    "passed": "Published",
    "warned": "Published with warnings",
    "refused": "Refused: nothing of this night's delivery is published",
}
_STAGE_HEADLINES = {
    "passed": "passed",
    "warned": "passed with warnings",
    "refused": "refused: nothing was predicted",
}
_STYLES = {"passed": "calm", "warned": "warning", "refused": "critical"}
_REASON_BYTES = 400
_MAX_EXPECTATIONS = 40


def validation_section(facts: NightFacts) -> str:
    """Return what became of the night's rows: in, published, in quarantine, and why."""
    record = facts.validation
    if record is None:
        return "<h2>Validation</h2>\n<p>Not validated yet.</p>"
    amended = ""
    if record.n_amended or record.n_released:
        amended = f" {record.n_amended} rows were repaired and {record.n_released} released by hand."
    engines = ", ".join(f"{n} by {shown(name, 60)}" for name, n in list(record.engines.items())[:5])
    return (
        f"<h2>Validation</h2>\n{_box(record)}\n"
        f"<p>{record.n_in} rows in, {record.n_published} published, {record.n_quarantined} in quarantine."
        f"{amended}</p>\n"
        + (f'<p class="soft">Expectations: {engines}.</p>\n' if engines else "")
        + _expectations(record.expectations)
    )


def stage_sections(stages: Iterable[StageValidationRecord]) -> str:
    """Return how the features and the predictions of the night did, where they have suites."""
    return "\n".join(
        f"<h2>{escape(record.stage.capitalize())}</h2>\n"
        f"<p>{_STAGE_HEADLINES[record.outcome].capitalize()}. {record.n_in} rows in, "
        f"{record.n_passed} passed, {record.n_quarantined} in quarantine "
        f"(model version {shown(record.model_version, 40)}).</p>\n"
        f"{bullets(record.reasons, limit=_REASON_BYTES)}{_expectations(record.expectations)}"
        for record in stages
    )


def quarantine_section(facts: NightFacts) -> str:
    """Return what is in quarantine, by which rule, with examples and the commands that deal with it."""
    if not facts.quarantine:
        return ""
    by_stage: dict[str, list[QuarantinedRule]] = {}
    for rule in facts.quarantine:
        by_stage.setdefault(rule.stage, []).append(rule)
    tables = "\n".join(_quarantine_table(stage, rules) for stage, rules in by_stage.items())
    return f"<h2>Quarantine</h2>\n{tables}\n{_commands(facts) if 'raw' in by_stage else ''}"


def notes_section(notes: Sequence[str]) -> str:
    """Return what a person should know of the night."""
    return f"<h2>To know</h2>\n{bullets(notes)}" if notes else ""


def _box(record: ValidationRecord) -> str:
    return (
        f'<div class="card verdict {_STYLES[record.outcome]}"><strong>{_HEADLINES[record.outcome]}</strong>'
        f"{bullets(record.reasons, limit=_REASON_BYTES)}</div>"
    )


def _expectations(outcomes: Sequence[ExpectationOutcome]) -> str:
    """Return the expectations that were not met, broken by rows, or not evaluated."""
    notable = [
        found for found in outcomes if not found.is_met or found.n_unexpected or not found.is_evaluated
    ]
    if not notable:
        return ""
    rows = "\n".join(
        f'<tr class="{"calm" if found.is_met else "drifted"}"><td>{shown(found.name, 120)}</td>'
        f"<td>{shown(found.column or '', 100)}</td><td>{escape(found.severity)}</td>"
        f"<td>{_verdict(found)}</td><td>{shown(found.observed, 240)}</td></tr>"
        for found in notable[:_MAX_EXPECTATIONS]
    )
    return table(("Expectation", "Column", "Severity", "Verdict", "Observed"), rows)


def _verdict(found: ExpectationOutcome) -> str:
    if not found.is_evaluated:
        return "not evaluated"
    return "met" if found.is_met else "not met"


def _quarantine_table(stage: str, rules: Sequence[QuarantinedRule]) -> str:
    rows = "\n".join(
        f"<tr><td>{shown(rule.rule, 120)}</td><td>{shown(rule.column, 100)}</td>"
        f"<td>{shown(rule.severity, 20)}</td>"
        f'<td class="number">{rule.n_rows}</td><td>{"<br>".join(map(_example, rule.examples))}</td></tr>'
        for rule in rules
    )
    head = ("Rule", "Column", "Severity", "Rows", "First of them: value, row, where it came from")
    name = "quarantine" if stage == "raw" else f"quarantine_{stage}"
    return f'<p class="soft">Table <code>{escape(name)}</code></p>\n{table(head, rows, numbers=("Rows",))}'


def _example(row: QuarantinedRow) -> str:
    place = ""
    if row.source_file is not None:
        line = "" if row.source_line is None else f":{row.source_line}"
        place = f", {shown(row.source_file, 120)}{line}"
    return (
        f"<code>{shown(row.value, 220)}</code> in {shown(row.row_id or 'a row without a key', 120)}{place} "
        f"<code>{shown(row.quarantine_id, 40)}</code>"
    )


def _commands(facts: NightFacts) -> str:
    night = f"{facts.dataset} {facts.partition_key}"
    example = next(rule.examples[0].quarantine_id for rule in facts.quarantine if rule.stage == "raw")
    lines = [
        "# What is in quarantine, and why",
        f"holdfast quarantine show {night}",
        f"holdfast quarantine show {night} --id {example}",
        "# A row that is right after all; and one that is put right",
        f"holdfast quarantine release {night} --id {example} --reason '...'",
        f"holdfast quarantine repair {night} --id {example} --set COLUMN=VALUE --reason '...'",
        "# Many rows: write them to a file, mend its cells, and read it back",
        f"holdfast quarantine show {night} --out rows.csv",
        f"holdfast quarantine repair {night} rows.csv --reason '...'",
        "# The source or the suite was mended: do the night again",
        f"holdfast night {night}",
    ]
    return f"<pre>{shown(chr(10).join(lines), 2000)}</pre>"
