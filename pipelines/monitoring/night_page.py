"""The summary of one night: a page that opens on its own, without scripts, in light and dark."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

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
a { color: inherit; }
"""

_METHODS = {
    "wasserstein": "Wasserstein distance, in standard deviations",
    "jensenshannon": "Jensen-Shannon distance",
    "missing_share": "difference in the share of nulls",
}


def night_page(record: DriftRecord, performance: PerformanceRecord | None, links: Mapping[str, str]) -> str:
    """Return the summary of a night as HTML.

    Parameters
    ----------
    record : DriftRecord
        The verdict.
    performance : PerformanceRecord, optional
        How the newest cohort did whose labels are in.
    links : mapping of str to str
        The text of each link, and the relative address that it leads to.
    """
    title = f"{record.dataset} {record.partition_key}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p class="soft">Model version {escape(record.model_version)}, days {escape(record.window[0])}
to {escape(record.window[1])} against the rows that it was made and judged on.</p>
{_verdict(record)}
<p>{" · ".join(_link(text, address) for text, address in links.items())}</p>
<h2>Features</h2>
{_drift_table(record.columns) if record.columns else "<p>Too few rows to compare.</p>"}
<h2>Predictions and labels</h2>
{_drift_table([drift for drift in (record.prediction, record.label) if drift]) or "<p>Not known yet.</p>"}
<h2>Performance</h2>
{_performance(record, performance)}
</body>
</html>
"""


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
