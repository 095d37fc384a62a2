"""Verdicts: what is published, quarantined, warned of and refused, from counts alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from pipelines.config import DatasetConfig
from pipelines.validation.engine import Finding
from pipelines.validation.rules import Rule, Severity
from pipelines.validation.verdict import OWN_TYPES, exempted, judge, refuse_unseen

Meters = Callable[..., pa.Table]
N = 10


def finding(
    severity: Severity = "warning",
    *,
    is_met: bool = True,
    n_bad: int = 0,
    is_evaluated: bool = True,
    kind: str = "expect_column_values_to_be_between",
    **arguments: Any,
) -> Finding:
    """Return a finding about the column ``level``; ``mostly`` and the like are the rule's arguments."""
    rule = Rule(
        name=kind,
        type=kind,
        position=1,
        severity=severity,
        columns=("level",),
        arguments={"column": "level", **arguments},
    )
    observed = f"{n_bad} of {N} rows unexpected"
    return Finding(rule, is_met, n_bad, observed, engine="duckdb", is_evaluated=is_evaluated)


@pytest.mark.parametrize(
    ("severity", "is_met", "outcome"),
    [
        pytest.param("critical", True, "passed", id="critical-within-mostly"),
        pytest.param("critical", False, "refused", id="critical"),
        pytest.param("warning", True, "passed", id="warning-within-mostly"),
        pytest.param("warning", False, "warned", id="warning"),
        pytest.param("info", True, "passed", id="info-within-mostly"),
        pytest.param("info", False, "passed", id="info"),
    ],
)
def test_severity_decides_what_follows(severity: Severity, is_met: bool, outcome: str) -> None:
    found = finding(severity, is_met=is_met, n_bad=1, mostly=0.95)
    n_bad = 0 if severity == "info" else 1
    verdict = judge([found], n_rows=N, n_bad=n_bad, held_back={}, max_quarantined_fraction=0.5)
    assert verdict.outcome == outcome
    assert bool(verdict.reasons) == (severity != "info")
    assert (verdict.expectations[0].n_unexpected, verdict.expectations[0].is_met) == (1, is_met)
    assert verdict.ran_by == ("duckdb",)
    if not is_met and severity != "info":
        assert verdict.reasons[0] == (
            f"{outcome}: expect_column_values_to_be_between(level): 1 of 10 rows unexpected (mostly=0.95)"
        )


def test_what_could_not_be_compared_with_a_reference_decides_nothing_and_is_marked() -> None:
    found = finding("critical", is_met=False, is_evaluated=False)
    verdict = judge([found], n_rows=N, n_bad=0, held_back={}, max_quarantined_fraction=0.0)
    assert (verdict.outcome, verdict.reasons) == ("passed", ())
    assert not verdict.expectations[0].is_evaluated


def test_an_expectation_about_the_table_says_what_was_observed() -> None:
    found = finding("critical", is_met=False, kind="expect_column_mean_to_be_between", min_value=3)
    verdict = judge([found], n_rows=N, n_bad=0, held_back={}, max_quarantined_fraction=0.5)
    assert verdict.reasons == (
        "refused: expect_column_mean_to_be_between(level): observed 0 of 10 rows unexpected (min_value=3)",
    )


def test_what_else_keeps_rows_back_is_counted_by_name() -> None:
    held_back = {"cast:level": 1, "cast:record": 2, "amendment:row_id": 1}
    verdict = judge([], n_rows=N, n_bad=4, held_back=held_back, max_quarantined_fraction=0.5)
    assert verdict.reasons == (
        "quarantine: amendment:row_id: 1 row",
        "quarantine: cast:level: 1 row of another type",
        "quarantine: cast:record: 2 rows that can't be parsed",
    )


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
    n_bad: int, fraction: float, outcome: str, said: str | None
) -> None:
    found = [finding(n_bad=n_bad)]
    verdict = judge(found, n_rows=N, n_bad=n_bad, held_back={}, max_quarantined_fraction=fraction)
    assert verdict.outcome == outcome
    assert said is None or any(reason.startswith(f"refused: {said}") for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("n_bad", "n_exempt", "mostly", "is_met"),
    [
        pytest.param(3, 0, 1.0, False, id="none-released"),
        pytest.param(3, 3, 1.0, True, id="all-released"),
        pytest.param(3, 2, 1.0, False, id="one-is-left"),
        pytest.param(3, 2, 0.9, True, id="the-rest-is-within-mostly"),
        pytest.param(3, 1, 0.9, False, id="the-rest-is-beyond-mostly"),
    ],
)
def test_released_rows_do_not_count_against_an_expectation(
    n_bad: int, n_exempt: int, mostly: float, is_met: bool
) -> None:
    found = finding("critical", is_met=False, n_bad=n_bad, mostly=mostly)
    left = exempted(found, n_exempt, n_rows=N, n_considered=N)
    assert (left.is_met, left.n_unexpected) == (is_met, n_bad - n_exempt)


def raw_schema(meters: Meters) -> pa.Schema:
    """Return the columns of a raw table of meters."""
    own = [pa.field(name, kind) for name, kind in OWN_TYPES.items()]
    return pa.schema([*own, *(field for field in meters(1).schema if field.name not in OWN_TYPES)])


@pytest.mark.parametrize(
    ("spoil", "n_rows", "said", "is_misshapen"),
    [
        pytest.param(lambda schema: schema, 3, None, False, id="well"),
        pytest.param(lambda schema: schema, 0, "the partition is empty", False, id="empty"),
        pytest.param(
            lambda schema: pa.schema([field for field in schema if field.name not in ("level", "site")]),
            3,
            "has no column 'site', 'level'",
            True,
            id="missing",
        ),
        pytest.param(
            lambda schema: schema.set(schema.get_field_index("level"), pa.field("level", pa.string())),
            3,
            "'level' is string, declared as double",
            True,
            id="another-type",
        ),
    ],
)
def test_what_no_expectation_can_be_held_to_is_refused(
    spoil: Callable[[pa.Schema], pa.Schema],
    n_rows: int,
    said: str | None,
    is_misshapen: bool,
    meters: Meters,
    config: DatasetConfig,
) -> None:
    verdict = refuse_unseen(spoil(raw_schema(meters)), n_rows, config.columns)
    if said is None:
        assert verdict is None
    else:
        assert verdict is not None
        assert verdict.outcome == "refused"
        assert said in verdict.reasons[0]
        assert verdict.is_misshapen == is_misshapen
