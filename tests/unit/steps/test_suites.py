"""What data engineers do with a suite, on a small project of its own."""

from __future__ import annotations

from pathlib import Path

import meter_world
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipelines.errors import ConfigError, NotReadyError, ValidationFailed
from pipelines.records import ValidationRecord, partition_range
from pipelines.runtime import Runtime
from pipelines.steps.replay import Nights, replay
from pipelines.steps.suite_trials import try_suite
from pipelines.steps.suites import diff_suites, document_suite, draft, lint_suites
from pipelines.steps.validate import validate
from pipelines.validation.replay import DifferingRow
from pipelines.validation.suite import load_suite

FIRST, LAST = "2013-07-01", "2013-07-06"
EDITED = meter_world.SUITE.replace("max_value: 1\n", "max_value: 0.5\n").replace("    mostly: 0.9\n", "", 1)


@pytest.fixture
def world(tmp_path: Path) -> Runtime:
    """Return a project whose nights have, by day: nothing, a high level, a duplicate, few rows, nothing."""
    runtime = meter_world.make(tmp_path)
    nights = partition_range(FIRST, LAST)
    meter_world.land(runtime, nights[0])
    meter_world.land(runtime, nights[1], level={3: 7.5, 9: 1.5})
    meter_world.land(runtime, nights[2], row_id={4: f"{nights[2]}|north|005"})
    meter_world.land(runtime, nights[3], n=20)
    meter_world.land(runtime, nights[4], level=dict.fromkeys(range(10), -1.0))
    meter_world.land(runtime, nights[5])
    return runtime


def project(runtime: Runtime) -> Path:
    """Return the folder of the project."""
    return runtime.settings.project


def test_a_trial_says_what_each_rule_found_and_writes_nothing(world: Runtime) -> None:
    trial = try_suite("meters", "2013-07-02", runtime=world)
    assert (trial.outcome, trial.n_rows, trial.n_quarantined) == ("passed", 40, 2)
    level = trial.rules[2]
    assert (level.is_met, level.n_unexpected, level.engine, level.line) == (True, 2, "duckdb", 11)
    assert [(row.source_file, row.source_line) for row in level.examples] == [
        ("meters-2013-07-02.csv", 5),
        ("meters-2013-07-02.csv", 11),
    ]
    assert world.ledger.latest(ValidationRecord, "meters") is None
    assert not world.lake.exists("meters", "quarantine")


def test_a_trial_takes_the_file_as_it_is_on_disk_or_another_one(world: Runtime, tmp_path: Path) -> None:
    meter_world.edit(project(world), meter_world.SUITE.replace("min_value: 30", "min_value: 45"))
    assert try_suite("meters", FIRST, runtime=world).outcome == "refused"
    other = tmp_path / "other.yaml"
    other.write_text(meter_world.SUITE)
    assert try_suite("meters", FIRST, runtime=world, suite_file=other).outcome == "passed"


def test_a_night_that_has_not_landed_is_named(world: Runtime) -> None:
    with pytest.raises(NotReadyError, match="2014-01-01 has not been ingested"):
        try_suite("meters", "2014-01-01", runtime=world)
    meter_world.edit(project(world), PREDICTIONS, "meters_predictions")
    with pytest.raises(NotReadyError, match="predictions"):
        try_suite("meters", FIRST, runtime=world, stage="predictions")


PREDICTIONS = """expectations:
  - {type: expect_column_values_to_be_between, severity: warning, column: prediction, min_value: 0}
"""


def test_predictions_are_tried_with_the_lines_of_their_events(world: Runtime) -> None:
    meter_world.edit(project(world), PREDICTIONS, "meters_predictions")
    moments = pa.array([None, None, None], pa.timestamp("us", tz="UTC"))
    rows = {
        "row_id": [f"{FIRST}|north|{row:03d}" for row in range(3)],
        "event_time": moments,
        "prediction": [0.5, -1.0, 2.0],
        "model_version": ["1"] * 3,
    }
    world.lake.replace("meters", "predictions", FIRST, pa.table(rows))
    trial = try_suite("meters", FIRST, runtime=world, stage="predictions")
    assert (trial.outcome, trial.n_quarantined) == ("warned", 1)
    assert [row.source_line for row in trial.rules[0].examples] == [3]


def test_features_are_tried_on_published_nights(world: Runtime) -> None:
    (project(world) / "meters.sql").write_text("SELECT row_id, level, site FROM events")
    features = PREDICTIONS.replace("column: prediction", "column: level")
    meter_world.edit(project(world), features.replace("min_value: 0", "min_value: 0.05"), "meters_features")
    validate("meters", FIRST, runtime=world)
    world.lake.replace("meters", "labels", FIRST, pa.table({"row_id": ["none"], "use": [1.0]}))
    trial = try_suite("meters", FIRST, runtime=world, stage="features")
    assert (trial.stage, trial.n_rows, trial.n_quarantined) == ("features", 40, 2)


def test_the_difference_from_git_names_what_was_tightened(world: Runtime) -> None:
    assert diff_suites("meters", runtime=world).is_same
    meter_world.edit(project(world), EDITED)
    found = diff_suites("meters", runtime=world)
    assert [(change.rule, change.effects) for change in found.changes] == [
        ("expect_column_values_to_be_unique(row_id)", ("tightened",)),
        ("expect_column_values_to_be_between(level)", ("tightened",)),
    ]


@pytest.mark.parametrize(
    ("against", "said"),
    [
        pytest.param("no-such-branch", "no version of meters_raw.yaml to compare with", id="no-commit"),
        pytest.param("--output=/tmp/x", "no version of meters_raw.yaml", id="an-option"),
    ],
)
def test_an_unknown_version_is_refused(world: Runtime, against: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        diff_suites("meters", runtime=world, against=against)


def test_a_baseline_that_does_not_fit_todays_columns_is_told_apart(world: Runtime, tmp_path: Path) -> None:
    other = tmp_path / "old.yaml"
    other.write_text(meter_world.SUITE.replace("column: level", "column: gone"))
    with pytest.raises(ConfigError, match=r"The version to compare with .*unknown column `gone`"):
        diff_suites("meters", runtime=world, against=str(other))


def test_a_suite_that_git_does_not_have_yet_is_all_new(world: Runtime) -> None:
    path = meter_world.edit(project(world), PREDICTIONS, "meters_predictions")
    found = diff_suites("meters", runtime=world, stage="predictions")
    assert [change.kind for change in found.changes] == ["added"]
    assert path.is_file()


def test_a_replay_gives_the_exact_difference(world: Runtime) -> None:
    for night in (FIRST, "2013-07-02", "2013-07-03", "2013-07-05"):
        validate("meters", night, runtime=world)
    with pytest.raises(ValidationFailed):
        validate("meters", "2013-07-04", runtime=world)
    meter_world.edit(
        project(world),
        meter_world.SUITE.replace("min_value: 30", "min_value: 10")  # few rows are let through
        .replace("    mostly: 0.9\n", "", 1)  # one duplicate blocks
        .replace("min_value: 0\n", "min_value: -5\n"),  # low levels are fine
    )
    (project(world) / "expectations" / "meters_incidents.yaml").write_text(
        "incidents:\n"
        "  - {partition: 2013-07-05, what: levels below zero, row_ids: [2013-07-05|north|001]}\n"
        "  - {partition: 2013-07-02, what: levels above one, row_ids: ['2013-07-02|north|003']}\n"
        "  - {partition: 2013-07-03, what: sent twice}\n"
    )
    rows: list[DifferingRow] = []
    told: list[tuple[str, int, int]] = []
    found = replay(
        "meters",
        Nights(last=5),
        runtime=world,
        on_row=rows.append,
        progress=lambda *args: told.append(args),
    )
    assert (found.n_partitions, found.first, found.last) == (5, "2013-07-02", "2013-07-06")
    assert found.newly_blocked == ("2013-07-03",)
    assert found.let_through == ("2013-07-04",)
    assert (found.newly_warned, found.no_longer_warned) == ((), ("2013-07-05",))
    assert (found.n_newly_caught, found.n_no_longer_caught) == (0, 10)
    assert {row.row_id for row in rows} == {f"2013-07-05|north|{row:03d}" for row in range(10)}
    assert {row.rules for row in rows} == {("expect_column_values_to_be_between(level)",)}
    assert sorted(row.source_line for row in rows if row.source_line) == list(range(2, 12))
    assert len(found.examples) == 3
    assert [(check.partition_key, check.source) for check in found.now_missed] == [
        ("2013-07-04", "recorded"),
        ("2013-07-05", "recorded"),
        ("2013-07-05", "declared"),
    ]
    assert found.now_missed[2].missed_row_ids == ("2013-07-05|north|001",)
    assert len(found.incidents) == 5
    assert told == [("meters", 5, 5)]
    assert [len(world.ledger.revisions(ValidationRecord, "meters", n)) for n in (FIRST, "2013-07-04")] == [
        1,
        1,
    ]


def test_a_replay_without_an_edit_finds_nothing(world: Runtime) -> None:
    found = replay("meters", Nights(first="2013-07-02", to="2013-07-03"), runtime=world)
    assert found.is_same
    assert (found.n_partitions, found.examples, found.now_missed) == (2, (), ())


def test_a_replay_against_no_suite_at_all_shows_what_a_first_one_catches(
    world: Runtime, tmp_path: Path
) -> None:
    meter_world.git(project(world), "rm", "--quiet", "--cached", "expectations/meters_raw.yaml")
    meter_world.git(project(world), "-c", "user.name=T", "-c", "user.email=t@e.org", "commit", "-qm", "x")
    found = replay("meters", Nights(first=FIRST, to=LAST), runtime=world)
    assert found.newly_blocked == ("2013-07-04",)
    assert found.n_newly_caught == 14
    assert found.newly_warned == ("2013-07-05",)


@pytest.mark.parametrize(
    ("nights", "error"),
    [
        pytest.param(Nights(), ConfigError, id="no-nights-named"),
        pytest.param(Nights(first="2020-01-01", to="2020-01-02"), NotReadyError, id="none-landed"),
    ],
)
def test_a_replay_of_no_nights_is_refused(world: Runtime, nights: Nights, error: type[Exception]) -> None:
    with pytest.raises(error):
        replay("meters", nights, runtime=world)


def test_a_night_that_is_not_what_was_ingested_is_named_and_the_others_are_replayed(world: Runtime) -> None:
    rows = world.lake.read("meters", "raw", partitions=[FIRST]).drop_columns(["partition_key"])
    world.lake.replace("meters", "raw", FIRST, rows.filter(pc.greater(rows["position"], 0)))
    found = replay("meters", Nights(first=FIRST, to="2013-07-02"), runtime=world)
    assert list(found.not_judged) == [FIRST]
    assert [night.partition_key for night in found.nights] == ["2013-07-02"]


def test_the_draft_of_a_stage_lints_and_holds_for_its_own_nights(world: Runtime) -> None:
    text = draft("meters", runtime=world, first=FIRST, last="2013-07-02")
    path = meter_world.edit(project(world), text)
    (report,) = lint_suites("meters", runtime=world)
    assert report.findings == ()
    assert "2013-07-01 to 2013-07-02" in text
    assert [try_suite("meters", night, runtime=world).outcome for night in (FIRST, "2013-07-02")] == [
        "passed",
        "passed",
    ]
    assert len(load_suite(path, world.dataset("meters")).rules) >= 8


def test_nothing_is_drafted_from_nothing(world: Runtime) -> None:
    with pytest.raises(NotReadyError, match="no night to draft from"):
        draft("meters", runtime=world, first="2020-01-01")
    with pytest.raises(NotReadyError):
        draft("meters", runtime=world, stage="predictions")


def test_a_page_of_the_suite_says_severities_and_bounds(world: Runtime) -> None:
    page = document_suite("meters", runtime=world)
    assert "<h1>meters: raw</h1>" in page
    assert "expect_column_values_to_be_between(level)" in page
    assert "<script" not in page


def test_lint_reads_every_file_of_a_dataset(world: Runtime) -> None:
    meter_world.edit(project(world), PREDICTIONS.replace("prediction,", "predicted,"), "meters_predictions")
    meter_world.edit(project(world), "incidents:\n  - {partition: 2013-02-31, what: x}\n", "meters_incidents")
    reports = lint_suites(runtime=world)
    assert [(report.file, report.n_errors) for report in reports] == [
        ("expectations/meters_raw.yaml", 0),
        ("expectations/meters_predictions.yaml", 1),
        ("expectations/meters_incidents.yaml", 1),
    ]
    assert [report.file for report in lint_suites("meters", "raw", runtime=world)] == [
        "expectations/meters_raw.yaml",
        "expectations/meters_incidents.yaml",
    ]


def test_features_and_predictions_are_drafted_from_what_was_computed(world: Runtime) -> None:
    (project(world) / "meters.sql").write_text("SELECT row_id, level, site FROM events")
    validate("meters", FIRST, runtime=world)
    world.lake.replace("meters", "labels", FIRST, pa.table({"row_id": ["none"], "use": [1.0]}))
    features = draft("meters", runtime=world, stage="features", first=FIRST, last=FIRST)
    assert "column: level" in features
    assert "column: reading" not in features
    moments = pa.array([None] * 3, pa.timestamp("us", tz="UTC"))
    rows = {"row_id": ["a", "b", "c"], "event_time": moments, "prediction": [0.5, 1.0, 2.0]}
    world.lake.replace("meters", "predictions", FIRST, pa.table({**rows, "model_version": ["1"] * 3}))
    assert "column: prediction" in draft("meters", runtime=world, stage="predictions")


def test_lint_of_one_stage_leaves_out_datasets_that_have_no_such_suite(world: Runtime) -> None:
    assert lint_suites(stage="predictions", runtime=world) == []
    with pytest.raises(ConfigError, match="Can't read the expectation suite"):
        lint_suites("meters", "predictions", runtime=world)
