"""What all models of the configuration share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

PROJECT_ROOT = Path(__file__).resolve().parents[2]

# What the lake's tables have beside a dataset's own columns.
RESERVED_COLUMNS = frozenset(
    {
        "row_id",
        "event_time",
        "partition_key",
        "partition_date",
        "position",
        "source_file",
        "source_line",
        "miscast",
        "prediction",
        "quarantine_id",
    }
)

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
ColumnType = Literal["string", "integer", "float", "boolean", "timestamp", "date"]
Task = Literal["binary", "multiclass", "regression"]


class Closed(BaseModel):
    """A frozen model that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")
