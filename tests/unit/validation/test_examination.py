"""Examinations: exactly the rows that break an expectation, alone and among other partitions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import EngineError
from pipelines.validation.examination import Examiner
from pipelines.validation.suite import Suite

MakeSuite = Callable[[str], Suite]
Meters = Callable[..., pa.Table]
DAY = "2013-07-04"

OF_ALL_KINDS = """
  - {type: expect_table_row_count_to_be_between, severity: critical, min_value: 3, max_value: 6}
  - {type: expect_column_values_to_be_unique, severity: critical, column: row_id}
  - {type: expect_column_values_to_be_between, severity: warning, column: level, max_value: 0.5, mostly: 0.5}
  - {type: expect_column_values_to_not_be_null, severity: info, column: reading}
  - {type: expect_column_values_to_match_regex, severity: warning, column: reading, regex: "^[0-3]$"}
  - {type: expect_column_values_to_be_in_set, severity: warning, column: is_open, value_set: [true]}
  - {type: expect_column_values_to_be_between, severity: warning, column: event_time,
     min_value: {$PARAMETER: day_start}, max_value: {$PARAMETER: day_end}, strict_max: true}
  - {type: expect_compound_columns_to_be_unique, severity: info, column_list: [row_id, reading]}
  - {type: expect_column_mean_to_be_between, severity: info, column: level, min_value: 0.4}
"""


def test_findings_name_exactly_the_bad_rows_even_where_row_keys_repeat(
    make_suite: MakeSuite, meters: Meters
) -> None:
    suite = make_suite(
        """
  - {type: expect_column_values_to_be_unique, severity: critical, column: row_id, mostly: 0.5}
  - {type: expect_column_values_to_be_between, severity: warning, column: level, min_value: 0}
  - {type: expect_table_row_count_to_be_between, severity: info, max_value: 3}
"""
    )
    rows = meters(5, row_id=["a", "b", "a", "c", "a"], level=[0.1, None, -1.0, 0.2, -2.0])
    unique, between, count = Examiner(suite).examine(rows, DAY).findings
    assert (unique.is_met, unique.rows, unique.observed) == (False, (0, 2, 4), "3 of 5 rows unexpected")
    assert (between.is_met, between.rows) == (False, (2, 4))
    assert (count.is_met, count.rows, count.observed) == (False, (), "5")


def test_what_was_observed_is_told_in_words(make_suite: MakeSuite, meters: Meters) -> None:
    suite = make_suite(
        """
  - {type: expect_column_distinct_values_to_equal_set, severity: info, column: site, value_set: [north, east]}
  - {type: expect_column_distinct_values_to_equal_set, severity: info, column: site, value_set: [north, west]}
  - {type: expect_column_most_common_value_to_be_in_set, severity: info, column: reading, value_set: [8]}
  - {type: expect_column_proportion_of_non_null_values_to_be_between, severity: info, column: level,
     max_value: 1}
"""
    )
    rows = meters(4, site=["north", "west", "west", "north"], reading=[1, 2, 2, 1], level=[None, 1, 1, 1])
    assert [found.observed for found in Examiner(suite).examine(rows, DAY).findings] == [
        "missing ['east']; unexpected ['west']",
        "",
        "[1, 2]",
        "0.75",
    ]


@pytest.mark.parametrize(
    ("level", "is_met"),
    [
        pytest.param([-1.0] + [0.5] * 9, True, id="at-the-share"),
        pytest.param([-1.0, -1.0] + [0.5] * 8, False, id="below-the-share"),
        pytest.param([-1.0] + [0.5] * 8 + [None], False, id="nulls-do-not-count"),
        pytest.param([None] * 10, True, id="nothing-but-nulls"),
    ],
)
def test_mostly_is_the_share_of_values_that_must_hold(
    level: list[float | None], is_met: bool, make_suite: MakeSuite, meters: Meters
) -> None:
    suite = make_suite(
        "  - {type: expect_column_values_to_be_between, severity: info, column: level,"
        " min_value: 0, mostly: 0.9}"
    )
    assert [found.is_met for found in Examiner(suite).examine(meters(10, level=level), DAY).findings] == [
        is_met
    ]


def test_more_bad_rows_than_great_expectations_samples_are_all_found(
    make_suite: MakeSuite, meters: Meters
) -> None:
    suite = make_suite("  - {type: expect_column_values_to_be_null, severity: info, column: level}")
    (finding,) = Examiner(suite).examine(meters(500), DAY).findings
    assert finding.rows == tuple(range(500))


def test_integers_stay_integers_beside_a_null(make_suite: MakeSuite, meters: Meters) -> None:
    suite = make_suite(
        '  - {type: expect_column_values_to_match_regex, severity: info, column: reading, regex: "^[0-9]+$"}'
    )
    rows = meters(3, reading=[7, None, 2**62 + 1])
    assert Examiner(suite).examine(rows, DAY).findings[0].rows == ()


def test_parameters_are_those_of_the_partition(make_suite: MakeSuite, meters: Meters) -> None:
    suite = make_suite(
        """
  - {type: expect_column_values_to_be_between, severity: critical, column: read_at,
     min_value: {$PARAMETER: day_start}, max_value: {$PARAMETER: day_end}, strict_max: true}
  - {type: expect_column_values_to_be_between, severity: critical, column: day,
     min_value: {$PARAMETER: day}, max_value: {$PARAMETER: day}}
"""
    )
    moments = [datetime(2013, 7, 4, tzinfo=UTC), datetime(2013, 7, 5, tzinfo=UTC)]
    rows = meters(2, read_at=moments, day=[date(2013, 7, 4), date(2013, 7, 3)])
    examiner = Examiner(suite)
    assert [found.rows for found in examiner.examine(rows, DAY).findings] == [(1,), (1,)]
    assert [found.rows for found in examiner.examine(rows, "2013-07-05").findings] == [(0,), (0, 1)]


@pytest.mark.parametrize(
    "expectation",
    [
        pytest.param("expect_column_values_to_be_between, column: site, min_value: 0", id="of-rows"),
        pytest.param("expect_column_mean_to_be_between, column: site, min_value: 0", id="of-a-column"),
    ],
)
def test_an_expectation_that_fails_to_run_is_an_engine_error_and_not_bad_data(
    expectation: str, make_suite: MakeSuite, meters: Meters
) -> None:
    suite = make_suite(f"  - {{severity: info, type: {expectation}}}")
    with pytest.raises(EngineError, match=r"(?s)says nothing about the data|Great Expectations failed"):
        Examiner(suite).examine(meters(), DAY)


def test_an_expectation_that_fails_on_one_partition_fails_on_that_one_only(
    make_suite: MakeSuite, meters: Meters
) -> None:
    # Words can't be compared with a number; but where there are none, there is nothing to compare.
    suite = make_suite(
        "  - {type: expect_column_values_to_be_between, severity: info, column: site, min_value: 0}"
    )
    partitions = {DAY: meters(2, site=[None, None]), "2013-07-05": meters(2, of="2013-07-05")}
    examiner = Examiner(suite)
    assert examiner.screen(partitions) == frozenset()
    assert examiner.examine(partitions[DAY], DAY).findings[0].is_met
    with pytest.raises(EngineError, match="says nothing about the data"):
        examiner.examine(partitions["2013-07-05"], "2013-07-05")


PARTITION = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from([0, 1, 2, 7, None]),
        st.sampled_from([0.1, 0.5, 0.6, None]),
        st.sampled_from([True, True, False, None]),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(partitions=st.lists(PARTITION, min_size=1, max_size=3))
def test_a_screened_partition_has_the_findings_that_it_has_alone(
    partitions: list[list[tuple[str, int, float, bool]]], make_suite: MakeSuite, meters: Meters
) -> None:
    examiner = Examiner(make_suite(OF_ALL_KINDS))
    # One that is well, so that the screening always has something to let through.
    tables = {DAY: meters(4, reading=[0, 1, 2, 3])}
    for number, values in enumerate(partitions, start=5):
        day = f"2013-07-{number:02}"
        row, reading, level, is_open = map(list, zip(*values, strict=True))
        tables[day] = meters(
            len(values),
            of=day,
            row_id=[f"{day}|{key}" for key in row],
            reading=reading,
            level=level,
            is_open=is_open,
        )
    screened = examiner.screen(tables)
    assert DAY in screened
    for day, rows in tables.items():
        found = examiner.examine(rows, day, is_screened=day in screened).findings
        assert found == examiner.examine(rows, day).findings


def test_what_a_screening_can_not_see_is_found_all_the_same(make_suite: MakeSuite, meters: Meters) -> None:
    examiner = Examiner(make_suite(OF_ALL_KINDS))
    good, short = meters(4, reading=[0, 1, 2, 3]), meters(2, of="2013-07-05")
    assert examiner.screen({DAY: good, "2013-07-05": short}) == {DAY, "2013-07-05"}
    assert examiner.examine(good, DAY, is_screened=True).result is None
    examination = examiner.examine(short, "2013-07-05", is_screened=True)
    unmet = [found.rule.type for found in examination.findings if not found.is_met]
    assert unmet == ["expect_table_row_count_to_be_between"]
    assert examination.result is not None


def test_a_suite_that_can_not_be_screened_is_run_partition_by_partition(
    make_suite: MakeSuite, meters: Meters
) -> None:
    examiner = Examiner(
        make_suite(
            "  - {type: expect_column_mean_to_be_between, severity: info, column: level, max_value: 1}"
        )
    )
    assert examiner.screen({"2013-07-04": meters(), "2013-07-05": meters()}) == frozenset()
