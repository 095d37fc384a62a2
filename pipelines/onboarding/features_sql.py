"""Write a dataset's first features query: the inputs, the calendar, and what the target was lately."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.onboarding.understanding import Understanding
from pipelines.storage.sql import identifier, literal

# More groups than this make a query that nobody reads.
_MAX_GROUPS = 3
_MAX_GROUP_LEVELS = 60
_MIN_DAYS = 15


@dataclass(frozen=True)
class DraftedFeatures:
    """A features query and what it gives.

    Parameters
    ----------
    sql : str
        The text of the file.
    numeric, categorical : tuple of str
        Its columns.
    history_days : int
        How far back it looks.
    """

    sql: str
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    history_days: int


@dataclass(frozen=True)
class _Group:
    """What the target's recent mean is taken by: a column, or the hour of the day."""

    name: str
    sql: str
    feature: str


def draft_features(dataset: str, found: Understanding, *, label_delay_days: int) -> DraftedFeatures:
    """Return a point-in-time query over ``events`` and ``labels`` that passes the look-ahead check.

    Parameters
    ----------
    label_delay_days : int
        How many days after an event its label is known.
    """
    taken = {*found.numeric, *found.categorical, found.target.name, *found.leaks.columns, "row_id"}
    calendar = _calendar(found, taken)
    aim = _aim_sql(found)
    groups = _groups(found, taken | set(calendar)) if aim else []
    recent = [_free(f"{_word(found)}_{days}d", taken) for days in (1, 7)] if aim else []
    numeric = (*found.numeric, *calendar, *recent, *(group.feature for group in groups))
    selected = [_selected(found, name) for name in found.numeric]
    selected += [f"{sql} AS {name}" for name, sql in calendar.items()]
    if aim:
        selected += [f"overall.known_1d AS {recent[0]}", f"overall.known_7d AS {recent[1]}"]
        selected += [_smoothed(place, group) for place, group in enumerate(groups)]
    selected += [f"events.{identifier(name)}" for name in found.categorical]
    parts = [_heading(dataset, found, has_recent=bool(aim))]
    if aim:
        parts.append(_recent_sql(aim, groups))
    parts.append("SELECT\n    events.row_id,\n    " + ",\n    ".join(selected) + "\nFROM events")
    if aim:
        parts.append("LEFT JOIN overall ON events.partition_date = overall.night")
    for place, group in enumerate(groups):
        parts.append(
            f"LEFT JOIN group_{place} ON events.partition_date = group_{place}.night\n"
            f"    AND {group.sql} IS NOT DISTINCT FROM group_{place}.level"
        )
    history = label_delay_days + 7 if aim else 0
    return DraftedFeatures("\n".join(parts) + "\n", numeric, tuple(found.categorical), history)


def _heading(dataset: str, found: Understanding, *, has_recent: bool) -> str:
    lines = [
        f"-- Features of {dataset}, drafted by `holdfast dataset add`; edit it as you like.",
        "--",
        "-- The query sees `events` (published rows: row_id, event_time, partition_date ...), `labels` (the",
        "-- known targets), and returns row_id and every column that params.yaml names under `features`.",
        "-- It must not look ahead: of a night D it may use events of D and the `history_days` before, and",
        "-- labels up to D - label_delay_days. Training recomputes sampled nights, and compares.",
    ]
    if has_recent:
        lines += [
            "--",
            f"-- `_1d` is the mean of {_spoken(found)}",
            "-- on the newest night that is known, `_7d` over the newest seven. Means of groups are smooth:",
            "-- a group counts as if it had some rows more, of the overall mean.",
        ]
    return "\n".join(lines)


def _spoken(found: Understanding) -> str:
    target = found.target
    name = " ".join(target.name.split())
    return f"{name} (1 where it is {target.classes[1]!r})".replace("\n", " ") if target.classes else name


def _word(found: Understanding) -> str:
    return "mean" if found.target.task == "regression" else "rate"


def _aim_sql(found: Understanding) -> str | None:
    """Return SQL for the target as a number; None where a recent mean makes no sense."""
    moment, target = found.moment, found.target
    if (
        moment is None
        or moment.n_days < _MIN_DAYS
        or found.plan.split == "rows"
        or target.task == "multiclass"
    ):
        return None
    label = f"labels.{identifier(target.name)}"
    if not target.classes:
        return label
    return f"CAST(CAST({label} AS VARCHAR) = {literal(target.classes[1])} AS INTEGER)"


def _calendar(found: Understanding, taken: set[str]) -> dict[str, str]:
    """Return the features that the time itself gives; only such as come again."""
    moment = found.moment
    if moment is None or moment.n_days < _MIN_DAYS:
        return {}
    features = {}
    if moment.has_hours:
        features[_free("hour_of_day", taken)] = "hour(events.event_time)"
    if not taken & {"weekday", "day_of_week", "dayofweek"}:
        features["weekday"] = "isodow(events.event_time)"
    return features


def _groups(found: Understanding, taken: set[str]) -> list[_Group]:
    word = _word(found)
    groups: list[_Group] = []
    for name in found.categorical:
        if found.columns.by_name[name].profile.n_distinct <= _MAX_GROUP_LEVELS and len(groups) < _MAX_GROUPS:
            groups.append(_Group(name, f"events.{identifier(name)}", _free(f"{name}_{word}_7d", taken)))
    if found.moment is not None and found.moment.has_hours:
        groups.append(_Group("hour", "hour(events.event_time)", _free(f"same_hour_{word}_7d", taken)))
    return groups


def _recent_sql(aim: str, groups: list[_Group]) -> str:
    levels = "".join(f",\n        {group.sql} AS level_{place}" for place, group in enumerate(groups))
    parts = [
        "WITH nights AS (\n"
        "    SELECT DISTINCT\n"
        "        partition_date AS night,\n"
        "        -- The newest night whose targets are known.\n"
        "        partition_date - CAST(getvariable('label_delay_days') AS INTEGER) AS last_known\n"
        "    FROM events\n)",
        "outcomes AS (\n"
        f"    SELECT\n        events.partition_date,\n        {aim} AS outcome{levels}\n"
        "    FROM labels\n    INNER JOIN events USING (row_id)\n)",
        "overall AS (\n"
        "    SELECT\n        nights.night,\n"
        "        avg(outcomes.outcome) AS known_7d,\n"
        "        avg(outcomes.outcome) FILTER (outcomes.partition_date = nights.last_known) AS known_1d\n"
        "    FROM nights\n"
        "    INNER JOIN outcomes\n"
        "        ON outcomes.partition_date BETWEEN nights.last_known - 6 AND nights.last_known\n"
        "    GROUP BY ALL\n)",
    ]
    for place, group in enumerate(groups):
        parts.append(
            f"-- By {' '.join(group.name.split())}; a day is summed up first: it is in seven nights.\n"  # noqa: S608
            f"days_{place} AS (\n"
            f"    SELECT partition_date, level_{place} AS level, count(outcome) AS n, sum(outcome) AS total\n"
            "    FROM outcomes\n    GROUP BY ALL\n)"
        )
        parts.append(
            f"group_{place} AS (\n"  # noqa: S608
            f"    SELECT nights.night, days_{place}.level,\n"
            f"        sum(days_{place}.n) AS n, sum(days_{place}.total) AS total\n"
            "    FROM nights\n"
            f"    INNER JOIN days_{place}\n"
            f"        ON days_{place}.partition_date BETWEEN nights.last_known - 6 AND nights.last_known\n"
            "    GROUP BY ALL\n)"
        )
    return ",\n\n".join(parts) + "\n"


def _smoothed(place: int, group: _Group) -> str:
    weight = 5
    return (
        f"(coalesce(group_{place}.total, 0) + {weight} * overall.known_7d)\n"
        f"        / (coalesce(group_{place}.n, 0) + {weight}) AS {identifier(group.feature)}"
    )


def _selected(found: Understanding, name: str) -> str:
    cell = f"events.{identifier(name)}"
    if found.columns.by_name[name].kind == "boolean":
        return f"CAST({cell} AS INTEGER) AS {identifier(name)}"
    return cell


def _free(name: str, taken: set[str]) -> str:
    lowered = {known.lower() for known in taken}
    while name.lower() in lowered:
        name = f"{name}_"
    return name
