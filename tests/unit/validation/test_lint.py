"""Linting: every mistake of a file at once, at its line."""

# ruff: noqa: E501 - one case a line

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipelines.config import PROJECT_ROOT, DatasetConfig, load_params
from pipelines.validation.lint import LintReport, lint_incidents, lint_suite
from pipelines.validation.suite import STAGES, suite_path

Lint = Callable[[str], LintReport]
WHERE = "expectations/meters_raw.yaml"


@pytest.fixture
def lint(config: DatasetConfig) -> Lint:
    """Return the linting of a list of expectations; the first is at line 2."""

    def run(expectations: str) -> LintReport:
        return lint_suite("expectations:\n" + expectations, WHERE, config)

    return run


def _said(report: LintReport) -> list[str]:
    return [f"{found.line}:{found.column} {found.level}: {found.message}" for found in report.findings]


def _entry(kind: str, arguments: str, severity: str = "info") -> str:
    return f"  - {{type: {kind}, severity: {severity}, {arguments}}}\n"


def _between(arguments: str, column: str = "level") -> str:
    return _entry("expect_column_values_to_be_between", f"column: {column}, {arguments}", "warning")


@pytest.mark.parametrize("dataset", ["flights", "bikes"])
@pytest.mark.parametrize("stage", STAGES)
def test_the_shipped_suites_are_clean_and_their_engines_are_known(dataset: str, stage: str) -> None:
    path = suite_path(PROJECT_ROOT, dataset, stage)
    config = load_params(PROJECT_ROOT / "params.yaml").dataset(dataset)
    report = lint_suite(path.read_text(), path.name, config, stage)
    assert report.findings == ()
    assert len(report.engines) == report.n_rules
    assert {rule.engine for rule in report.engines} <= {"duckdb", "great_expectations"}


def test_all_mistakes_are_told_each_at_its_place(lint: Lint) -> None:
    report = lint(
        """  - type: expect_column_values_to_be_betwen
    severity: warning
  - type: expect_column_values_to_be_between
    severity: fatal
    column: levle
    max_valeu: 3
    mostly: 2
  - type: expect_column_to_exist
    severity: info
    column: level
    column: site
  - just a text
  - type: expect_column_values_to_be_in_set
    severity: warning
    column: day
    value_set: [2013-02-31]
"""
    )
    assert _said(report) == [
        "2:5 error: unknown expectation type `expect_column_values_to_be_betwen`. "
        "Did you mean `expect_column_values_to_be_between`?",
        "5:5 error: expect_column_values_to_be_between needs a `severity`: critical, warning or info.",
        "6:5 error: expect_column_values_to_be_between: unknown column `levle`. Did you mean `level`?",
        "7:5 error: expect_column_values_to_be_between has no argument `max_valeu`. Did you mean `max_value`?",
        "12:5 error: the key `column` is written twice.",
        "13:5 error: write it as a mapping that starts with `type:`.",
        "14:5 error: not readable: day is out of range for month.",
    ]
    assert (report.n_rules, report.n_errors) == (5, 7)


@pytest.mark.parametrize(
    ("expectations", "level", "said"),
    [
        pytest.param(_between("min_value: 3, max_value: 1"), "error", "always fails: `min_value` 3 is above", id="upside-down"),
        pytest.param(_between("min_value: 1, max_value: 1, strict_max: true"), "error", "strictly between", id="strict"),
        pytest.param(_between("min_value: 1, mostly: 1.5"), "error", "`mostly`: ensure this value is less", id="mostly-above-one"),
        pytest.param(_between("min_value: 1, mostly: 0"), "warning", "can never fail: `mostly` is 0", id="mostly-nothing"),
        pytest.param(_between("min_value: '1'"), "error", "is the text '1'; write it as a number", id="text-for-a-number"),
        pytest.param(_between("min_value: {a: 1}"), "error", "can't be a mapping, unless it is {$PARAMETER: name}", id="mapping"),
        pytest.param(_between("min_value: {$PARAMETER: day_strat}"), "error", "Did you mean `day_start`?", id="parameter"),
        pytest.param(_between("min_value: {$PARAMTER: day}"), "error", "Did you mean `$PARAMETER`?", id="parameter-key"),
        pytest.param(_between("min_value: {$REFERENCE: minn}"), "error", "unknown $REFERENCE `minn`", id="reference"),
        pytest.param(_between("min_value: {$REFERENCE: min, times: 2}"), "error", "must have one key", id="reference-and-more"),
        pytest.param(_between("min_value: {$PARAMETER: day}"), "error", "is a date, and `level` is of type float", id="parameter-of-another-type"),
        pytest.param(_between("min_value: 2013-01-01"), "error", "never equal to a value of `level`, of type float", id="date-for-a-number"),
        pytest.param(_between("min_value: 1", "site"), "error", "of type string", id="number-for-a-text"),
        pytest.param(_between("min_value: 1, meta: {holdfast_position: 1}"), "error", "`meta` can't hold", id="our-own-meta"),
        pytest.param(_between("min_value: {$REFERENCE: q0.99}", "read_at"), "warning", "is never evaluated", id="never-learned"),
        pytest.param(_entry("expect_column_values_to_be_in_set", "column: site, value_set: [north, no]"), "error", "without quotes", id="norway"),
        pytest.param(_entry("expect_column_values_to_be_in_set", "column: site, value_set: [a, a]"), "warning", "'a' twice", id="value-twice"),
        pytest.param(_entry("expect_column_values_to_be_in_set", "column: site, value_set: []"), "error", "`value_set` is empty", id="empty-set"),
        pytest.param(_entry("expect_column_values_to_not_be_in_set", "column: site, value_set: []"), "warning", "can never fail", id="empty-forbidden-set"),
        pytest.param(_entry("expect_column_values_to_match_regex", "column: site, regex: '['"), "error", "is no regular expression", id="regex"),
        pytest.param(_entry("expect_column_values_to_match_regex_list", "column: site, regex_list: [a, 'x(']"), "error", "'x(' is no regular expression", id="regex-in-a-list"),
        pytest.param(_entry("expect_column_values_to_match_regex_list", "column: site, regex_list: [1]"), "error", "regex_list", id="regex-no-text"),
        pytest.param(_entry("expect_column_values_to_match_regex", "column: site, regex: '.*'"), "warning", "can never fail", id="regex-of-all"),
        pytest.param(_entry("expect_column_values_to_not_match_regex", "column: site, regex: ''"), "error", "always fails", id="not-regex-of-all"),
        pytest.param(_entry("expect_column_values_to_match_regex", "column: reading, regex: a"), "warning", "is about text", id="regex-on-a-number"),
        pytest.param(_entry("expect_column_values_to_match_strftime_format", "column: site, strftime_format: '%Q'"), "error", "bad directive", id="strftime"),
        pytest.param(_entry("expect_table_row_count_to_be_between", "min_value: 0"), "warning", "leave nothing out", id="count-of-anything"),
        pytest.param(_entry("expect_table_row_count_to_be_between", "max_value: -1"), "error", "never below 0", id="count-below-nothing"),
        pytest.param(_entry("expect_column_proportion_of_unique_values_to_be_between", "column: site, min_value: 2"), "error", "a share is from 0 to 1", id="share-above-one"),
        pytest.param(_entry("expect_column_pair_values_to_be_equal", "column_A: site, column_B: site"), "warning", "with itself", id="itself"),
        pytest.param(_entry("unexpected_rows_expectation", "unexpected_rows_query: 'SELECT 1'"), "error", "must select from {batch}", id="no-batch"),
        pytest.param(_entry("unexpected_rows_expectation", "unexpected_rows_query: 'SELEC * FROM {batch}'"), "error", "is no SQL", id="no-sql"),
        pytest.param(_entry("unexpected_rows_expectation", "unexpected_rows_query: 'DROP TABLE {batch}'"), "error", "must be one SELECT", id="no-select"),
        pytest.param(_entry("expect_column_mean_to_be_between", "column: site, min_value: 1"), "error", "string", id="mean-of-a-text"),
        pytest.param(_entry("expect_column_quantile_values_to_be_between", "column: level, quantile_ranges: {quantiles: [0.5], value_ranges: [[2, 1]]}"), "error", "at quantile 0.5, 2 is above 1", id="quantile"),
        pytest.param(_entry("expect_column_quantile_values_to_be_between", "column: level, quantile_ranges: {quantiles: [5], value_ranges: [[0, 1]]}"), "error", "is from 0 to 1", id="quantile-above-one"),
        pytest.param(_entry("expect_column_quantile_values_to_be_between", "column: level, quantile_ranges: {quantiles: [0.5], value_ranges: []}"), "error", "a pair in `value_ranges`", id="quantile-without-a-pair"),
        pytest.param(_entry("expect_column_quantile_values_to_be_between", "column: level, quantile_ranges: {quantiles: [0.5]}"), "error", "needs two lists", id="quantile-without-ranges"),
        pytest.param(_entry("expect_column_kl_divergence_to_be_less_than", "column: site, threshold: 1, partition_object: {values: [a], weights: [0.5]}"), "error", "add up to 1", id="weights"),
        pytest.param(_entry("expect_column_kl_divergence_to_be_less_than", "column: level, threshold: 1, partition_object: {bins: [1, 2], weights: [0.5, 0.5]}"), "error", "one more edge", id="edges"),
        pytest.param(_entry("expect_column_kl_divergence_to_be_less_than", "column: level, threshold: 1, partition_object: {a: 1}"), "error", "needs `weights`", id="no-weights"),
        pytest.param(_between("min_value: 1, row_condition: 'col(\"sitte\") == \"a\"', condition_parser: great_expectations"), "error", "unknown column `sitte`. Did you mean `site`?", id="condition-column"),
        pytest.param(_between("min_value: 1, row_condition: 'col(site', condition_parser: great_expectations"), "error", "can't be read", id="condition"),
        pytest.param(_between("min_value: 1, row_condition: 'level > 3 and readin == 1', condition_parser: pandas"), "error", "unknown column `readin`", id="query-column"),
        pytest.param(_between("min_value: 1, row_condition: 'level >', condition_parser: pandas"), "error", "can't be read", id="query"),
        pytest.param(_between("min_value: 1, row_condition: [1]"), "error", "can't be read: it is a list", id="condition-of-another-type"),
        pytest.param(_between("min_value: 1, row_condition: {type: both}"), "error", "can't be read", id="condition-object"),
        pytest.param(_between("min_value: 1, row_condition: {type: or, conditions: [{type: nullity, column: {name: levl}, is_null: true}, {type: pass_through, pass_through_filter: 'level > 1'}]}"), "error", "unknown column `levl`", id="condition-in-a-condition"),
        pytest.param(_between("min_value: 1, row_condition: {type: comparison, column: {name: level}, operator: '>', parameter: {$REFERENCE: min}}"), "error", "can't hold a $PARAMETER or $REFERENCE", id="condition-with-a-reference"),
        pytest.param(_entry("expect_column_to_exist", "column: 5"), "error", "`column`", id="column-that-is-no-name"),
        pytest.param(_entry("expect_compound_columns_to_be_unique", "column_list: [site, levl]"), "error", "Did you mean `level`?", id="column-in-a-list"),
        pytest.param(_between("min_value: 1, condition_parser: spark"), "error", "`spark` can't be run here", id="parser"),
        pytest.param(_between("min_value: 1, condition_parser: pandas"), "error", "without a `row_condition`", id="parser-alone"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_told(lint: Lint, expectations: str, level: str, said: str) -> None:
    report = lint(expectations)
    matching = [found for found in report.findings if said in found.message]
    assert [found.level for found in matching] == [level], _said(report)
    assert matching[0].line == 2


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        pytest.param(_between("min_value: 5"), _between("max_value: 3"), "nothing is within the bounds of both", id="ranges"),
        pytest.param(_entry("expect_column_values_to_be_in_set", "column: site, value_set: [a]", "warning"), _entry("expect_column_values_to_be_in_set", "column: site, value_set: [b]", "critical"), "no value in common", id="sets"),
        pytest.param(_entry("expect_column_values_to_be_in_set", "column: site, value_set: [a]", "warning"), _entry("expect_column_values_to_not_be_in_set", "column: site, value_set: [a, b]", "critical"), "every value of the set is forbidden", id="forbidden"),
        pytest.param(_entry("expect_column_values_to_be_in_set", "column: reading, value_set: [1, 2]", "warning"), _between("min_value: 3", "reading"), "outside the bounds", id="set-outside"),
        pytest.param(_entry("expect_column_values_to_be_null", "column: site", "warning"), _entry("expect_column_values_to_not_be_null", "column: site", "warning"), "one asks for nulls", id="nulls"),
        pytest.param(_entry("expect_table_row_count_to_equal", "value: 3", "warning"), _entry("expect_table_row_count_to_be_between", "min_value: 5", "warning"), "nothing is within", id="counts"),
    ],
)  # fmt: skip
def test_two_rules_that_no_data_can_meet_are_told(lint: Lint, one: str, other: str, said: str) -> None:
    (found,) = lint(one + other).findings
    assert (found.level, found.line) == ("error", 3)
    assert "contradicts expectation 1 (line 2): " in found.message
    assert said in found.message


def test_rules_of_other_rows_or_of_no_weight_do_not_contradict(lint: Lint) -> None:
    condition = "row_condition: {type: nullity, column: {name: site}, is_null: true}"
    report = lint(
        _between("min_value: 5")
        + _between(f"max_value: 3, {condition}")
        + _entry("expect_column_values_to_be_between", "column: level, max_value: 2")
        + _entry("expect_column_values_to_not_be_in_set", "column: site, value_set: [a]", "warning")
        + _entry("expect_column_values_to_be_in_set", "column: site, value_set: [a, b]", "warning")
    )
    assert report.findings == ()


def test_a_rule_that_is_there_twice_is_a_warning_also_under_another_severity(lint: Lint) -> None:
    report = lint(
        _between("min_value: 5") + _between("min_value: 5, mostly: 1") + _between("min_value: 5, mostly: 0.9")
    )
    assert _said(report) == [
        "3:5 warning: expect_column_values_to_be_between says the same as expectation 1 (line 2)."
    ]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        pytest.param("expectations:\n  - {type: [\n", 3, "is not valid YAML", id="no-yaml"),
        pytest.param("rules: []\n", 1, "must have one key, `expectations`", id="another-key"),
        pytest.param(f"expectations:\n  - {'[' * 5000}", 1, "is nested too deeply", id="too-deep"),
        pytest.param("expectations:\n  - {a: \x00}", 1, "is not valid YAML", id="a-nul"),
        pytest.param("expectations: &a [*a]\n", 1, "more than 100,000 values", id="an-alias-of-itself"),
    ],
)
def test_a_file_that_is_no_suite_is_one_finding(
    config: DatasetConfig, text: str, line: int, said: str
) -> None:
    (found,) = lint_suite(text, WHERE, config).findings
    assert (found.line, found.level) == (line, "error")
    assert said in found.message


def test_the_engine_of_each_rule_is_told(lint: Lint) -> None:
    report = lint(
        _between("min_value: 1")
        + _entry("expect_column_to_exist", "column: level")
        + _between("min_value: {$REFERENCE: min}")
        + _entry("expect_column_values_to_match_like_pattern", "column: site, like_pattern: n%")
    )
    assert [(rule.line, rule.engine, bool(rule.note)) for rule in report.engines] == [
        (2, "duckdb", False),
        (3, "great_expectations", True),
        (4, "great_expectations", True),
        (5, "duckdb", False),
    ]
    assert report.findings == ()


def test_every_mistake_of_the_incidents_is_told() -> None:
    report = lint_incidents(
        """incidents:
  - {partition: 2013-04-02, what: cut off}
  - {partition: 2013-04-02, what: cut off}
  - {partition: someday, what: ' ', rowids: [a]}
  - {partition: 2013-04-03, what: x, row_ids: [1]}
  - a text
""",
        "expectations/meters_incidents.yaml",
    )
    assert [(found.line, found.level) for found in report.findings] == [
        (2, "warning"),
        (3, "warning"),
        (4, "error"),
        (4, "error"),
        (4, "error"),
        (5, "error"),
        (6, "error"),
    ]
    assert lint_incidents("incidents: 3", "x").n_errors == 1
