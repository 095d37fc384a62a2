"""Data Docs: pages that say what was found, need nothing from outside and run nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.records import ExpectationOutcome, ValidationRecord
from pipelines.storage.engine import connect
from pipelines.validation.docs import (
    PAGE,
    RESULT,
    portable_result,
    remove_docs,
    sampled_positions,
    write_docs,
)
from pipelines.validation.engine import Examination, Examiner
from pipelines.validation.suite import Suite

MakeSuite = Callable[[str], Suite]
Meters = Callable[..., pa.Table]
DAY = "2013-07-04"
EVIL = '</script><script>alert("gotcha")</script>'
SUITE = """
  - {type: expect_table_row_count_to_be_between, severity: critical, min_value: 1}
  - {type: expect_column_values_to_match_regex, severity: warning, column: site, regex: "(?<!x)^n"}
  - {type: expect_column_values_to_be_in_set, severity: warning, column: site, value_set: [north]}
  - {type: expect_column_distinct_values_to_be_in_set, severity: info, column: site, value_set: [north]}
  - {type: expect_column_most_common_value_to_be_in_set, severity: info, column: site, value_set: [south]}
  - {type: expect_column_mean_to_be_between, severity: info, column: level, min_value: 0.7}
  - {type: expect_compound_columns_to_be_unique, severity: info, column_list: [site, level]}
  - {type: expect_column_values_to_be_between, severity: info, column: event_time,
     min_value: {$PARAMETER: day_start}, max_value: {$PARAMETER: day_end}}
"""


def examine(suite: Suite, rows: pa.Table) -> Examination:
    """Hold rows to a suite."""
    keyed = rows.append_column("partition_key", pa.array([DAY] * rows.num_rows))
    keyed = keyed.append_column("position", pa.array(range(rows.num_rows), pa.int64()))
    with connect() as connection:
        connection.register("meters", keyed)
        found = Examiner(suite).examine(connection, "meters", [DAY])[DAY]
        assert found.result.results, "it is built while the connection is open"
    return found


def record(**changes: Any) -> ValidationRecord:
    """Return a record of ten rows of which one went to quarantine."""
    fields: dict[str, Any] = {
        "dataset": "meters",
        "partition_key": DAY,
        "raw_digest": "",
        "suite_digest": "",
        "outcome": "warned",
        "n_in": 10,
        "n_published": 9,
        "n_quarantined": 1,
        "reasons": (f"warned: {EVIL}",),
    }
    return ValidationRecord(**fields | changes)


@pytest.fixture
def result(make_suite: MakeSuite, meters: Meters) -> dict[str, Any]:
    rows = meters(10, site=[EVIL] * 9 + ["north"])
    examination = examine(make_suite(SUITE), rows)
    return portable_result(
        examination.result,
        row_ids=dict(enumerate(rows["row_id"].to_pylist())),
        partition_key=DAY,
        validated_at=record().decided_at,
    )


def test_a_page_shows_the_verdict_and_the_values_as_text(tmp_path: Path, result: dict[str, Any]) -> None:
    write_docs(tmp_path, record(), result)
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert "meters 2013-07-04: warned" in page
    assert "10 rows in, 9 published, 1 in quarantine." in page
    shown = "&lt;/script&gt;&lt;script&gt;alert("
    assert page.count(shown) >= 4  # the reason, and a table for each expectation about these values
    assert "90% unexpected" in page
    assert "(?&lt;!x)^n" in page
    assert "rendering" not in page.lower()


def test_a_page_runs_nothing_and_loads_nothing(tmp_path: Path, result: dict[str, Any]) -> None:
    write_docs(tmp_path, record(), result)
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert not re.search(r"<(script|link|img|iframe|object|svg|base|form)\b", page, re.IGNORECASE)
    assert not re.search(r"<[^>]*\s(on\w+|src|style)\s*=", page)
    assert all(address.startswith("#") for address in re.findall(r'href="([^"]*)"', page))
    assert "http://" not in page
    assert "https://" not in page
    assert "default-src 'none'" in page


def test_the_result_is_great_expectations_own_bounded_and_by_row_key(
    tmp_path: Path, make_suite: MakeSuite, meters: Meters
) -> None:
    rows = meters(800, site=["south"] * 800)
    examination = examine(make_suite(SUITE), rows)
    row_ids = rows["row_id"].to_pylist()
    assert set(sampled_positions(examination.result)) >= set(range(20))
    content = portable_result(
        examination.result,
        row_ids=dict(enumerate(row_ids)),
        partition_key=DAY,
        validated_at=record().decided_at,
    )
    write_docs(tmp_path, record(), content)
    kept = json.loads((tmp_path / RESULT).read_text(encoding="utf-8"))
    assert kept["suite_name"] == "meters_raw"
    assert kept["meta"]["run_id"]["run_name"] == DAY
    by_type = {entry["expectation_config"]["type"]: entry for entry in kept["results"]}
    found = by_type["expect_column_values_to_be_in_set"]["result"]
    assert found["unexpected_count"] == 800
    assert found["partial_unexpected_index_list"] == row_ids[:20]
    assert (tmp_path / RESULT).stat().st_size < 40_000
    assert (tmp_path / PAGE).stat().st_size < 60_000


def test_a_page_without_a_result_says_why(tmp_path: Path) -> None:
    write_docs(tmp_path, record(outcome="refused", reasons=("refused: the partition is empty",)), None)
    assert "refused: the partition is empty" in (tmp_path / PAGE).read_text(encoding="utf-8")
    assert json.loads((tmp_path / RESULT).read_text(encoding="utf-8")) is None


def test_pages_are_replaced_whole_and_removed(tmp_path: Path, result: dict[str, Any]) -> None:
    write_docs(tmp_path, record(), result)
    write_docs(tmp_path, record(outcome="passed", reasons=()), result)
    assert "meters 2013-07-04: passed" in (tmp_path / PAGE).read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [PAGE, RESULT]
    for _ in range(2):
        remove_docs(tmp_path)
        assert not any(path.is_file() for path in tmp_path.iterdir())


def test_a_page_says_which_engine_ran_each_expectation(tmp_path: Path, result: dict[str, Any]) -> None:
    found = [
        ExpectationOutcome(name="expect_a", column="<b>", severity="info", is_met=True, observed="7"),
        ExpectationOutcome(name="expect_b", severity="critical", is_met=False),
        ExpectationOutcome(name="expect_c", severity="info", is_met=True, is_evaluated=False),
    ]
    ran_by = ("duckdb", "great_expectations", "great_expectations")
    amended = record(expectations=tuple(found), amendments_digest="d", n_amended=2, n_released=1)
    write_docs(tmp_path, amended, result, ran_by=ran_by)
    page = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert "<td>expect_a</td><td>&lt;b&gt;</td><td>info</td><td>met</td><td>7</td><td>DuckDB</td>" in page
    assert "<td>not met</td><td></td><td>Great Expectations</td>" in page
    assert "<td>not evaluated</td>" in page
    assert "2 rows repaired by people, 1 released" in page


def test_pages_are_bounded_whatever_the_data_and_the_suite_hold(
    tmp_path: Path, make_suite: MakeSuite, meters: Meters
) -> None:
    values = ", ".join(f"v{n:06}" for n in range(4_000))
    suite = make_suite(
        "".join(
            "  - {type: expect_column_values_to_be_in_set, severity: info, column: site, "
            f"value_set: [{values}, w{n}]}}\n"
            for n in range(12)
        )
    )
    rows = meters(50, site=[f"{row}" + "é" * 100_000 for row in range(50)])
    examination = examine(suite, rows)
    content = portable_result(
        examination.result, row_ids={}, partition_key=DAY, validated_at=record().decided_at
    )
    write_docs(tmp_path, record(reasons=("r" * 100_000,) * 300), content)
    assert (tmp_path / RESULT).stat().st_size <= 300_000
    assert (tmp_path / PAGE).stat().st_size <= 300_000
    assert "meters 2013-07-04: warned" in (tmp_path / PAGE).read_text(encoding="utf-8")
