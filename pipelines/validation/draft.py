"""A first suite, drafted from what the data looked like, commented for the person who will edit it.

Every bound holds for the data that it was drawn from. Nulls, where there are any, are only written down
(``info``): how many a single night may have can't be told from all nights together.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from math import ceil, floor
from typing import Any

from pipelines.config import DatasetConfig
from pipelines.profiling.profile import ColumnProfile
from pipelines.validation.draft_columns import Drafted, draft_column
from pipelines.validation.exchange import dump_entry
from pipelines.validation.rules import Stage
from pipelines.validation.suite import suite_columns

_FEW_DAYS = 7
_WIDTH = 100
_EXACT_VALUES = 2_000
_DUPLICATED = 0.97


def draft_suite(
    config: DatasetConfig,
    profiles: Mapping[str, ColumnProfile],
    *,
    n_rows_a_day: Sequence[int],
    stage: Stage = "raw",
) -> str:
    """Return the YAML of a suite, with the reason of every bound beside it.

    Parameters
    ----------
    profiles : mapping of str to ColumnProfile
        Of the columns that a suite of this stage may name; a column without one gets no expectation.
        That of ``row_id`` says whether the key is one.
    n_rows_a_day : sequence of int
        Rows of each night that was looked at.

    Returns
    -------
    str
        It loads, lints without an error, and holds for the data that was profiled.
    """
    n_days, n_rows = len(n_rows_a_day), sum(n_rows_a_day)
    parts = [_head(stage, n_days, n_rows), "expectations:\n"]
    if stage == "raw":
        parts += ["  # The night as a whole.\n", _written(_row_counts(n_rows_a_day))]
    parts += ["\n  # The key and the time.\n", _written(_identity(config, profiles, stage))]
    for name in suite_columns(config, stage):
        if name in ("row_id", "event_time") or name not in profiles:
            continue
        is_key = name in config.key and stage == "raw"
        drafted = list(_of_model(config, name) if stage == "predictions" else ())
        drafted = drafted or draft_column(profiles[name], is_key=is_key)
        parts += [f"\n  # {_summary(profiles[name], is_key=is_key)}\n", _written(drafted)]
    return "".join(parts)


def _head(stage: Stage, n_days: int, n_rows: int) -> str:
    lines = [
        f"Drafted from {n_rows:,} rows, {n_days} night{'' if n_days == 1 else 's'} of the sample ({stage}).",
        "It is a start: read it, tighten it, and drop what nobody would act upon.",
        "",
        "severity says what follows from an expectation that is not met:",
        "  critical   the night is refused, nothing of it is published",
        "  warning    the night is published, and marked",
        "  info       written down, nothing else",
        "A row that breaks an expectation about values goes to quarantine (not for info). `mostly` is the",
        "share of rows that must hold: with 0.99 one row in a hundred may go there, and it is still met.",
        "",
        "Try an edit before it counts: `holdfast suite lint`, `test`, `diff`, `replay`.",
    ]
    if n_days < _FEW_DAYS:
        lines += [
            "",
            f"Unsure: {n_days} night(s) are few. Bounds on the number of rows are wide; draw them again",
        ]
        lines += ["from a month of nights."]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines) + "\n"


def _written(drafted: Iterable[Drafted]) -> str:
    blocks = []
    for each in drafted:
        comments = "".join(f"  # {line}\n" for why in each.why for line in textwrap.wrap(why, _WIDTH))
        blocks.append(comments + (dump_entry(each.entry) if each.entry else ""))
    return "".join(blocks)


def _row_counts(n_rows_a_day: Sequence[int]) -> list[Drafted]:
    few, many = min(n_rows_a_day, default=1), max(n_rows_a_day, default=1)
    is_unsure = len(n_rows_a_day) < _FEW_DAYS
    kind = "expect_table_row_count_to_be_between"
    seen = f"{few:,} to {many:,} rows a night were seen"
    refused = {
        "min_value": max(1, floor(few * (0.1 if is_unsure else 0.5))),
        "max_value": ceil(many * (10 if is_unsure else 2)),
    }
    warned = {"min_value": max(1, floor(few * 0.8)), "max_value": ceil(many * 1.25)}
    counts = [
        Drafted(
            {"type": kind, "severity": "critical", **refused},
            (f"An export that was cut off, or loaded twice: {seen}. Tighten it if nights are steady.",),
        )
    ]
    if warned != refused:
        counts.append(
            Drafted(
                {"type": kind, "severity": "warning", **warned},
                ("An unusual night: a fifth fewer or a quarter more than was ever seen.",),
            )
        )
    return counts


def _identity(config: DatasetConfig, profiles: Mapping[str, ColumnProfile], stage: Stage) -> list[Drafted]:
    return [*_uniqueness(config, profiles), *_times(config, stage)]


def _uniqueness(config: DatasetConfig, profiles: Mapping[str, ColumnProfile]) -> Iterable[Drafted]:
    entry: dict[str, Any] = {
        "type": "expect_column_values_to_be_unique",
        "severity": "critical",
        "column": "row_id",
        "mostly": 0.99,
    }
    key = ", ".join(config.key)
    if not config.key:
        why = ["The table has no key: rows are known by their cells, so that this holds by itself."]
        yield Drafted({**entry, "severity": "info"}, tuple(why))
        return
    why = [f"Rows that share a key ({_shown(key)}) all go to quarantine: nobody can say which is right."]
    found = profiles.get("row_id")
    if found is not None and found.n_present and found.n_distinct < _DUPLICATED * found.n_present:
        why.append(
            f"Unsure: only about {found.n_distinct:,} of {found.n_present:,} keys differ. Is a column "
            "missing from `key`? Make it critical then."
        )
        entry["severity"] = "info"
    yield Drafted(entry, tuple(why))


def _times(config: DatasetConfig, stage: Stage) -> Iterable[Drafted]:
    if config.event_time is None:
        yield Drafted(None, ("The table has no time: every row's event_time is its night's midnight.",))
        return
    yield Drafted(
        {
            "type": "expect_column_values_to_not_be_null",
            "severity": "critical",
            "column": "event_time",
            "mostly": 0.9,
        },
        (),
    )
    if stage == "raw":
        yield Drafted(
            {
                "type": "expect_column_values_to_be_between",
                "severity": "critical",
                "column": "event_time",
                "min_value": {"$PARAMETER": "day_start"},
                "max_value": {"$PARAMETER": "day_end"},
                "strict_max": True,
            },
            ("Rows of another day.",),
        )


def _of_model(config: DatasetConfig, name: str) -> Iterable[Drafted]:
    """Draft what holds for a prediction whatever the model."""
    is_probability = name.startswith("probability_") or (name == "prediction" and config.task == "binary")
    if is_probability:
        bounds = {"type": "expect_column_values_to_be_between", "severity": "critical", "column": name}
        yield Drafted({**bounds, "min_value": 0, "max_value": 1}, ("A probability.",))
    elif name == "prediction" and config.task == "multiclass":
        entry = {"type": "expect_column_values_to_be_in_set", "severity": "critical", "column": name}
        yield Drafted({**entry, "value_set": list(config.classes)}, ("The classes of params.yaml.",))
    if name != "model_version":
        missing = {"type": "expect_column_values_to_not_be_null", "severity": "critical", "column": name}
        if is_probability or config.task == "multiclass":
            yield Drafted(missing, ())
    if is_probability and name == "prediction":
        entry = {"type": "expect_column_mean_to_be_between", "severity": "info", "column": name}
        learned = {
            "min_value": {"$REFERENCE": "day_mean_min"},
            "max_value": {"$REFERENCE": "day_mean_max"},
        }
        yield Drafted({**entry, **learned}, ("Outside of what any single day of the training had.",))


def _summary(profile: ColumnProfile, *, is_key: bool) -> str:
    key = ", part of the key" if is_key else ""
    n_null = f"{profile.n_null:,} of {profile.n_rows:,} null" if profile.n_null else "never null"
    n_values = f"{'about ' if profile.n_distinct > _EXACT_VALUES else ''}{profile.n_distinct:,}"
    values = f"{n_values} value{'' if profile.n_distinct == 1 else 's'}"
    return f"{_shown(profile.name)}: {profile.type}{key}; {n_null}; {values}."


def _shown(text: str) -> str:
    """Return a name fit for a comment: one line, and no sign that YAML does not take."""
    return "".join(sign if sign.isprintable() else "?" for sign in " ".join(text.split()))[:80]
