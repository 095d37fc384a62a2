"""How DuckDB measures what a rule is about, as far as its arguments and types let it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from pipelines.config import ColumnType
from pipelines.storage.sql import identifier
from pipelines.validation.engine.checks import Check, Subject
from pipelines.validation.engine.literals import is_number, members
from pipelines.validation.engine.measures import (
    DistinctCheck,
    ExtremeCheck,
    MedianCheck,
    ModeCheck,
    MomentCheck,
    QuantileCheck,
    SetCheck,
    SpreadCheck,
)
from pipelines.validation.engine.moments import Moments, Ranks
from pipelines.validation.engine.scan import Scan

Build = Callable[[Subject, Scan], Check | None]

NUMBERS: tuple[ColumnType, ...] = ("integer", "float")


def plain(kind: Callable[[Subject], Check]) -> Build:
    """Return a builder of checks that any column of any type has."""
    return lambda subject, _: kind(subject)


def summed_up(metric: str) -> Build:
    """Return a builder of sums, means or deviations; of numbers only."""

    def build(subject: Subject, scan: Scan) -> Check | None:
        (type_,) = types_of(scan, subject.columns)
        if type_ not in NUMBERS:
            return None
        return MomentCheck(subject, metric, Moments(subject, type_))

    return build


def extreme(name: str) -> Build:
    """Return a builder of least or greatest values."""
    return lambda subject, _: ExtremeCheck(subject, name)


def median(subject: Subject, scan: Scan) -> Check | None:
    """Build the median; of numbers only."""
    return MedianCheck(subject) if scan.columns[subject.columns[0]] in NUMBERS else None


def quantiles(subject: Subject, scan: Scan) -> Check | None:
    """Build quantiles; of numbers only."""
    asked: Any = subject.expectation
    way = asked.allow_relative_error or "nearest"
    if scan.columns[subject.columns[0]] not in NUMBERS or not isinstance(way, str):
        return None
    ranges = asked.quantile_ranges
    quantiles = ranges["quantiles"] if isinstance(ranges, Mapping) else ranges.quantiles
    return QuantileCheck(subject, list(quantiles), way)


def distinct(*, counts_distinct: bool = True) -> Build:
    """Return a builder of counts of distinct and of null values."""
    return lambda subject, _: DistinctCheck(subject, counts_distinct=counts_distinct)


def most_common(subject: Subject, scan: Scan) -> Check | None:
    """Build the most common values, unless SQL can't tell the expected ones."""
    (type_,) = types_of(scan, subject.columns)
    texts = members(subject.expectation.value_set or (), type_)
    if texts is None:
        return None
    within = f"{identifier(subject.columns[0])} IN ({', '.join(texts)})" if texts else "FALSE"
    return ModeCheck(subject, within)


def value_set(subject: Subject, scan: Scan) -> Check | None:
    """Build the set of distinct values, unless SQL can't tell the expected ones."""
    (type_,) = types_of(scan, subject.columns)
    expected = subject.expectation.value_set
    texts = None if expected is None else members(expected, type_)
    return None if texts is None else SetCheck(subject, expected, texts)


def z_score(subject: Subject, scan: Scan) -> Check | None:
    """Build the distances from the mean in deviations; of numbers only."""
    asked: Any = subject.expectation
    (type_,) = types_of(scan, subject.columns)
    if not is_number(asked.threshold) or type_ not in NUMBERS:
        return None
    moments = Moments(subject, type_)

    def limits(key: str) -> tuple[float, float] | None:
        mean, stdev = moments.mean(key), moments.stdev(key)
        return (mean, stdev) if stdev and math.isfinite(stdev) else None

    score = "({value} - {one}) / {other}"
    if asked.double_sided:
        return SpreadCheck(subject, f"abs({score}) >= {abs(asked.threshold)}::DOUBLE", moments, limits)
    return SpreadCheck(subject, f"{score} >= {asked.threshold}::DOUBLE", moments, limits)


def outliers(subject: Subject, scan: Scan) -> Check | None:
    """Build the fences, or the window, that outliers lie beyond; of numbers only."""
    asked: Any = subject.expectation
    (type_,) = types_of(scan, subject.columns)
    if type_ not in NUMBERS or not is_number(asked.multiplier):
        return None
    if str(getattr(asked.method, "value", asked.method)) == "iqr":
        ranks = Ranks(subject.columns[0], subject.domain, [0.25, 0.75])

        def fences(key: str) -> tuple[float, float] | None:
            low, high = ranks.quantile(key, 0.25), ranks.quantile(key, 0.75)
            reach = asked.multiplier * (high - low)
            return (low - reach, high + reach) if math.isfinite(low) and math.isfinite(high) else None

        return SpreadCheck(subject, "NOT ({value} >= {one} AND {value} <= {other})", ranks, fences)
    moments = Moments(subject, type_)

    def window(key: str) -> tuple[float, float] | None:
        mean, stdev = moments.mean(key), moments.stdev(key)
        return (mean, asked.multiplier * stdev) if math.isfinite(mean) and math.isfinite(stdev) else None

    far = "CASE WHEN {other} <= 0 THEN {value} <> {one} ELSE abs({value} - {one}) >= {other} END"
    return SpreadCheck(subject, far, moments, window)


def types_of(scan: Scan, columns: tuple[str, ...]) -> list[ColumnType]:
    """Return the types of columns, all of which are known."""
    return [type_ for column in columns if (type_ := scan.columns[column]) is not None]
