"""All that was understood of a table, and what follows from it for its configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from statistics import median

from pipelines.errors import ConfigError
from pipelines.onboarding.columns import TYPED, Column, Columns, understand_columns
from pipelines.onboarding.keys import Key, find_key, is_identity
from pipelines.onboarding.leaks import Leaks, find_leaks
from pipelines.onboarding.moments import Moment, find_moment, moments_query
from pipelines.onboarding.sample import PLACE, Sample
from pipelines.onboarding.targets import Target, find_target
from pipelines.storage.sql import identifier

_MAX_LEVELS = 200
_LONG_GAP_DAYS = 28


@dataclass(frozen=True)
class Asked:
    """What the person said of a table; None leaves it to the evidence."""

    target: str | None = None
    time: str | None = None
    key: tuple[str, ...] | None = None
    task: str | None = None


@dataclass(frozen=True)
class Plan:
    """How long the table's days last: what training and monitoring are set to.

    Parameters
    ----------
    split : str
        ``time`` or ``rows``, as ``training.split``.
    holdout_days, min_days, window_days : int
        As in params.yaml.
    max_quarantined_fraction : float
        A day of few rows may lose one or two.
    """

    split: str
    holdout_days: int
    min_days: int
    window_days: int
    max_quarantined_fraction: float


@dataclass
class Understanding:
    """What a table is.

    Parameters
    ----------
    columns : Columns
        Types, marks of missing values, profiles.
    numeric, categorical : list of str
        Columns that a model can take as they are.
    left_out : dict of str to str
        Columns that it can't, and why.
    """

    columns: Columns
    moment: Moment | None
    key: Key
    target: Target
    leaks: Leaks
    plan: Plan
    numeric: list[str] = field(default_factory=list)
    categorical: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    @property
    def inputs(self) -> list[Column]:
        """The columns to declare: all that have a type, save target and leaks."""
        hidden = {self.target.name, *self.leaks.columns}
        return [column for column in self.columns.typed if column.name not in hidden]


def understand(sample: Sample, asked: Asked, *, today: date) -> Understanding:
    """Find out what a table is from a sample of it.

    Parameters
    ----------
    today : date
        What the table's last day is compared with.

    Raises
    ------
    ConfigError
        If what was asked for is not there, or there is nothing to predict or to learn from.
    """
    columns = understand_columns(sample)
    names = {source: name for name, source in sample.names.items()} | {name: name for name in sample.names}
    target_name = None if asked.target is None else _resolve(asked.target, names, "--target")
    key_names = None if asked.key is None else [_resolve(name, names, "--key") for name in asked.key]
    moment = find_moment(columns, asked.time, names)
    key = find_key(columns, moment, key_names)
    taken = [*key.columns, *(moment.columns if moment else ())]
    target = find_target(columns, target_name, asked.task, not_target=taken)
    if target.name in key.columns:
        raise ConfigError(f"{target.name} is the target, so it can't be part of the key: say --key.")
    candidates = [c for c in columns.typed if c.name != target.name and c.name not in taken]
    leaks = find_leaks(columns, target, candidates=candidates)
    understanding = Understanding(columns, moment, key, target, leaks, _plan(columns, moment))
    _choose_features(understanding, set(taken))
    _say_what_it_is(understanding, today)
    return understanding


def _resolve(name: str, names: Mapping[str, str], option: str) -> str:
    from pipelines.config.explanations import nearest

    if name in names:
        return names[name]
    by_case = {known.lower(): clean for known, clean in names.items()}
    if name.lower() in by_case:
        return by_case[name.lower()]
    raise ConfigError(f"{option}: the table has no column {name!r}.{nearest(name, names)}")


def _plan(columns: Columns, moment: Moment | None) -> Plan:
    n_bad = sum(column.n_misfits for column in columns.typed)
    bad = min(0.5, 3 * n_bad / max(1, columns.sample.n_rows))
    if moment is None:
        return Plan("rows", 1, 1, 1, round(max(0.05, bad), 2))
    usual = max(1.0, median(moment.rows_a_day))
    fraction = round(max(0.05, bad, min(0.5, 2 / usual)), 2)
    if moment.n_days < 15:
        return Plan("rows", 1, 1, 1, fraction)
    holdout = max(3, min(28, moment.n_days // 5))
    # A window holds some hundred rows, if the table has days enough.
    window = max(1, min(max(7, round(200 / usual)), 28, moment.n_days // 6))
    return Plan("time", holdout, max(holdout + 3, min(28, moment.n_days // 3)), window, fraction)


def _choose_features(found: Understanding, taken: set[str]) -> None:
    for column in found.inputs:
        why = _why_no_feature(column, taken)
        if why:
            found.left_out[column.name] = why
        elif column.kind == "string":
            found.categorical.append(column.name)
        else:
            found.numeric.append(column.name)
    if not found.numeric and not found.categorical and (found.moment is None or found.moment.n_days < 15):
        raise ConfigError(
            "No column is left to learn from: all are the target, leaks, keys, constants or free text. "
            + " ".join(f"{name}: {why}." for name, why in list(found.left_out.items())[:6])
        )


def _why_no_feature(column: Column, taken: set[str]) -> str | None:
    """Return why a column is no input of a model; None if it may be one."""
    profile = column.profile
    if profile.n_distinct <= 1:
        return "constant"
    if column.kind in ("date", "timestamp"):
        return "a time"
    if is_identity(column):
        return "names its row"
    if column.name in taken:
        return "part of the time or the key"
    if column.name.lower() in ("year", "yr"):
        return "a year that is over does not come again"
    if column.kind == "string" and profile.n_distinct > min(_MAX_LEVELS, 0.5 * profile.n_present):
        return f"text of {profile.n_distinct} different values"
    return None


def _say_what_it_is(found: Understanding, today: date) -> None:
    columns = found.columns
    found.notes += columns.notes
    found.doubts += columns.doubts
    empty = [name for name, column in columns.by_name.items() if column.kind is None]
    if empty:
        found.notes.append(f"{_listed(empty)}: no value at all (or none of a usable type); not declared.")
    constant = [name for name, why in found.left_out.items() if why == "constant"]
    if constant:
        found.notes.append(f"{_listed(constant)}: one value only; declared, but no feature.")
    misfits = [f"{c.name} ({c.n_misfits})" for c in columns.typed if c.n_misfits]
    if misfits:
        found.doubts.append(
            f"Cells that do not fit their column's type, and go to quarantine: {_listed(misfits)}."
        )
    found.notes += found.leaks.notes
    found.doubts += found.leaks.doubts
    if found.target.n_null:
        found.doubts.append(
            f"{found.target.name} is missing in {found.target.n_null:,} rows, of no use here."
        )
    if found.key.n_corrected:
        found.doubts.append(
            f"{found.key.n_corrected:,} row(s) share their key ({', '.join(found.key.columns)}) with one of "
            "a later file, which is taken for their correction. If it is another event, change `key`."
        )
    if found.moment is None:
        found.doubts.append(
            "The table has no time: a night's partition is the whole table as it is that night."
        )
        return
    _say_about_time(found, found.moment, today)


def _say_about_time(found: Understanding, moment: Moment, today: date) -> None:
    if moment.n_null:
        found.doubts.append(f"{moment.n_null:,} rows have no time; they go to quarantine.")
    if moment.n_moments < moment.n_rows and not found.key.columns:
        found.doubts.append(
            f"{moment.n_rows - moment.n_moments:,} rows share their time with another one, and nothing tells "
            "them apart: the key is empty, so a corrected row can't take the place of the one before."
        )
    if moment.n_gaps:
        found.doubts.append(
            f"There are {moment.n_gaps} gaps in the days, the longest of {moment.longest_gap} day(s): such "
            "nights have no rows."
        )
    behind = (today - moment.last).days
    if behind > 30:
        found.doubts.append(
            f"The last row is of {moment.last}, {behind:,} days ago: scheduled nights find nothing. To "
            "replay the past, set `source.replay_year` (the entry has the line)."
        )
    if found.plan.split == "rows":
        found.doubts.append(
            f"The table has {moment.n_days} day(s) only: models are tested on rows held back."
        )
    found.doubts += _long_nulls(found.columns, moment)


def _long_nulls(columns: Columns, moment: Moment) -> list[str]:
    """Return a sentence for each column that is null for weeks, though not always."""
    times = moments_query(columns, moment)
    said = []
    for column in columns.typed:
        if not 0.02 < column.profile.null_fraction < 1 or column.name in moment.columns:
            continue
        days = columns.sample.rows(
            f"SELECT CAST(event_time AS DATE) AS holdfast_day, count({identifier(column.name)}) = 0 "  # noqa: S608
            f"FROM {TYPED} JOIN ({times}) AS times USING ({PLACE}) WHERE event_time IS NOT NULL "
            "GROUP BY holdfast_day ORDER BY holdfast_day"
        )
        run = _longest_run(days)
        if run and (run[1] - run[0]).days >= _LONG_GAP_DAYS:
            said.append(f"{column.name} is null on every day from {run[0]} to {run[1]}: is it of any use?")
    return said


def _longest_run(days: Sequence[tuple[date, bool]]) -> tuple[date, date] | None:
    best: tuple[date, date] | None = None
    start: date | None = None
    for day, is_null in days:
        start = (start or day) if is_null else None
        if start and (best is None or day - start > best[1] - best[0]):
            best = (start, day)
    return best


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more
