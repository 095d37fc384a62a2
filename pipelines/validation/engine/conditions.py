"""Row conditions as SQL, where it selects the same rows as pandas does.

A comparison with null is false in pandas for texts and floats, and unknown for its nullable
integers, as in SQL. Unknown rows are not selected.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from great_expectations.expectations.row_conditions import (
    AndCondition,
    ComparisonCondition,
    NullityCondition,
    OrCondition,
)

from pipelines.config import ColumnType
from pipelines.storage.sql import identifier
from pipelines.validation.engine.literals import compared, is_number, member, members

_SQL = {"==": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


def condition_sql(condition: Any, types: Mapping[str, ColumnType | None]) -> tuple[str, set[str]] | None:
    """Return a row condition as SQL that may be unknown, and its columns; None if it has no equal there."""
    if isinstance(condition, AndCondition | OrCondition):
        parts = [condition_sql(part, types) for part in condition.conditions]
        if not parts or None in parts:
            return None
        found = [part for part in parts if part is not None]
        joint = " AND " if isinstance(condition, AndCondition) else " OR "
        return f"({joint.join(sql for sql, _ in found)})", set().union(*(columns for _, columns in found))
    if isinstance(condition, NullityCondition) and types.get(condition.column.name):
        name = condition.column.name
        is_null = "IS NULL" if condition.is_null else "IS NOT NULL"
        return f"({identifier(name)} {is_null})", {name}
    if isinstance(condition, ComparisonCondition) and types.get(condition.column.name):
        name = condition.column.name
        sql = _comparison(identifier(name), types[name], str(condition.operator), condition.parameter)
        return None if sql is None else (f"({sql})", {name})
    return None


def _comparison(column: str, type_: ColumnType | None, operator: str, value: Any) -> str | None:
    if type_ not in ("string", "integer", "float"):
        return None
    if operator in ("IN", "NOT_IN"):
        texts = members(value, type_)
        if texts is None or any(isinstance(each, float) and not math.isfinite(each) for each in value):
            return None
        within = f"coalesce({column} IN ({', '.join(texts)}), FALSE)" if texts else "FALSE"
        return within if operator == "IN" else f"NOT {within}"
    if type_ == "integer":
        if not is_number(value) or not isinstance(value, int):
            return None
        # Unknown of a null, also where the comparison is one with no number at all.
        return f"CASE WHEN {column} IS NOT NULL THEN {compared(column, _SQL[operator], value)} END"
    text = member(value, type_)
    if text is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if operator == "!=":
        return f"{column} IS DISTINCT FROM {text}"
    return f"coalesce({column} {_SQL[operator]} {text}, FALSE)"
