"""A small dataset of every column type, for what reads sources: a person's trips, a line a trip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipelines.config import DatasetConfig
from pipelines.ingestion.merging import Counts

DAY = "2013-03-04"
HEADER = "id,at,city,distance,riders,member,booked,late,delay,tip"

CONFIG: dict[str, Any] = {
    "description": "trips",
    "task": "binary",
    "source": {"kind": "csv", "tables": {"trips": "trips/*.csv"}},
    "key": ["city", "id"],
    "event_time": "at",
    "columns": {
        "id": "integer",
        "at": "timestamp",
        "city": "string",
        "distance": "float",
        "riders": "integer",
        "member": "boolean",
        "booked": "date",
    },
    "target": "late",
    "labels": {"late": "integer", "delay": "float"},
    "leaks": ["tip"],
    "features": {"sql": "trips.sql", "numeric": ["distance"]},
}


@dataclass(frozen=True)
class Found:
    """What a source was found to hold: the rows of each partition, and what became of them."""

    rows: Mapping[str, pa.Table]
    counts: Mapping[str, Counts]
    refused_days: Mapping[str, str]
    suspects: str | None
    n_undated: int


def line(number: int, at: str, **cells: str) -> str:
    """Return one line of the table; ``cells`` replace the plain ones by column."""
    plain = dict(zip(HEADER.split(","), line_cells(number, at), strict=True))
    return ",".join((plain | cells).values())


def line_cells(number: int, at: str) -> list[str]:
    """Return the cells of a plain line."""
    return [str(number), at, "Bonn", "1.5", "2", "true", "2013-03-01", "0", "-3.5", "0.7"]


def table(*lines: str, header: str = HEADER) -> str:
    """Return the text of a whole file."""
    return "\n".join([header, *lines]) + "\n"


def config_of(**overrides: Any) -> DatasetConfig:
    """Return the configuration; ``source`` is laid over the plain one."""
    source = CONFIG["source"] | overrides.pop("source", {})
    return DatasetConfig.model_validate(CONFIG | overrides | {"source": source})


def column(found: Found, name: str, partition: str = DAY) -> Sequence[Any]:
    """Return one column of one partition, in the order of the row keys."""
    values: list[Any] = found.rows[partition].sort_by("row_id")[name].to_pylist()
    return values
