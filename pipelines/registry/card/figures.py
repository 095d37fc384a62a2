"""How a card writes what was measured, and that something was not."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.pages.document import Fact, Prose
from pipelines.pages.markup import number
from pipelines.records import Evaluation, Measured


def measured(value: Measured, digits: int = 4) -> str:
    """Return a value with its interval, where there is one."""
    if value.value is None:
        return "not defined"
    bounds = ""
    if value.lower is not None and value.upper is not None:
        bounds = f" [{number(value.lower, digits)}, {number(value.upper, digits)}]"
    return number(value.value, digits) + bounds


def fact(name: str, value: Measured, note: str = "") -> Fact:
    """Return a labelled value, its interval in the small print."""
    if value.value is None:
        return Fact(name, "not defined", note)
    between = ""
    if value.lower is not None and value.upper is not None:
        between = f"{number(value.lower, 4)} to {number(value.upper, 4)}"
    return Fact(name, number(value.value, 4), "; ".join(filter(None, (between, note))))


def figure(value: float | None, digits: int = 4) -> str:
    """Return a value; a dash for none."""
    return "–" if value is None else number(value, digits)


def where(conditions: Mapping[str, str]) -> str:
    """Return the conditions that a row of a group meets."""
    return " and ".join(f"{column} = {level}" for column, level in conditions.items())


def not_measured(evaluation: Evaluation, part: str) -> Prose:
    """Return that a part was not measured, and why, as far as the evaluation says."""
    reasons = [
        f"{field.partition('.')[2]}: {why}" if "." in field else why
        for field, why in evaluation.not_measured.items()
        if field == part or field.startswith(f"{part}.")
    ]
    return Prose(f"Not measured: {'; '.join(reasons) or 'no reason is on record'}.", "info")


def also_not_measured(evaluation: Evaluation, part: str) -> list[Prose]:
    """Return what of a part that was measured was left out, and why; nothing if nothing was."""
    is_left_out = any(field.startswith(f"{part}.") for field in evaluation.not_measured)
    return [not_measured(evaluation, part)] if is_left_out else []
