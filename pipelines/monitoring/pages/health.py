"""The first page: each dataset with its champion, tonight's state, its incidents and its retrainings."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.monitoring.pages.facts import DatasetHealth
from pipelines.monitoring.pages.verdict import shown_metric
from pipelines.monitoring.pages.words import ACTION_NAMES, MOVED, STATUSES, headline, state_of
from pipelines.pages.markup import (
    badge,
    bullets,
    counted,
    facts,
    link,
    number,
    page,
    prose,
    shown,
)
from pipelines.pages.places import Places
from pipelines.records import DriftRecord

_MARKS = {"calm": "·", "info": "◇", "warning": "▲", "critical": "◆"}
_URGENCY = {"critical": 0, "warning": 1, "none": 2, "info": 3, "calm": 4}


def health_page(datasets: Sequence[DatasetHealth], places: Places, *, notes: Sequence[str] = ()) -> str:
    """Return the page of all datasets, those that need somebody first.

    Parameters
    ----------
    notes : sequence of str
        What keeps the page from being whole.
    """
    ordered = sorted(datasets, key=lambda found: (_URGENCY[_state(found)[0]], found.dataset))
    cards = "".join(_card(found, places) for found in ordered)
    empty = (
        '<div class="card"><p>No dataset has had a night yet: the page fills with the first run.</p></div>'
    )
    body = f'<div class="title"><h1>Health</h1>{_summary(ordered)}</div>\n{bullets(notes)}\n{cards or empty}'
    return page("Holdfast: health", body, trail=[("Holdfast", None)])


def _summary(datasets: Sequence[DatasetHealth]) -> str:
    states = [_state(found)[0] for found in datasets]
    n_urgent = sum(state in ("critical", "warning") for state in states)
    if n_urgent:
        worst = "critical" if "critical" in states else "warning"
        return badge(worst, f"{counted(n_urgent, 'dataset needs', 'datasets need')} a look")
    return badge("calm", "All calm") if datasets else ""


def _state(health: DatasetHealth) -> tuple[str, str]:
    if health.validation is not None and health.validation.outcome == "refused":
        return "critical", "Night refused"
    if health.figures is not None and (breaker := health.figures.breaker) is not None and breaker.is_open:
        return "critical", "Retraining is switched off"
    if health.drift is not None:
        return state_of(health.drift)
    return "none", "No verdict yet" if health.night else "No night yet"


def _card(health: DatasetHealth, places: Places) -> str:
    style, state = _state(health)
    name = link(health.dataset, places.drift(health.dataset))
    return (
        f'<section class="card verdict {style}"><div class="title"><h2 class="tight">{name}</h2>'
        f"{badge(style, state)}</div>"
        f'<p class="soft">{shown(health.description, 300)}</p>{_why(health)}{_strip(health, places)}'
        f"{facts([*_night(health, places), *_model(health), *_incidents(health)])}"
        f"{_episode(health, places)}{_links(health, places)}</section>\n"
    )


def _why(health: DatasetHealth) -> str:
    if health.validation is not None and health.validation.outcome == "refused":
        return bullets(health.validation.reasons, most=3, limit=300)
    if health.drift is not None and health.drift.is_alarm:
        return bullets(health.drift.reasons, most=3, limit=400)
    return ""


def _strip(health: DatasetHealth, places: Places) -> str:
    """Return the last nights as a row of small links, the newest last."""
    if not health.recent:
        return ""
    cells = "".join(
        _strip_cell(health.dataset, night, record, places) for night, record in health.recent.items()
    )
    n_nights = counted(len(health.recent), "night")
    strip = f'<span class="strip" role="group" aria-label="The last {n_nights}">{cells}</span>'
    return f"<p>{strip}<small>the last {n_nights}</small></p>"


def _strip_cell(dataset: str, night: str, record: DriftRecord | None, places: Places) -> str:
    style, words = ("absent", "no verdict") if record is None else (state_of(record)[0], headline(record))
    return (
        f'<a class="{style}" href="{places.night(dataset, night)}" title="{shown(night)}: {shown(words)}" '
        f'aria-label="{shown(night)}: {shown(words)}">{_MARKS.get(style, "–")}</a>'
    )


def _night(health: DatasetHealth, places: Places) -> list[tuple[str, str, str]]:
    if health.night is None:
        return []
    rows = []
    if (validation := health.validation) is not None:
        rows.append(f"{validation.n_published:,} published, {validation.n_quarantined:,} in quarantine")
    if (scoring := health.scoring) is not None:
        rows.append(f"{scoring.n_rows:,} scored")
    night = link(health.night, places.night(health.dataset, health.night))
    return [("Newest night", night, "; ".join(rows) or "only landed so far")]


def _model(health: DatasetHealth) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    if (champion := health.champion) is None:
        found.append(("Champion", "none yet", ""))
    else:
        since = f"{MOVED[champion.action]} on {champion.moved_at:%Y-%m-%d}"
        found.append(("Champion", f"version {shown(champion.model_version, 40)}", since))
    value = None if health.performance is None else health.performance.metrics.get(health.metric)
    if health.performance is not None and value is not None:
        note = f"on {shown(health.performance.partition_key, 20)}"
        found.append((f"{shown_metric(health.metric)} measured", number(value, 3), note))
    if health.drift is not None and (estimate := health.drift.estimate) is not None:
        note = f"{number(estimate.lower, 3)} to {number(estimate.upper, 3)}, without labels"
        found.append((f"{shown_metric(estimate.metric)} expected", number(estimate.value, 3), note))
    return found


def _incidents(health: DatasetHealth) -> list[tuple[str, str, str]]:
    figures = health.figures
    if figures is None:
        return []
    since = figures.days_since_retraining
    last = "none yet" if since is None else f"the last {counted(since, 'day')} ago"
    if health.retraining is not None:
        last = f"one is {STATUSES[health.retraining.status]}, of {shown(health.retraining.partition_key, 20)}"
    found = [
        ("Open episodes", f"{figures.n_open:,}", f"{figures.n_last_30_days:,} in 30 days"),
        ("Time to detect", _nights(figures.mean_nights_to_detect), "mean, from the first alarm"),
        ("Time to repair", _nights(figures.mean_nights_to_repair), "mean, until calm again"),
        ("Retrainings", f"{figures.n_retrainings_30_days:,} of {figures.budget:,}", f"in 30 days; {last}"),
    ]
    if (breaker := figures.breaker) is not None and breaker.is_open:
        command = f"holdfast retraining breaker close {health.dataset} --reason '...'"
        found.append(("Breaker", "open", f"{shown(breaker.reason, 300)} Next: <code>{shown(command)}</code>"))
    else:
        found.append(("Breaker", "closed", "retraining is on"))
    return found


def _nights(mean: float | None) -> str:
    return "–" if mean is None else f"{mean:.1f} {'night' if mean == 1 else 'nights'}"


def _episode(health: DatasetHealth, places: Places) -> str:
    if (episode := health.episode) is None:
        return ""
    since = link(episode.first_alarm, places.night(health.dataset, episode.first_alarm))
    return (
        f"<h3>Open since {since}: {shown(ACTION_NAMES[episode.action])}</h3>"
        f"<p>{prose(episode.cause, 500)}</p><p><strong>Next:</strong> {prose(episode.next_step, 400)}</p>"
    )


def _links(health: DatasetHealth, places: Places) -> str:
    found = [
        ("Drift", places.drift(health.dataset)),
        ("All nights", places.nights(health.dataset)),
        ("Models", places.models(health.dataset)),
    ]
    if health.night is not None:
        found.insert(1, ("This night", places.night(health.dataset, health.night)))
        found += [
            (text, places.show(health.dataset, health.night, name)) for text, name in health.pages.items()
        ]
    return f'<p class="bar">{"".join(f"<span>{link(text, address)}</span>" for text, address in found)}</p>'
