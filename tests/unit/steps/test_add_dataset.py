"""A table is brought: what is written loads, keeps what was there, and works from file to drift report."""

from __future__ import annotations

import shutil
import sqlite3
from datetime import date

import pytest
from sklearn import datasets as sklearn_datasets
from typer.testing import CliRunner
from ugly_tables import MAKERS

from pipelines.cli.main import app
from pipelines.config import PROJECT_ROOT, load_params, load_settings
from pipelines.errors import ConfigError, SchemaError
from pipelines.onboarding.understanding import Asked
from pipelines.steps.add_dataset import add_dataset
from pipelines.steps.check_dataset import check_dataset
from pipelines.steps.table_sample import TableRequest
from pipelines.validation.suite import load_suite, suite_path

TODAY = date(2021, 4, 1)
# Tried as a whole here; tests/integration/test_any_table.py takes others through the real steps.
TRIED = ("semicolons_and_decimal_commas", "duplicate_timestamps", "no_time", "runs_of_spaces")


@pytest.fixture
def project(tmp_path):
    """Return the settings of a project of its own, with the shipped params."""
    return project_below(tmp_path)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Return the settings of a project with a table ``t`` of thirty days, which was tried and works."""
    settings = project_below(tmp_path_factory.mktemp("sound"))
    lines = [f"2021-01-{1 + n // 24:02} {n % 24:02}:00:00,{n % 9}.5,{n % 24 * 2}.25" for n in range(24 * 30)]
    (settings.sources / "t.csv").write_text("\n".join(["at,heat,load", *lines]) + "\n")
    add_dataset("t", TableRequest("t.csv", asked=Asked(target="load")), settings=settings, today=TODAY)
    assert check_dataset("t", settings=settings).is_sound
    return settings


def project_below(folder):
    """Return the settings of a project in a folder, with the shipped params."""
    root = folder / "project"
    (root / "var" / "sources").mkdir(parents=True)
    shutil.copy(PROJECT_ROOT / "params.yaml", root / "params.yaml")
    return load_settings({"HOLDFAST_PROJECT": str(root), "HOLDFAST_DEVICE": "cpu"})


def request_of(table, **changes):
    """Return what a person would ask for one of the ugly tables."""
    options = dict(zip(table.options[::2], table.options[1::2], strict=True))
    key = options.get("--key")
    asked = Asked(
        target=options.get("--target"), time=options.get("--time"), key=None if key is None else (key,)
    )
    labels_key = (options["--labels-key"],) if "--labels-key" in options else ()
    return TableRequest(
        table.location, labels=options.get("--labels"), labels_key=labels_key, asked=asked, **changes
    )


@pytest.mark.parametrize("name", list(MAKERS))
def test_an_ugly_table_is_understood_and_beside_others_written_down(project, name):
    table = MAKERS[name](project.sources)
    before = load_params(project.params)
    added = add_dataset(name, request_of(table), settings=project, today=TODAY)
    after = load_params(project.params)
    assert added.n_rows == table.n_rows
    assert (added.event_time is not None) is table.has_time
    assert {k: v for k, v in after.datasets.items() if k != name} == before.datasets
    assert load_suite(suite_path(project.project, name, "raw"), after.dataset(name), "raw").rules


@pytest.mark.parametrize("name", TRIED)
def test_an_ugly_table_goes_from_file_to_drift_report_without_an_edit(project, name):
    add_dataset(name, request_of(MAKERS[name](project.sources)), settings=project, today=TODAY)
    found = check_dataset(name, settings=project)
    assert (found.is_sound, found.problem) == (True, None)
    assert [stage.stage for stage in found.stages] == [
        "read",
        "land",
        "validate",
        "learn",
        "score",
        "monitor",
    ]
    assert not project.home.joinpath("lake").exists()


@pytest.mark.parametrize(
    ("load", "task"),
    [
        pytest.param(sklearn_datasets.load_iris, "multiclass", id="iris"),
        pytest.param(sklearn_datasets.load_breast_cancer, "binary", id="breast-cancer"),
        pytest.param(sklearn_datasets.load_diabetes, "regression", id="diabetes"),
    ],
)
def test_a_real_table_without_a_time_goes_through(project, load, task):
    frame = load(as_frame=True).frame
    frame.to_csv(project.sources / "real.csv", sep=";", decimal=",", index=False)
    added = add_dataset("real", TableRequest("real.csv"), settings=project, today=TODAY)
    assert (added.target, added.task, added.event_time) == ("target", task, None)
    assert check_dataset("real", settings=project).is_sound


def test_nothing_is_overwritten_unless_that_is_wanted(project):
    request = request_of(MAKERS["no_time"](project.sources))
    add_dataset("wine", request, settings=project, today=TODAY)
    features = project.project / "pipelines/features/sql/wine.sql"
    features.write_text("-- edited\n")
    before = project.params.read_text()
    with pytest.raises(ConfigError, match="already"):
        add_dataset("wine", request, settings=project, today=TODAY)
    project.params.write_text(shutil.copy(PROJECT_ROOT / "params.yaml", project.params).read_text())
    with pytest.raises(ConfigError, match="--force"):
        add_dataset("wine", request, settings=project, today=TODAY)
    assert features.read_text() == "-- edited\n"
    forced = request_of(MAKERS["no_time"](project.sources), force=True)
    add_dataset("wine", forced, settings=project, today=TODAY)
    assert "edited" not in features.read_text()
    assert project.params.read_text() == before


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        pytest.param("No-Name", "a,b\n1,2\n", "no name for a dataset", id="name"),
        pytest.param("empty", "", "no text", id="empty"),
        pytest.param("bare", "a,b\n", "no rows", id="header-only"),
        pytest.param("flights", "a,b\n1,2\n", "already", id="taken"),
    ],
)
def test_what_can_not_be_brought_leaves_no_trace(project, name, text, words):
    (project.sources / "t.csv").write_text(text)
    before = project.params.read_text()
    with pytest.raises((ConfigError, SchemaError), match=words):
        add_dataset(name, TableRequest("t.csv"), settings=project, today=TODAY)
    assert project.params.read_text() == before
    assert not (project.project / "expectations").exists()


def test_a_table_of_a_database_goes_through(project):
    with sqlite3.connect(project.sources / "shop.db") as connection:
        connection.execute("CREATE TABLE sales (sale_id INTEGER, sold_on TEXT, shop TEXT, amount REAL)")
        rows = [(n, f"2021-01-{1 + n // 20:02}", "NS"[n % 2], float(n % 2 * 5 + n % 7)) for n in range(600)]
        connection.executemany("INSERT INTO sales VALUES (?, ?, ?, ?)", rows)
    url = f"sqlite:///{project.sources / 'shop.db'}"
    request = TableRequest(url, table="sales", asked=Asked(target="amount"))
    added = add_dataset("sales", request, settings=project, today=TODAY)
    assert (added.key, added.event_time, added.n_days) == (("sale_id",), "sold_on", 30)
    assert check_dataset("sales", settings=project).is_sound


@pytest.mark.parametrize(
    ("edit", "stage", "words"),
    [
        pytest.param(("params.yaml", "event_time: at", "event_time: nix"), "read", "event_time", id="time"),
        pytest.param(("params.yaml", "  heat: float", "  heats: float"), "read", "heat", id="column"),
        pytest.param(
            ("pipelines/features/sql/t.sql", 'events."heat"', 'events."cold"'),
            "learn",
            "t.sql",
            id="features",
        ),
        pytest.param(
            ("pipelines/features/sql/t.sql", 'events."heat"', 'avg("heat") OVER () AS "heat"'),
            "learn",
            "look ahead",
            id="look-ahead",
        ),
        pytest.param(
            ("params.yaml", "  heat: float", "  heat: boolean"), "validate", "t.csv line", id="type"
        ),
    ],
)
def test_the_first_thing_that_is_wrong_is_explained(sound, project, edit, stage, words):
    shutil.copytree(sound.project, project.project, dirs_exist_ok=True)
    path = project.project / edit[0]
    assert edit[1] in path.read_text()
    path.write_text(path.read_text().replace(edit[1], edit[2]))
    found = check_dataset("t", settings=project)
    assert not found.is_sound
    assert found.stages[-1].stage == stage
    assert words in found.problem


def test_the_commands_say_what_was_understood_and_list_it(project, monkeypatch):
    table = MAKERS["semicolons_and_decimal_commas"](project.sources)
    monkeypatch.setenv("HOLDFAST_PROJECT", str(project.project))
    added = CliRunner().invoke(app, ["dataset", "add", "air", table.location, *table.options])
    assert added.exit_code == 0, added.output
    for words in ("a regression of T", "decimal mark", "-200", "Next: holdfast dataset check air"):
        assert words in added.output
    listed = CliRunner().invoke(app, ["dataset", "list", "--json"])
    assert '"air"' in listed.output
    assert "AirQuality.csv" in CliRunner().invoke(app, ["dataset", "list"]).output
    checked = CliRunner().invoke(app, ["dataset", "check", "air", "--night", "2021-03-10"])
    assert (checked.exit_code, checked.stdout) == (0, "Everything works.\n")
    project.params.write_text(project.params.read_text().replace("AirQuality.csv", "nix.csv"))
    missing = CliRunner().invoke(app, ["dataset", "check", "air"])
    assert missing.exit_code == 1
    assert "nix.csv" in missing.stdout
