"""What was found of a night, what it means for the model, and what is done: shared by several pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.metrics import metric_name
from pipelines.monitoring.pages.words import (
    ACTION_NAMES,
    ACTIONS,
    KINDS,
    METHODS,
    SIGNATURES,
    headline,
    ratio,
    state_of,
)
from pipelines.pages.markup import (
    badge,
    bullets,
    counted,
    link,
    number,
    probability,
    prose,
    share,
    shown,
    table,
)
from pipelines.records import (
    ColumnDrift,
    DataBug,
    DriftRecord,
    Episode,
    PerformanceRecord,
    Trigger,
)

_MAX_COLUMNS = 40
_MAX_BUGS = 12


def verdict_card(record: DriftRecord) -> str:
    """Return the verdict of a night: what it is, why, and what is to be done."""
    style, _ = state_of(record)
    kinds = ", ".join(KINDS[kind] for kind in record.kinds)
    drifted = sum(drift.is_drifted for drift in record.columns)
    lead = f"Drifted: {kinds}. " if kinds else ""
    n_columns = len({drift.column for drift in record.columns})
    return (
        f'<div class="card verdict {style}"><strong>{shown(headline(record))}</strong>'
        f"<p>{lead}{drifted:,} of {counted(len(record.columns), 'check')} on {counted(n_columns, 'column')} "
        f"found drift that is both significant and large enough to matter.</p>"
        f"{bullets(record.reasons)}<p><strong>{ACTIONS[record.action]}</strong></p></div>"
    )


def evidently_line(record: DriftRecord) -> str:
    """Return what Evidently's default rule would have said, for comparison."""
    if record.evidently_fraction is None:
        return ""
    said = "an alarm" if record.evidently_alarm else "no alarm"
    return (
        f'<p class="soft small">Evidently’s default rule on the same rows: {said} '
        f"({share(record.evidently_fraction)} of the columns). It is shown for comparison and decides "
        "nothing.</p>"
    )


def drift_table(drifts: Sequence[ColumnDrift], addresses: Mapping[str, str] | None = None) -> str:
    """Return how far columns moved, those that matter first; the calm ones past a few dozen are counted."""
    if not drifts:
        return ""
    ranked = sorted(drifts, key=lambda d: (not d.is_drifted, -d.impact, -ratio(d), d.column))
    rows = "\n".join(_drift_row(drift, addresses or {}) for drift in ranked[:_MAX_COLUMNS])
    rest = ranked[_MAX_COLUMNS:]
    left_out = ""
    if rest:
        n_drifted = sum(drift.is_drifted for drift in rest)
        left_out = (
            f'<p class="soft">And {counted(len(rest), "more check")}, '
            f"{'none' if not n_drifted else f'{n_drifted:,}'} of which found drift.</p>"
        )
    head = ("Column", "Measure", "Distance", "Floor", "q-value", "Importance", "Verdict")
    return table(head, rows, numbers=("Distance", "Floor", "q-value", "Importance")) + left_out


def _drift_row(drift: ColumnDrift, addresses: Mapping[str, str]) -> str:
    address = addresses.get(drift.column)
    name = shown(drift.column, 120) if address is None else link(drift.column, address)
    return (
        f'<tr class="{"drifted" if drift.is_drifted else "calm"}"><td>{name}</td>'
        f"<td>{shown(METHODS.get(drift.method, drift.method), 120)}</td>"
        f'<td class="number">{number(drift.distance)}</td><td class="number">{number(drift.threshold)}</td>'
        f'<td class="number">{probability(drift.q_value)}</td>'
        f'<td class="number">{share(drift.importance) if drift.importance else "–"}</td>'
        f"<td>{badge('warning', 'drifted') if drift.is_drifted else 'calm'}</td></tr>"
    )


def bugs_section(bugs: Sequence[DataBug]) -> str:
    """Return what looks like faults of the data; nothing where nothing does."""
    if not bugs:
        return ""
    rows = "\n".join(
        f"<tr><td>{shown(bug.column, 120)}</td><td>{shown(SIGNATURES.get(bug.signature, bug.signature))}</td>"
        f"<td>{shown(bug.explanation, 400)}</td><td>{shown(bug.first_partition, 20)}</td>"
        f'<td class="number">{bug.n_rows:,} ({share(bug.share)})</td></tr>'
        for bug in bugs[:_MAX_BUGS]
    )
    more = len(bugs) - _MAX_BUGS
    left_out = f'<p class="soft">And {counted(more, "more column")}.</p>' if more > 0 else ""
    head = ("Column", "Looks like", "What was seen", "Since", "Rows")
    return (
        "<h2>Faults of the data</h2>\n<p>These columns were changed on their way, rather than by the world. "
        "Mend the source, then do the nights again; a new model would only learn the fault.</p>"
        + table(head, rows, numbers=("Rows",))
        + left_out
    )


def performance_section(record: DriftRecord | None, performance: PerformanceRecord | None) -> str:
    """Return what is measured of the model's performance, and what is expected of it."""
    parts = []
    if record is not None and (concept := record.concept) is not None:
        verdict = "drifted" if concept.is_drifted else "within what the holdout makes plausible"
        parts.append(
            f"<p>Measured: {shown_metric(concept.metric)} {number(concept.value, 4)} over "
            f"{counted(concept.n_days, 'labelled day')} to {shown(concept.last_partition, 20)} "
            f"({concept.n_rows:,} rows); the holdout had {number(concept.reference_value, 4)}. "
            f"p = {probability(concept.p_value)}: {verdict}.</p>"
        )
    if record is not None and (estimate := record.estimate) is not None:
        worse = f"{number(estimate.expected_loss, 4)} worse than promised" if estimate.is_worse else "no loss"
        parts.append(
            f"<p>Expected without labels: {shown_metric(estimate.metric)} {number(estimate.value, 4)}, "
            f"between {number(estimate.lower, 4)} and {number(estimate.upper, 4)} with "
            f"{share(estimate.confidence)} confidence; promised were {number(estimate.reference_value, 4)}: "
            f"{worse}.</p>"
        )
    if performance is not None:
        parts.append(_measured(performance))
    return "\n".join(parts) or "<p>No labels are in yet, and nothing was estimated.</p>"


def shown_metric(name: str) -> str:
    """Return what a metric is called, as markup."""
    return shown("rows" if name == "n" else metric_name(name), 40)


def _measured(performance: PerformanceRecord) -> str:
    cells = "".join(
        f'<tr><td>{shown_metric(name)}</td><td class="number">{number(value, 4)}</td></tr>'
        for name, value in list(performance.metrics.items())[:30]
    )
    state = "" if performance.is_mature else ", labels still coming in"
    return (
        f"<p>The newest labelled day, {shown(performance.partition_key, 20)} ({performance.n_rows:,} rows, "
        f"model version {shown(performance.model_version, 40)}{state}):</p>"
        f'<div class="scroll narrow"><table><tbody>{cells}</tbody></table></div>'
    )


def episode_card(episode: Episode | None) -> str:
    """Return an incident: since when, why, what it means, and what comes next."""
    if episode is None:
        return ""
    style = "calm" if episode.status == "closed" else _severity_style(episode)
    until = (
        f"closed for {shown(episode.closed_for or '', 20)}: {prose(episode.closing_reason or '', 300)}"
        if episode.status == "closed"
        else f"open, last alarm {shown(episode.last_alarm, 20)}."
    )
    return (
        f'<div class="card verdict {style}"><strong>Episode {episode.id}</strong> '
        f"{badge(style, f'{episode.status}, {ACTION_NAMES[episode.action]}')}"
        f'<p class="soft">First alarm {shown(episode.first_alarm, 20)}, opened for '
        f"{shown(episode.opened_for, 20)}; {until}</p>"
        f'<div class="three"><div><h3>Cause</h3><p>{prose(episode.cause, 1200)}</p></div>'
        f"<div><h3>Consequence</h3><p>{prose(episode.consequence, 1200)}</p></div>"
        f"<div><h3>Next step</h3><p>{prose(episode.next_step, 1200)}</p></div></div></div>"
    )


def triggers_list(triggers: Sequence[Trigger]) -> str:
    """Return each request for a retraining, newest first, with what became of it and why."""
    if not triggers:
        return "<p>No retraining was decided on.</p>"
    newest = sorted(triggers, key=lambda trigger: trigger.id, reverse=True)
    return bullets(
        [f"{t.partition_key}: {VERDICT_WORDS[t.verdict]}: {t.reason}" for t in newest], most=12, limit=400
    )


VERDICT_WORDS = {
    "calm": "no retraining needed",
    "suppressed": "no retraining",
    "wait": "waiting",
    "go": "retraining asked for",
}


def _severity_style(episode: Episode) -> str:
    if episode.action == "record":
        return "info"
    return "critical" if episode.severity == "critical" else "warning"
