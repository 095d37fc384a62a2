"""Each gate passes what it should, refuses what it should, and never lets a nan win."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from toy_world import validation_of

from pipelines.config import PromotionConfig
from pipelines.metrics import GroupGap, PairedGain, measure_calibration
from pipelines.metrics.intervals import Estimate
from pipelines.records import ChampionMove, GateResult, LabelNoise
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


@pytest.mark.parametrize(
    ("actor", "observed", "required"),
    [
        pytest.param("ada", "rolled back by ada: it was wrong", "not taken back by a person", id="a-person"),
        pytest.param(
            "watch", "rolled back by the watch: it was wrong", "not taken back by the watch", id="the-watch"
        ),
    ],
)
def test_the_gate_says_who_took_a_version_back(actor: str, observed: str, required: str) -> None:
    result = gates.not_rolled_back("2", [FIRST, SECOND, BACK.model_copy(update={"actor": actor})])
    assert (result.observed, result.required) == (observed, required)
    assert gates.not_rolled_back("3", [FIRST]).required == "taken back by neither a person nor the watch"


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


CONFIG = PromotionConfig()


def skew(differing: dict[str, int], n_rows: int = 50, n_restated: int = 0) -> GateResult:
    found = gates.SkewFound(differing, n_rows, ["2013-01-01"] if n_rows else [], n_restated)
    return gates.no_training_scoring_skew(found)


@pytest.mark.parametrize(
    ("result", "passed", "observed"),
    [
        pytest.param(skew({}), True, "the same in 50 rows of 1 days", id="the-same"),
        pytest.param(skew({"temp": 7}), False, "differs: temp in 7 of 50 rows", id="differs"),
        pytest.param(
            skew({}, n_rows=0, n_restated=6),
            False,
            "no row to compare; 6 days left aside: restated since",
            id="nothing-compared",
        ),
    ],
)
def test_scoring_must_compute_what_training_had(result: GateResult, passed: bool, observed: str) -> None:
    assert (result.is_passed, result.observed) == (passed, observed)


@pytest.mark.parametrize(
    ("changed", "passed"),
    [
        pytest.param({"v2": (0, 100), "the champion v1": (5, 100)}, True, id="a-few-corrections"),
        pytest.param({"v2": (10, 100)}, False, id="the-challenger-learned-others"),
        pytest.param({"v2": (0, 100), "the champion v1": (10, 100)}, False, id="spoilt-since"),
        pytest.param({"v2": (0, 0)}, True, id="nothing-to-compare"),
    ],
)
def test_labels_must_be_those_that_were_learned(changed: dict[str, tuple[int, int]], passed: bool) -> None:
    assert gates.labels_as_learned(changed, config=CONFIG).is_passed is passed


def noise(contradicted: float | None, n_rows: int = 20_000) -> LabelNoise:
    return LabelNoise(
        method="confident learning", share=0.2, surest_contradicted=contradicted, n_rows=n_rows, n_folds=3
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "champion", "passed"),
    [
        pytest.param(noise(0.07), noise(0.06), "1", True, id="alike"),
        pytest.param(noise(0.16), noise(0.07), "1", False, id="a-tenth-flipped"),
        pytest.param(noise(0.14, 2_500), noise(0.08, 2_500), "1", True, id="luck-in-few-rows"),
        pytest.param(noise(0.01, 2_500), noise(0.0, 2_500), "1", True, id="hardly-any"),
        pytest.param(noise(0.16), None, None, True, id="no-champion"),
        pytest.param(noise(0.16), noise(None), "1", True, id="not-measured-of-the-champion"),
        pytest.param(None, None, "1", True, id="models-from-before"),
    ],
)
def test_labels_that_contradict_what_is_surest_are_refused(
    ours: LabelNoise | None, theirs: LabelNoise | None, champion: str | None, passed: bool
) -> None:
    result = gates.labels_not_flipped(ours, theirs, champion=champion, config=CONFIG)
    assert result.is_passed is passed
    assert result.observed.startswith("not measured") is (result.details["rise"] is None)


def test_golden_rows_must_be_repeated() -> None:
    assert gates.golden_rows(None, device="cpu").is_passed
    refused = gates.golden_rows("off by 0.1", device="cuda")
    assert (refused.is_passed, refused.observed) == (False, "off by 0.1")


NOT_ASKED = PromotionConfig(max_load_seconds=None, max_load_megabytes=None)


@pytest.mark.parametrize(
    ("load", "config", "passed"),
    [
        pytest.param(gates.CleanLoad(5.0, 300.0), CONFIG, True, id="within-its-budget"),
        pytest.param(gates.CleanLoad(500.0, 300.0), CONFIG, False, id="too-slow"),
        pytest.param(gates.CleanLoad(5.0, 9_000.0), CONFIG, False, id="too-large"),
        pytest.param(gates.CleanLoad(math.nan, math.nan, "it broke"), CONFIG, False, id="it-failed"),
        pytest.param(None, CONFIG, False, id="was-to-be-tried"),
        pytest.param(None, NOT_ASKED, True, id="not-asked-for"),
    ],
)
def test_a_clean_process_opens_the_model_within_its_budget(
    load: gates.CleanLoad | None, config: PromotionConfig, passed: bool
) -> None:
    assert gates.loads_in_clean_process(load, config=config).is_passed is passed


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
    result = gates.beats_naive_baseline(value, {"the mean": naive}, task=task, min_gain=0.02)
    assert result.is_passed is passed


def test_a_model_beats_the_hardest_of_the_baselines() -> None:
    naive = {"the mean": 100.0, "the same hour of the day before": 60.0}
    result = gates.beats_naive_baseline(70.0, naive, task="regression", min_gain=0.02)
    assert not result.is_passed
    assert "60 of the same hour of the day before" in result.observed


DAYS = np.repeat(np.arange(10), 200)
CHANCE = np.random.default_rng(0).random(DAYS.size)
HAPPENED = (np.random.default_rng(1).random(DAYS.size) < CHANCE).astype(float)
RIGHT, OFF, WORSE = (measure_calibration(HAPPENED, p, DAYS, "binary") for p in (CHANCE, CHANCE**2, CHANCE**4))
UNKNOWN = measure_calibration(HAPPENED, CHANCE * math.nan, DAYS, "binary")


@pytest.mark.parametrize(
    ("ours", "theirs", "passed"),
    [
        pytest.param(RIGHT, None, True, id="right"),
        pytest.param(OFF, None, False, id="off"),
        pytest.param(OFF, RIGHT, False, id="the-champion-is-right"),
        pytest.param(OFF, WORSE, True, id="the-champion-is-farther-off"),
        pytest.param(UNKNOWN, RIGHT, False, id="not-measured"),
    ],
)
def test_predictions_must_mean_what_they_say(ours: Any, theirs: Any, passed: bool) -> None:
    assert gates.calibrated(ours, theirs, scale=1.0, config=CONFIG).is_passed is passed


@pytest.mark.parametrize(
    ("gap", "passed"),
    [
        pytest.param(Estimate(0.05, 0.0, 0.1), True, id="small"),
        pytest.param(Estimate(0.15, 0.05, 0.25), True, id="perhaps-luck"),
        pytest.param(Estimate(0.2, 0.15, 0.25), False, id="beyond-doubt"),
        pytest.param(Estimate(0.2, math.nan, math.nan), False, id="without-an-interval"),
    ],
)
def test_groups_must_not_be_farther_apart_than_allowed(gap: Estimate, passed: bool) -> None:
    found = GroupGap("sex", "auc", gap, "women", "men", 2)
    result = gates.fairness_gap([found], ["sex"], config=CONFIG)
    assert result.is_passed is passed
    assert "sex: auc" in result.observed
    assert "women and men" in result.observed


def test_what_is_protected_and_was_not_measured_is_said() -> None:
    assert "in age" in gates.fairness_gap([], ["age"], config=CONFIG).observed
    assert "no column is declared" in gates.fairness_gap([], [], config=CONFIG).observed


def compared(
    gain: float, error: float = 0.004, slices: dict[str, PairedGain] | None = None
) -> gates.Comparison:
    found = PairedGain(gain, error, 14, 1.0)
    return gates.Comparison("1", "auc", found, lead=0.2, slices=slices or {})


SUPERIOR = PromotionConfig(min_gain=0.01)
NON_INFERIOR = PromotionConfig(mode="non_inferior", margin=0.01)


@pytest.mark.parametrize(
    ("comparison", "config", "passed"),
    [
        pytest.param(compared(0.03), SUPERIOR, True, id="enough-gain"),
        pytest.param(compared(0.015), SUPERIOR, False, id="not-surely-enough"),
        pytest.param(compared(0.03, error=0.02), SUPERIOR, False, id="perhaps-luck"),
        pytest.param(compared(-0.01), SUPERIOR, False, id="worse"),
        pytest.param(compared(math.nan), SUPERIOR, False, id="nan-never-wins"),
        pytest.param(compared(0.03, error=math.nan), SUPERIOR, False, id="nan-is-never-sure"),
        pytest.param(compared(0.0, error=0.0), CONFIG, False, id="the-same"),
        pytest.param(compared(0.0), NON_INFERIOR, True, id="as-good"),
        pytest.param(compared(-0.008), NON_INFERIOR, False, id="perhaps-worse-by-the-margin"),
        pytest.param(compared(-0.02), NON_INFERIOR, False, id="worse-than-the-margin"),
    ],
)
def test_a_challenger_wins_by_more_than_luck(
    comparison: gates.Comparison, config: PromotionConfig, passed: bool
) -> None:
    result = gates.beats_champion(comparison, config=config)
    assert result.is_passed is passed
    assert "auc gain over v1" in result.observed


@pytest.mark.parametrize(
    ("config", "passed"),
    [
        pytest.param(SUPERIOR, False, id="to-be-better-it-has-to-be-more-than-luck-of-training"),
        pytest.param(NON_INFERIOR, True, id="luck-of-training-makes-nothing-worse"),
    ],
)
def test_models_of_one_recipe_that_differ_on_all_days_widen_what_is_luck(
    config: PromotionConfig, passed: bool
) -> None:
    calm = compared(0.03, error=0.008)
    result = gates.beats_champion(calm._replace(training_error=0.014), config=config)
    assert gates.beats_champion(calm, config=config).is_passed
    assert result.is_passed is passed
    assert ("that it is luck of training" in result.observed) is not passed
    assert (result.details["p_training"] is None) is passed
    assert result.details["training_error"] == 0.014
    assert result.details["p_value"] < result.details["risk"]


def test_a_gain_must_exceed_a_share_of_what_the_champion_is_ahead_by() -> None:
    asked = [gates.required_gain(compared(0.0)._replace(lead=lead), CONFIG) for lead in (0.2, -0.1, math.nan)]
    assert asked == pytest.approx([0.0025, 0.0, 0.0])


def test_the_first_champion_has_nobody_to_beat() -> None:
    for result in (
        gates.beats_champion(None, config=CONFIG),
        gates.no_slice_worse(None, config=CONFIG),
        gates.holdout_reuse([], champion=None, days=["2013-01-01"], config=CONFIG),
    ):
        assert (result.is_passed, result.observed) == (True, "no champion yet")


def test_however_many_challengers_share_the_risk_it_is_spent_once() -> None:
    shares = [gates.share_of_risk(n, PromotionConfig(confidence=0.95)) for n in range(100_000)]
    assert shares[0] == pytest.approx(0.0373, abs=1e-4)
    assert 0.05 * 0.99999 < sum(shares) <= 0.05


def test_each_further_challenger_on_the_same_days_has_to_be_surer() -> None:
    passed = [gates.beats_champion(compared(0.012), config=CONFIG, n_before=n).is_passed for n in range(6)]
    assert passed == sorted(passed, reverse=True)
    assert passed[0]
    assert not passed[-1]


def test_all_challengers_together_have_no_more_risk_than_was_allowed() -> None:
    shares = [gates.share_of_risk(n, CONFIG) for n in range(2_000)]
    assert sum(shares) < 0.05
    assert sum(shares) > 0.0499


@pytest.mark.parametrize(
    ("n_before", "passed"), [pytest.param(19, True, id="the-last"), pytest.param(20, False, id="one-more")]
)
def test_days_are_used_up_by_many_challengers(n_before: int, passed: bool) -> None:
    before = [str(n) for n in range(n_before)]
    result = gates.holdout_reuse(before, champion="1", days=["2013-01-01"], config=CONFIG)
    assert result.is_passed is passed
    assert result.details["n_before"] == n_before


def part(gain: float) -> PairedGain:
    return PairedGain(gain, 0.01, 14, 1.0)


@pytest.mark.parametrize(
    ("slices", "worse"),
    [
        pytest.param({"a": part(0.0), "b": part(0.02)}, [], id="none"),
        pytest.param({"a": part(-0.05), "b": part(0.02)}, ["a"], id="one"),
        pytest.param({"a": part(-0.021)}, ["a"], id="alone"),
        pytest.param({"a": part(-0.021)} | {f"s{n}": part(0.0) for n in range(30)}, [], id="one-of-many"),
        pytest.param({"a": part(math.nan)}, [], id="too-few-rows"),
    ],
)
def test_no_group_may_be_worse_by_more_than_luck_among_so_many(
    slices: dict[str, PairedGain], worse: list[str]
) -> None:
    result = gates.no_slice_worse(compared(0.03, slices=slices), config=CONFIG)
    assert result.is_passed is (not worse)
    assert result.details.get("worse", []) == worse


def test_a_nan_in_the_evidence_survives_the_record() -> None:
    result = gates.beats_naive_baseline(math.nan, {"the mean": 0.5}, task="binary", min_gain=0.02)
    assert GateResult.model_validate_json(result.model_dump_json()).details["value"] == "NaN"
