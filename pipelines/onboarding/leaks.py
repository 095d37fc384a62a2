"""Columns that determine the target: alone, or as a sum, difference or product of a few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.onboarding.columns import TYPED, Column, Columns
from pipelines.onboarding.sample import PLACE
from pipelines.onboarding.targets import Target
from pipelines.storage.sql import identifier

Floats = npt.NDArray[np.float64]

_N_ROWS = 20_000
# Of more columns, triples are too many to try.
_MAX_PAIRED, _MAX_TRIPLED = 120, 40
_SURE, _NEAR = 0.99995, 0.99
_AFTER_WORDS = (
    "actual", "final", "outcome", "result", "resolved", "closed", "arrival", "dropoff", "end",
    "total", "paid", "refund", "post", "after", "duration", "tip",
)  # fmt: skip


@dataclass
class Leaks:
    """What knows the target too well.

    Parameters
    ----------
    columns : list of str
        They determine the target, so they are kept out.
    notes, doubts : list of str
        Why, and what a person should look at.
    """

    columns: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


def find_leaks(columns: Columns, target: Target, *, candidates: Sequence[Column]) -> Leaks:
    """Return the columns that determine the target.

    Parameters
    ----------
    candidates : sequence of Column
        That could be inputs.
    """
    leaks = Leaks()
    _ask_about_names(candidates, leaks)
    aim = _target_values(columns, target)
    is_known = ~np.isnan(aim)
    if is_known.sum() < 30:
        return leaks
    aim = aim[is_known]
    numbers = [column for column in candidates if column.is_number and column.profile.n_distinct > 1]
    cells = {column.name: _numbers(columns, column.name)[is_known] for column in numbers}
    for name, values in cells.items():
        _judge_number(name, values, aim, target, leaks)
    for column in candidates:
        if column.kind in ("string", "boolean") and 1 < column.profile.n_distinct <= 1_000:
            _judge_groups(column.name, _codes(columns, column.name)[is_known], aim, target, leaks)
    if target.task == "regression":
        rest = {name: values for name, values in cells.items() if name not in leaks.columns}
        _find_formula(rest, aim, target.name, leaks)
    return leaks


def _ask_about_names(candidates: Sequence[Column], leaks: Leaks) -> None:
    late = [c.name for c in candidates if any(w in c.name.lower().split("_") for w in _AFTER_WORDS)]
    if late:
        leaks.doubts.append(
            f"{', '.join(late[:8])}: by the name this may be known only after the event. If so, move it from "
            "`columns` and `features` to `leaks`."
        )


def _judge_number(name: str, values: Floats, aim: Floats, target: Target, leaks: Leaks) -> None:
    both = ~np.isnan(values)
    if both.sum() < 30 or np.ptp(aim[both]) == 0 or np.ptp(values[both]) == 0:
        return
    if target.task == "regression":
        strength = max(
            _correlation(values[both], aim[both]), _correlation(_ranks(values[both]), _ranks(aim[both]))
        )
        how = f"its (rank) correlation with {target.name} is {strength:.5f}"
    else:
        strength = _best_separation(values[both], aim[both])
        how = f"a threshold on it tells the classes apart (AUC {strength:.4f})"
    _conclude(name, strength, how, target, leaks)


def _judge_groups(name: str, codes: npt.NDArray[np.int64], aim: Floats, target: Target, leaks: Leaks) -> None:
    """Judge a column of texts by how much of the target its levels explain."""
    present = codes >= 0
    codes, aim = codes[present], aim[present]
    counts = np.bincount(codes)
    # Levels of a row or two explain themselves.
    is_usual = counts[codes] >= 5
    if is_usual.sum() < 0.5 * len(codes) or len(codes) < 30 or np.ptp(aim) == 0:
        return
    codes, aim = codes[is_usual], aim[is_usual]
    if target.task == "regression":
        total = np.bincount(codes, weights=aim) / np.maximum(np.bincount(codes), 1)
        strength = 1 - float(np.var(aim - total[codes])) / max(float(np.var(aim)), 1e-300)
    else:
        classes = np.unique(aim, return_inverse=True)[1]
        table = np.zeros((codes.max() + 1, classes.max() + 1))
        np.add.at(table, (codes, classes), 1)
        # How many of the errors of "always the commonest class" are gone once the level is known.
        wrong = len(codes) - table.sum(axis=0).max()
        strength = 1 - float((len(codes) - table.max(axis=1).sum()) / max(wrong, 1))
    _conclude(name, strength, f"each of its levels has one {target.name}", target, leaks)


def _conclude(name: str, strength: float, how: str, target: Target, leaks: Leaks) -> None:
    if strength >= _SURE:
        leaks.columns.append(name)
        leaks.notes.append(f"{name} determines {target.name}: {how}. It is kept out (`leaks`).")
    elif strength >= _NEAR:
        leaks.doubts.append(
            f"{name} all but determines {target.name}: {how}. If it is known only later, move it to `leaks`."
        )


def _find_formula(cells: dict[str, Floats], aim: Floats, name: str, leaks: Leaks) -> None:
    """Look for a sum, difference or product of two or three columns, or a sum of more, that is the target."""
    usable = {n: v for n, v in cells.items() if np.isnan(v).mean() < 0.5}
    names = list(usable)[:_MAX_PAIRED]
    for a, b in combinations(names, 2):
        for formula, values in (
            (f"{a} + {b}", usable[a] + usable[b]),
            (f"{a} - {b}", usable[a] - usable[b]),
            (f"{b} - {a}", usable[b] - usable[a]),
            (f"{a} * {b}", usable[a] * usable[b]),
        ):
            if _is_equal(values, aim):
                return _note_formula(formula, [a, b], name, leaks)
    for trio in combinations(names[:_MAX_TRIPLED], 3):
        for signs in product((1, -1), repeat=3):
            # Most sums are refuted by the first rows.
            if all(_is_equal(_signed_sum(usable, trio, signs)[:size], aim[:size]) for size in (60, len(aim))):
                formula = " ".join(f"{'+' if s > 0 else '-'} {n}" for s, n in zip(signs, trio, strict=True))
                return _note_formula(formula.removeprefix("+ "), list(trio), name, leaks)
    return _find_sum(usable, aim, name, leaks)


def _signed_sum(cells: dict[str, Floats], names: Sequence[str], signs: Sequence[int]) -> Floats:
    a, b, c = (sign * cells[name] for sign, name in zip(signs, names, strict=True))
    return a + b + c


def _find_sum(cells: dict[str, Floats], aim: Floats, name: str, leaks: Leaks) -> None:
    """Look for a weighted sum of all columns that is the target, as a total of many parts is."""
    names = list(cells)
    if not names:
        return
    matrix = np.column_stack([*cells.values(), np.ones(len(aim))])
    whole = ~np.isnan(matrix).any(axis=1)
    if whole.sum() < 5 * matrix.shape[1] + 50:
        return
    weights = np.linalg.lstsq(matrix[whole], aim[whole], rcond=None)[0]
    if not _is_equal(matrix[whole] @ weights, aim[whole]):
        return
    parts = [
        n
        for n, w, v in zip(names, weights, cells.values(), strict=False)
        if abs(w) * np.nanstd(v) > 1e-6 * aim.std()
    ]
    _note_formula("a weighted sum of " + ", ".join(parts[:12]), parts, name, leaks)


def _note_formula(formula: str, parts: Sequence[str], name: str, leaks: Leaks) -> None:
    leaks.columns += parts
    leaks.notes.append(f"{formula} = {name}: together they determine the target, and are kept out (`leaks`).")


def _is_equal(values: Floats, aim: Floats) -> bool:
    """Return whether values are the target, in all rows but a few, up to rounding."""
    both = ~(np.isnan(values) | np.isnan(aim))
    if both.sum() < 30:
        return False
    scale = max(float(np.abs(aim[both]).max()), 1e-12)
    return bool((np.abs(values[both] - aim[both]) <= 1e-6 * scale).mean() > 0.999 and np.ptp(aim[both]) > 0)


def _correlation(a: Floats, b: Floats) -> float:
    with np.errstate(all="ignore"):
        found = float(abs(np.corrcoef(a, b)[0, 1]))
    return found if np.isfinite(found) else 0.0


def _ranks(values: Floats) -> Floats:
    """Return each value's rank, ties at their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse], dtype=np.float64)


def _best_separation(values: Floats, aim: Floats) -> float:
    """Return the least area under the curve of a class against the others: 1 where all are told apart."""
    ranks, found = _ranks(values), []
    for value in np.unique(aim):
        is_class = aim == value
        n, m = int(is_class.sum()), int((~is_class).sum())
        area = (ranks[is_class].sum() - n * (n + 1) / 2) / (n * m)
        found.append(max(area, 1 - area))
    # A class in the middle has no area of its own: only two classes are judged so.
    return float(min(found)) if len(found) == 2 else 0.0


def _target_values(columns: Columns, target: Target) -> Floats:
    if target.task == "regression":
        return _numbers(columns, target.name)
    codes = _codes(columns, target.name).astype(np.float64)
    return np.where(codes < 0, np.nan, codes)


def _numbers(columns: Columns, name: str) -> Floats:
    return np.asarray(_fetch(columns, f"CAST({identifier(name)} AS DOUBLE)").filled(np.nan), dtype=np.float64)


def _codes(columns: Columns, name: str) -> npt.NDArray[np.int64]:
    """Return each level's number; -1 where there is none."""
    cell = identifier(name)
    found = _fetch(
        columns,
        f"CASE WHEN {cell} IS NULL THEN -1 ELSE dense_rank() OVER (ORDER BY {cell}) - 1 END",
    )
    return np.maximum(np.asarray(found.filled(-1), dtype=np.float64), -1).astype(np.int64)


def _fetch(columns: Columns, expression: str) -> np.ma.MaskedArray[Any, Any]:
    """Return an expression's values for rows from all over the sample, in one order."""
    step = max(1, -(-columns.sample.n_rows // _N_ROWS))
    found = columns.sample.connection.execute(
        f"SELECT {expression} AS x FROM {TYPED} WHERE {PLACE} % {step} = 0 ORDER BY {PLACE}"  # noqa: S608
    ).fetchnumpy()["x"]
    return np.ma.asarray(found)
