"""One column on one night: its distribution, the statistics, what it means, and what was done."""

from __future__ import annotations

from pipelines.monitoring.pages.charts import densities, distances, shares
from pipelines.monitoring.pages.facts import ColumnFacts
from pipelines.monitoring.pages.verdict import bugs_section, episode_card, performance_section, triggers_list
from pipelines.monitoring.pages.words import ACTIONS, METHODS, MOVES, SHARES, STATISTICS, ratio
from pipelines.pages.markup import (
    badge,
    bullets,
    facts,
    link,
    number,
    page,
    probability,
    share,
    shown,
    table,
)
from pipelines.pages.places import Places
from pipelines.records import ColumnDrift

_MAX_LEVELS = 25


def column_page(found: ColumnFacts, places: Places) -> str:
    """Return the page of a column on a night."""
    is_drifted = any(drift.is_drifted for drift in found.drifts)
    state = badge("warning", "Drifted") if is_drifted else badge("calm", "Calm")
    sections = (
        _lead(found),
        f'<div class="split"><div>{_distribution(found)}</div><div>{_meaning(found)}</div></div>',
        _done(found),
        _checks(found),
        f'<div class="split"><div>{_history(found)}</div><div>{_levels(found)}</div></div>',
    )
    night = link(found.night, places.night(found.dataset, found.night))
    body = (
        f'<div class="title"><h1>{shown(found.column, 200)}</h1>{state}</div>\n'
        f'<p class="soft">{shown(found.dataset)}, night {night}: days {shown(found.record.window[0], 20)} to '
        f"{shown(found.record.window[1], 20)} against the reference of model version "
        f"{shown(found.record.model_version, 40)}.</p>{_beside(found, places)}\n" + "\n".join(sections)
    )
    trail = [
        ("Holdfast", places.health),
        (found.dataset, places.drift(found.dataset)),
        (found.night, places.night(found.dataset, found.night)),
        (found.column[:80], None),
    ]
    return page(f"{found.column[:80]}, {found.dataset} {found.night}", body, trail=trail)


def _beside(found: ColumnFacts, places: Places) -> str:
    links = []
    if found.before is not None:
        address = places.column(found.dataset, found.before, found.column)
        links.append(link(f"← {found.before}", address))
    if found.after is not None:
        links.append(link(f"{found.after} →", places.column(found.dataset, found.after, found.column)))
    for text, name in found.pages.items():
        links.append(link(text, places.show(found.dataset, found.night, name)))
    return f'<p class="bar">{"".join(f"<span>{each}</span>" for each in links)}</p>' if links else ""


def _lead(found: ColumnFacts) -> str:
    """Return in plain sentences how far the column moved and whether that is more than chance."""
    sentences = [_sentence(drift, found.rate) for drift in found.drifts]
    style = "warning" if any(drift.is_drifted for drift in found.drifts) else "calm"
    paragraphs = "".join(f"<p>{sentence}</p>" for sentence in sentences)
    return f'<div class="card verdict {style}">{paragraphs or "<p>It was not judged.</p>"}</div>'


def _sentence(drift: ColumnDrift, rate: float) -> str:
    times, is_significant = ratio(drift), drift.q_value <= rate
    size = (
        f"{number(times, 1)} times the smallest move that matters"
        if times >= 1
        else "less than the smallest move that matters"
    )
    joined = "and" if is_significant == (times >= 1) else "but"
    chance = "more" if is_significant else "no more"
    written = share if drift.method in SHARES else number
    moved = MOVES.get(drift.method, "it moved by {}").format(written(drift.distance))
    return (
        f"<strong>{'Drifted' if drift.is_drifted else 'Calm'}:</strong> {moved}. That is {size} "
        f"({written(drift.threshold)}), {joined} {chance} than calm nights explain "
        f"(q {_comparison(drift.q_value)}, at a rate of {share(rate)})."
    )


def _comparison(value: float) -> str:
    text = probability(value)
    return text if text.startswith("<") else f"= {text}"


def _distribution(found: ColumnFacts) -> str:
    histogram = found.histogram
    if histogram is None:
        return "<h2>Distribution</h2><p>No distribution was kept of this night.</p>"
    chart = (
        shares(histogram.labels, histogram.reference, histogram.current)
        if histogram.labels
        else densities(histogram.edges, histogram.reference, histogram.current)
    )
    if not chart:
        return "<h2>Distribution</h2><p>There is no value to draw.</p>"
    sides = ("Upper bar, grey", "Lower bar") if histogram.labels else ("Grey", "Line")
    beyond = "" if histogram.labels else " The outermost hold all that is beyond."
    return (
        f'<h2>Distribution</h2><figure class="card">{chart}<figcaption>{sides[0]}: the reference. '
        f"{sides[1]}: the window up to this night. Shares of the rows that have a value.{beyond}"
        "</figcaption></figure>"
    )


def _checks(found: ColumnFacts) -> str:
    rows = "\n".join(
        f"<tr><td>{shown(METHODS.get(drift.method, drift.method), 120)}</td>"
        f'<td class="number">{number(drift.distance)}</td><td class="number">{number(drift.threshold)}</td>'
        f'<td class="number">{probability(drift.p_value)}</td>'
        f'<td class="number">{probability(drift.q_value)}</td><td class="number">{share(found.rate)}</td>'
        f"<td>{badge('warning', 'drifted') if drift.is_drifted else 'calm'}</td></tr>"
        for drift in found.drifts
    )
    head = ("What is watched", "Distance", "Floor", "p-value", "q-value", "Rate", "Verdict")
    measured = {
        name: value
        for drift in found.drifts
        for name, value in drift.statistics.items()
        if name in STATISTICS
    }
    figures = facts((STATISTICS[name], number(value, 4), "") for name, value in measured.items())
    return (
        "<h2>Statistics</h2>"
        + table(head, rows, numbers=("Distance", "Floor", "p-value", "q-value", "Rate"))
        + (figures if measured else "")
        + '<p class="soft small">The p-value is of the reference’s own calm days; the q-value is that after '
        "the correction for all that is watched on a night. Drift is what is below the rate and above the "
        "floor.</p>"
    )


def _levels(found: ColumnFacts) -> str:
    levels = [level for drift in found.drifts for level in drift.levels]
    if not levels:
        return ""
    levels.sort(key=lambda level: level.p_value)
    rows = "\n".join(
        f"<tr><td>{'<em>never seen before</em>' if level.level is None else shown(level.level, 120)}</td>"
        f'<td class="number">{share(level.reference_share)}</td>'
        f'<td class="number">{share(level.current_share)}</td>'
        f'<td class="number">{probability(level.p_value)}</td></tr>'
        for level in levels[:_MAX_LEVELS]
    )
    head = ("Level", "Reference", "This window", "p-value")
    return "<h2>Levels</h2>" + table(head, rows, numbers=head[1:])


def _meaning(found: ColumnFacts) -> str:
    importance = max((drift.importance for drift in found.drifts), default=0.0)
    weight = (
        f"About {share(importance)} of the champion’s skill rests on this column."
        if importance
        else "Hardly anything of the champion’s skill rests on this column, as far as was measured."
    )
    return f"<h2>What it means for the model</h2><p>{weight}</p>{performance_section(found.record, None)}"


def _done(found: ColumnFacts) -> str:
    bugs = [bug for bug in found.record.bugs if bug.column == found.column]
    action = f"<p><strong>{ACTIONS[found.record.action]}</strong></p>"
    return (
        f"{bugs_section(bugs)}<h2>What was done, and why</h2>{action}{bullets(found.record.reasons)}"
        f"{episode_card(found.episode)}{triggers_list(found.triggers)}"
    )


def _history(found: ColumnFacts) -> str:
    chart = distances(found.history)
    if not chart:
        return ""
    return (
        f'<h2>The nights before</h2><figure class="card">{chart}<figcaption>Distance from the reference; '
        "▲ drifted. Dashed: the floor.</figcaption></figure>"
    )
