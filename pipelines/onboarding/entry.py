"""Write a dataset's entry of params.yaml: the text that a person will edit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.config import CsvConfig
from pipelines.onboarding.columns import Column
from pipelines.onboarding.features_sql import DraftedFeatures
from pipelines.onboarding.understanding import Understanding

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
# Words that YAML 1.1 reads as something else than text.
_WORDS = frozenset({"y", "n", "yes", "no", "true", "false", "on", "off", "null", "none"})
_WIDTH = 100


@dataclass(frozen=True)
class Place:
    """Where a dataset's rows come from.

    Parameters
    ----------
    kind : str
        ``csv``, ``parquet`` or ``sql``.
    tables : dict of str to str
        The locations.
    url : str, optional
        The database's.
    csv : CsvConfig, optional
        As sniffed, with the marks of numbers.
    sql : str, optional
        The path of the query that joins the tables.
    rename : dict of str to str
        As in the configuration.
    labels_key : tuple of str
        The columns by which labels of a second file are joined.
    """

    kind: str
    tables: dict[str, str]
    url: str | None = None
    csv: CsvConfig | None = None
    sql: str | None = None
    rename: dict[str, str] = field(default_factory=dict)
    labels_key: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wishes:
    """What the person decides, and no table can tell."""

    description: str | None = None
    owner: str | None = None
    schedule: str = "0 2 * * *"
    label_delay_days: int = 1


def entry_text(
    name: str, found: Understanding, *, place: Place, features: DraftedFeatures, wishes: Wishes
) -> str:
    """Return the entry, indented by two spaces as a member of ``datasets``, with comments."""
    lines = [f"{name}:", *_indented(_head(name, found, wishes))]
    lines += ["  source:", *_indented(_indented(_source(found, place)))]
    lines += _indented(_rows(found))
    lines += _indented(_target(found, wishes))
    lines += _indented(_features(name, features))
    lines += _indented(_settings(found))
    return "".join(f"  {line}\n" for line in lines)


def scalar(value: str) -> str:
    """Return a text as YAML has it, quoted where it must be."""
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=not value.isprintable())


def sequence(values: Iterable[str]) -> str:
    """Return texts as one flow sequence."""
    return "[" + ", ".join(map(scalar, values)) + "]"


def comment(text: str) -> str:
    """Return a text as it may stand in a comment: one line of printable characters, 160 at most."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return plain if len(plain) <= 160 else plain[:159] + "…"


def _head(name: str, found: Understanding, wishes: Wishes) -> list[str]:
    goal = wishes.description or f"Predict {found.target.name} of {name}."
    lines = [f"description: {scalar(goal)}"]
    if wishes.owner:
        lines.append(f"owner: {scalar(wishes.owner)}")
    if wishes.schedule != "0 2 * * *":
        lines.append(
            f"schedule: {scalar(wishes.schedule)} # UTC; a run works on the partition of the day before"
        )
    lines.append(f"task: {found.target.task}")
    return lines


def _source(found: Understanding, place: Place) -> list[str]:
    lines = [f"kind: {place.kind}"]
    if place.url:
        lines.append(f"url: {scalar(place.url)}")
    lines += ["tables:", *(f"  {table}: {scalar(where)}" for table, where in place.tables.items())]
    if place.sql:
        lines.append(f"sql: {place.sql} # one row an event, from both tables")
    if place.csv is not None:
        lines += _csv(place.csv)
        lines += _wrapped(
            "missing", found.columns.missing, "these texts stand for a missing value, in every column"
        )
    if place.rename:
        lines.append("rename: # the source's names, and those used from here on")
        lines += [f"  {scalar(old)}: {scalar(new)}" for old, new in place.rename.items()]
    formats = {c.name: c.written.format for c in found.columns.typed if _is_formatted(c) and c.written}
    if formats:
        lines.append("formats: # how dates and times are written, in the words of strptime")
        lines += [f"  {scalar(column)}: {scalar(form)}" for column, form in formats.items() if form]
    if found.moment is not None:
        year = (
            found.moment.last.year if (found.moment.last.month, found.moment.last.day) == (12, 31) else None
        )
        year = year or max(found.moment.first.year, found.moment.last.year - 1)
        lines.append(f"# replay_year: {year} # every calendar date would read the same day of {year}")
    return lines


def _is_formatted(column: Column) -> bool:
    return column.kind in ("date", "timestamp") and column.written is not None and bool(column.written.format)


def _csv(csv: CsvConfig) -> list[str]:
    given = csv.model_dump(exclude_defaults=True)
    if not given:
        return []
    lines = ["csv:"]
    for key, value in given.items():
        if isinstance(value, bool):
            lines.append(f"  {key}: {str(value).lower()}")
        elif isinstance(value, int):
            lines.append(f"  {key}: {value}")
        elif isinstance(value, tuple):
            lines += _indented(_wrapped(key, value))
        else:
            lines.append(f"  {key}: {'null' if value is None else scalar(value)}")
    return lines


def _rows(found: Understanding) -> list[str]:
    key, moment = found.key, found.moment
    if key.columns:
        twice = f" # {key.n_duplicates} rows share theirs with another" if key.n_duplicates else ""
        lines = [f"key: {sequence(key.columns)}{twice}"]
    else:
        lines = ["key: [] # no columns tell rows apart: a row is known by its cells"]
    if moment is None:
        lines.append("# No event_time: a night's partition is all that the source holds that night.")
    else:
        lines.append(f"event_time: {scalar(moment.sql)} # {comment(moment.meaning)}; UTC")
    lines.append("columns: # a cell that is no value of its type sends its row to quarantine")
    for column in found.inputs:
        why = found.left_out.get(column.name)
        said = comment(_said(column) + (f"; no feature: {why}" if why else ""))
        lines.append(f"  {scalar(column.name)}: {column.kind} # {said}")
    return lines


def _said(column: Column) -> str:
    profile = column.profile
    nulls = f"; {profile.null_fraction:.1%} missing" if profile.n_null else ""
    if column.kind in ("integer", "float", "date", "timestamp"):
        low, high = profile.minimum, profile.maximum
        shown = (
            (f"{low:g}", f"{high:g}") if isinstance(low, float) and isinstance(high, float) else (low, high)
        )
        return f"{shown[0]} to {shown[1]}{nulls}"
    levels = ", ".join(str(value)[:20] for value, _ in profile.top[:4])
    more = f" and {profile.n_distinct - 4} more" if profile.n_distinct > 4 else ""
    return f"{levels}{more}{nulls}"


def _target(found: Understanding, wishes: Wishes) -> list[str]:
    target = found.target
    lines = [f"target: {scalar(target.name)}"]
    if target.classes:
        why = (
            "the negative one, then the positive one"
            if target.task == "binary"
            else "in this order everywhere"
        )
        lines += _wrapped("classes", target.classes, why)
    lines += ["labels: # what the target is learned from; it lands apart from the columns above"]
    lines.append(f"  {scalar(target.name)}: {target.kind}")
    lines.append(
        f"label_delay_days: {wishes.label_delay_days} # so many days after the event its label is known"
    )
    if found.leaks.columns:
        lines += [f"# {comment(note)}" for note in found.leaks.notes]
        lines += _wrapped("leaks", found.leaks.columns)
    return lines


def _features(name: str, features: DraftedFeatures) -> list[str]:
    lines = ["features:", f"  sql: pipelines/features/sql/{name}.sql"]
    if features.history_days:
        lines.append(f"  history_days: {features.history_days} # how far back the query looks")
    lines += _indented(_wrapped("numeric", features.numeric))
    if features.categorical:
        lines += _indented(_wrapped("categorical", features.categorical))
    return lines


def _settings(found: Understanding) -> list[str]:
    plan, moment = found.plan, found.moment
    lines = [
        "quality:",
        f"  max_quarantined_fraction: {plan.max_quarantined_fraction:g} # more than that stops a night",
    ]
    lines.append("training:")
    if plan.split == "rows":
        days = "no time" if moment is None else f"{moment.n_days} days only"
        lines += [
            f"  split: rows # the table has {days}: rows are held back, not days",
            "  holdout_fraction: 0.2",
        ]
        lines += [f"  min_days: {plan.min_days}"]
    else:
        lines += [
            f"  holdout_days: {plan.holdout_days} # the newest days, on which models are compared",
            f"  min_days: {plan.min_days} # days with labels that a training needs",
        ]
    lines += [
        "monitoring:",
        f"  window_days: {plan.window_days} # how many nights are compared with the reference",
    ]
    return lines


def _wrapped(key: str, values: Sequence[str] | Mapping[str, str], why: str = "") -> list[str]:
    """Return a sequence of texts, on one line or, where it is long, one text a line."""
    said = f" # {why}" if why else ""
    line = f"{key}: {sequence(values)}{said}"
    if len(line) <= _WIDTH:
        return [line]
    return [f"{key}:{said}", *(f"  - {scalar(value)}" for value in values)]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]
