"""The commands about suites: what they print, and how they exit."""

from __future__ import annotations

import json
from pathlib import Path

import meter_world
import pytest
from typer.testing import CliRunner, Result

from pipelines.cli import app
from pipelines.errors import ConfigError
from pipelines.runtime import Runtime

NIGHT = "2013-07-02"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """Return a project with two nights, named by the environment."""
    runtime = meter_world.make(tmp_path)
    meter_world.land(runtime, "2013-07-01")
    meter_world.land(runtime, NIGHT, level={3: 7.5})
    for name, value in meter_world.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    return runtime


def run(*arguments: str) -> Result:
    """Run ``holdfast suite``."""
    return CliRunner().invoke(app, ["suite", *arguments])


def tighten(runtime: Runtime) -> None:
    """Edit the suite such that one high level warns, and duplicates are let through."""
    text = meter_world.SUITE.replace("    mostly: 0.9\n", "", 2).replace("max_value: 1\n", "max_value: 0.9\n")
    meter_world.edit(runtime.settings.project, text)


def test_lint_names_every_mistake_with_its_place_and_exits_with_one(world: Runtime) -> None:
    assert run("lint").exit_code == 0
    wrong = meter_world.SUITE.replace("column: level", "column: levle").replace(
        "severity: critical", "x: 1", 1
    )
    meter_world.edit(world.settings.project, wrong)
    found = run("lint", "meters")
    assert found.exit_code == 1
    lines = found.stdout.splitlines()
    assert lines[0].startswith(
        "expectations/meters_raw.yaml:3:5: error: expect_table_row_count_to_be_between "
    )
    assert "expectations/meters_raw.yaml:4:5: error: " in lines[1]
    assert "unknown column `levle`. Did you mean `level`?" in lines[2]
    assert lines[-1] == "1 file, 3 entries: 3 errors, 0 warnings."
    assert json.loads(run("lint", "meters", "--json").stdout)[0]["n_rules"] == 3


def test_lint_explains_which_engine_runs_what(world: Runtime) -> None:
    found = run("lint", "meters", "--explain", "--stage", "raw").stdout
    assert "expectations/meters_raw.yaml:3: duckdb: expect_table_row_count_to_be_between" in found


def test_test_prints_the_rules_their_examples_and_the_verdict(world: Runtime) -> None:
    found = run("test", "meters", NIGHT)
    assert found.exit_code == 0
    assert (
        "  met   warning  expect_column_values_to_be_between(level): 1 of 40 rows unexpected" in found.stdout
    )
    assert f"meters-{NIGHT}.csv:5 {NIGHT}|north|003" in found.stdout
    assert f"meters {NIGHT} (raw) would be passed: 1 of 40 rows in quarantine." in found.stdout
    tighten(world)
    assert run("test", "meters", NIGHT).exit_code == 1
    assert json.loads(run("test", "meters", NIGHT, "--json").stdout)["outcome"] == "warned"


def test_diff_prints_old_and_new_values(world: Runtime) -> None:
    same = run("diff", "meters")
    assert (same.exit_code, "asks the same as" in same.stdout) == (0, True)
    tighten(world)
    found = run("diff", "meters")
    assert found.exit_code == 1
    assert "~ warning expect_column_values_to_be_between(level) (line 10): tightened" in found.stdout
    assert "    max_value: 1 -> 0.9 (tightened)" in found.stdout
    assert "    mostly: 0.9 -> 1 (tightened)" in found.stdout
    meter_world.edit(
        world.settings.project,
        "expectations:\n" + meter_world.SUITE.split("expectations:\n")[1].split("  - type: expect_column")[0],
    )
    removed = run("diff", "meters").stdout
    assert "- warning expect_column_values_to_be_between(level)" in removed
    assert json.loads(run("diff", "meters", "--json").stdout)["changes"]


def test_replay_prints_the_nights_that_differ_and_the_incidents_missed(world: Runtime) -> None:
    calm = run("replay", "meters", "--last", "2")
    assert calm.exit_code == 0
    assert "newly blocked: none" in calm.stdout
    loose = meter_world.SUITE.replace("max_value: 1\n", "max_value: 9\n")
    meter_world.edit(world.settings.project, loose)
    meter_world.edit(
        world.settings.project,
        f"incidents:\n  - {{partition: {NIGHT}, what: too high, row_ids: ['{NIGHT}|north|003']}}\n",
        "meters_incidents",
    )
    found = run("replay", "meters", "--last", "2")
    assert found.exit_code == 1
    assert f"    {NIGHT}: passed -> passed; +0 -1 of 40 rows" in found.stdout
    assert f"no longer caught: meters-{NIGHT}.csv:5 {NIGHT}|north|003" in found.stdout
    assert f"NOW MISSED (declared): {NIGHT}: too high" in found.stdout


def test_replay_as_json_has_every_row(world: Runtime) -> None:
    tighten(world)
    found = run("replay", "meters", "--first", "2013-07-01", "--to", NIGHT, "--json")
    content = json.loads(found.stdout)
    assert content["newly_warned"] == ["2013-07-01", NIGHT]
    assert len(content["rows"]) == content["n_newly_caught"] == 6
    assert content["rows"][0] == {
        "partition_key": "2013-07-01",
        "direction": "newly_caught",
        "row_id": "2013-07-01|north|037",
        "source_file": "meters-2013-07-01.csv",
        "source_line": 39,
        "position": 37,
        "rules": ["expect_column_values_to_be_between(level)"],
    }


def test_draft_writes_a_new_file_and_never_over_one(world: Runtime, tmp_path: Path) -> None:
    assert run("draft", "meters").stdout.startswith("# Drafted from 80 rows")
    out = tmp_path / "meters_raw.yaml"
    assert run("draft", "meters", "--out", str(out)).exit_code == 0
    before = out.read_text()
    again = run("draft", "meters", "--out", str(out))
    assert isinstance(again.exception, ConfigError)
    assert out.read_text() == before


def test_docs_writes_one_page(world: Runtime, tmp_path: Path) -> None:
    out = tmp_path / "suite.html"
    assert run("docs", "meters", "--out", str(out)).exit_code == 0
    assert out.read_text().startswith("<!DOCTYPE html>")


def test_an_unknown_stage_is_refused(world: Runtime) -> None:
    assert isinstance(run("docs", "meters", "--stage", "row").exception, ConfigError)
