"""The pages of one night: our summary, Evidently's reports, and all of it as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import DatasetConfig
from pipelines.monitoring.evidently_pages import EvidentlyPage, drift_page, performance_page
from pipelines.monitoring.files import write_atomically
from pipelines.monitoring.night_page import night_page
from pipelines.monitoring.reference import Reference
from pipelines.monitoring.window import Window
from pipelines.records import Decision, DriftRecord, PerformanceRecord


def write_report(
    folder: Path,
    *,
    record: DriftRecord,
    performance: PerformanceRecord | None,
    pages: Mapping[str, EvidentlyPage | None],
    links: Mapping[str, str],
) -> None:
    """Write a night's pages into ``folder``; a repeat replaces them.

    Parameters
    ----------
    record : DriftRecord
        The verdict.
    performance : PerformanceRecord, optional
        How the newest labelled cohort did.
    pages : mapping of str to EvidentlyPage or None
        Evidently's page by name; it becomes ``<name>.html``, and None takes an older one away.
    links : mapping of str to str
        Further links of the summary, by their text.

    Raises
    ------
    EngineError
        If the folder can't be written to.
    """
    drawn = {name: page for name, page in pages.items() if page is not None}
    for name in pages:
        path = folder / f"{name}.html"
        if name in drawn:
            write_atomically(path, drawn[name].html)
        else:
            path.unlink(missing_ok=True)
    content = {
        "record": _decided(record),
        "performance": None if performance is None else _decided(performance),
        "evidently": {name: page.content for name, page in drawn.items()},
    }
    write_atomically(folder / "drift.json", json.dumps(content, indent=1, sort_keys=True))
    to_pages = {f"Evidently: {name}": f"{name}.html" for name in drawn} | {"JSON": "drift.json"}
    write_atomically(folder / "index.html", night_page(record, performance, to_pages | dict(links)))


def evidently_pages(
    reference: Reference, window: Window, record: DriftRecord, config: DatasetConfig
) -> dict[str, EvidentlyPage | None]:
    """Return Evidently's pages of a night: ``drift``, and ``performance`` of the newest labelled day.

    Raises
    ------
    EngineError
        If Evidently fails.
    """
    return {
        "drift": drift_page(
            reference.table, window.features, columns=record.columns, alarm_fraction=record.alarm_fraction
        ),
        "performance": performance_page(reference.holdout, _newest_day(window.labelled), config=config),
    }


def _newest_day(table: pa.Table) -> pa.Table:
    newest = pc.max(table["partition_key"])
    return table.filter(pc.equal(table["partition_key"], newest)) if newest.is_valid else table


def _decided(decision: Decision) -> dict[str, Any]:
    """Return what was decided, without the facts of the run: the same on every repeat."""
    content = decision.model_dump(mode="json", exclude=set(decision.volatile))
    return content | {"digest": decision.digest}
