"""Rows of a training that its features' suite would not let through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest
import yaml
from toy_world import config

from pipelines.config import DatasetConfig
from pipelines.validation.stage_tables import broken_rows
from pipelines.validation.suite import read_suite, suite_columns

DAYS = ["2013-01-01", "2013-01-02"]
BETWEEN = {"type": "expect_column_values_to_be_between", "column": "x", "min_value": 0, "mostly": 0.1}
UNIQUE = {"type": "expect_column_values_to_be_unique", "column": "row_id"}


@pytest.mark.parametrize(
    ("expectations", "broken"),
    [
        pytest.param([BETWEEN | {"severity": "warning"}], [False, True, False, True], id="warning"),
        pytest.param([BETWEEN | {"severity": "critical"}], [False, True, False, True], id="critical"),
        pytest.param([BETWEEN | {"severity": "info"}], [False] * 4, id="information-only-counts"),
        pytest.param(
            [
                {
                    "type": "expect_column_mean_to_be_between",
                    "column": "x",
                    "min_value": 9,
                    "severity": "critical",
                }
            ],
            [False] * 4,
            id="not-about-rows",
        ),
        pytest.param(
            [BETWEEN | {"severity": "critical", "min_value": {"$REFERENCE": "max"}}],
            [False] * 4,
            id="against-a-training",
        ),
        pytest.param(
            [UNIQUE | {"severity": "critical"}],
            [False] * 4,
            id="the-same-key-on-two-days",
        ),
    ],
)
def test_rows_that_break_a_binding_rule_are_named(
    expectations: list[Mapping[str, Any]], broken: list[bool]
) -> None:
    declared = DatasetConfig.model_validate(config())
    suite = read_suite(yaml.safe_dump({"expectations": expectations}), "suite.yaml", declared, "features")
    rows = pa.table(
        {
            "row_id": ["a", "b", "a", "c"],
            "partition_key": [DAYS[0], DAYS[0], DAYS[1], DAYS[1]],
            "event_time": pa.nulls(4, pa.timestamp("us", tz="UTC")),
            "x": [1.0, -1.0, None, -2.0],
            "late_rate_1d": [0.1] * 4,
            "site": ["north"] * 4,
        }
    )
    types = suite_columns(declared, "features")
    assert broken_rows(rows, DAYS, suite=suite, types=types).tolist() == broken
