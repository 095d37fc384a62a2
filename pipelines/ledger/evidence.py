"""The gate evidence that a move names, as it lies in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, String, select, type_coerce

from pipelines.ledger.chain import is_as_written, seal_of
from pipelines.ledger.rows import aware
from pipelines.ledger.schema import decisions
from pipelines.records import ChampionMove, GateRecord

_RAW = "as_stored"


def evidence_row(connection: Connection, move: ChampionMove) -> Mapping[str, Any] | None:
    """Return the row of the gate evidence that a move names, the first of its digest; None without one."""
    query = select(decisions, type_coerce(decisions.c.decided_at, String).label(_RAW)).where(
        decisions.c.kind == GateRecord.kind,
        decisions.c.dataset == move.dataset,
        decisions.c.digest == move.evidence_digest,
    )
    found = connection.execute(query.order_by(decisions.c.id).limit(1)).mappings().one_or_none()
    return None if found is None else aware(found)


def evidence_seal(row: Mapping[str, Any] | None) -> str:
    """Return the seal of an evidence's row; "" without one, or where it is not stored as it was written."""
    if row is None or not is_as_written(row[_RAW], row["decided_at"]):
        return ""
    return seal_of(row)
