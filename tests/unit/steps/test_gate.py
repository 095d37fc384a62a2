"""Every gate is evaluated on real models and a real lake, against the champion of the moment."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
import toy_world
from evaluations import evaluation
from toy_world import DATASET, NIGHT, STRONG

from pipelines.errors import ConfigError, NotReadyError
from pipelines.records import Evaluation, GateRecord, GateResult, RetrainingNoise, TrainingRecord
from pipelines.registry.local_copies import file_digest
from pipelines.runtime import Runtime
from pipelines.steps.gate import gate
from pipelines.steps.promote import promote
from pipelines.steps.rollback import rollback

ALL_GATES = [
    "challenger_is_not_champion",
    "not_rolled_back",
    "data_validated",
    "no_look_ahead",
    "no_training_scoring_skew",
    "labels_as_learned",
    "labels_not_flipped",
    "golden_rows",
    "loads_in_clean_process",
    "beats_naive_baseline",
    "calibrated",
    "fairness_gap",
    "no_slice_worse",
    "holdout_reuse",
    "beats_champion",
]


def failed(record: GateRecord) -> list[str]:
    return [result.name for result in record.gates if not result.is_passed]


def result(record: GateRecord, name: str) -> GateResult:
    return next(found for found in record.gates if found.name == name)


def test_the_first_good_model_passes_every_gate(tmp_path: Path) -> None:
    world, version = toy_world.open_world(tmp_path, "rivals"), "2"
    record = gate(DATASET, version, runtime=world)
    assert record.is_passed
    assert [found.name for found in record.gates] == ALL_GATES
    assert (record.champion_version, record.champion_sequence, record.metric) == (None, 0, "auc")
    assert 0.75 < record.challenger_value < 0.95
    assert record.partition_key == NIGHT
    assert world.ledger.latest(GateRecord, DATASET, subject=version) == record


def test_the_same_evidence_is_put_on_record_once(tmp_path: Path) -> None:
    world, version = toy_world.open_world(tmp_path, "rivals"), "2"
    assert gate(DATASET, version, runtime=world).digest == gate(DATASET, version, runtime=world).digest


@pytest.mark.parametrize(
    ("first", "second", "passed"),
    [
        pytest.param("1", "2", True, id="clearly-better"),
        pytest.param("2", "1", False, id="clearly-worse"),
    ],
)
def test_a_challenger_is_held_against_the_champion_on_the_same_rows(
    first: str, second: str, passed: bool, tmp_path: Path
) -> None:
    world = toy_world.open_world(tmp_path, "rivals", promotion={"min_baseline_gain": 0.01})
    toy_world.crown(world, first)
    record = gate(DATASET, second, runtime=world)
    assert record.is_passed is passed
    assert failed(record) == ([] if passed else ["no_slice_worse", "beats_champion"])
    assert (record.champion_version, record.champion_sequence) == (first, 1)
    assert record.champion_value is not None
    assert (record.challenger_value > record.champion_value) is passed


def test_a_gain_that_may_be_luck_of_training_is_none(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path, "rivals", promotion={"min_baseline_gain": 0.01})
    toy_world.crown(world, "1")
    noise = RetrainingNoise(values=(0.7, 0.75, 0.8, 0.85), standard_deviation=0.4, ratio=400.0)
    _put_evaluation_on_record(world, "2", evaluation(retraining_noise=noise, label_noise=None))
    record = gate(DATASET, "2", runtime=world)
    assert failed(record) == ["beats_champion"]
    assert "that it is luck of training" in result(record, "beats_champion").observed


def _put_evaluation_on_record(world: Runtime, version: str, measured: Evaluation) -> None:
    path = world.settings.home / "models" / DATASET / version / "evaluation.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(measured.model_dump_json())
    record = world.ledger.latest(TrainingRecord, DATASET, subject=version)
    assert record is not None
    trained = record.trained.model_copy(update={"evaluation_digest": file_digest(path)})
    world.ledger.record(record.model_copy(update={"trained": trained}))


def test_all_gates_are_shown_when_several_fail(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path, sql=toy_world.LEAKING_SQL)
    version = toy_world.challenge(world, tmp_path / "a", STRONG._replace(height=-0.5))
    day = toy_world.all_days()[3]
    world.ledger.record(toy_world.validation_of(day, "d", "refused"))
    record = gate(DATASET, version, runtime=world)
    assert not record.is_passed
    assert failed(record) == [
        "data_validated",
        "no_look_ahead",
        "no_training_scoring_skew",
        "beats_naive_baseline",
    ]
    assert [found.name for found in record.gates] == ALL_GATES
    assert result(record, "data_validated").observed == f"refused since: {day}"
    assert result(record, "no_look_ahead").details["columns"] == ["late_rate_1d"]


def test_a_library_that_the_scorer_does_not_repeat_is_refused(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path)
    version = toy_world.challenge(world, tmp_path / "a", STRONG._replace(golden_error=0.01))
    record = gate(DATASET, version, runtime=world)
    assert failed(record) == ["golden_rows", "beats_naive_baseline", "calibrated"]
    assert "does not repeat its golden predictions" in result(record, "golden_rows").observed
    # What was not measured is nan, also after a trip through the ledger.
    again = world.ledger.latest(GateRecord, DATASET, subject=version)
    assert again is not None
    assert again.challenger_value != again.challenger_value
    assert again.digest == record.digest


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(None, "the training left no snapshot.json", id="lost"),
        pytest.param("{}", "snapshot.json describes no snapshot", id="broken"),
        pytest.param("other", "snapshot.json is not the one that was trained on", id="another"),
    ],
)
def test_a_snapshot_that_can_not_be_relied_on_is_refused(
    text: str | None, problem: str, tmp_path: Path
) -> None:
    world, version = toy_world.open_world(tmp_path, "rivals"), "2"
    trained = world.registry.training_of(DATASET, version)
    path = Path(world.registry.artifact_uri(trained, "lineage/snapshot.json").removeprefix("file://"))
    if text == "other":
        text = toy_world.snapshot_of(world, "2013-01-19").model_dump_json()
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    record = gate(DATASET, version, runtime=world)
    assert failed(record)[0] == "data_validated"
    assert problem in result(record, "data_validated").observed


def test_the_champion_does_not_challenge_itself_for_another_night(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path, "rivals")
    version = toy_world.crown(world, "2")
    toy_world.found_again(world, version, "2013-01-22")
    record = gate(DATASET, version, runtime=world)
    assert "challenger_is_not_champion" in failed(record)


def test_a_repeat_of_a_nights_gates_after_its_promotion_is_the_same_evidence(tmp_path: Path) -> None:
    world, version = toy_world.open_world(tmp_path, "rivals"), "2"
    record = gate(DATASET, version, runtime=world)
    promote(DATASET, version, runtime=world, actor="test")
    assert gate(DATASET, version, runtime=world) == record


def test_what_was_rolled_back_does_not_pass_again(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path, "champions")
    rollback(DATASET, runtime=world, actor="ada", reason="odd on site north")
    record = gate(DATASET, "2", runtime=world)
    assert failed(record) == ["not_rolled_back"]
    assert result(record, "not_rolled_back").observed == "rolled back by ada: odd on site north"


def test_a_regression_is_held_against_what_anybody_would_say(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path, task="regression")
    version = toy_world.challenge(world, tmp_path / "a", STRONG._replace(task="regression"))
    record = gate(DATASET, version, runtime=world)
    assert record.metric == "rmse"
    assert failed(record) == ["beats_naive_baseline"]
    assert "of the naive error" in result(record, "beats_naive_baseline").observed


def test_a_holdout_that_left_the_lake_is_told(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path)
    version = toy_world.challenge(
        world, tmp_path / "a", holdout_first="2014-01-01", last_partition="2014-01-05"
    )
    with pytest.raises(NotReadyError, match="None of the days 2014-01-01 to 2014-01-05"):
        gate(DATASET, version, runtime=world)


def test_an_unknown_version_is_told_with_the_known_ones(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path, "rivals")
    with pytest.raises(ConfigError, match=r"no model version '9'\. Known: 1, 2\."):
        gate(DATASET, "9", runtime=world)


SKEWED_SQL = """
SELECT e.row_id, any_value(e.x + 0.001 * (e.id % 10 = 0)::INTEGER) AS x, e.site, avg(l.y) AS late_rate_1d
FROM events e LEFT JOIN labels l ON l.partition_date = e.partition_date - 1
GROUP BY e.row_id, e.site
"""


def test_a_feature_that_scoring_computes_otherwise_is_named(tmp_path: Path) -> None:
    world, version = toy_world.open_world(tmp_path, "rivals"), "2"
    (tmp_path / "project" / "toy.sql").write_text(SKEWED_SQL)
    record = gate(DATASET, version, runtime=world)
    found = result(record, "no_training_scoring_skew")
    assert failed(record) == ["no_training_scoring_skew"]
    assert found.observed.startswith("differs: x in 36 of 360 rows")
    assert found.details["columns"] == {"x": 36}


def test_days_that_were_restated_since_are_no_skew(tmp_path: Path) -> None:
    world, version = toy_world.open_world(tmp_path, "rivals"), "2"
    day = toy_world.all_days()[5]
    rows = world.lake.read(DATASET, "validated", partitions=[day]).drop_columns(["partition_key"])
    world.lake.replace(DATASET, "validated", day, rows.slice(1))
    found = result(gate(DATASET, version, runtime=world), "no_training_scoring_skew")
    assert found.is_passed
    assert found.details["n_restated_days"] > 0
    assert day not in found.details["days"]


def flip(world: Runtime, days: list[str], every: int) -> None:
    """Turn every so-manieth label of some days round, in the lake."""
    for day in days:
        rows = world.lake.read(DATASET, "labels", partitions=[day]).drop_columns(["partition_key"])
        labels = rows["y"].to_numpy().copy()
        labels[::every] = 1 - labels[::every]
        world.lake.replace(DATASET, "labels", day, rows.set_column(1, "y", pa.array(labels)))


def test_labels_that_were_flipped_since_the_champion_learned_them_are_refused(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path, "rivals")
    toy_world.crown(world, "1")
    flip(world, toy_world.all_days(), every=10)
    version = toy_world.challenge(world, tmp_path / "poisoned", toy_world.STRONGER)
    found = result(gate(DATASET, version, runtime=world), "labels_as_learned")
    assert not found.is_passed
    assert found.observed == "changed since v3: 0 of 1,200 rows; the champion v1: 120 of 1,200 rows"


def test_labels_that_only_the_challenger_learned_otherwise_are_refused(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path)
    days = toy_world.all_days()
    flip(world, days, every=10)
    version = toy_world.challenge(world, tmp_path / "poisoned", STRONG)
    flip(world, days, every=10)
    found = result(gate(DATASET, version, runtime=world), "labels_as_learned")
    assert not found.is_passed
    assert found.observed == "changed since v1: 120 of 1,200 rows"


def test_groups_are_compared_and_gaps_between_protected_ones_measured(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path, "rivals", evaluation={"protected": ["site"]})
    toy_world.crown(world, "1")
    record = gate(DATASET, "2", runtime=world)
    assert set(result(record, "no_slice_worse").details["slices"]) == {"site = north", "site = south"}
    measures = {gap["measure"] for gap in result(record, "fairness_gap").details["gaps"]}
    assert measures == {"auc", "bias"}


def test_challengers_that_were_no_better_make_it_harder_for_the_next(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path, "rivals")
    toy_world.crown(world, "2")
    gate(DATASET, "1", runtime=world)
    version = toy_world.challenge(world, tmp_path / "next", toy_world.STRONGER)
    first = gate(DATASET, version, runtime=world)
    assert result(first, "holdout_reuse").details["before"] == ["1"]
    assert "the 2nd challenger to v2" in result(first, "holdout_reuse").observed
    # Judged again, and after others, it is still the second.
    again = gate(DATASET, version, runtime=world)
    assert again.digest == first.digest
    assert result(gate(DATASET, "1", runtime=world), "holdout_reuse").details["n_before"] == 0


def test_a_model_is_opened_once_in_a_clean_process_and_the_evidence_stands(tmp_path: Path) -> None:
    world = toy_world.open_world(tmp_path, "rivals", promotion={"max_load_seconds": 500.0})
    first = gate(DATASET, "2", runtime=world)
    load = result(first, "loads_in_clean_process")
    assert load.is_passed
    assert load.details["load"]["seconds"] > 0
    assert gate(DATASET, "2", runtime=world).digest == first.digest
