"""Rows as the databases give them back, and as records hold them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping


def aware(row: RowMapping) -> Mapping[str, Any]:
    """Return the row with aware timestamps: SQLite gives back naive ones, which are UTC."""
    return {
        key: value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
        for key, value in row.items()
    }
