"""The summary of one night: a page that opens on its own, without scripts, in light and dark."""

from __future__ import annotations

from html import escape

from pipelines.monitoring.night_facts import NightFacts
from pipelines.monitoring.validation_sections import (
    notes_section,
    quarantine_section,
    stage_sections,
    validation_section,
)
from pipelines.records import ColumnDrift, DriftRecord, PerformanceRecord

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --paper: #fdfdfc; --soft: #6b7685; --line: #d9dee5;
  --calm: #1f7a4d; --alarm: #b3261e; --card: #f4f6f8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --paper: #14181e; --soft: #98a3b3;
  --line: #313a46; --calm: #6fcf97; --alarm: #ff8a80; --card: #1c222b; } }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } .soft { color: var(--soft); }
.verdict { background: var(--card); border-left: .3rem solid var(--calm); padding: .75rem 1rem;
  margin: 1rem 0; }
.verdict.alarm { border-color: var(--alarm); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; }
tr.drifted td { color: var(--alarm); font-weight: 600; }
a { color: inherit; } ul { margin: .25rem 0; padding-left: 1.25rem; }
code, pre { font: .9em/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { background: var(--card); padding: .75rem 1rem; overflow-x: auto; }
"""

_METHODS = {
    "wasserstein": "Wasserstein distance, in standard deviations",
    "jensenshannon": "Jensen-Shannon distance",
    "missing_share": "difference in the share of nulls",
}


def night_page(facts: NightFacts) -> str:
    """Return the summary of a night as HTML; it loads and runs nothing.

    A night that was refused, or not scored yet, has a page too: it says what there is to do.
    """
    title = escape(f"{facts.dataset} {facts.partition_key}")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{title}</h1>
<p>{" · ".join(_link(text, address) for text, address in facts.links.items())}</p>
{notes_section(facts.notes)}
{validation_section(facts)}
{quarantine_section(facts)}
{stage_sections(facts.stages)}
{_drift_sections(facts.drift, facts.performance)}
</body>
</html>
"""


def _drift_sections(record: DriftRecord | None, performance: PerformanceRecord | None) -> str:
    if record is None:
        return "<h2>Drift</h2>\n<p>Not monitored yet.</p>"
    others = [drift for drift in (record.prediction, record.label) if drift]
    return f"""<h2>Drift</h2>
<p class="soft">Model version {escape(record.model_version)}, days {escape(record.window[0])}
to {escape(record.window[1])} against the rows that it was made and judged on.</p>
{_verdict(record)}
<h2>Drift of features</h2>
{_drift_table(record.columns) if record.columns else "<p>Too few rows to compare.</p>"}
<h2>Drift of predictions and labels</h2>
{_drift_table(others) or "<p>Not known yet.</p>"}
<h2>Performance</h2>
{_performance(record, performance)}"""


def _verdict(record: DriftRecord) -> str:
    if record.is_confirmed:
        headline = f"Drift, confirmed on {record.n_alarm_nights} nights"
    elif record.is_alarm:
        headline = "Drift alarm, not confirmed yet"
    else:
        headline = "Calm"
    kinds = f"Drifted: {', '.join(record.kinds)}. " if record.kinds else ""
    style = "verdict alarm" if record.is_alarm else "verdict"
    return (
        f'<div class="{style}"><strong>{headline}</strong>'
        f"<p>{kinds}{record.drifted_fraction:.0%} of the features have drifted; "
        f"the alarm is for more than {record.alarm_fraction:.0%}.</p></div>"
    )


def _drift_table(columns: tuple[ColumnDrift, ...] | list[ColumnDrift]) -> str:
    if not columns:
        return ""
    farthest_first = sorted(columns, key=lambda drift: drift.distance / drift.threshold, reverse=True)
    rows = "\n".join(
        f'<tr class="{"drifted" if drift.is_drifted else "calm"}"><td>{escape(drift.column)}</td>'
        f"<td>{escape(_METHODS.get(drift.method, drift.method))}</td>"
        f'<td class="number">{drift.distance:.3f}</td><td class="number">{drift.threshold:.3f}</td>'
        f"<td>{'drifted' if drift.is_drifted else 'calm'}</td></tr>"
        for drift in farthest_first
    )
    return (
        '<div class="scroll"><table><thead><tr><th>Column</th><th>Measure</th>'
        '<th class="number">Distance</th><th class="number">Threshold</th><th>Verdict</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _performance(record: DriftRecord, performance: PerformanceRecord | None) -> str:
    parts = []
    if record.performance_metric and record.performance_value is not None:
        floor = record.performance_floor
        bound = "" if floor is None else f"; what the holdout makes plausible ends at {floor:.4f}"
        parts.append(
            f"<p>{escape(record.performance_metric)} over the labelled days of the window: "
            f"{record.performance_value:.4f}{bound}.</p>"
        )
    if performance is not None:
        cells = "".join(
            f'<tr><td>{escape(name)}</td><td class="number">{value:.4f}</td></tr>'
            for name, value in performance.metrics.items()
        )
        parts.append(
            f"<p>The newest labelled day, {escape(performance.partition_key)} ({performance.n_rows} rows, "
            f"model version {escape(performance.model_version)}):</p>"
            f'<div class="scroll"><table><tbody>{cells}</tbody></table></div>'
        )
    return "\n".join(parts) or "<p>No labels are in yet.</p>"


def _link(text: str, address: str) -> str:
    return f'<a href="{escape(address, quote=True)}">{escape(text)}</a>'
