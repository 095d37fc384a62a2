"""What a training saw is remembered in few bytes, exactly, and read back as a suite would hold it."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from great_expectations.expectations.core import ExpectColumnKLDivergenceToBeLessThan

from pipelines.errors import IntegrityError
from pipelines.validation.reference import (
    MAX_LEVELS,
    REFERENCE_NAMES,
    ReferenceProfile,
    learn,
    read_profile,
)

DAYS = ["2013-01-01", "2013-01-01", "2013-01-02", "2013-01-02", "2013-01-02"]
NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def profile() -> ReferenceProfile:
    table = pa.table(
        {
            "partition_key": DAYS,
            "x": pa.array([1.0, 3.0, 8.0, math.nan, None]),
            "n": pa.array([1, 1, 2, 5, None]),
            "site": ["north", "south", "north", None, "north"],
            "is_open": [True, False, True, None, True],
            "at": pa.array([NOON, None, NOON.replace(day=2), None, None], pa.timestamp("us", tz="UTC")),
            "day": pa.array([date(2013, 1, 1)] * 4 + [date(2013, 1, 3)]),
            "nothing": pa.nulls(5, pa.float64()),
        }
    )
    return learn({"raw": table})


@pytest.mark.parametrize(
    ("column", "name", "expected"),
    [
        pytest.param(None, "n_rows", 5, id="rows"),
        pytest.param("x", "day_rows_min", 2, id="rows-of-the-smallest-day"),
        pytest.param(None, "day_rows_max", 3, id="rows-of-the-largest-day"),
        pytest.param("x", "min", 1.0, id="smallest-number"),
        pytest.param("n", "max", 5, id="largest-integer"),
        pytest.param("x", "mean", 4.0, id="mean-of-what-is-finite"),
        pytest.param("x", "stdev", 3.60555128, id="sample-deviation"),
        pytest.param("x", "null_fraction", 0.4, id="nan-counts-as-null"),
        pytest.param("x", "day_null_fraction_max", 0.666666667, id="worst-day"),
        pytest.param("x", "day_mean_min", 2.0, id="lowest-day"),
        pytest.param("x", "day_mean_max", 8.0, id="highest-day"),
        pytest.param("x", "q0.5", 3.0, id="median"),
        pytest.param("n", "levels", [1, 2, 5], id="levels-of-integers"),
        pytest.param("site", "levels", ["north", "south"], id="levels-of-text"),
        pytest.param("is_open", "mean", 0.75, id="share-of-true"),
        pytest.param("is_open", "max", None, id="a-boolean-has-no-bounds"),
        pytest.param(
            "site", "distribution", {"values": ["north", "south"], "weights": [0.75, 0.25]}, id="sets"
        ),
        pytest.param("at", "max", NOON.replace(day=2), id="a-moment"),
        pytest.param("day", "max", datetime(2013, 1, 3), id="a-date-is-its-midnight"),
        pytest.param("at", "mean", None, id="a-time-has-no-mean"),
        pytest.param("site", "mean", None, id="a-text-has-no-mean"),
        pytest.param("x", "levels", None, id="a-float-has-no-levels"),
        pytest.param("nothing", "min", None, id="a-column-of-nulls"),
        pytest.param("nothing", "distribution", None, id="no-distribution-of-nulls"),
        pytest.param("absent", "min", None, id="a-column-the-training-had-not"),
        pytest.param(None, "min", None, id="no-column"),
    ],
)
def test_a_name_stands_for_what_was_seen(
    profile: ReferenceProfile, column: str | None, name: str, expected: Any
) -> None:
    assert profile.value("raw", column, name) == expected


def test_every_name_can_be_asked_of_every_column(profile: ReferenceProfile) -> None:
    columns = profile.stages["raw"].columns
    known = {
        name
        for name in REFERENCE_NAMES
        for column in columns
        if profile.value("raw", column, name) is not None
    }
    assert known == set(REFERENCE_NAMES)


def test_a_stage_that_was_not_learned_knows_nothing(profile: ReferenceProfile) -> None:
    assert profile.value("predictions", "prediction", "mean") is None


def test_it_survives_the_file(profile: ReferenceProfile, tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text(profile.model_dump_json(indent=1))
    assert read_profile(path) == profile


@pytest.mark.parametrize("text", ["", "{}", '{"stages": {"raw": 1}}'], ids=["empty", "another", "wrong"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "profile.json"
    path.write_text(text)
    with pytest.raises(IntegrityError, match="train the model again"):
        read_profile(path)


def test_the_order_of_rows_does_not_matter() -> None:
    random = np.random.default_rng(3)
    table = pa.table(
        {
            "partition_key": [f"2013-01-{day:02d}" for day in random.integers(1, 20, 2_000)],
            "x": random.normal(size=2_000),
            "site": [f"s{level}" for level in random.integers(0, 40, 2_000)],
        }
    )
    shuffled = table.take(random.permutation(table.num_rows))
    assert learn({"raw": table}) == learn({"raw": shuffled})


def test_fifty_columns_stay_below_200_kb() -> None:
    random = np.random.default_rng(4)
    n_rows = 3_000
    columns: dict[str, Any] = {"partition_key": [f"2013-01-{1 + row % 28:02d}" for row in range(n_rows)]}
    columns |= {f"number_{n}": random.normal(size=n_rows) for n in range(20)}
    columns |= {
        f"text_{n}": [f"a rather long category {level}" for level in random.integers(0, 700, n_rows)]
        for n in range(30)
    }
    text = learn({"raw": pa.table(columns)}).model_dump_json(indent=1)
    assert len(text) < 210_000


def test_levels_beyond_the_limit_are_a_share_and_no_set() -> None:
    names = [f"s{level:04d}" for level in range(MAX_LEVELS + 100)]
    column = learn({"raw": pa.table({"partition_key": ["2013-01-01"] * len(names), "s": names})})
    seen = column.stages["raw"].columns["s"]
    assert len(seen.levels or ()) == MAX_LEVELS
    assert seen.rest_weight == pytest.approx(1 / 6)
    assert seen.value("levels") is seen.value("distribution") is None


def test_integers_with_many_values_are_a_distribution_of_bins() -> None:
    column = learn({"raw": pa.table({"partition_key": ["2013-01-01"] * 2_000, "n": list(range(2_000))})})
    assert column.value("raw", "n", "levels") is None
    distribution = column.value("raw", "n", "distribution")
    assert len(distribution["bins"]) == len(distribution["weights"]) + 1 == 21
    assert sum(distribution["weights"]) == pytest.approx(1.0)
    assert min(distribution["weights"]) > 0


@pytest.mark.parametrize("column", ["x", "n", "site"])
def test_great_expectations_takes_the_distribution(profile: ReferenceProfile, column: str) -> None:
    partition = profile.value("raw", column, "distribution")
    rule = ExpectColumnKLDivergenceToBeLessThan(column=column, partition_object=partition, threshold=0.1)
    assert rule.partition_object == partition


def test_a_table_without_rows_is_remembered_as_such() -> None:
    empty = pa.table({"partition_key": pa.array([], pa.string()), "x": pa.array([], pa.float64())})
    seen = learn({"raw": empty})
    assert (seen.value("raw", "x", "n_rows"), seen.value("raw", "x", "mean")) == (0, None)
