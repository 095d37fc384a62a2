"""How numbers are written in text, and which marks stand for a missing one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pipelines.onboarding.sample import CELLS, Sample
from pipelines.storage.sql import identifier, literal

#: Marks that stand for a missing value wherever they are, and those that do so among numbers and dates.
SURE_MARKS = ("?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "Null")
LIKELY_MARKS = ("-", "--", ".", "None", "none", "NONE", "missing", "*", "**", "***", "x", "inf", "na", "Na")

_PLAIN = re.compile(r"[-+]?\d+")
_POINT = re.compile(r"[-+]?(\d+\.\d*|\.\d+)([eE][-+]?\d+)?|[-+]?\d+[eE][-+]?\d+")
_COMMA = re.compile(r"[-+]?(\d+,\d*|,\d+)([eE][-+]?\d+)?")
_GROUPED = {
    ",": re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?"),
    ".": re.compile(r"[-+]?\d{1,3}(\.\d{3})+(,\d+)?"),
    " ": re.compile(r"[-+]?\d{1,3}( \d{3})+([.,]\d+)?"),
    "'": re.compile(r"[-+]?\d{1,3}('\d{3})+([.,]\d+)?"),
}


def number_marks(columns: Iterable[Sequence[str]]) -> tuple[str, str | None, list[str]]:
    """Return the decimal mark, the thousands mark, and what is unsure about them.

    Parameters
    ----------
    columns : iterable of sequence of str
        Texts of each column; those that are mostly numbers are looked at.
    """
    cells = [cell for column in columns for cell in _numbers(column)]
    commas = [cell for cell in cells if "," in cell]
    points = [cell for cell in cells if "." in cell]
    # A mark before other than three digits, or after a leading zero, can't be that of thousands.
    n_comma = sum(_is_decimal(cell, ",") for cell in commas)
    n_point = sum(_is_decimal(cell, ".") for cell in points)
    if n_comma > n_point:
        is_grouped = any(_GROUPED["."].fullmatch(cell) for cell in points)
        return ",", "." if is_grouped else _other_group(cells), []
    if commas and all(_GROUPED[","].fullmatch(cell) for cell in commas):
        doubts = []
        if not n_point:
            doubts.append(
                f"{commas[0]!r} is read as a number with a thousands mark. If the comma is decimal, set "
                '`source.csv.decimal: ","` and remove `thousands`.'
            )
        return ".", ",", doubts
    return ".", _other_group(cells), []


def number_sql(name: str, sample: Sample) -> str:
    """Return SQL for a column's cells as floats: null where a cell is no finite number."""
    text = identifier(name)
    if sample.is_text(name):
        text = f"trim({text})"
        if sample.thousands:
            text = f"replace({text}, {literal(sample.thousands)}, '')"
        if sample.decimal != ".":
            text = f"replace({text}, {literal(sample.decimal)}, '.')"
    value = f"TRY_CAST({text} AS DOUBLE)"
    return f"CASE WHEN isfinite({value}) THEN {value} END"


def sentinels(sample: Sample, columns: Sequence[str]) -> tuple[dict[str, float], dict[str, float]]:
    """Return the numbers that stand for a missing value in some columns: clear ones, and suspects.

    Such a number is the least or the largest, comes again and again, and lies far outside of all
    others; it is clear where it is one that people choose (-1, -200, -999, 9999).

    Parameters
    ----------
    columns : sequence of str
        Columns of numbers.
    """
    clear: dict[str, float] = {}
    suspects: dict[str, float] = {}
    for name in columns:
        number = number_sql(name, sample)
        for end in ("min", "max"):
            value, n_equal, n_all, low, high = _end(sample, number, end)
            if (
                value is None
                or low is None
                or high is None
                or n_equal < max(3, 0.0005 * n_all)
                or low == high
            ):
                continue
            distance = low - value if end == "min" else value - high
            sticks_out = distance > 0.5 * (high - low) and (end == "max" or low >= 0 or distance > high - low)
            if sticks_out and abs(value) >= 9:
                (clear if _is_chosen(value) else suspects).setdefault(name, value)
    return clear, suspects


def texts_of(sample: Sample, columns: dict[str, float]) -> list[str]:
    """Return how the numbers are written in the columns that have them."""
    texts: set[str] = set()
    for name, value in columns.items():
        found = sample.rows(
            f"SELECT DISTINCT trim({identifier(name)}) FROM {CELLS} "  # noqa: S608
            f"WHERE {number_sql(name, sample)} = {value!r}"
        )
        texts |= {str(text) for (text,) in found}
    return sorted(texts)[:20]


def _end(sample: Sample, number: str, end: str) -> tuple[float | None, int, int, float | None, float | None]:
    (found,) = sample.rows(
        f"WITH numbers AS (SELECT {number} AS x FROM {CELLS}), "  # noqa: S608
        f"ends AS (SELECT {end}(x) AS value FROM numbers) "
        "SELECT value, count(*) FILTER (x = value), count(x), min(x) FILTER (x <> value), "
        "max(x) FILTER (x <> value) FROM numbers, ends GROUP BY value"
    )
    return found


def _is_chosen(value: float) -> bool:
    """Return whether a number is one that people write for "missing"."""
    digits = str(abs(int(value)))
    return value == int(value) and (set(digits) <= {"9"} or (value < 0 and set(digits[1:]) <= {"0"}))


def _numbers(column: Sequence[str]) -> list[str]:
    """Return the cells of a column of numbers; of any other none."""
    cells = [text for cell in column if (text := cell.strip()) and text not in SURE_MARKS + LIKELY_MARKS]
    patterns = (_PLAIN, _POINT, _COMMA, *_GROUPED.values())
    numbers = [cell for cell in cells if any(pattern.fullmatch(cell) for pattern in patterns)]
    return numbers if len(numbers) > 0.8 * len(cells) else []


def _is_decimal(cell: str, mark: str) -> bool:
    other = cell.rfind("." if mark == "," else ",")
    if other >= 0:
        return cell.rfind(mark) > other  # of two marks the last one is decimal
    whole, _, fraction = cell.lstrip("+-").rpartition(mark)
    return len(fraction) != 3 or whole in ("", "0") or not _GROUPED[mark].fullmatch(cell)


def _other_group(cells: Sequence[str]) -> str | None:
    return next((mark for mark in (" ", "'") if any(_GROUPED[mark].fullmatch(cell) for cell in cells)), None)
