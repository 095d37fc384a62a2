"""The commands of the quarantine: what they print, and that nothing in the data steers a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from typer.testing import CliRunner

from pipelines.cli.main import app
from pipelines.errors import ConfigError
from pipelines.records import IngestionRecord
from pipelines.runtime import Runtime
from pipelines.steps.validate import validate
from pipelines.storage.columns import ARROW_TYPES

DAY = "2013-07-04"
EVIL = "a\x1b[2J\x9b31m</script>"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """Return a project whose only night has two rows in quarantine; commands find it too."""
    dataset = {
        "description": "Sites",
        "task": "regression",
        "source": {"kind": "csv", "tables": {"sites": "sites.csv"}},
        "key": ["site"],
        "columns": {"site": "string", "level": "float"},
        "target": "use",
        "labels": {"use": "float"},
        "features": {"sql": "sites.sql", "numeric": ["level"]},
        "quality": {"max_quarantined_fraction": 0.5},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"datasets": {"sites": dataset}}))
    (tmp_path / "expectations").mkdir()
    (tmp_path / "expectations" / "sites_raw.yaml").write_text(
        "expectations:\n  - {type: expect_column_values_to_be_between, severity: warning, column: level,"
        " max_value: 10}\n"
    )
    for name, value in {"HOME": "", "PROJECT": "", "PARAMS": "params.yaml"}.items():
        monkeypatch.setenv(f"HOLDFAST_{name}", str(tmp_path / value))
    runtime = Runtime.load()
    sites = ["a", "b", "c", "d", EVIL]
    columns = {
        "row_id": (pa.string(), [f"{DAY}|{site}" for site in sites]),
        "event_time": (ARROW_TYPES["timestamp"], [None] * 5),
        "site": (pa.string(), sites),
        "level": (pa.float64(), [1.0, 2.0, 3.0, 40.0, 50.0]),
        "miscast": (pa.string(), [None] * 5),
        "source_file": (pa.string(), ["../../etc/x\x1b.csv"] * 5),
        "source_line": (pa.int64(), [2, 3, 4, 5, None]),
        "position": (pa.int64(), [0, 2, 3, 4, 1]),
    }
    rows = pa.table({name: pa.array(values, kind) for name, (kind, values) in columns.items()})
    version = runtime.lake.replace("sites", "raw", DAY, rows)
    runtime.ledger.record(
        IngestionRecord(
            dataset="sites", partition_key=DAY, source_uri="", raw_digest=version.digest, n_rows=5
        )
    )
    validate("sites", DAY, runtime=runtime)
    return runtime


def run(*arguments: str) -> str:
    """Return what a command prints."""
    group = [] if arguments[0] == "hold" else ["quarantine"]
    done = CliRunner().invoke(app, [*group, *arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.usefixtures("home")
def test_a_person_lists_shows_releases_repairs_and_takes_back(tmp_path: Path) -> None:
    listed = run("list", "sites")
    assert f"{DAY}  warned   2 of 5 rows (40.00%) in quarantine; 0 repaired, 0 released" in listed
    assert "2  warning   expect_column_values_to_be_between(level)" in listed
    shown = run("show", "sites", DAY)
    assert "breaks expect_column_values_to_be_between(level): 40.0" in shown
    assert "../../etc/x\\x1b.csv:5" in shown
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    rows = json.loads(run("show", "sites", DAY, "--json"))
    ids = {row["row"]["site"]: row["quarantine_id"] for row in rows}
    said = ("--reason", "the sensor was changed", "--actor", "ann")
    released = run("release", "sites", DAY, "--id", ids["d"], *said)
    assert "1 rows released; 1 rejoined, 0 are in quarantine." in released
    assert "The night is warned: 4 published, 1 in quarantine." in released
    path = tmp_path / "rows.csv"
    assert "Wrote 1 rows" in run("show", "sites", DAY, "--out", str(path))
    assert "0 rows would be repaired" in run("repair", "sites", DAY, str(path), "--dry-run", *said)
    repaired = run("repair", "sites", DAY, "--id", ids[EVIL], "--set", "level=5", *said)
    assert "1 rejoined" in repaired
    assert "The night is passed: 5 published, 0 in quarantine." in repaired
    taken_back = json.loads(run("undo", "sites", DAY, "--all", "--json", *said))
    assert (taken_back["n_rows"], taken_back["n_staying"]) == (2, 2)
    assert json.loads(run("list", "sites", "--json"))[0]["n_quarantined"] == 2


@pytest.mark.usefixtures("home")
def test_a_person_holds_a_night_and_lets_it_go() -> None:
    said = ("--reason", "Fahrenheit\x1b[2J", "--actor", "ann")
    held = run("hold", "sites", DAY, "--column", "level", *said)
    assert "3 rows held. The night is refused: 0 published, 5 in quarantine." in held
    assert f"holdfast quarantine show sites {DAY}" in held
    shown = run("show", "sites", DAY, "--rule", "held")
    assert "breaks held(level): 1.0 (Fahrenheit\\x1b[2J)" in shown
    with pytest.raises(ConfigError, match="leave out --column"):
        run("hold", "sites", DAY, "--undo", "--column", "level", *said)
    record = json.loads(run("hold", "sites", DAY, "--undo", "--json", *said))
    assert (record["nights"][0]["action"], record["nights"][0]["n_rejoined"]) == ("lift", 3)
    assert "3 rows let go. The night is warned: 3 published, 2" in run("hold", "sites", DAY, "--undo", *said)


@pytest.mark.usefixtures("home")
def test_a_night_without_rows_to_hold_is_told() -> None:
    said = ("--reason", "x", "--actor", "ann")
    assert "no row is held; nothing was done" in run("hold", "sites", DAY, "--undo", *said)


@pytest.mark.usefixtures("home")
def test_what_is_not_there_is_said() -> None:
    assert "Nothing is in quarantine." in run("list", "sites", "--rule", "cast:level")
    assert "No such row is in quarantine." in run("show", "sites", DAY, "--id", "q0")
    with pytest.raises(ConfigError, match="write it as column=value"):
        run("repair", "sites", DAY, "--id", "q0", "--set", "level", "--reason", "x", "--actor", "ann")
