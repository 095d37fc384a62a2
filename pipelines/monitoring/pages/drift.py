"""The drift page of a dataset: the verdict, the map of columns by nights, performance, and what was done."""

from __future__ import annotations

from pipelines.monitoring.pages.charts import performance
from pipelines.monitoring.pages.facts import DriftHistory
from pipelines.monitoring.pages.heat_map import COLUMNS_A_PAGE, column_rows, heat_map, newest_record
from pipelines.monitoring.pages.verdict import (
    bugs_section,
    episode_card,
    evidently_line,
    performance_section,
    shown_metric,
    triggers_list,
    verdict_card,
)
from pipelines.monitoring.pages.words import MOVED, state_of
from pipelines.pages.markup import badge, bullets, counted, link, page, shown
from pipelines.pages.places import Places

_MAX_EPISODES = 3


def drift_page(history: DriftHistory, places: Places) -> str:
    """Return the page of a dataset's last nights."""
    newest = newest_record(history)
    state = badge("none", "Not monitored yet") if newest is None else badge(*state_of(newest))
    verdict = ""
    if newest is not None:
        night = link(newest.partition_key, places.night(history.dataset, newest.partition_key))
        verdict = (
            f'<h2>The night {night}</h2><p class="soft">Model version {shown(newest.model_version, 40)}, '
            f"days {shown(newest.window[0], 20)} to {shown(newest.window[1], 20)} against its reference.</p>"
            f"{verdict_card(newest)}{evidently_line(newest)}{bugs_section(newest.bugs)}"
        )
    body = (
        f'<div class="title"><h1>Drift of {shown(history.dataset)}</h1>{state}</div>\n'
        f'<p class="soft">{shown(history.description, 300)}</p>\n{verdict}\n{_map(history, places)}\n'
        f"{_performance(history)}\n{_done(history)}"
    )
    trail = [("Holdfast", places.health), (history.dataset, None)]
    return page(f"Holdfast: drift of {history.dataset}", body, trail=trail)


def _map(history: DriftHistory, places: Places) -> str:
    if not history.nights:
        return '<div class="card"><p>No night was judged yet: the map fills with the first one.</p></div>'
    rows = column_rows(history)
    first = min(history.first_column, max(len(rows) - 1, 0))
    chosen = rows[first : first + COLUMNS_A_PAGE]
    last = None if history.newest else history.nights[-1]
    links = []
    if history.older is not None:
        links.append(link("← Earlier nights", places.drift(history.dataset, last=history.older)))
    if not history.newest:
        links.append(link("The newest nights", places.drift(history.dataset)))
    links.append(link("All nights", places.nights(history.dataset)))
    links.append(link("Models", places.models(history.dataset)))
    if first > 0:
        before = max(first - COLUMNS_A_PAGE, 0)
        links.append(link("Columns before", places.drift(history.dataset, last=last, first_column=before)))
    if (after := first + COLUMNS_A_PAGE) < len(rows):
        text = f"{counted(len(rows) - after, 'more column')}"
        links.append(link(text, places.drift(history.dataset, last=last, first_column=after)))
    bar = "".join(f"<span>{found}</span>" for found in links)
    return (
        '<h2>Columns by nights</h2><p class="soft">What matters most to the model comes first. A cell leads '
        f"to the column on that night, a day to all that is known of the night.</p>"
        f'<div class="card">{heat_map(history, chosen, places)}</div><p class="bar">{bar}</p>'
    )


def _performance(history: DriftHistory) -> str:
    estimates = {
        night: record.estimate for night, record in history.records.items() if record.estimate is not None
    }
    chart = performance(history.nights, history.measured, estimates)
    if not chart:
        return ""
    return (
        f'<h2>Performance: {shown_metric(history.metric)}</h2><div class="split"><figure class="card">{chart}'
        "<figcaption>Dots: measured on the night’s own labels, once they are complete. Bars: expected of the "
        "window without labels, with the interval. Dotted: what the model promised.</figcaption></figure>"
        f"<div>{performance_section(newest_record(history), None)}</div></div>"
    )


def _done(history: DriftHistory) -> str:
    cards = "".join(episode_card(episode) for episode in history.episodes[:_MAX_EPISODES])
    more = len(history.episodes) - _MAX_EPISODES
    rest = f'<p class="soft">And {counted(more, "earlier episode")}.</p>' if more > 0 else ""
    moves = bullets(
        [
            f"{move.moved_at:%Y-%m-%d}: {MOVED[move.action]} version {move.model_version} "
            f"(by {move.actor}, night {move.partition_key}): {move.reason}"
            for move in reversed(history.moves)
        ],
        most=5,
        limit=400,
    )
    return (
        f"<h2>What was done, and why</h2>\n{cards or '<p>No episode on these nights.</p>'}{rest}"
        f"<h3>Retraining</h3>{triggers_list(history.triggers)}"
        + (f"<h3>Champions</h3>{moves}" if moves else "")
    )
