"""How dates and times are written in text, by the evidence of all cells."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Literal

from pipelines.onboarding.sample import CELLS, PLACE, Sample
from pipelines.storage.sql import identifier, literal

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?( ?(Z|[+-]\d{2}(:?\d{2})?))?)?")
_LOOKS_DATED = re.compile(
    r"\d{1,4}[-/. ](\d{1,2}|[A-Za-z]{3,9})[-/. ,]+\d{2,4}.*|\d{8}|[A-Za-z]{3,9} \d{1,2},? \d{4}.*"
)
_LOOKS_TIMED = re.compile(r"\d{1,2}[:.]\d{2}([:.]\d{2}(\.\d+)?)?( ?[AaPp][Mm])?")
_DATES = (
    "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d.%m.%Y", "%m.%d.%Y", "%Y.%m.%d", "%d-%m-%Y", "%m-%d-%Y",
    "%Y-%m-%d", "%Y%m%d", "%d/%m/%y", "%m/%d/%y", "%y/%m/%d", "%d.%m.%y", "%d-%m-%y", "%m-%d-%y",
    "%d %b %Y", "%d-%b-%Y", "%d/%b/%Y", "%d-%b-%y", "%d %b %y", "%d %B %Y", "%b %d, %Y",
    "%B %d, %Y", "%b %d %Y",
)  # fmt: skip
_TIMES = (
    "%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p", "%I:%M%p", "%H.%M.%S", "%H.%M", "%H:%M:%S.%f", "%H",
)  # fmt: skip
# A date of which fewer cells than this are one is a text.
_ENOUGH = 0.97


@dataclass(frozen=True)
class Written:
    """How the dates or times of a column are written.

    Parameters
    ----------
    kind : str
        ``time`` is a time of day without a date.
    format : str or None
        In the words of strptime; None is ISO 8601.
    doubt : str or None
        What is unsure about it.
    n_misfits : int
        Cells that are not written so.
    """

    kind: Literal["date", "timestamp", "time"]
    format: str | None
    doubt: str | None = None
    n_misfits: int = 0


def how_dates_are_written(sample: Sample, name: str) -> Written | None:
    """Return how a column of text writes its dates or times; None if it holds none."""
    cells = [cell.strip() for cell in sample.spread(name)]
    if not cells:
        return None
    dated = sum(bool(_ISO.fullmatch(cell) or _LOOKS_DATED.fullmatch(cell)) for cell in cells)
    timed = sum(bool(_LOOKS_TIMED.fullmatch(cell)) for cell in cells)
    if max(dated, timed) < 0.9 * len(cells):
        return None
    if dated >= timed and all(_ISO.fullmatch(cell) for cell in cells if _LOOKS_DATED.fullmatch(cell)):
        return _iso(sample, name, cells)
    # 18.00.00 looks like either; as a date it fits no format.
    formats = [form for form in _dated_formats() if _fits(form, cells)] if dated >= timed else []
    formats = formats or [form for form in _TIMES if _fits(form, cells)]
    found = _counted(sample, name, formats)
    return _chosen(sample, name, found) if found else None


def moment_sql(expression: str, written: Written) -> str:
    """Return SQL that reads text as a timestamp, and is null where that can't be done."""
    if written.format is None:
        return f"CAST(TRY_CAST(trim({expression}) AS TIMESTAMPTZ) AS TIMESTAMP)"
    return f"CAST(try_strptime(trim({expression}), {literal(written.format)}) AS TIMESTAMP)"


def _dated_formats() -> Iterator[str]:
    yield from _DATES
    for day, mark, time in product(_DATES, (" ", "T", ", "), _TIMES):
        yield f"{day}{mark}{time}"


def _fits(form: str, cells: Sequence[str]) -> bool:
    """Return whether nearly all of some cells are written in a format."""
    missed = 0
    for cell in cells:
        try:
            year = datetime.strptime(cell, form).year
        except ValueError:
            year = 0
        missed += not 1900 <= year <= 2100
        if missed > 0.1 * len(cells):
            return False
    return True


def _iso(sample: Sample, name: str, cells: Sequence[str]) -> Written | None:
    has_time = any(len(cell) > 10 for cell in cells)
    written = Written("timestamp" if has_time else "date", None)
    n_present, n_read = _read(sample, name, written)
    return Written(written.kind, None, None, n_present - n_read) if n_read >= _ENOUGH * n_present else None


def _counted(sample: Sample, name: str, formats: Sequence[str]) -> list[Written]:
    """Return the formats that nearly all cells of the sample are written in, the best first."""
    found = []
    for form in formats:
        written = Written(_kind(form), form)
        n_present, n_read = _read(sample, name, written)
        if n_read >= _ENOUGH * n_present:
            found.append(Written(written.kind, form, None, n_present - n_read))
    return sorted(found, key=lambda written: written.n_misfits)


def _chosen(sample: Sample, name: str, found: Sequence[Written]) -> Written:
    """Return the one format that fits best; of two that fit equally, the one whose days run on."""
    best = [written for written in found if written.n_misfits == found[0].n_misfits]
    if len(best) == 1 or best[0].kind == "time":
        return best[0]
    jumps = [_disorder(sample, name, written) for written in best]
    first, second = sorted(range(len(best)), key=lambda place: jumps[place])[:2]
    chosen = best[first]
    doubt = None
    if jumps[second] < 2 * jumps[first] + 1:
        doubt = (
            f"{name}: {chosen.format} and {best[second].format} fit every cell that was looked at; the "
            f"first was taken. If that is wrong, change `source.formats` (or `event_time`)."
        )
    return Written(chosen.kind, chosen.format, doubt, chosen.n_misfits)


def _disorder(sample: Sample, name: str, written: Written) -> float:
    """Return how far apart the times of successive rows lie on average, in days."""
    moment = moment_sql(identifier(name), written)
    (days,) = sample.row(
        "SELECT avg(abs(epoch(moment - before))) / 86400 FROM (SELECT moment, lag(moment) OVER "  # noqa: S608
        f"(ORDER BY {PLACE}) AS before FROM (SELECT {moment} AS moment, {PLACE} FROM {CELLS}))"
    )
    return float(days or 0.0)


def _read(sample: Sample, name: str, written: Written) -> tuple[int, int]:
    cell = identifier(name)
    moment = moment_sql(cell, written)
    is_sound = f"year({moment}) BETWEEN 1900 AND 2100" if written.kind != "time" else f"{moment} IS NOT NULL"
    found = sample.row(f"SELECT count({cell}), count(*) FILTER ({is_sound}) FROM {CELLS}")  # noqa: S608
    return int(found[0]), int(found[1])


def _kind(form: str) -> Literal["date", "timestamp", "time"]:
    has_time = "%H" in form or "%I" in form
    if "%d" not in form:
        return "time"
    return "timestamp" if has_time else "date"
