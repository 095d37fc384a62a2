"""What is to be predicted, and which kind of task that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.config import ColumnType, Task
from pipelines.errors import ConfigError
from pipelines.onboarding.columns import TYPED, Column, Columns
from pipelines.onboarding.keys import is_identity
from pipelines.onboarding.sample import CELLS
from pipelines.storage.sql import identifier

_NAMES = (
    "target", "label", "class", "classes", "y", "outcome", "output", "response", "result", "diagnosis",
    "default", "churn", "churned", "survived", "failed", "failure", "fraud", "is_fraud", "species", "quality",
    "price", "cnt", "count", "sales", "demand", "income", "subscribed", "deposit", "status", "score",
    "rating",
)  # fmt: skip
_YES = ("yes", "y", "true", "t", "1", "positive", "pos", "failed", "fail", "bad", "churn", "fraud", "spam",
        "late", "malignant", "sick", "ill", "abnormal", "anomaly", "default", "delayed", "high",
        "success", "won")  # fmt: skip
_NO = (
    "no",
    "n",
    "false",
    "f",
    "0",
    "negative",
    "neg",
    "ok",
    "good",
    "none",
    "normal",
    "benign",
    "ham",
    "low",
    "lost",
)
_MAX_CLASSES = 100
# Whole numbers of so few values are taken for classes.
_FEW_NUMBERS = 10


@dataclass(frozen=True)
class Target:
    """What is to be predicted.

    Parameters
    ----------
    name : str
        The column.
    kind : ColumnType
        What it is declared as; classes of texts are strings.
    task : Task
        Which kind of prediction.
    classes : tuple of str
        The target's values as text, the negative and then the positive one of a binary task; empty for
        a regression, and for 0 and 1.
    n_null : int
        Rows of the sample without a value.
    """

    name: str
    kind: ColumnType
    task: Task
    classes: tuple[str, ...]
    n_null: int


def find_target(
    columns: Columns, asked: str | None, task: str | None, *, not_target: Sequence[str]
) -> Target:
    """Return the target: the one asked for, or else the likeliest column.

    Parameters
    ----------
    asked : str, optional
        A column's clean name.
    task : str, optional
        ``binary``, ``multiclass`` or ``regression``, where the person says so.
    not_target : sequence of str
        Columns that are the key or the time.

    Raises
    ------
    ConfigError
        If nothing can be predicted, or the column does not fit the task.
    """
    column = columns.by_name[asked] if asked else _guess(columns, not_target)
    if column.kind is None:
        raise ConfigError(
            f"--target {column.name}: the column has no value at all, or none of a type that can be learned."
        )
    if column.kind in ("date", "timestamp"):
        raise ConfigError(
            f"--target {column.name}: a time can't be predicted; derive a number or a class from it."
        )
    n_null = column.profile.n_null
    found = _task(column, columns, task)
    if found == "regression":
        if not column.is_number:
            raise ConfigError(f"--task regression: {column.name} holds {column.kind} values, no numbers.")
        return Target(column.name, column.kind, "regression", (), n_null)
    values = _values(columns, column)
    if found == "binary" and len(values) != 2:
        raise ConfigError(f"--task binary: {column.name} has {len(values)} different values, not two.")
    if found == "multiclass" and not 3 <= len(values) <= _MAX_CLASSES:
        raise ConfigError(
            f"{column.name} has {column.profile.n_distinct} different values; a multiclass target "
            f"has 3 to {_MAX_CLASSES}."
        )
    kind: ColumnType = "integer" if _is_whole(values) else "string"
    if found == "binary":
        return Target(column.name, kind, "binary", _negative_and_positive(columns, column, values), n_null)
    names = [str(value) for value, _ in values]
    rare = [f"{value} ({n})" for value, n in values if n < 10]
    if rare:
        columns.doubts.append(
            f"{column.name}: too few rows to learn the classes {', '.join(rare[:10])} well."
        )
    return Target(column.name, kind, "multiclass", tuple(names), n_null)


def _guess(columns: Columns, not_target: Sequence[str]) -> Column:
    fit = [
        column
        for column in columns.typed
        if column.name not in not_target
        and column.kind not in ("date", "timestamp")
        and column.profile.n_distinct > 1
        and not (is_identity(column) and not column.is_number)
        and (column.is_number or column.profile.n_distinct <= _MAX_CLASSES)
        and not (column.written and column.written.kind == "time")
    ]
    if not fit:
        raise ConfigError("No column can be predicted: say which by --target, or bring labels by --labels.")
    named = [column for hint in _NAMES for column in fit if column.name.lower() == hint]
    chosen = named[0] if named else fit[-1]
    why = "for its name" if named else "for it is the last column that varies"
    columns.doubts.append(f"The target was guessed: {chosen.name}, {why}. Say --target to choose another.")
    return chosen


def _task(column: Column, columns: Columns, asked: str | None) -> Task:
    n_values = column.profile.n_distinct
    if asked:
        if asked not in ("binary", "multiclass", "regression"):
            raise ConfigError(f"--task {asked!r} is none of binary, multiclass, regression.")
        return asked  # type: ignore[return-value]
    if n_values < 2:
        raise ConfigError(f"{column.name} has one value only: there is nothing to predict.")
    if n_values == 2:
        return "binary"
    if not column.is_number:
        return "multiclass"
    if column.kind == "integer" and n_values <= _FEW_NUMBERS:
        columns.doubts.append(
            f"{column.name} has {n_values} different whole numbers, taken for classes. If they measure "
            "something, say --task regression."
        )
        return "multiclass"
    return "regression"


def _values(columns: Columns, column: Column) -> list[tuple[Any, int]]:
    cell = identifier(column.name)
    # Text lands as it is written, so classes are named as it is: True, not true.
    as_written = column.kind == "boolean" and columns.sample.is_text(column.name)
    relation = CELLS if as_written else TYPED
    number = (
        ""
        if not column.is_number
        else f"CASE WHEN {cell} = round({cell}) THEN CAST({cell} AS BIGINT) END AS "
    )
    value = f"{number}{cell}" if number else f"CAST({cell} AS VARCHAR)"
    found = columns.sample.rows(
        f"SELECT {value}, count(*) FROM {relation} WHERE {cell} IS NOT NULL GROUP BY ALL ORDER BY 1 "  # noqa: S608
        f"LIMIT {_MAX_CLASSES + 1}"
    )
    return [(value, int(n)) for value, n in found if value is not None]


def _is_whole(values: Sequence[tuple[Any, int]]) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) for value, _ in values)


def _negative_and_positive(
    columns: Columns, column: Column, values: Sequence[tuple[Any, int]]
) -> tuple[str, ...]:
    """Return the two classes, the positive one last, and note why it is; nothing for 0 and 1."""
    names = [str(value) for value, _ in values]
    if names == ["0", "1"] and _is_whole(values):
        return ()
    positive, why = _positive(names, values)
    negative = next(name for name in names if name != positive)
    columns.doubts.append(
        f"{column.name}: {positive!r} is the positive class ({why}). To turn it round, swap `classes`."
    )
    return (negative, positive)


def _positive(names: Sequence[str], values: Sequence[tuple[Any, int]]) -> tuple[str, str]:
    if _is_whole(values):
        return names[1], "it is the larger of the two"
    lowered = [name.strip().lower().rstrip(".") for name in names]
    for place, name in enumerate(lowered):
        other = lowered[1 - place]
        if (
            name in _YES
            or other in _NO
            or other in (f"no {name}", f"not {name}", f"non-{name}", f"no_{name}", f"un{name}")
        ):
            return names[place], "its name says so"
        if name.startswith(">"):
            return names[place], "it is the larger of the two"
    rarer = min(values, key=lambda item: item[1])
    return str(rarer[0]), f"it is the rarer one, {rarer[1]} of {sum(n for _, n in values)} rows"
