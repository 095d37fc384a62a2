"""Verdicts: what is published, quarantined, warned of and refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.validation.examination import Finding
from pipelines.validation.quarantine import quarantine_table
from pipelines.validation.rules import Rule, Severity
from pipelines.validation.verdict import judge, refuse_unseen

Meters = Callable[..., pa.Table]
N = 10


def finding(
    severity: Severity = "warning", *, is_met: bool = True, rows: tuple[int, ...] = (), **arguments: Any
) -> Finding:
    """Return a finding about the column ``level``; ``mostly`` and the like are the rule's arguments."""
    rule = Rule(
        name="expect_column_values_to_be_between",
        type="expect_column_values_to_be_between",
        position=1,
        severity=severity,
        columns=("level",),
        arguments={"column": "level", **arguments},
    )
    return Finding(rule, is_met, rows, f"{len(rows)} of {N} rows unexpected")


def raw(meters: Meters, miscast: Mapping[int, Mapping[str, str]] | None = None) -> pa.Table:
    """Return ten rows, some with cells that could not be cast."""
    cells = [json.dumps(miscast[row]) if miscast and row in miscast else None for row in range(N)]
    return meters(N).append_column("miscast", pa.array(cells, pa.string()))


@pytest.mark.parametrize(
    ("severity", "is_met", "outcome", "n_quarantined"),
    [
        pytest.param("critical", True, "passed", 1, id="critical-within-mostly"),
        pytest.param("critical", False, "refused", 1, id="critical"),
        pytest.param("warning", True, "passed", 1, id="warning-within-mostly"),
        pytest.param("warning", False, "warned", 1, id="warning"),
        pytest.param("info", True, "passed", 0, id="info-within-mostly"),
        pytest.param("info", False, "passed", 0, id="info"),
    ],
)
def test_severity_decides_what_follows(
    severity: Severity, is_met: bool, outcome: str, n_quarantined: int, meters: Meters
) -> None:
    found = finding(severity, is_met=is_met, rows=(3,), mostly=0.95)
    verdict = judge(raw(meters), [found], max_quarantined_fraction=0.5)
    assert verdict.outcome == outcome
    assert verdict.quarantine.num_rows == n_quarantined
    assert bool(verdict.reasons) == (severity != "info")
    assert verdict.expectations[0].n_unexpected == 1
    assert verdict.expectations[0].is_met == is_met
    assert (verdict.published is None) == (outcome == "refused")
    if not is_met and severity != "info":
        assert verdict.reasons[0] == (
            f"{outcome}: expect_column_values_to_be_between(level): 1 of 10 rows unexpected (mostly=0.95)"
        )


def test_a_row_goes_to_quarantine_with_every_rule_that_it_breaks(meters: Meters) -> None:
    findings = [finding(rows=(2, 4)), finding("critical", rows=(4,)), finding("info", rows=(4, 5))]
    verdict = judge(raw(meters, {4: {"reading": "many"}}), findings, max_quarantined_fraction=0.5)
    reasons = {
        row["row_id"]: [
            (reason["rule"], reason["column"], reason["value"]) for reason in json.loads(row["reasons"])
        ]
        for row in verdict.quarantine.to_pylist()
    }
    broken = ("expect_column_values_to_be_between", "level", 0.5)
    assert reasons == {
        "2013-07-04|2": [broken],
        "2013-07-04|4": [("cast:reading", "reading", "many"), broken, broken],
    }


def test_a_row_in_quarantine_is_the_whole_raw_row(meters: Meters) -> None:
    rows = raw(meters, {0: {"level": "</script>"}})
    verdict = judge(rows, [], max_quarantined_fraction=0.5)
    assert json.loads(verdict.quarantine["row"][0].as_py()) == {
        "row_id": "2013-07-04|0",
        "event_time": "2013-07-04T00:00:00+00:00",
        "site": "north",
        "reading": 0,
        "level": 0.5,
        "is_open": True,
        "read_at": "2013-07-04T00:00:00+00:00",
        "day": "2013-07-04",
        "miscast": '{"level": "</script>"}',
    }
    assert verdict.reasons == ("quarantine: cast:level: 1 row of another type",)


def test_a_number_that_json_has_no_word_for_is_kept_as_a_word() -> None:
    rows = pa.table({"row_id": ["a"], "level": [float("nan")], "at": [datetime(2013, 1, 1, tzinfo=UTC)]})
    row = json.loads(quarantine_table(rows, [[]])["row"][0].as_py())
    assert row == {"row_id": "a", "level": "nan", "at": "2013-01-01T00:00:00+00:00"}


@pytest.mark.parametrize(
    ("n_bad", "fraction", "outcome", "said"),
    [
        pytest.param(2, 0.2, "passed", None, id="at-the-share"),
        pytest.param(3, 0.2, "refused", "3 of 10 rows belong in quarantine, more than", id="above-the-share"),
        pytest.param(1, 0.0, "refused", "1 of 10 rows belong in quarantine", id="none-tolerated"),
        pytest.param(10, 1.0, "refused", "all 10 rows belong in quarantine", id="no-row-left"),
    ],
)
def test_too_large_a_share_of_bad_rows_refuses_the_partition(
    n_bad: int, fraction: float, outcome: str, said: str | None, meters: Meters
) -> None:
    verdict = judge(raw(meters), [finding(rows=tuple(range(n_bad)))], max_quarantined_fraction=fraction)
    assert verdict.outcome == outcome
    assert verdict.quarantine.num_rows == n_bad
    assert said is None or any(reason.startswith(f"refused: {said}") for reason in verdict.reasons)


@given(
    bad=st.lists(st.sets(st.integers(0, N - 1)), max_size=3),
    miscast=st.sets(st.integers(0, N - 1), max_size=3),
    fraction=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_no_row_is_lost_and_none_is_in_two_places(
    bad: list[set[int]], miscast: set[int], fraction: float, meters: Meters
) -> None:
    rows = raw(meters, {row: {"level": "x"} for row in miscast})
    verdict = judge(
        rows, [finding(rows=tuple(sorted(found))) for found in bad], max_quarantined_fraction=fraction
    )
    expected = set().union(miscast, *bad)
    quarantined = verdict.quarantine["row_id"].to_pylist()
    assert quarantined == [f"2013-07-04|{row}" for row in sorted(expected)]
    if verdict.published is None:
        assert len(expected) > fraction * N or len(expected) == N
    else:
        assert sorted([*verdict.published["row_id"].to_pylist(), *quarantined]) == rows["row_id"].to_pylist()
        assert "miscast" not in verdict.published.column_names


@pytest.mark.parametrize(
    ("spoil", "said", "is_misshapen"),
    [
        pytest.param(lambda rows: rows, None, False, id="well"),
        pytest.param(lambda rows: rows.slice(0, 0), "the partition is empty", False, id="empty"),
        pytest.param(
            lambda rows: rows.drop_columns(["level", "site"]),
            "has no column 'site', 'level'",
            True,
            id="missing",
        ),
        pytest.param(
            lambda rows: rows.set_column(4, "level", rows["level"].cast("string")),
            "'level' is string, declared as double",
            True,
            id="another-type",
        ),
    ],
)
def test_what_no_expectation_can_be_held_to_is_refused(
    spoil: Callable[[pa.Table], pa.Table], said: str | None, is_misshapen: bool, meters: Meters, config: Any
) -> None:
    verdict = refuse_unseen(spoil(raw(meters)), config.columns)
    if said is None:
        assert verdict is None
    else:
        assert verdict is not None
        assert (verdict.outcome, verdict.published, verdict.quarantine.num_rows) == ("refused", None, 0)
        assert said in verdict.reasons[0]
        assert verdict.is_misshapen == is_misshapen
