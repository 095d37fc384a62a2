"""Values of a suite as SQL literals; None where SQL can't be trusted to mean the same as Python."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from pipelines.config import ColumnType
from pipelines.storage.sql import literal

_INT64 = range(-(2**63), 2**63)
# Whole numbers up to here are the same as floats.
_EXACT = 2**53


def is_number(value: Any) -> bool:
    """Whether a value is an int or a float, and a number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def double(value: Any) -> str | None:
    """Return a number as a DOUBLE."""
    if not is_number(value):
        return None
    try:
        # Through text: a decimal literal would be rounded twice.
        return f"CAST('{float(value)!r}' AS DOUBLE)"
    except OverflowError:
        return None


def moment(value: datetime) -> str:
    """Return a datetime as a TIMESTAMPTZ if it is aware, else as a TIMESTAMP."""
    if value.tzinfo is None:
        return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
    return f"TIMESTAMPTZ '{value.astimezone(UTC).isoformat(sep=' ')}'"


def member(value: Any, type_: ColumnType) -> str | None:
    """Return a value of a set as a literal of a column's type."""
    if type_ == "string" and isinstance(value, str) and "\0" not in value:
        return literal(value)
    if type_ == "integer" and isinstance(value, int) and not isinstance(value, bool) and value in _INT64:
        return f"CAST('{value}' AS BIGINT)"
    if type_ == "float" and is_number(value) and (isinstance(value, float) or abs(value) <= _EXACT):
        return double(value)
    return None


def members(values: Any, type_: ColumnType) -> list[str] | None:
    """Return all values of a set as literals; None if there is one that is not."""
    found = [member(value, type_) for value in values]
    return None if None in found else [text for text in found if text is not None]


def compared(column: str, operator: str, bound: int | float) -> str:
    """Return SQL that compares a column of whole numbers with any number, exactly."""
    if math.isinf(bound):
        return "TRUE" if (bound > 0) == operator.startswith("<") else "FALSE"
    if operator in ("=", "!="):
        is_whole = bound == math.floor(bound) and int(bound) in _INT64
        return f"{column} {operator} {int(bound)}" if is_whole else str(operator == "!=").upper()
    # No whole number lies between the bound and the next one inwards.
    inward = {">=": math.ceil, ">": math.floor, "<=": math.floor, "<": math.ceil}[operator](bound)
    if inward not in _INT64:
        return "TRUE" if (inward > 0) == operator.startswith("<") else "FALSE"
    return f"{column} {operator} {inward}"
