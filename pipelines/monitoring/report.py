"""What a night's drift was judged by: Evidently's reports, and all of it as JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import DatasetConfig
from pipelines.errors import EngineError
from pipelines.monitoring.evidently_report.drawing import EvidentlyPage, drift_page, performance_page
from pipelines.monitoring.reference import Reference
from pipelines.monitoring.sketch import Histogram, TableSketch, histogram
from pipelines.monitoring.window import Window
from pipelines.records import Decision, DriftRecord, PerformanceRecord
from pipelines.storage.whole_files import write_atomically

_log = logging.getLogger(__name__)

_MAX_LABEL = 120
_PLAIN_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'">
<title>Not drawn</title></head>
<body><h1>Evidently could not draw this page</h1>
<p>{reason}</p>
<p>The verdict does not depend on it: the <a href="index.html">night's page</a> and
<a href="drift.json">drift.json</a> have every distance and q-value.</p></body></html>
"""


def write_report(
    folder: Path,
    *,
    record: DriftRecord,
    performance: PerformanceRecord | None,
    pages: Mapping[str, EvidentlyPage | None],
    columns: Mapping[str, Any],
) -> None:
    """Write what a night's drift was judged by into ``folder``; a repeat replaces it.

    Parameters
    ----------
    record : DriftRecord
        The verdict.
    performance : PerformanceRecord, optional
        How the newest labelled cohort did.
    pages : mapping of str to EvidentlyPage or None
        Evidently's page by name; it becomes ``<name>.html``, and None takes an older one away.
    columns : mapping of str
        What :func:`column_histograms` returns; it becomes ``columns.json``.

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
    write_atomically(folder / "columns.json", json.dumps(columns, separators=(",", ":")))


def column_histograms(reference: TableSketch, current: TableSketch) -> dict[str, Any]:
    """Return the distribution of each column of ``current`` on both sides, ready to draw, as plain JSON.

    Returns
    -------
    dict
        By column ``kind`` (``numeric`` or ``categorical``), ``edges`` or ``labels``, and the shares of both
        sides (``reference``, ``current``); at most 31 bars, of five digits. A column without values on both
        sides has none.
    """
    return {name: _drawn(histogram(reference, current, name)) for name in current.grid.columns}


def _drawn(found: Histogram) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "edges": list(found.edges),
        "labels": [
            label if len(label) <= _MAX_LABEL else label[: _MAX_LABEL - 1] + "…" for label in found.labels
        ],
        "reference": [round(share, 5) for share in found.reference],
        "current": [round(share, 5) for share in found.current],
    }


def evidently_pages(
    reference: Reference, window: Window, record: DriftRecord, config: DatasetConfig
) -> dict[str, EvidentlyPage | None]:
    """Return Evidently's pages of a night: ``drift``, and ``performance`` of the newest labelled day.

    They illustrate a verdict that was made without Evidently: where it fails on a table, a plain page that
    gives the reason stands in for its own.
    """
    return {
        "drift": _drawn_or_why_not(
            lambda: drift_page(reference.table, window.features, record=record, config=config)
        ),
        "performance": _drawn_or_why_not(
            lambda: performance_page(reference.holdout, _newest_day(window.labelled), config=config)
        ),
    }


def _drawn_or_why_not(draw: Callable[[], EvidentlyPage | None]) -> EvidentlyPage | None:
    try:
        return draw()
    except EngineError as error:
        _log.warning("%s", error)
        return EvidentlyPage(
            html=_PLAIN_PAGE.format(reason=escape(str(error))), content={"error": str(error)}
        )


def _newest_day(table: pa.Table) -> pa.Table:
    newest = pc.max(table["partition_key"])
    return table.filter(pc.equal(table["partition_key"], newest)) if newest.is_valid else table


def _decided(decision: Decision) -> dict[str, Any]:
    """Return what was decided, without the facts of the run: the same on every repeat."""
    content = decision.model_dump(mode="json", exclude=set(decision.volatile))
    return content | {"digest": decision.digest}
