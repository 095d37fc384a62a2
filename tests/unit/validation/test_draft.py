"""The drafted suite: it lints, it holds for its own data, and says why."""

# ruff: noqa: E501 - one case a line

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.config import DatasetConfig
from pipelines.profiling.profile import ColumnProfile, profile_relation
from pipelines.storage.engine import connect
from pipelines.validation.draft import draft_suite
from pipelines.validation.engine import Examiner
from pipelines.validation.lint import lint_suite
from pipelines.validation.suite import read_suite, suite_columns

WHERE = "expectations/meters_raw.yaml"
_SITES = ["north", "south", "no", "2013-01-01", "a: b # c", "\x1b[31m"]
_CASES: dict[str, dict[str, list[Any]]] = {
    "plain": {},
    "nulls": {"level": [None, 0.1] * 50, "site": [None] * 100},
    "one-null": {"level": [None] + [0.5] * 99},
    "constants": {"site": ["x"] * 100, "reading": [7] * 100, "level": [0.0] * 100},
    "odd-texts": {"site": (_SITES * 17)[:100]},
    "ids": {"site": [f"AB-{n:04d}" for n in range(100)]},
    "long-texts": {"site": ["x" * n + "é" for n in range(100)]},
    "huge-numbers": {"reading": [2**62, -(2**62)] * 50, "level": [1e308, -1e308] * 50},
    "tiny-numbers": {"level": [1e-300, 2e-300] * 50},
    "negative": {"level": [-5.0, -4.0] * 50},
}


def _profiles(rows: pa.Table, config: DatasetConfig) -> dict[str, ColumnProfile]:
    with connect() as connection:
        connection.register("sample", rows)
        return profile_relation(connection, "sample", suite_columns(config))


@pytest.mark.parametrize("case", _CASES)
def test_a_draft_lints_and_holds_for_the_data_that_it_was_drafted_from(
    case: str, config: DatasetConfig, meters: Callable[..., pa.Table]
) -> None:
    rows = meters(100, **_CASES[case])
    text = draft_suite(config, _profiles(rows, config), n_rows_a_day=[100])
    report = lint_suite(text, WHERE, config)
    assert report.findings == ()
    suite = read_suite(text, WHERE, config)
    keyed = rows.append_column("partition_key", pa.repeat("2013-07-04", 100))
    keyed = keyed.append_column("position", pa.array(np.arange(100)))
    with connect() as connection:
        connection.register("night", keyed)
        found = Examiner(suite).examine(connection, "night", ["2013-07-04"])["2013-07-04"]
    unmet = [finding.rule.title for finding in found.findings if not finding.is_met]
    assert unmet == []
    broken = [each for each in found.findings if each.n_unexpected and each.rule.severity != "info"]
    assert broken == []


@pytest.mark.parametrize(
    ("case", "said"),
    [
        pytest.param("plain", "level: float; never null; 1 value.", id="what-was-seen"),
        pytest.param("plain", "Unsure: 1 night(s) are few", id="few-nights"),
        pytest.param("nulls", "Null in every row", id="all-null"),
        pytest.param("nulls", "50.00% null over all nights", id="nulls"),
        pytest.param("constants", "Constant so far", id="constant"),
        pytest.param("odd-texts", "All 6 values that were seen", id="set"),
        pytest.param("ids", "^[A-Z]{2}-[0-9]{4}$", id="shape"),
        pytest.param("huge-numbers", "too far apart for bounds", id="no-bounds"),
    ],
)
def test_a_draft_says_why(
    case: str, said: str, config: DatasetConfig, meters: Callable[..., pa.Table]
) -> None:
    assert said in draft_suite(config, _profiles(meters(100, **_CASES[case]), config), n_rows_a_day=[100])


def test_a_largest_value_far_from_the_others_is_doubted(
    config: DatasetConfig, meters: Callable[..., pa.Table]
) -> None:
    rows = meters(1000, level=[n / 1000 for n in range(999)] + [1e9])
    assert "Is the largest one real?" in draft_suite(config, _profiles(rows, config), n_rows_a_day=[1000])


def test_keys_that_are_none_are_told_and_do_not_block(
    config: DatasetConfig, meters: Callable[..., pa.Table]
) -> None:
    text = draft_suite(config, _profiles(meters(100, row_id=["same"] * 100), config), n_rows_a_day=[100] * 30)
    assert "Unsure: only about 1 of 100 keys differ" in text
    assert "are few" not in text
    unique = read_suite(text, WHERE, config).rules[2]
    assert (unique.columns, unique.severity) == (("row_id",), "info")


def test_a_table_without_key_or_time_is_told(config: DatasetConfig, meters: Callable[..., pa.Table]) -> None:
    plain = config.model_copy(update={"key": (), "event_time": None})
    text = draft_suite(plain, _profiles(meters(100), config), n_rows_a_day=[100])
    assert "The table has no key" in text
    assert "The table has no time" in text
    assert lint_suite(text, WHERE, plain).n_errors == 0


@pytest.mark.parametrize(
    ("update", "column", "said"),
    [
        pytest.param({"task": "binary"}, "prediction", "day_mean_max", id="binary"),
        pytest.param({"task": "multiclass", "classes": ("a", "b", "c")}, "probability_2", "value_set: [a, b, c]", id="multiclass"),
        pytest.param({}, "prediction", "a fifth of that span", id="regression"),
    ],
)  # fmt: skip
def test_predictions_get_what_their_task_asks_for(
    config: DatasetConfig, update: dict[str, Any], column: str, said: str
) -> None:
    config = config.model_copy(update=update)
    types = suite_columns(config, "predictions")
    profiles = {
        name: ColumnProfile(
            name, kind, 50, 0, 50, 0.1 if kind == "float" else "a", 0.9 if kind == "float" else "b"
        )
        for name, kind in types.items()
        if kind != "timestamp"
    }
    text = draft_suite(config, profiles, n_rows_a_day=[50] * 9, stage="predictions")
    assert said in text
    assert f"column: {column}" in text
    assert lint_suite(text, WHERE, config, "predictions").findings == ()
