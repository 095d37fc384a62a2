"""Suites: what is read, and how a mistake is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.config import PROJECT_ROOT, DatasetConfig, load_params
from pipelines.errors import ConfigError
from pipelines.validation.suite import Suite, load_suite

MakeSuite = Callable[[str], Suite]

ONE_BETWEEN = """
  - type: expect_column_values_to_be_between
    severity: warning
    column: level
    min_value: 0
"""


@pytest.mark.parametrize("dataset", ["flights", "bikes"])
def test_the_shipped_suites_are_valid_and_cover_the_key(dataset: str) -> None:
    config = load_params(PROJECT_ROOT / "params.yaml").dataset(dataset)
    suite = load_suite(PROJECT_ROOT / "expectations" / f"{dataset}_raw.yaml", config)
    assert len(suite.rules) >= 15
    unique = [rule for rule in suite.rules if rule.title == "expect_column_values_to_be_unique(row_id)"]
    assert [rule.severity for rule in unique] == ["critical"]
    assert {rule.severity for rule in suite.rules} >= {"critical", "warning"}


def test_the_digest_is_of_the_content_and_not_of_comments_or_layout(make_suite: MakeSuite) -> None:
    plain = make_suite(ONE_BETWEEN)
    decorated = make_suite(
        """
  # how full
  - {severity: warning, type: expect_column_values_to_be_between,  # a comment
     column: level, min_value: 0}
"""
    )
    assert plain.digest == decorated.digest
    for changed in ("severity: critical", "min_value: 1", "column: reading"):
        key = changed.split(":")[0]
        lines = [line if key + ":" not in line else f"    {changed}" for line in ONE_BETWEEN.splitlines()]
        assert make_suite("\n".join(lines)).digest != plain.digest


def test_rules_of_the_same_type_on_the_same_column_get_names_of_their_own(make_suite: MakeSuite) -> None:
    suite = make_suite(
        ONE_BETWEEN + ONE_BETWEEN + "  - {type: expect_column_to_exist, severity: info, column: level}\n"
    )
    assert [rule.name for rule in suite.rules] == [
        "expect_column_values_to_be_between#1",
        "expect_column_values_to_be_between#2",
        "expect_column_to_exist",
    ]


def test_dates_become_moments_as_their_column_has_them(make_suite: MakeSuite) -> None:
    entry = (
        "  - {{type: expect_column_values_to_be_between, severity: info,"
        " column: {}, min_value: 2013-01-01}}\n"
    )
    at_a_moment, on_a_day = make_suite(entry.format("read_at") + entry.format("day")).rules
    assert at_a_moment.arguments["min_value"] == datetime(2013, 1, 1, tzinfo=UTC)
    assert on_a_day.arguments["min_value"] == datetime(2013, 1, 1)


@pytest.mark.parametrize(
    ("expectations", "said"),
    [
        pytest.param(
            "  - {type: expect_column_values_to_be_betwen, severity: info, column: level}",
            "expectation 1 (line 2): unknown expectation type `expect_column_values_to_be_betwen`. "
            "Did you mean `expect_column_values_to_be_between`?",
            id="unknown-type",
        ),
        pytest.param(
            ONE_BETWEEN + "  - {severity: info, column: level}",
            "expectation 2 (line 7): unknown expectation type ``",
            id="no-type",
        ),
        pytest.param(
            ONE_BETWEEN + "\n    max_valeu: 3",
            "expect_column_values_to_be_between has no argument `max_valeu`. Did you mean `max_value`?",
            id="unknown-argument",
        ),
        pytest.param(
            ONE_BETWEEN + "\n    mostly: 2", "`mostly`: ensure this value is less", id="wrong-value"
        ),
        pytest.param(
            "  - {type: expect_column_values_to_be_between, severity: info, column: level}",
            "min_value and max_value cannot both be None",
            id="arguments-that-do-not-fit",
        ),
        pytest.param(
            "  - {type: expect_column_value_lengths_to_equal, severity: info, column: site}",
            "`value`: field required",
            id="missing-argument",
        ),
        pytest.param(
            ONE_BETWEEN + "\n    result_format: BASIC",
            "has no argument `result_format`",
            id="reserved-argument",
        ),
        pytest.param(
            "  - {type: expect_column_to_exist, severity: info, column: levle}",
            "unknown column `levle`. Did you mean `level`?",
            id="unknown-column",
        ),
        pytest.param(
            "  - {type: expect_compound_columns_to_be_unique, severity: info, column_list: [site, miscast]}",
            "unknown column `miscast`",
            id="unknown-column-in-a-list",
        ),
        pytest.param(
            "  - {type: expect_column_to_exist, severity: error, column: level}",
            "expect_column_to_exist needs a `severity`: critical, warning or info",
            id="unknown-severity",
        ),
        pytest.param(
            "  - {type: expect_column_to_exist, column: level}", "needs a `severity`", id="no-severity"
        ),
        pytest.param(
            ONE_BETWEEN + "\n    max_value: {$PARAMETER: day_ends}",
            "unknown $PARAMETER `day_ends`. Did you mean `day_end`?",
            id="unknown-parameter",
        ),
        pytest.param(
            "  - {type: expect_column_values_to_be_in_set, severity: info, column: level, value_set: "
            "[{$PARAMETER: night}]}",
            "unknown $PARAMETER `night`",
            id="unknown-parameter-in-a-list",
        ),
        pytest.param(
            ONE_BETWEEN + "\n    column: site",
            "expectation 1 (line 3): the key `column` is written twice",
            id="twice",
        ),
        pytest.param(
            "  - expect_column_to_exist", "expectation 1 (line 2): write it as a mapping", id="no-mapping"
        ),
        pytest.param("  []", "must be a list of at least one", id="empty-list"),
        pytest.param("  - {type: [", "is not valid YAML", id="no-yaml"),
        pytest.param("  - {type: expect_column_to_exist}\nsuite: x", "must have one key", id="another-key"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_the_nearest_valid_name(
    expectations: str, said: str, make_suite: MakeSuite
) -> None:
    with pytest.raises(ConfigError) as caught:
        make_suite(expectations)
    assert str(caught.value).startswith("expectations/meters_raw.yaml")
    assert said in str(caught.value)


def test_a_suite_that_is_not_there_is_told(tmp_path: Path, config: DatasetConfig) -> None:
    with pytest.raises(ConfigError, match=r"Can't read the expectation suite .*none_raw\.yaml"):
        load_suite(tmp_path / "none_raw.yaml", config)
