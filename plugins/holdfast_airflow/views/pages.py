"""Each page of ours: what is read for it, and where its links lead. None where nothing is on record."""

from __future__ import annotations

from dataclasses import replace

from pipelines.errors import ConfigError, HoldfastError
from pipelines.monitoring.pages.column import column_page
from pipelines.monitoring.pages.drift import drift_page
from pipelines.monitoring.pages.health import health_page
from pipelines.monitoring.pages.night_page import night_page
from pipelines.monitoring.pages.nights import nights_page, report_page
from pipelines.pages.markup import page, shown
from pipelines.pages.places import Places
from pipelines.records import partition_date
from pipelines.runtime import Runtime
from pipelines.steps.drift_pages import column_facts, drift_history
from pipelines.steps.night import PAGES, night_facts
from pipelines.steps.pages import DRAWN_PAGES, dataset_health, night_lines


def health(runtime: Runtime) -> str:
    """Return the page of all datasets; one that can't be read is a note on it."""
    found, notes = [], []
    for name in runtime.params.enabled:
        try:
            found.append(dataset_health(name, runtime=runtime))
        except HoldfastError as error:
            notes.append(f"{name} can't be shown: {error}")
    return health_page(found, Places(), notes=notes)


def drift(runtime: Runtime, dataset: str, last: str | None, first_column: int) -> str | None:
    """Return the drift page of a dataset, of the nights up to one."""
    if not _is_known(runtime, dataset, last):
        return None
    history = drift_history(dataset, runtime=runtime, last=last, first_column=first_column)
    return drift_page(history, Places(depth=1))


def column(runtime: Runtime, dataset: str, night: str, address: str) -> str | None:
    """Return the page of one column on one night."""
    if not _is_known(runtime, dataset, night):
        return None
    found = column_facts(dataset, night, address, runtime=runtime)
    return None if found is None else column_page(found, Places(depth=3))


def night(runtime: Runtime, dataset: str, night: str) -> str | None:
    """Return the page of one night, as it is on record now."""
    if not _is_known(runtime, dataset, night):
        return None
    facts, places = night_facts(dataset, night, runtime=runtime), Places(depth=2)
    if facts.ingestion is None and facts.validation is None and facts.drift is None:
        return None
    folder = runtime.settings.reports / dataset / night
    links = {
        text: (places.show if name in DRAWN_PAGES.values() else places.report)(dataset, night, name)
        for text, name in PAGES.items()
        if (folder / name).is_file()
    }
    drifts = () if facts.drift is None else facts.drift.columns
    columns = {found.column: places.column(dataset, night, found.column) for found in drifts}
    trail = (("Holdfast", places.health), (dataset, places.drift(dataset)), (night, None))
    return night_page(replace(facts, links=links, columns=columns, trail=trail, shows_costs=True))


def nights(runtime: Runtime, dataset: str, before: str | None) -> str | None:
    """Return the list of a dataset's nights, those before one."""
    if not _is_known(runtime, dataset, before):
        return None
    lines, older = night_lines(dataset, runtime=runtime, before=before)
    return nights_page(dataset, lines, Places(depth=1), older=older)


def report_frame(dataset: str, night: str, name: str) -> str:
    """Return the frame around a page that a library drew."""
    return report_page(dataset, night, name, Places(depth=3))


def missing() -> str:
    """Return a page that says that there is nothing under an address."""
    body = (
        "<h1>Nothing is on record here</h1><p>No dataset, night, column or report goes by this address. "
        "Pages of a night come with its first task, those of a column with the verdict on the night.</p>"
    )
    return page("Holdfast: nothing here", body)


def trouble(reason: str) -> str:
    """Return a page that says why there is nothing to show."""
    body = (
        f'<h1>Holdfast can’t read its record</h1><div class="card verdict critical"><p>{shown(reason, 2000)}'
        "</p></div><p>The pages come back by themselves once that is mended.</p>"
    )
    return page("Holdfast: trouble", body)


def _is_known(runtime: Runtime, dataset: str, night: str | None) -> bool:
    """Return whether an address names a dataset of ours and, if any, a real night."""
    if dataset not in runtime.params.datasets:
        return False
    try:
        return night is None or partition_date(night) is not None
    except ConfigError:
        return False
