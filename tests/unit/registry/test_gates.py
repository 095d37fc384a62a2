"""Each gate passes what it should, refuses what it should, and never lets a nan win."""

from __future__ import annotations

import math
from typing import Any

import pytest
from toy_world import validation_of

from pipelines.config import PromotionConfig
from pipelines.metrics import BootstrapGain
from pipelines.records import ChampionMove, GateResult
from pipelines.registry import gates


def move(sequence: int, version: str, before: str | None, action: str = "promote") -> ChampionMove:
    return ChampionMove.model_validate(
        {
            "dataset": "toy",
            "sequence": sequence,
            "model_version": version,
            "previous_version": before,
            "action": action,
            "actor": "ada",
            "reason": "it was wrong",
            "evidence_digest": f"evidence {sequence}",
            "partition_key": "2013-01-21",
            "moved_at": "2026-01-01T00:00:00Z",
        }
    )


@pytest.mark.parametrize(
    ("champion", "passed"),
    [
        pytest.param(None, True, id="no-champion-yet"),
        pytest.param(move(1, "1", None), True, id="another-version"),
        pytest.param(move(1, "2", None), False, id="itself"),
    ],
)
def test_the_champion_does_not_challenge_itself(champion: ChampionMove | None, passed: bool) -> None:
    assert gates.challenger_is_not_champion("2", champion).is_passed is passed


FIRST, SECOND = move(1, "1", None), move(2, "2", "1")
BACK = move(3, "1", "2", "rollback")


@pytest.mark.parametrize(
    ("moves", "passed"),
    [
        pytest.param([], True, id="never-champion"),
        pytest.param([FIRST, SECOND], True, id="champion"),
        pytest.param([FIRST, SECOND, move(3, "3", "2")], True, id="superseded"),
        pytest.param([FIRST, SECOND, BACK], False, id="rolled-back"),
        pytest.param([FIRST, SECOND, BACK, move(4, "3", "1")], False, id="rolled-back-long-ago"),
        pytest.param([FIRST, SECOND, BACK, move(4, "2", "1", "rollback")], True, id="brought-back"),
    ],
)
def test_what_a_person_took_back_is_not_promoted_again(moves: list[ChampionMove], passed: bool) -> None:
    result = gates.not_rolled_back("2", moves)
    assert result.is_passed is passed
    assert passed or result.observed == "rolled back by ada: it was wrong"


def data_validated(outcomes: dict[str, str], problem: str | None = None) -> GateResult:
    records = {day: validation_of(day, "d", outcome) for day, outcome in outcomes.items()}
    return gates.data_validated({"2013-01-01": "d", "2013-01-02": "d"}, records, problem=problem)


@pytest.mark.parametrize(
    ("outcomes", "problem", "fault"),
    [
        pytest.param({"2013-01-01": "passed", "2013-01-02": "warned"}, None, None, id="all-published"),
        pytest.param({"2013-01-01": "passed"}, None, "never validated: 2013-01-02", id="unvalidated"),
        pytest.param(
            {"2013-01-01": "refused", "2013-01-02": "passed"},
            None,
            "refused since: 2013-01-01",
            id="refused-since",
        ),
        pytest.param(
            {"2013-01-01": "passed", "2013-01-02": "passed"}, "no lineage", "no lineage", id="lineage-is-off"
        ),
    ],
)
def test_only_validated_days_count(outcomes: dict[str, str], problem: str | None, fault: str | None) -> None:
    result = data_validated(outcomes, problem)
    assert result.is_passed is (fault is None)
    assert result.observed == (fault or "2 days, all validated")


def test_no_days_at_all_prove_nothing() -> None:
    assert not gates.data_validated({}, {}).is_passed


def test_days_restated_since_are_named_but_do_not_refuse() -> None:
    records = {"2013-01-01": validation_of("2013-01-01", "other")}
    result = gates.data_validated({"2013-01-01": "d"}, records)
    assert result.is_passed
    assert result.details["restated_since"] == ["2013-01-01"]


@pytest.mark.parametrize(
    ("changed", "days", "passed", "observed"),
    [
        pytest.param([], ["2013-01-01"], True, "no column changed", id="honest"),
        pytest.param(["a", "b"], ["2013-01-01"], False, "changed: a, b", id="looks-ahead"),
        pytest.param(list("abcdefg"), ["2013-01-01"], False, "changed: a, b, c, d, e and 2 more", id="many"),
        pytest.param([], [], False, "no day to check on", id="nothing-checked"),
    ],
)
def test_no_feature_may_look_ahead(changed: list[str], days: list[str], passed: bool, observed: str) -> None:
    result = gates.no_look_ahead(changed, days)
    assert (result.is_passed, result.observed) == (passed, observed)


def test_golden_rows_must_be_repeated() -> None:
    assert gates.golden_rows(None, device="cpu").is_passed
    refused = gates.golden_rows("off by 0.1", device="cuda")
    assert (refused.is_passed, refused.observed) == (False, "off by 0.1")


@pytest.mark.parametrize(
    ("task", "value", "naive", "passed"),
    [
        pytest.param("binary", 0.60, 0.5, True, id="auc-clearly-better"),
        pytest.param("binary", 0.51, 0.5, False, id="auc-hardly-better"),
        pytest.param("binary", math.nan, 0.5, False, id="auc-nan-never-wins"),
        pytest.param("binary", 0.6, math.nan, False, id="auc-of-one-class"),
        pytest.param("regression", 90.0, 100.0, True, id="rmse-clearly-better"),
        pytest.param("regression", 99.0, 100.0, False, id="rmse-hardly-better"),
        pytest.param("regression", 110.0, 100.0, False, id="rmse-worse"),
        pytest.param("regression", math.nan, 100.0, False, id="rmse-nan-never-wins"),
        pytest.param("regression", 0.0, 0.0, False, id="nothing-to-predict"),
    ],
)
def test_a_model_beats_knowing_nothing(task: Any, value: float, naive: float, passed: bool) -> None:
    assert gates.beats_naive_baseline(value, naive, task=task, min_gain=0.02).is_passed is passed


@pytest.mark.parametrize(
    ("mean", "probability", "passed"),
    [
        pytest.param(0.03, 0.99, True, id="enough-gain"),
        pytest.param(0.03, 0.9, True, id="just-sure-enough"),
        pytest.param(0.03, 0.89, False, id="not-sure-enough"),
        pytest.param(0.009, 0.99, False, id="too-little"),
        pytest.param(-0.01, 0.0, False, id="worse"),
        pytest.param(math.nan, 0.0, False, id="nan-never-wins"),
        pytest.param(math.nan, 1.0, False, id="nan-never-wins-however-sure"),
    ],
)
def test_a_challenger_wins_by_more_than_luck(mean: float, probability: float, passed: bool) -> None:
    gain = BootstrapGain(mean=mean, lower=mean - 0.01, upper=mean + 0.01, probability=probability)
    config = PromotionConfig(min_gain=0.01, confidence=0.9)
    result = gates.beats_champion(gain, champion="1", task="binary", config=config)
    assert result.is_passed is passed
    assert "auc gain over v1" in result.observed


def test_the_first_champion_has_nobody_to_beat() -> None:
    result = gates.beats_champion(None, champion=None, task="binary", config=PromotionConfig())
    assert (result.is_passed, result.observed) == (True, "no champion yet")


def test_a_nan_in_the_evidence_survives_the_record() -> None:
    result = gates.beats_naive_baseline(math.nan, 0.5, task="binary", min_gain=0.02)
    assert GateResult.model_validate_json(result.model_dump_json()).details["value"] == "NaN"
