"""What documents about models share: digests and moments as people read them, gates as a table."""

from __future__ import annotations

from datetime import UTC, datetime

from pipelines.pages.document import Block, Cell, Mark, Table
from pipelines.records import GateRecord

_DIGEST_CHARS, _MAX_LISTED = 16, 12
_DETAILS = ("gate", "evidence", "is")


def short(digest: str | None) -> str:
    """Return as much of a digest as tells it apart; a dash for none."""
    return digest[:_DIGEST_CHARS] if digest else "–"


def stamp(moment: datetime) -> str:
    """Return a moment to the second, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def gates_table(record: GateRecord) -> Table:
    """Return the gates of one decision, those that failed first."""
    rows: list[list[Cell]] = [
        [
            Mark("calm", "pass") if gate.is_passed else Mark("critical", "FAIL"),
            gate.name,
            gate.observed,
            gate.required,
        ]
        for gate in sorted(record.gates, key=lambda gate: gate.is_passed)
    ]
    return Table(("", "gate", "observed", "required"), rows)


def details_table(record: GateRecord) -> Table:
    """Return the evidence of each gate, a figure a row; long lists are cut."""
    rows: list[list[Cell]] = [
        [gate.name, name, _told(value)] for gate in record.gates for name, value in gate.details.items()
    ]
    return Table(_DETAILS, rows)


def is_details(block: Block) -> bool:
    """Return whether a block is what :func:`details_table` gives."""
    return isinstance(block, Table) and block.head == _DETAILS


def _told(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if value is None or value in ({}, [], ()):
        return "none"
    if isinstance(value, dict):
        return _cut([f"{name} {_told(found)}" for name, found in value.items()])
    if isinstance(value, (list, tuple)):
        return _cut([_told(found) for found in value])
    return str(value)


def _cut(texts: list[str]) -> str:
    more = len(texts) - _MAX_LISTED
    return ", ".join(texts[:_MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
