"""Data Docs: pages that say what was found, need nothing from outside and run nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.records import ValidationRecord
from pipelines.validation.docs import PAGE, RESULT, portable_result, remove_docs, write_docs
from pipelines.validation.examination import Examiner
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
    examination = Examiner(make_suite(SUITE)).examine(rows, DAY)
    assert examination.result is not None
    return portable_result(
        examination.result,
        row_ids=rows["row_id"].to_pylist(),
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
    examination = Examiner(make_suite(SUITE)).examine(rows, DAY)
    assert examination.result is not None
    row_ids = rows["row_id"].to_pylist()
    content = portable_result(
        examination.result, row_ids=row_ids, partition_key=DAY, validated_at=record().decided_at
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
