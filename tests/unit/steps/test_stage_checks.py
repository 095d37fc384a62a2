"""Features and predictions are held to their suites: bad rows are split off, and all is counted."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import toy_world
import yaml

from pipelines.errors import ConfigError, ValidationFailed
from pipelines.records import ChampionMove, ScoringRecord, StageValidationRecord
from pipelines.runtime import Runtime
from pipelines.steps.score import score

DAY, N_ROWS = "2013-01-15", 60
BETWEEN = "expect_column_values_to_be_between"
MEAN = "expect_column_mean_to_be_between"
LOW_X = {"type": BETWEEN, "severity": "warning", "column": "x", "min_value": -1.7, "mostly": 0.5}


@pytest.fixture
def world(tmp_path: Path) -> Runtime:
    runtime = toy_world.open_world(tmp_path, "rivals", quality={"max_quarantined_fraction": 0.4})
    runtime.ledger.champions.move(
        ChampionMove(
            dataset=toy_world.DATASET,
            sequence=1,
            model_version="2",
            previous_version=None,
            action="promote",
            actor="test",
            reason="",
            evidence_digest="",
            partition_key=DAY,
            moved_at=datetime(2013, 1, 21, tzinfo=UTC),
        )
    )
    return runtime


def write_suite(runtime: Runtime, stage: str, *expectations: dict[str, Any]) -> None:
    path = runtime.settings.project / "expectations" / f"{toy_world.DATASET}_{stage}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump({"expectations": list(expectations)}))


def score_day(runtime: Runtime) -> ScoringRecord:
    return score(toy_world.DATASET, DAY, runtime=runtime)


def rows_of(runtime: Runtime, table: str) -> list[dict[str, Any]]:
    if not runtime.lake.exists(toy_world.DATASET, table):
        return []
    return runtime.lake.read(toy_world.DATASET, table, partitions=[DAY]).to_pylist()


def verdict_on(runtime: Runtime, stage: str) -> StageValidationRecord | None:
    return runtime.ledger.latest(StageValidationRecord, toy_world.DATASET, DAY, subject=stage)


def low_rows(runtime: Runtime) -> list[dict[str, Any]]:
    return [row for row in rows_of(runtime, "validated") if row["x"] < -1.7]


def test_without_a_suite_every_row_is_scored_and_nothing_is_recorded(world: Runtime) -> None:
    record = score_day(world)
    assert (record.n_rows, record.n_withheld) == (N_ROWS, 0)
    assert verdict_on(world, "features") is verdict_on(world, "predictions") is None
    assert not world.lake.exists(toy_world.DATASET, "quarantine_features")


def test_rows_with_bad_features_are_split_off_with_their_reasons(world: Runtime) -> None:
    write_suite(world, "features", LOW_X)
    record, bad = score_day(world), low_rows(world)
    assert len(bad) > 0
    assert (record.n_rows, record.n_withheld) == (N_ROWS - len(bad), len(bad))
    predicted = {row["row_id"] for row in rows_of(world, "predictions")}
    assert predicted.isdisjoint(row["row_id"] for row in bad)
    quarantined = rows_of(world, "quarantine_features")
    assert [row["row_id"] for row in quarantined] == sorted(row["row_id"] for row in bad)
    first = quarantined[0]
    assert json.loads(first["reasons"]) == [
        {"rule": BETWEEN, "column": "x", "value": pytest.approx(bad[0]["x"]), "severity": "warning"}
    ]
    shown = json.loads(first["row"])
    assert shown["event_time"] == "2013-01-15T00:00:00+00:00"
    assert shown["x"] == pytest.approx(bad[0]["x"])
    assert len({row["quarantine_id"] for row in quarantined}) == len(bad)
    assert all(
        row["quarantine_id"].startswith("q") and len(row["quarantine_id"]) == 16 for row in quarantined
    )


def test_counts_add_up_and_are_on_record(world: Runtime) -> None:
    write_suite(world, "features", LOW_X)
    score_day(world)
    verdict = verdict_on(world, "features")
    assert verdict is not None
    assert verdict.n_in == N_ROWS == verdict.n_passed + verdict.n_quarantined
    assert (verdict.outcome, verdict.model_version) == ("passed", "2")
    assert [found.n_unexpected for found in verdict.expectations] == [verdict.n_quarantined]
    assert verdict.reasons == (
        f"quarantine: {BETWEEN}(x): {verdict.n_quarantined} of {N_ROWS} rows unexpected",
    )


def test_predictions_are_held_to_their_suite_before_they_are_written(world: Runtime) -> None:
    write_suite(
        world,
        "predictions",
        {"type": BETWEEN, "severity": "critical", "column": "prediction", "max_value": 0.8, "mostly": 0.3},
    )
    record = score_day(world)
    quarantined = rows_of(world, "quarantine_predictions")
    assert record.n_withheld == len(quarantined) > 0
    assert all(json.loads(row["row"])["prediction"] > 0.8 for row in quarantined)
    assert max(row["prediction"] for row in rows_of(world, "predictions")) <= 0.8


@pytest.mark.parametrize(
    ("stage", "expectation", "says"),
    [
        pytest.param(
            "features",
            {"type": MEAN, "severity": "critical", "column": "x", "min_value": 5},
            r"refused: expect_column_mean_to_be_between\(x\): observed",
            id="critical-features",
        ),
        pytest.param(
            "predictions",
            {"type": MEAN, "severity": "critical", "column": "prediction", "max_value": 0.01},
            r"refused: expect_column_mean_to_be_between\(prediction\): observed",
            id="critical-predictions",
        ),
        pytest.param(
            "features",
            {"type": BETWEEN, "severity": "warning", "column": "x", "min_value": 0, "mostly": 0.1},
            "more than quality.max_quarantined_fraction = 0.4 allows",
            id="too-large-a-share",
        ),
        pytest.param(
            "features",
            {"type": BETWEEN, "severity": "warning", "column": "x", "min_value": 100, "mostly": 0},
            "refused: all 60 rows belong in quarantine",
            id="every-row",
        ),
    ],
)
def test_a_bad_stage_stops_the_night_and_nothing_is_predicted(
    world: Runtime, stage: str, expectation: dict[str, Any], says: str
) -> None:
    write_suite(world, stage, expectation)
    with pytest.raises(ValidationFailed, match=says) as raised:
        score_day(world)
    assert not raised.value.is_retryable
    assert "`holdfast score toy 2013-01-15` again" in str(raised.value)
    assert not rows_of(world, "predictions")
    assert world.ledger.latest(ScoringRecord, toy_world.DATASET, DAY) is None
    verdict = verdict_on(world, stage)
    assert verdict is not None
    assert verdict.outcome == "refused"
    assert verdict.n_quarantined == len(rows_of(world, f"quarantine_{stage}"))


def test_a_warning_that_is_not_met_is_told_and_does_not_stop_the_night(world: Runtime) -> None:
    write_suite(world, "features", {"type": MEAN, "severity": "warning", "column": "x", "min_value": 5})
    assert score_day(world).n_withheld == 0
    verdict = verdict_on(world, "features")
    assert verdict is not None
    assert verdict.outcome == "warned"
    assert verdict.reasons[0].startswith("warned: ")


def test_rows_that_break_only_information_stay(world: Runtime) -> None:
    write_suite(world, "features", LOW_X | {"severity": "info"})
    assert score_day(world).n_withheld == 0
    verdict = verdict_on(world, "features")
    assert verdict is not None
    assert verdict.expectations[0].n_unexpected == len(low_rows(world)) > 0
    assert verdict.n_quarantined == 0


def test_a_repeat_changes_nothing_and_a_mended_suite_empties_the_quarantine(world: Runtime) -> None:
    write_suite(world, "features", LOW_X)
    first = score_day(world)
    assert score_day(world).digest == first.digest
    assert len(world.ledger.history(StageValidationRecord, toy_world.DATASET)) == 1
    write_suite(world, "features", LOW_X | {"min_value": -100})
    assert score_day(world).n_withheld == 0
    assert rows_of(world, "quarantine_features") == []


def test_a_night_without_rows_needs_no_suite(world: Runtime) -> None:
    write_suite(world, "features", LOW_X)
    empty = world.lake.read(toy_world.DATASET, "validated", partitions=[DAY]).slice(0, 0)
    written = world.lake.replace(toy_world.DATASET, "validated", DAY, empty.drop_columns(["partition_key"]))
    world.ledger.record(toy_world.validation_of(DAY, written.digest))
    assert score_day(world).n_rows == 0


def test_a_quarantined_row_says_which_file_and_line_it_came_from(world: Runtime) -> None:
    write_suite(world, "features", LOW_X)
    bad = low_rows(world)[0]
    raw = pa.table({"row_id": [bad["row_id"]], "source_file": ["toy.csv"], "source_line": [7]})
    world.lake.replace(toy_world.DATASET, "raw", DAY, raw)
    score_day(world)
    found = {
        row["row_id"]: (row["source_file"], row["source_line"])
        for row in rows_of(world, "quarantine_features")
    }
    assert found[bad["row_id"]] == ("toy.csv", 7)


def test_a_rule_against_the_training_is_held_to_the_models_own_profile(world: Runtime) -> None:
    # The toy's training saw one row, with x = 0.5.
    bounds = {"max_value": {"$REFERENCE": "max"}, "mostly": 0.2}
    write_suite(world, "features", {"type": BETWEEN, "severity": "info", "column": "x"} | bounds)
    score_day(world)
    verdict = verdict_on(world, "features")
    assert verdict is not None
    assert verdict.reference_version == "2"
    assert verdict.expectations[0].n_unexpected == sum(row["x"] > 0.5 for row in rows_of(world, "validated"))


def test_a_suite_that_names_an_unknown_feature_is_a_configuration_error(world: Runtime) -> None:
    write_suite(world, "features", LOW_X | {"column": "y"})
    with pytest.raises(ConfigError, match=r"toy_features\.yaml"):
        score_day(world)
