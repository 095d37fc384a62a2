"""The summary of one night: a page that opens on its own, without scripts, in light and dark."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.monitoring.pages.night_facts import NightFacts
from pipelines.monitoring.pages.validation_sections import (
    notes_section,
    quarantine_section,
    stage_sections,
    validation_section,
)
from pipelines.monitoring.pages.verdict import (
    bugs_section,
    drift_table,
    episode_card,
    evidently_line,
    performance_section,
    triggers_list,
    verdict_card,
)
from pipelines.monitoring.pages.words import state_of
from pipelines.pages.markup import badge, facts, link, page, seconds, shown, table
from pipelines.records import Decision

_OUTCOMES = {"passed": "calm", "warned": "warning", "refused": "critical"}


def night_page(night: NightFacts) -> str:
    """Return the summary of a night as HTML; it loads and runs nothing, and has at most 300 kB.

    A night that was refused, or not scored yet, has a page too: it says what there is to do.
    """
    title = f"{night.dataset} {night.partition_key}"
    links = "".join(f"<span>{link(text, address)}</span>" for text, address in night.links.items())
    body = f"""<div class="title"><h1>{shown(title)}</h1>{_state(night)}</div>
{f'<p class="bar">{links}</p>' if links else ""}
{_figures(night)}
{notes_section(night.notes)}
{_drift_sections(night)}
{validation_section(night)}
{quarantine_section(night)}
{stage_sections(night.stages)}
{_costs(night) if night.shows_costs else ""}"""
    return page(title, body, trail=night.trail)


def _state(night: NightFacts) -> str:
    if night.validation is not None and night.validation.outcome == "refused":
        return badge("critical", "Refused")
    if night.drift is not None:
        return badge(*state_of(night.drift))
    return badge("none", "Not monitored yet")


def _figures(night: NightFacts) -> str:
    pairs = []
    if (validation := night.validation) is not None:
        pairs.append(("Rows published", f"{validation.n_published:,}", f"of {validation.n_in:,}"))
        pairs.append(("In quarantine", f"{validation.n_quarantined:,}", ""))
    if (scoring := night.scoring) is not None:
        note = f"model version {shown(scoring.model_version, 40)}, on {shown(scoring.device, 20)}"
        pairs.append(("Scored", f"{scoring.n_rows:,}", note))
    if (drift := night.drift) is not None:
        window = f"{shown(drift.window[0], 20)} to {shown(drift.window[1], 20)}"
        n_drifted = len({found.column for found in drift.columns if found.is_drifted})
        pairs.append(("Columns drifted", f"{n_drifted:,}", window))
    return facts(pairs) if pairs else ""


def _drift_sections(night: NightFacts) -> str:
    record = night.drift
    if record is None:
        return f"<h2>Drift</h2>\n<p>Not monitored yet.</p>\n{_performance(night)}"
    others = [drift for drift in (record.prediction, record.label, record.joint) if drift]
    return f"""<h2>Drift</h2>
<p class="soft">Model version {shown(record.model_version, 40)}, days {shown(record.window[0], 20)}
to {shown(record.window[1], 20)} against the days that it was made and judged on.</p>
{verdict_card(record)}
{evidently_line(record)}
{episode_card(night.episode)}
{f"<h2>What was decided</h2>{triggers_list(night.triggers)}" if night.triggers else ""}
{bugs_section(record.bugs)}
<h2>Features</h2>
{drift_table(record.columns, night.columns) if record.columns else "<p>Too few rows to compare.</p>"}
<h2>Predictions, labels, and all columns jointly</h2>
{drift_table(others, night.columns) or "<p>Not known yet.</p>"}
{_performance(night)}"""


def _performance(night: NightFacts) -> str:
    return f"<h2>Performance</h2>\n{performance_section(night.drift, night.performance)}"


def _costs(night: NightFacts) -> str:
    """Return the stages of the night with what each took."""
    stages: Sequence[tuple[str, Decision | None]] = (
        ("Ingest", night.ingestion),
        ("Validate", night.validation),
        *((f"Validate {record.stage}", record) for record in night.stages),
        ("Score", night.scoring),
        ("Monitor", night.drift),
    )
    done = [(name, record) for name, record in stages if record is not None]
    if not done:
        return ""
    rows = "\n".join(
        f"<tr><td>{shown(name)}</td><td>{record.decided_at:%Y-%m-%d %H:%M:%S} UTC</td>"
        f'<td class="number">{seconds(record.duration_seconds)}</td></tr>'
        for name, record in done
    )
    total = seconds(sum(record.duration_seconds for _, record in done))
    head = ("Stage", "Decided at", "Took")
    return (
        "<h2>Stages and what they cost</h2>\n"
        + f'<div class="narrow">{table(head, rows, numbers=("Took",))}</div>'
        + f'<p class="soft">{total} of computing in all, without the time in queues.</p>'
    )
