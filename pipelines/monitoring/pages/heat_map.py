"""The heat map of columns by nights: each cell a link, told apart by its mark as well as by its colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from pipelines.metrics import metric_name
from pipelines.monitoring.pages.facts import DriftHistory
from pipelines.monitoring.pages.words import headline, ratio, state_of
from pipelines.pages.markup import number, share, shown
from pipelines.pages.places import Places
from pipelines.records import ColumnDrift, ConceptDrift, DriftRecord

COLUMNS_A_PAGE = 30
_MARKS = {1: "·", 2: "○", 3: "▲", 4: "◆", 5: "◆"}
_WORDS = {
    1: "calm",
    2: "moved, but no more than by chance",
    3: "drifted",
    4: "drifted, 3 times the floor or more",
    5: "drifted, 10 times the floor or more",
}
# How a verdict is drawn: how hot, and its mark.
_STATES = {"calm": (1, "·"), "info": (2, "◇"), "warning": (3, "▲"), "critical": (5, "◆")}


@dataclass(frozen=True)
class ColumnRow:
    """One column: what of it moved farthest on each night, and how much of the model rests on it."""

    column: str
    importance: float
    worst: Mapping[str, ColumnDrift]

    @property
    def rank(self) -> tuple[float, int, float, str]:
        """Sort first what matters most: by impact where it drifted, then how often, then how far."""
        drifted = [drift for drift in self.worst.values() if drift.is_drifted]
        impact = max((drift.impact for drift in drifted), default=0.0)
        return (-impact, -len(drifted), -max(map(ratio, self.worst.values()), default=0.0), self.column)


def column_rows(history: DriftHistory) -> list[ColumnRow]:
    """Return every column that was judged on one of the nights, what matters most first."""
    worst: dict[str, dict[str, ColumnDrift]] = {}
    importance: dict[str, float] = {}
    for night, record in history.records.items():
        for drift in record.columns:
            nights = worst.setdefault(drift.column, {})
            if night not in nights or _worse(drift, nights[night]):
                nights[night] = drift
            importance[drift.column] = max(drift.importance, importance.get(drift.column, 0.0))
    rows = [ColumnRow(column, importance[column], nights) for column, nights in worst.items()]
    return sorted(rows, key=lambda row: row.rank)


def heat_map(history: DriftHistory, rows: Sequence[ColumnRow], places: Places) -> str:
    """Return the map: the verdicts on top, then so many columns."""
    records = history.records
    head = _months(history.nights) + _days(history, places)
    body = [
        _verdicts(history, places),
        _evidently(history),
        *(
            _whole(name, {night: getattr(record, kind) for night, record in records.items()}, history, places)
            for name, kind in (("Predictions", "prediction"), ("Labels", "label"), ("All jointly", "joint"))
        ),
        _concept({night: record.concept for night, record in records.items()}, history, places),
        *(_column(row, history, places) for row in rows),
    ]
    return (
        f'<div class="scroll"><table class="heat"><thead>{head}</thead><tbody>{"".join(body)}</tbody>'
        f"</table></div>{_key()}"
    )


def level(drift: ColumnDrift) -> int:
    """Return how hot a cell is, 1 (calm) to 5."""
    times = ratio(drift)
    if not drift.is_drifted:
        return 2 if times >= 1 else 1
    return 3 if times < 3 else 4 if times < 10 else 5


def _worse(drift: ColumnDrift, other: ColumnDrift) -> bool:
    return (drift.is_drifted, ratio(drift)) > (other.is_drifted, ratio(other))


def _months(nights: Sequence[str]) -> str:
    months = groupby(nights, key=lambda night: night[:7])
    cells = "".join(
        f'<th scope="colgroup" colspan="{n}">{_month(month, n)}</th>'
        for month, n in ((month, len(list(group))) for month, group in months)
    )
    return f"<tr><td></td><td></td>{cells}</tr>"


def _month(month: str, n_nights: int) -> str:
    first = date.fromisoformat(f"{month}-01")
    return f"{first:%B %Y}" if n_nights >= 4 else f"{first:%b}"


def _days(history: DriftHistory, places: Places) -> str:
    cells = "".join(
        f'<th scope="col"><a href="{places.night(history.dataset, night)}" '
        f'aria-label="Night {shown(night)}">{night[8:]}</a></th>'
        for night in history.nights
    )
    return f'<tr><th scope="col"></th><th scope="col">Importance</th>{cells}</tr>'


def _verdicts(history: DriftHistory, places: Places) -> str:
    def cell(night: str) -> str:
        record = history.records.get(night)
        if record is None:
            return _nothing()
        style, state = state_of(record)
        hot, mark = _STATES[style]
        address = places.night(history.dataset, night)
        return _marked(hot, mark, address, title=headline(record), label=f"Verdict {night}: {state}")

    return _row("Verdict", "", map(cell, history.nights))


def _evidently(history: DriftHistory) -> str:
    if not any(record.evidently_alarm is not None for record in history.records.values()):
        return ""

    def cell(night: str) -> str:
        record = history.records.get(night)
        if record is None or record.evidently_alarm is None:
            return _nothing()
        words = f"{night}: {'alarm' if record.evidently_alarm else 'no alarm'}, for comparison"
        mark = "▲" if record.evidently_alarm else "·"
        return f'<td class="h1"><span title="{shown(words)}">{mark}</span></td>'

    return _row("Evidently’s default", "", map(cell, history.nights))


def _whole(name: str, found: Mapping[str, ColumnDrift | None], history: DriftHistory, places: Places) -> str:
    """Return the row of what is watched beside the columns; a cell leads to the night."""
    if not any(drift is not None for drift in found.values()):
        return ""

    def cell(night: str) -> str:
        drift = found.get(night)
        if drift is None:
            return _nothing()
        return _cell(drift, places.night(history.dataset, night), f"{name} {night}")

    return _row(name, "", map(cell, history.nights))


def _concept(found: Mapping[str, ConceptDrift | None], history: DriftHistory, places: Places) -> str:
    if not any(concept is not None for concept in found.values()):
        return ""

    def cell(night: str) -> str:
        concept = found.get(night)
        if concept is None:
            return _nothing()
        hot = 1 if not concept.is_drifted else 5 if concept.severity == "critical" else 3
        name, then = metric_name(concept.metric), number(concept.reference_value)
        words = f"{name} {number(concept.value)}, holdout {then}"
        state = "drifted" if concept.is_drifted else "calm"
        address = places.night(history.dataset, night)
        return _marked(hot, _MARKS[hot], address, title=words, label=f"Performance {night}: {state}")

    return _row("Performance on labels", "", map(cell, history.nights))


def _column(row: ColumnRow, history: DriftHistory, places: Places) -> str:
    def cell(night: str) -> str:
        drift = row.worst.get(night)
        if drift is None:
            return _nothing()
        address = places.column(history.dataset, night, row.column)
        return _cell(drift, address, f"{row.column[:24]} {night}")

    weight = share(row.importance) if row.importance else ""
    return _row(row.column, weight, map(cell, history.nights))


def _row(name: str, weight: str, cells: Iterable[str]) -> str:
    return (
        f'<tr><th scope="row" title="{shown(name, 200)}">{shown(name, 60)}</th>'
        f'<td class="share">{weight}</td>{"".join(cells)}</tr>\n'
    )


def _cell(drift: ColumnDrift, address: str, about: str) -> str:
    hot = level(drift)
    words = f"{drift.method} {number(drift.distance)}, floor {number(drift.threshold)}"
    return _marked(hot, _MARKS[hot], address, title=words, label=f"{about}: {_WORDS[hot]}")


def _marked(hot: int, mark: str, address: str, *, title: str, label: str) -> str:
    return (
        f'<td class="h{hot}"><a href="{address}" title="{shown(title, 120)}" '
        f'aria-label="{shown(label, 120)}">{mark}</a></td>'
    )


def _nothing() -> str:
    return '<td><span aria-label="not judged">–</span></td>'


def _key() -> str:
    items = "".join(
        f'<li class="h{hot}"><i aria-hidden="true">{_MARKS[hot]}</i>{words}</li>'
        for hot, words in _WORDS.items()
    )
    recorded = '<li class="h2"><i aria-hidden="true">◇</i>a verdict: drift, recorded only</li>'
    return f'<ul class="key">{items}{recorded}<li><i aria-hidden="true">–</i>not judged</li></ul>'


def newest_record(history: DriftHistory) -> DriftRecord | None:
    """Return the verdict on the last night that has one."""
    judged = [night for night in history.nights if night in history.records]
    return history.records[judged[-1]] if judged else None
