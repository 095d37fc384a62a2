"""What to expect of one column, from its profile."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from pipelines.profiling.profile import ColumnProfile

_MAX_SET = 30
_MAX_CODES = 8
_ROWS_A_VALUE = 10
_MARGIN = 0.2
_MAX_TEXT_CHARS = 100
_MAX_SHOWN = 40
_EXACT_INTEGER = 2**53
_TAIL = 10.0
_CLASSES = (("[0-9]", str.isdigit), ("[A-Z]", str.isupper), ("[a-z]", str.islower))


@dataclass(frozen=True)
class Drafted:
    """One entry, and why it is as it is; no entry where there is only something to say."""

    entry: dict[str, Any] | None
    why: tuple[str, ...]


def draft_column(profile: ColumnProfile, *, is_key: bool) -> list[Drafted]:
    """Return what to expect of a column: its nulls, and its values.

    Parameters
    ----------
    is_key : bool
        Whether it is part of the row's key: rows without it are known by nothing.
    """
    if not profile.n_present:
        return [Drafted(None, ("Null in every row: there is nothing to expect of it yet. Is it of use?",))]
    if _is_running(profile):
        return [
            *_nulls(profile, is_key=is_key),
            Drafted(None, ("It numbers the rows, so it grows: no bounds.",)),
        ]
    return [*_nulls(profile, is_key=is_key), *_values(profile)]


def _is_running(profile: ColumnProfile) -> bool:
    """Return whether whole numbers count the rows: what is to come lies beyond what was seen."""
    low, high = profile.minimum, profile.maximum
    if profile.type != "integer" or not isinstance(low, int) or not isinstance(high, int):
        return False
    return (
        profile.n_present >= 20
        and 0.9 * profile.n_present <= high - low + 1 <= 1.1 * profile.n_present
        and (profile.n_distinct >= 0.9 * profile.n_present)
    )


def _nulls(profile: ColumnProfile, *, is_key: bool) -> Iterator[Drafted]:
    if profile.n_null == 0:
        severity = "critical" if is_key else "warning"
        entry = _entry("expect_column_values_to_not_be_null", severity, profile)
        yield Drafted({**entry, "mostly": 0.99}, ("Never null so far.",))
        return
    share = f"{profile.null_fraction:.2%} null over all nights"
    low = math.floor((1 - profile.null_fraction) * 90) / 100
    if low <= 0:
        yield Drafted(None, (f"Unsure: {share}. Is the column of use?",))
        return
    entry = _entry("expect_column_proportion_of_non_null_values_to_be_between", "info", profile)
    why = f"{share}; the share of a single night may differ. Make it a warning once you know what is wrong."
    yield Drafted({**entry, "min_value": low}, (why,))


def _values(profile: ColumnProfile) -> Iterator[Drafted]:
    values = _all_values(profile)
    is_code = profile.type in ("integer", "string") and profile.n_distinct <= (
        _MAX_SET if profile.type == "string" else _MAX_CODES
    )
    if profile.n_distinct == 1 and values and profile.type in ("string", "integer"):
        entry = _entry("expect_column_values_to_be_in_set", "info", profile)
        yield Drafted({**entry, "value_set": values}, ("Constant so far: a model can't learn from it.",))
    elif is_code and values and profile.n_present >= _ROWS_A_VALUE * profile.n_distinct:
        entry = _entry("expect_column_values_to_be_in_set", "warning", profile)
        why = f"All {len(values)} values that were seen. Add those that you know may come."
        yield Drafted({**entry, "value_set": values, "mostly": 0.99}, (why,))
    elif profile.type in ("integer", "float"):
        yield from _range(profile)
    elif profile.type == "string":
        yield from _text(profile, values)
    elif profile.type in ("timestamp", "date"):
        yield from _moments(profile)


def _range(profile: ColumnProfile) -> Iterator[Drafted]:
    low, high = float(profile.minimum), float(profile.maximum)  # type: ignore[arg-type]
    step = _MARGIN * (high - low) or max(1.0, abs(high) * _MARGIN)
    low_bound, high_bound = _outwards(low - step, step, up=False), _outwards(high + step, step, up=True)
    if low >= 0 > low_bound:
        low_bound = 0.0
    if not (math.isfinite(low_bound) and math.isfinite(high_bound)):
        yield Drafted(None, (f"Unsure: seen {low:.6g} to {high:.6g}, too far apart for bounds.",))
        return
    why = [f"Seen {_number(low)} to {_number(high)}; a fifth of that span is left on either side."]
    typical = profile.quantiles.get(0.99)
    if typical is not None and high > 0 and high - low > _TAIL * max(typical - low, 1e-12):
        why.append(
            f"Unsure: 99 % lie below {_number(typical)}. Is the largest one real? Lower `max_value` if not."
        )
    is_whole = profile.type == "integer" and max(abs(low_bound), abs(high_bound)) < _EXACT_INTEGER
    bounds = {"min_value": int(low_bound), "max_value": int(high_bound)} if is_whole else {
        "min_value": low_bound, "max_value": high_bound
    }  # fmt: skip
    entry = _entry("expect_column_values_to_be_between", "warning", profile)
    yield Drafted({**entry, **bounds, "mostly": 0.99}, tuple(why))


def _text(profile: ColumnProfile, values: Sequence[Any]) -> Iterator[Drafted]:
    texts = [str(value) for value in values] or [str(value) for value, _ in profile.top]
    shape = _shape(texts)
    if shape is not None:
        is_sure = bool(values)
        entry = _entry("expect_column_values_to_match_regex", "warning" if is_sure else "info", profile)
        why = f"All values look alike, such as {_shown(texts[0])}." if is_sure else (
            f"Unsure: the {len(texts)} most frequent values look alike, such as {_shown(texts[0])}. "
            "If all must, make it a warning."
        )  # fmt: skip
        yield Drafted({**entry, "regex": shape, "mostly": 0.99}, (why,))
    if profile.min_length is None or profile.max_length is None:
        return
    low, high = profile.min_length, profile.max_length
    bounds = {"min_value": low, "max_value": high}
    is_fixed = low == high
    if not is_fixed:
        bounds = {"min_value": min(1, low), "max_value": 2 * high}
    why = f"{low} to {high} characters were seen; twice the longest is allowed."
    why = f"Always {low} characters." if is_fixed else why
    entry = _entry("expect_column_value_lengths_to_be_between", "warning", profile)
    yield Drafted({**entry, **bounds, "mostly": 0.99}, (why,))


def _moments(profile: ColumnProfile) -> Iterator[Drafted]:
    low = profile.minimum
    if not isinstance(low, date):
        return
    earliest: Any = low.replace(month=1, day=1)
    if isinstance(earliest, datetime):
        earliest = earliest.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    entry = _entry("expect_column_values_to_be_between", "warning", profile)
    said = low.isoformat()
    why = f"Nothing is from before {said}; the end is left open, since time goes on."
    yield Drafted({**entry, "min_value": earliest, "mostly": 0.99}, (why,))


def _all_values(profile: ColumnProfile) -> list[Any]:
    """Return every value of a column, in order; none where the profile does not list them all."""
    values = [value for value, _ in profile.top]
    is_cut = any(isinstance(value, str) and len(value) > _MAX_TEXT_CHARS for value in values)
    is_huge = any(isinstance(value, int) and abs(value) > _EXACT_INTEGER for value in values)
    if len(values) != profile.n_distinct or is_cut or is_huge:
        return []
    return sorted(values)


def _shape(texts: Sequence[str]) -> str | None:
    """Return the pattern that texts share: the same classes of characters in the same order."""
    found = [_runs(text) for text in texts]
    if not found or not found[0] or len(found[0]) > 12 or len(texts) < 2:
        return None
    names = [name for name, _ in found[0]]
    if any([name for name, _ in runs] != names for runs in found):
        return None
    parts = []
    for index, name in enumerate(names):
        lengths = [runs[index][1] for runs in found]
        low, high = min(lengths), max(lengths)
        is_one = low == high == 1
        parts.append(name + ("" if is_one else f"{{{low}}}" if low == high else f"{{{low},{high}}}"))
    has_class = any(name.startswith("[") for name in names)
    return f"^{''.join(parts)}$" if has_class else None


def _runs(text: str) -> list[tuple[str, int]]:
    runs: list[tuple[str, int]] = []
    for sign in text:
        if not sign.isascii() or not sign.isprintable():
            return []
        name = next((name for name, has in _CLASSES if has(sign)), _escaped(sign))
        if runs and runs[-1][0] == name:
            runs[-1] = (name, runs[-1][1] + 1)
        else:
            runs.append((name, 1))
    return runs


def _escaped(sign: str) -> str:
    return sign if sign in " -_/:,;@#%&=~" else re.escape(sign)


def _entry(kind: str, severity: str, profile: ColumnProfile) -> dict[str, Any]:
    return {"type": kind, "severity": severity, "column": profile.name}


def _outwards(value: float, span: float, *, up: bool) -> float:
    """Return ``value`` rounded away from the data, to two digits of the span."""
    if not math.isfinite(value) or not math.isfinite(span) or span <= 0:
        return value
    digits = 1 - math.floor(math.log10(span))
    unit = 10.0**-digits
    whole = (math.ceil if up else math.floor)(value / unit) if math.isfinite(value / unit) else 0
    rounded = round(whole * unit, max(digits, 0))
    return rounded if (rounded >= value if up else rounded <= value) else value


def _number(value: float) -> str:
    return f"{int(value):,}" if value.is_integer() and abs(value) < _EXACT_INTEGER else f"{value:.6g}"


def _shown(text: str) -> str:
    return json.dumps("".join(sign if sign.isprintable() else "?" for sign in text[:_MAX_SHOWN]))
