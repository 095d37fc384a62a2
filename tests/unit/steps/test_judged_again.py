"""Which verdicts come again, and which are out of date."""

from __future__ import annotations

from typing import Any

import pytest
from drift_nights import DATASET, crown, verdict

from pipelines.records import ScoringRecord
from pipelines.runtime import Runtime
from pipelines.steps.judged_again import mark_judged_again
from pipelines.steps.scored_nights import is_out_of_date

NIGHT = "2013-07-04"


def judge(runtime: Runtime, *versions: str) -> list[bool]:
    """Record one verdict after the other; return which of them came again."""
    found = []
    for version in versions:
        record = mark_judged_again(verdict(NIGHT, "retrain", version=version, is_page=True), runtime=runtime)
        runtime.ledger.record(record)
        assert record.is_page is not record.is_judged_again
        found.append(record.is_judged_again)
    return found


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        pytest.param("1", [False], id="the-first"),
        pytest.param("11", [False, False], id="a-repeat"),
        pytest.param("21", [False, True], id="another-version"),
        pytest.param("211", [False, True, True], id="another-version-and-a-repeat"),
        pytest.param("2121", [False, True, True, True], id="back-and-forth"),
    ],
)
def test_a_verdict_comes_again_where_another_version_was_judged(
    runtime: Runtime, versions: str, expected: list[bool]
) -> None:
    crown(runtime.ledger, "1")
    assert judge(runtime, *versions) == expected


def test_a_repeat_says_the_same(runtime: Runtime) -> None:
    judge(runtime, "2")
    first, second = (mark_judged_again(verdict(NIGHT), runtime=runtime) for _ in range(2))
    runtime.ledger.record(first)
    assert first.digest == second.digest == mark_judged_again(verdict(NIGHT), runtime=runtime).digest
    assert "in place of version 2's" in first.notes[0]


@pytest.mark.parametrize(
    ("promoted_for", "expected"),
    [
        pytest.param(NIGHT, [False, False], id="of-this-night"),
        pytest.param("2013-07-03", [False, True], id="of-another-night"),
    ],
)
def test_the_night_of_a_promotion_is_judged_as_the_new_champions_first(
    runtime: Runtime, promoted_for: str, expected: list[bool]
) -> None:
    crown(runtime.ledger, "1")
    crown(runtime.ledger, "2", night=promoted_for)
    assert judge(runtime, "1", "2") == expected


@pytest.mark.parametrize(
    ("judged", "expected"),
    [
        pytest.param({"version": "1", "predictions_digest": "p"}, False, id="these"),
        pytest.param({"version": "1", "predictions_digest": "q"}, True, id="others-of-the-version"),
        pytest.param({"version": "2", "predictions_digest": "p"}, True, id="another-versions"),
        pytest.param({"version": "1"}, False, id="from-before-it-was-kept"),
        pytest.param({"version": "2"}, True, id="from-before-by-another-version"),
    ],
)
def test_a_verdict_is_out_of_date_where_other_predictions_are_in_force(
    judged: dict[str, Any], expected: bool
) -> None:
    scoring = ScoringRecord(
        dataset=DATASET,
        partition_key=NIGHT,
        model_version="1",
        bundle_digest="b",
        validated_digest="v",
        features_digest="f",
        predictions_digest="p",
        n_rows=1,
        device="cpu",
    )
    assert is_out_of_date(verdict(NIGHT, **judged), scoring) is expected
