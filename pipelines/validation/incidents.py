"""Incidents that people remember: nights that a suite must not let through again.

``expectations/<dataset>_incidents.yaml``::

    incidents:
      - partition: 2013-04-02
        what: the export was cut off at noon
      - partition: 2013-05-11
        what: distances in kilometres
        row_ids: [2013-05-11|UA|11, 2013-05-11|UA|12]   # the rows that should be caught
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pipelines.config.explanations import nearest
from pipelines.errors import ConfigError
from pipelines.records import partition_date
from pipelines.validation.entries import Entry, Problem, read_entries, refuse
from pipelines.validation.suite import read_text

_KEYS = ("partition", "what", "row_ids")


@dataclass(frozen=True)
class Incident:
    """What was wrong with a night, and in which rows, if that is known."""

    partition_key: str
    what: str
    row_ids: tuple[str, ...] = ()


def incidents_path(project: Path, dataset: str) -> Path:
    """Return where the incidents of a dataset are declared, whether or not any are."""
    return project / "expectations" / f"{dataset}_incidents.yaml"


def load_incidents(path: Path) -> list[Incident]:
    """Return the declared incidents; none where there is no file.

    Raises
    ------
    ConfigError
        If the file is wrong; names the entry and its line.
    """
    if not path.is_file():
        return []
    where = f"{path.parent.name}/{path.name}"
    found = []
    for entry, incident, problems in read_incidents(read_text(path), where):
        if incident is None:
            refuse(where, entry, problems[0])
        found.append(incident)
    return found


def read_incidents(text: str, where: str) -> list[tuple[Entry, Incident | None, list[Problem]]]:
    """Return each entry of the file with the incident that it declares, or what is wrong with it."""
    entries = read_entries(text, where, key="incidents", of="incident")
    return [(entry, *_incident(entry)) for entry in entries]


def _incident(entry: Entry) -> tuple[Incident | None, list[Problem]]:
    problems = list(entry.problems)
    if problems:
        return None, problems
    for name in entry.content:
        if name not in _KEYS:
            problems.append(entry.problem(f"unknown key `{name}`.{nearest(name, _KEYS)}", name))
    key = _partition(entry.content.get("partition"))
    if key is None:
        problems.append(entry.problem("needs a `partition`, a real date as YYYY-MM-DD", "partition"))
    what = entry.content.get("what")
    if not isinstance(what, str) or not what.strip():
        problems.append(entry.problem("needs `what` happened, in words", "what"))
    rows = entry.content.get("row_ids", [])
    if not isinstance(rows, list) or not all(isinstance(row, str) for row in rows):
        problems.append(entry.problem("`row_ids` is a list of texts", "row_ids"))
    if problems or key is None:
        return None, problems
    return Incident(key, str(what), tuple(rows)), []


def _partition(value: Any) -> str | None:
    text = value.isoformat() if type(value) is date else str(value)
    try:
        return partition_date(text).isoformat()
    except ConfigError:
        return None
