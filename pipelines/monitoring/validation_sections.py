"""The sections of a night's page about its validation and its quarantine; every value in them is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from pipelines.monitoring.night_facts import NightFacts, QuarantinedRow, QuarantinedRule
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
_MAX_REASONS = 20
_MAX_EXPECTATIONS = 50


def validation_section(facts: NightFacts) -> str:
    """Return what became of the night's rows: in, published, in quarantine, and why."""
    record = facts.validation
    if record is None:
        return "<h2>Validation</h2>\n<p>Not validated yet.</p>"
    amended = ""
    if record.n_amended or record.n_released:
        amended = f" {record.n_amended} rows were repaired and {record.n_released} released by hand."
    engines = ", ".join(f"{n} by {escape(name)}" for name, n in record.engines.items())
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
        f"(model version {escape(record.model_version)}).</p>\n"
        f"{_list(record.reasons)}{_expectations(record.expectations)}"
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
    return f"<h2>To know</h2>\n{_list(notes)}" if notes else ""


def _box(record: ValidationRecord) -> str:
    style = "verdict alarm" if record.outcome == "refused" else "verdict"
    return f'<div class="{style}"><strong>{_HEADLINES[record.outcome]}</strong>{_list(record.reasons)}</div>'


def _list(texts: Sequence[str]) -> str:
    if not texts:
        return ""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts[:_MAX_REASONS])
    more = len(texts) - _MAX_REASONS
    return f"<ul>{items}{f'<li>and {more} more</li>' if more > 0 else ''}</ul>"


def _expectations(outcomes: Sequence[ExpectationOutcome]) -> str:
    """Return the expectations that were not met, broken by rows, or not evaluated."""
    notable = [
        found for found in outcomes if not found.is_met or found.n_unexpected or not found.is_evaluated
    ]
    if not notable:
        return ""
    rows = "\n".join(
        f'<tr class="{"calm" if found.is_met else "drifted"}"><td>{escape(found.name)}</td>'
        f"<td>{escape(found.column or '')}</td><td>{escape(found.severity)}</td>"
        f"<td>{_verdict(found)}</td><td>{escape(found.observed)}</td></tr>"
        for found in notable[:_MAX_EXPECTATIONS]
    )
    return _table(("Expectation", "Column", "Severity", "Verdict", "Observed"), rows)


def _verdict(found: ExpectationOutcome) -> str:
    if not found.is_evaluated:
        return "not evaluated"
    return "met" if found.is_met else "not met"


def _quarantine_table(stage: str, rules: Sequence[QuarantinedRule]) -> str:
    rows = "\n".join(
        f"<tr><td>{escape(rule.rule)}</td><td>{escape(rule.column)}</td><td>{escape(rule.severity)}</td>"
        f'<td class="number">{rule.n_rows}</td><td>{"<br>".join(map(_example, rule.examples))}</td></tr>'
        for rule in rules
    )
    head = ("Rule", "Column", "Severity", "Rows", "First of them: value, row, where it came from")
    name = "quarantine" if stage == "raw" else f"quarantine_{stage}"
    return f'<p class="soft">Table <code>{escape(name)}</code></p>\n{_table(head, rows)}'


def _example(row: QuarantinedRow) -> str:
    place = ""
    if row.source_file is not None:
        line = "" if row.source_line is None else f":{row.source_line}"
        place = f", {escape(row.source_file)}{line}"
    return (
        f"<code>{escape(row.value)}</code> in {escape(row.row_id or 'a row without a key')}{place} "
        f"<code>{escape(row.quarantine_id)}</code>"
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
    return f"<pre>{escape(chr(10).join(lines))}</pre>"


def _table(head: Sequence[str], rows: str) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f'<div class="scroll"><table><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table></div>'
