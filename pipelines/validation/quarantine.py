"""The quarantine: every bad row as it came, with all the reasons that it is there."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

QUARANTINE_SCHEMA = pa.schema([("row_id", pa.string()), ("reasons", pa.string()), ("row", pa.string())])


@dataclass(frozen=True)
class Breach:
    """One rule that a row breaks: by its columns' values, or by a text that is of no declared type."""

    rule: str
    columns: tuple[str, ...]
    text: str | None = None


def miscast_breaches(miscast: pa.ChunkedArray) -> dict[int, list[Breach]]:
    """Return the cells that could not be cast, by the position of their row.

    Parameters
    ----------
    miscast : pyarrow.ChunkedArray of str, shape (n,)
        JSON ``{"column": "original text"}``; null where every cell could be cast.
    """
    return {
        position: [Breach(f"cast:{column}", (column,), text) for column, text in json.loads(cells).items()]
        for position, cells in enumerate(miscast.to_pylist())
        if cells
    }


def quarantine_table(rows: pa.Table, breaches: Sequence[Sequence[Breach]]) -> pa.Table:
    """Return the rows of the quarantine.

    Parameters
    ----------
    rows : pyarrow.Table, shape (q, k)
        The bad rows of the raw partition, with ``row_id``.
    breaches : sequence of sequence of Breach, length q
        Why each of them is bad.

    Returns
    -------
    pyarrow.Table, shape (q, 3)
        ``row_id``; ``reasons``, a JSON list of ``{"rule", "column", "value"}``, one for each rule
        that the row breaks; ``row``, the whole raw row as a JSON object. Times are ISO 8601.
    """
    bad = rows.to_pylist()
    reasons = [[_explain(breach, row) for breach in found] for found, row in zip(breaches, bad, strict=True)]
    return pa.table(
        {
            "row_id": [row["row_id"] for row in bad],
            "reasons": [_json(found) for found in reasons],
            "row": [_json(row) for row in bad],
        },
        schema=QUARANTINE_SCHEMA,
    )


def _explain(breach: Breach, row: dict[str, Any]) -> dict[str, Any]:
    values = [row[column] for column in breach.columns] if breach.text is None else [breach.text]
    return {
        "rule": breach.rule,
        "column": ", ".join(breach.columns),
        "value": values[0] if len(values) == 1 else values,
    }


def _json(content: Any) -> str:
    return json.dumps(_plain(content), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, date):  # and datetime
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no word for it
    return value
