"""A suite over partitions: what is found, by which engine, and what is said when an engine fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from great_expectations.core.expectation_validation_result import expectationSuiteValidationResultSchema
from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer

from pipelines.errors import ConfigError, EngineError
from pipelines.storage.engine import connect
from pipelines.validation.engine import BREACHES, Examiner
from pipelines.validation.reference import ReferenceProfile
from pipelines.validation.rules import Rule
from pipelines.validation.suite import Suite

KEYS = ["2013-07-03", "2013-07-04"]
# Positions need not begin with 0, nor rows come in their order.
ROWS = """
CREATE TEMP TABLE rows AS
SELECT * FROM (VALUES
  ('2013-07-03', 12, 'a', 1, 0.5, TIMESTAMPTZ '2013-07-03 01:00:00+00:00', DATE '2013-07-03', TRUE),
  ('2013-07-03', 10, 'b', 2, 1.5, TIMESTAMPTZ '2013-07-04 00:00:00+00:00', DATE '2013-07-03', FALSE),
  ('2013-07-03', 11, 'b', NULL, 2.5, TIMESTAMPTZ '2013-07-03 03:00:00+00:00', DATE '2013-07-04', TRUE),
  ('2013-07-04', 7, 'c', 1, 0.5, TIMESTAMPTZ '2013-07-04 00:00:00+00:00', DATE '2013-07-04', NULL),
  ('2013-07-04', 9, 'b', 5, NULL, TIMESTAMPTZ '2013-07-05 00:00:00+00:00', DATE '2013-07-04', TRUE),
  ('2013-07-05', 1, 'z', 9, NULL, NULL, NULL, NULL)
) AS t(partition_key, position, s, i, f, t, d, b)
"""


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with connect() as opened:
        opened.execute(ROWS)
        opened.execute(
            "CREATE TEMP VIEW night AS SELECT partition_key, position::BIGINT AS position, s, "
            "i::BIGINT AS i, f::DOUBLE AS f, t, d, b FROM rows"
        )
        yield opened


def rule(kind: str, /, *, position: int = 1, **arguments: Any) -> Rule:
    names = ("column", "column_A", "column_B")
    columns = tuple(arguments[name] for name in names if name in arguments)
    return Rule(
        kind, kind, position, "critical", columns or tuple(arguments.get("column_list", ())), arguments
    )


def examiner(*rules: Rule, reference: ReferenceProfile | None = None) -> Examiner:
    return Examiner(Suite("nights_raw", rules, "digest"), reference=reference)


def breaches(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, int, int]]:
    return connection.execute(f"SELECT * FROM {BREACHES} ORDER BY ALL").fetchall()


def test_bad_rows_are_named_by_partition_position_and_rule(connection: duckdb.DuckDBPyConnection) -> None:
    found = examiner(
        rule("expect_column_values_to_not_be_null", column="i"),
        rule("expect_column_values_to_be_unique", column="s", position=2),
        rule("expect_column_values_to_be_in_set", column="s", value_set=["a", "b"], position=3),
        rule(
            "expect_column_values_to_be_json_parseable",
            column="s",
            row_condition='col("i") > 1',
            condition_parser="great_expectations",
            position=4,
        ),
        rule(
            "expect_column_values_to_be_in_set",
            column="s",
            value_set=["a"],
            row_condition="i > 1",
            condition_parser="pandas",
            position=5,
        ),
    ).examine(connection, "night", KEYS)
    assert breaches(connection) == [
        ("2013-07-03", 10, 2),
        ("2013-07-03", 10, 4),
        ("2013-07-03", 10, 5),
        ("2013-07-03", 11, 1),
        ("2013-07-03", 11, 2),
        ("2013-07-04", 7, 3),
        ("2013-07-04", 9, 4),
        ("2013-07-04", 9, 5),
    ]
    findings = found["2013-07-03"].findings
    assert [finding.n_unexpected for finding in findings] == [1, 2, 0, 1, 1]
    assert [finding.is_met for finding in findings] == [False, False, True, False, False]
    assert findings[0].observed == "1 of 3 rows unexpected"
    engines = [finding.engine for finding in findings]
    assert engines == ["duckdb", "duckdb", "duckdb", "great_expectations", "great_expectations"]


def test_results_name_the_rows_by_their_positions_whichever_engine_ran(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    result = (
        examiner(
            rule("expect_column_values_to_not_be_null", column="i"),
            rule(
                "expect_column_values_to_be_in_set",
                column="s",
                value_set=["a"],
                row_condition="i > 1",
                condition_parser="pandas",
                position=2,
            ),
        )
        .examine(connection, "night", KEYS)["2013-07-03"]
        .result
    )
    assert [each.result["partial_unexpected_index_list"] for each in result.results] == [[11], [10]]
    assert [each.meta["engine"] for each in result.results] == ["duckdb", "great_expectations"]
    assert result.meta["engines"] == {"duckdb": 1, "great_expectations": 1}
    assert not any("unexpected_index_list" in each.result for each in result.results)


def test_results_are_great_expectations_own_and_it_renders_them(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    found = examiner(
        rule("expect_column_values_to_not_be_null", column="i"),
        rule("expect_column_mean_to_be_between", column="f", min_value=0, max_value=1, position=2),
        rule(
            "expect_column_quantile_values_to_be_between",
            column="i",
            position=3,
            quantile_ranges={"quantiles": [0.5], "value_ranges": [[0, 9]]},
        ),
        rule("expect_column_values_to_be_of_type", column="s", type_="str", position=4),
        rule("expect_table_columns_to_match_set", column_set=list("sifdbt"), position=5),
    ).examine(connection, "night", KEYS)["2013-07-03"]
    assert [finding.is_met for finding in found.findings] == [False, False, True, True, True]
    content = json.loads(json.dumps(found.result.to_json_dict()))
    assert content["statistics"]["evaluated_expectations"] == 5
    content["meta"]["run_id"] = {"run_name": "night", "run_time": "2013-07-04T00:00:00+00:00"}
    loaded = expectationSuiteValidationResultSchema.load(content)
    page = ValidationResultsPageRenderer(run_info_at_end=True).render(loaded).to_json_dict()
    assert "1.5" in json.dumps(page)


@pytest.mark.parametrize(
    "keys", [pytest.param(KEYS, id="two-nights"), pytest.param(KEYS[1:], id="one-night")]
)
def test_values_of_the_partition_differ_by_partition(
    connection: duckdb.DuckDBPyConnection, keys: list[str]
) -> None:
    found = examiner(
        rule(
            "expect_column_values_to_be_between",
            column="t",
            strict_max=True,
            min_value={"$PARAMETER": "day_start"},
            max_value={"$PARAMETER": "day_end"},
        ),
        rule(
            "expect_column_values_to_be_between",
            column="d",
            position=2,
            min_value={"$PARAMETER": "day"},
            max_value={"$PARAMETER": "day"},
        ),
        rule(
            "expect_column_values_to_be_in_set",
            column="t",
            position=3,
            value_set=[{"$PARAMETER": "day_start"}],
        ),
        rule(
            "expect_column_max_to_be_between",
            column="t",
            position=4,
            min_value={"$PARAMETER": "day_start"},
            max_value={"$PARAMETER": "day_end"},
        ),
    ).examine(connection, "night", keys)
    here = [(position, number) for key, position, number in breaches(connection) if key == "2013-07-04"]
    assert here == [(9, 1), (9, 3)]
    last = found["2013-07-04"].result.results[0].expectation_config.kwargs["max_value"]
    assert last == datetime(2013, 7, 4, tzinfo=UTC) + timedelta(days=1)
    assert found["2013-07-04"].findings[3].is_met


def test_a_rule_that_needs_a_reference_is_not_evaluated_without_one(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    found = examiner(
        rule("expect_column_values_to_be_in_set", column="s", value_set={"$REFERENCE": "levels"}),
        rule("expect_column_values_to_not_be_null", column="s", position=2),
    ).examine(connection, "night", KEYS[:1])["2013-07-03"]
    assert [finding.is_evaluated for finding in found.findings] == [False, True]
    assert found.findings[0].is_met
    assert len(found.result.results) == 1


def test_a_query_of_unexpected_rows_sees_the_partition_alone(connection: duckdb.DuckDBPyConnection) -> None:
    query = "SELECT s FROM {batch} WHERE s IN ('b', 'z') AND '{{' <> '}}';"
    found = examiner(rule("unexpected_rows_expectation", unexpected_rows_query=query)).examine(
        connection, "night", KEYS
    )
    observed = [found[key].result.results[0].result["observed_value"] for key in KEYS]
    assert observed == [2, 1]
    assert found[KEYS[1]].result.results[0].result["details"] == {"unexpected_rows": [{"s": "b"}]}


def test_queries_and_counts_are_compared_with_other_tables_of_the_lake(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    connection.execute("CREATE TEMP VIEW validated AS SELECT * FROM night WHERE partition_key = '2013-07-03'")
    found = examiner(
        rule("expect_table_row_count_to_equal_other_table", other_table_name="validated"),
        rule(
            "expect_query_results_to_match_comparison",
            base_query="SELECT s, i FROM {batch}",
            comparison_data_source_name="lake",
            comparison_query="SELECT s, i FROM validated",
            position=2,
        ),
    ).examine(connection, "night", KEYS)
    assert [finding.is_met for finding in found["2013-07-03"].findings] == [True, True]
    assert [finding.is_met for finding in found["2013-07-04"].findings] == [False, False]
    counts = found["2013-07-04"].result.results[0].result["observed_value"]
    assert counts == {"self": 2, "other": 3}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        pytest.param(
            rule("expect_table_row_count_to_equal_other_table", other_table_name="nowhere"),
            "nowhere",
            id="a-table-that-is-not-there",
        ),
        pytest.param(
            rule(
                "expect_query_results_to_match_comparison",
                base_query="SELECT 1 FROM {batch}",
                comparison_data_source_name="warehouse",
                comparison_query="SELECT 1",
            ),
            "warehouse",
            id="another-data-source",
        ),
        pytest.param(
            rule(
                "expect_query_results_to_match_comparison",
                base_query="SELECT 1 FROM {batch}",
                comparison_data_source_name="lake",
                comparison_query="SELECT * FROM range(200000)",
            ),
            "200000 rows",
            id="too-many-rows-to-compare",
        ),
        pytest.param(
            rule("expect_column_values_to_be_between", column="s", min_value=5),
            "string",
            id="a-text-and-a-number",
        ),
        pytest.param(
            rule("expect_column_mean_to_be_between", column="s", min_value=5),
            "string",
            id="the-mean-of-texts",
        ),
        pytest.param(
            rule("expect_column_values_to_be_between", column="i", min_value=5, max_value=1),
            "greater than",
            id="bounds-the-wrong-way-round",
        ),
        pytest.param(
            rule("expect_column_max_to_be_between", column="i", max_value=datetime(2013, 7, 4, tzinfo=UTC)),
            "integer",
            id="a-number-and-a-time",
        ),
        pytest.param(
            rule("expect_column_pair_values_a_to_be_greater_than_b", column_A="s", column_B="i"),
            "string can't be compared with a integer",
            id="a-text-and-a-number-of-one-row",
        ),
        pytest.param(
            rule("expect_column_values_to_match_like_pattern", column="i", like_pattern="a%"),
            "integer",
            id="a-pattern-for-numbers",
        ),
    ],
)
def test_what_a_person_must_mend_in_the_suite_is_said_to_be_that(
    connection: duckdb.DuckDBPyConnection, asked: Rule, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as raised:
        examiner(asked).examine(connection, "night", KEYS)
    assert asked.type in str(raised.value)


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(
            rule(
                "expect_column_values_to_be_in_set",
                column="s",
                value_set=["a"],
                row_condition="nope > 1",
                condition_parser="pandas",
            ),
            id="a-condition-that-pandas-can-not-read",
        ),
        pytest.param(
            rule("unexpected_rows_expectation", unexpected_rows_query="SELECT nope FROM {batch}"),
            id="a-query-of-an-unknown-column",
        ),
        pytest.param(
            rule(
                "expect_column_pair_values_to_be_equal", column_A="i", column_B="i", ignore_row_if="neither"
            ),
            id="whole-numbers-compared-with-nulls",
        ),
        pytest.param(
            rule(
                "expect_column_values_to_be_in_set",
                column="s",
                value_set=["a"],
                row_condition={
                    "type": "comparison",
                    "column": {"name": "t"},
                    "operator": ">=",
                    "parameter": "2013-07-04",
                },
            ),
            id="a-condition-on-a-time",
        ),
        pytest.param(
            rule("expect_column_values_to_match_regex", column="s", regex="^[ab]{1,1001}$"),
            id="a-regular-expression-that-repeats-too-much",
        ),
    ],
)
def test_an_engine_that_fails_names_the_rule_and_says_nothing_about_the_data(
    connection: duckdb.DuckDBPyConnection, asked: Rule
) -> None:
    with pytest.raises(EngineError, match="says nothing about the data") as raised:
        examiner(asked).examine(connection, "night", KEYS)
    assert asked.type in str(raised.value)
    assert raised.value.is_retryable


def test_memory_that_runs_out_is_an_engine_error(tmp_path: Path) -> None:
    with connect(memory="30MB", scratch=tmp_path) as connection:
        connection.execute("SET max_temp_directory_size = '1MB'")
        connection.execute(
            "CREATE TEMP VIEW night AS SELECT '2013-07-03' AS partition_key, i AS position, "
            "'row ' || i AS s FROM range(3000000) AS t(i)"
        )
        with pytest.raises(EngineError, match="expect_column_values_to_be_unique"):
            examiner(rule("expect_column_values_to_be_unique", column="s")).examine(
                connection, "night", ["2013-07-03"]
            )


def test_no_partition_is_no_examination_and_leaves_an_empty_table(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    assert (
        examiner(rule("expect_column_values_to_be_unique", column="s")).examine(connection, "night", []) == {}
    )
    assert breaches(connection) == []


def test_nothing_of_an_examination_is_left_but_the_breaches(connection: duckdb.DuckDBPyConnection) -> None:
    before = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    examiner(
        rule("expect_column_values_to_be_unique", column="s"),
        rule("expect_column_values_to_be_json_parseable", column="s", position=2),
        rule(
            "expect_column_value_z_scores_to_be_less_than",
            column="i",
            threshold=0.5,
            double_sided=True,
            position=3,
        ),
    ).examine(connection, "night", KEYS)
    after = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    assert after - before == {BREACHES}


def test_a_column_of_a_type_that_no_suite_declares_is_left_to_great_expectations(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    connection.execute("CREATE TEMP VIEW odd AS SELECT * EXCLUDE (i), i::SMALLINT AS i FROM night")
    found = examiner(rule("expect_column_values_to_not_be_null", column="i")).examine(
        connection, "odd", KEYS[:1]
    )
    (finding,) = found["2013-07-03"].findings
    assert (finding.engine, finding.n_unexpected) == ("great_expectations", 1)
    assert breaches(connection) == [("2013-07-03", 11, 1)]


def test_of_many_bad_rows_a_result_shows_the_first_twenty(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "CREATE TEMP VIEW many AS SELECT '2013-07-03' AS partition_key, 1000 - i AS position, "
        "(i // 2)::BIGINT AS i FROM range(1000) AS t(i)"
    )
    found = examiner(rule("expect_column_values_to_be_unique", column="i")).examine(
        connection, "many", KEYS[:1]
    )
    result = found["2013-07-03"].result.results[0].result
    assert result["partial_unexpected_index_list"] == list(range(1, 21))
    assert len(result["partial_unexpected_list"]) == 20
    assert result["unexpected_count"] == len(breaches(connection)) == 1000


@pytest.mark.parametrize(
    ("asked", "bad"),
    [
        pytest.param(
            rule("expect_column_values_to_match_regex", column="s", regex="^(?=a|b)"),
            [("2013-07-04", 7, 1)],
            id="a-regular-expression-for-python-alone",
        ),
        pytest.param(
            rule("expect_column_values_to_be_between", column="b", min_value=1, max_value=1),
            [("2013-07-03", 10, 1)],
            id="bounds-of-a-boolean",
        ),
        pytest.param(
            rule("expect_column_values_to_be_between", column="i", min_value=float("-inf"), max_value=2**70),
            [],
            id="bounds-beyond-64-bits",
        ),
        pytest.param(
            rule("expect_column_value_lengths_to_be_between", column="d", min_value=11),
            [(key, position, 1) for key, position in [(KEYS[0], 10), (KEYS[0], 11), (KEYS[0], 12)]]
            + [(KEYS[1], 7, 1), (KEYS[1], 9, 1)],
            id="the-length-of-a-date",
        ),
        pytest.param(
            rule("expect_column_values_to_match_regex", column="t", regex="^2013-07-03"),
            [("2013-07-03", 10, 1), ("2013-07-04", 7, 1), ("2013-07-04", 9, 1)],
            id="a-time-as-text",
        ),
        pytest.param(
            rule(
                "expect_multicolumn_sum_to_equal",
                column_list=["i", "f"],
                sum_total=1.5,
                ignore_row_if="any_value_is_missing",
            ),
            [("2013-07-03", 10, 1)],
            id="a-sum-of-whole-numbers-and-others",
        ),
        pytest.param(
            rule(
                "expect_column_most_common_value_to_be_in_set", column="b", value_set=[True], ties_okay=True
            ),
            [],
            id="the-most-common-boolean",
        ),
    ],
)
def test_what_sql_would_not_mean_quite_the_same_great_expectations_judges(
    connection: duckdb.DuckDBPyConnection, asked: Rule, bad: list[tuple[str, int, int]]
) -> None:
    found = examiner(asked).examine(connection, "night", KEYS)
    assert breaches(connection) == bad
    assert found[KEYS[0]].findings[0].engine in ("duckdb", "great_expectations")
