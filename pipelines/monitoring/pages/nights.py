"""The list of a dataset's nights, and the frame around a page that a library drew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.monitoring.pages.words import state_of
from pipelines.pages.markup import badge, link, page, shown, table, trail_bar
from pipelines.pages.places import Places
from pipelines.pages.style import REPORT_STYLE
from pipelines.records import DriftRecord, ScoringRecord, ValidationRecord


@dataclass(frozen=True)
class NightLine:
    """One night in the list: what is on record of it, and the files that were drawn of it."""

    night: str
    validation: ValidationRecord | None
    scoring: ScoringRecord | None
    drift: DriftRecord | None
    files: Mapping[str, str]


def nights_page(dataset: str, lines: Sequence[NightLine], places: Places, *, older: str | None) -> str:
    """Return the list, newest first; ``older`` is the night before which there are more."""
    rows = "\n".join(_row(dataset, line, places) for line in lines)
    head = ("Night", "State", "Published", "Quarantine", "Scored", "Reports")
    figures = ("Published", "Quarantine", "Scored")
    listed = table(head, rows, numbers=figures) if lines else "<p>No nights.</p>"
    more = f"<p>{link('Older nights', places.nights(dataset, before=older))}</p>" if older else ""
    body = f"<h1>Nights of {shown(dataset)}</h1>\n{listed}\n{more}"
    trail = [("Holdfast", places.health), (dataset, places.drift(dataset)), ("Nights", None)]
    return page(f"Holdfast: nights of {dataset}", body, trail=trail)


def report_page(dataset: str, night: str, name: str, places: Places) -> str:
    """Return a frame in which a page that a library drew can do nothing but draw itself.

    The page may hold values of the data as they are. It gets an origin of its own, without our login, by
    the frame as well as by the headers that it comes with.
    """
    trail = [
        ("Holdfast", places.health),
        (dataset, places.drift(dataset)),
        (night, places.night(dataset, night)),
        (name, None),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{shown(f'{dataset} {night}: {name}')}</title>\n<style>{REPORT_STYLE}</style>\n</head>\n"
        f'<body class="report">\n{trail_bar(trail)}<iframe sandbox="allow-scripts" title="{shown(name)}" '
        f'src="{places.report(dataset, night, name)}"></iframe>\n</body>\n</html>\n'
    )


def _row(dataset: str, line: NightLine, places: Places) -> str:
    published = quarantined = scored = "–"
    if line.validation is not None:
        published, quarantined = f"{line.validation.n_published:,}", f"{line.validation.n_quarantined:,}"
    if line.scoring is not None:
        scored = f"{line.scoring.n_rows:,}"
    reports = "".join(
        f"<span>{link(text, places.show(dataset, line.night, name))}</span>"
        for text, name in line.files.items()
    )
    return (
        f'<tr><th scope="row">{link(line.night, places.night(dataset, line.night))}</th>'
        f'<td>{_state(line)}</td><td class="number">{published}</td><td class="number">{quarantined}</td>'
        f'<td class="number">{scored}</td><td><span class="bar tight">{reports}</span></td></tr>'
    )


def _state(line: NightLine) -> str:
    if line.validation is not None and line.validation.outcome == "refused":
        return badge("critical", "Refused")
    return badge("none", "No verdict") if line.drift is None else badge(*state_of(line.drift))
