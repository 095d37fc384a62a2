import base64
import configparser
import json
import os
import shlex
import stat
import subprocess
from pathlib import Path

import pytest

from pipelines.config import load_settings
from pipelines.stack.environment import MARK, airflow_environment, read_password, write_files
from pipelines.stack.state import StackPaths
from pipelines.training.workspace import Workspace


def test_an_outside_airflow_or_holdfast_does_not_leak_in(settings):
    environ = {
        "AIRFLOW_HOME": "/elsewhere",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__UNKNOWN": "1",
        "HOLDFAST_LAKE_URI": "s3://elsewhere",
        MARK: "another stack",
        "AWS_ACCESS_KEY_ID": "kept",
    }

    made = airflow_environment(settings, environ=environ)

    assert made["AIRFLOW_HOME"] == str(settings.home / "airflow")
    assert made["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert "AIRFLOW__CORE__UNKNOWN" not in made
    assert made["HOLDFAST_LAKE_URI"] == settings.lake_uri
    assert MARK not in made
    assert made["AWS_ACCESS_KEY_ID"] == "kept"


def test_a_child_reads_the_very_same_settings(settings):
    assert load_settings(airflow_environment(settings)) == settings


def test_addresses_of_people_and_of_the_pages_are_handed_on(settings):
    given = {"HOLDFAST_HOME": str(settings.home), "HOLDFAST_NOTIFY_URLS": "json://a/ json://b/"}
    made = airflow_environment(load_settings(given), api_port=8123)
    assert made["HOLDFAST_NOTIFY_URLS"] == "json://a/ json://b/"
    assert made["HOLDFAST_PAGES_URL"] == "http://127.0.0.1:8123/holdfast"
    given["HOLDFAST_PAGES_URL"] = "https://airflow.example.org/holdfast"
    assert airflow_environment(load_settings(given))["HOLDFAST_PAGES_URL"] == given["HOLDFAST_PAGES_URL"]


def test_a_relative_home_is_handed_on_as_an_absolute_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    made = airflow_environment(load_settings({"HOLDFAST_HOME": "here"}))

    assert made["HOLDFAST_HOME"] == str(tmp_path / "here")
    assert made["AIRFLOW_HOME"] == str(tmp_path / "here" / "airflow")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
        ("DVC_NO_ANALYTICS", "1"),
        ("DO_NOT_TRACK", "1"),
        ("GX_ANALYTICS_ENABLED", "false"),
        ("SCARF_ANALYTICS", "false"),
    ],
)
def test_telemetry_is_off_whatever_the_outside_says(settings, variable, value):
    assert airflow_environment(settings, environ={variable: "other"})[variable] == value


def test_everything_listens_on_loopback_at_the_chosen_port(settings):
    made = airflow_environment(settings, api_port=9999)

    assert made["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert made["AIRFLOW__API__PORT"] == "9999"
    assert made["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:9999/execution/"


def test_search_paths_come_first_and_keep_what_was_there(settings):
    environ = {"PYTHONPATH": "/mine", "PATH": "/usr/bin", "NO_PROXY": "intranet"}

    made = airflow_environment(settings, environ=environ)

    folders = [str(settings.project / "plugins"), str(settings.project), "/mine"]
    assert made["PYTHONPATH"].split(os.pathsep) == folders
    assert made["PATH"].endswith(f"{os.pathsep}/usr/bin")
    assert made["no_proxy"] == "127.0.0.1,localhost,intranet"


def test_other_dags_can_be_named(settings, tmp_path):
    made = airflow_environment(settings, dags_folder=tmp_path)

    assert made["AIRFLOW__CORE__DAGS_FOLDER"] == str(tmp_path)


@pytest.fixture
def written(settings) -> StackPaths:
    write_files(settings, airflow_environment(settings))
    return StackPaths(settings.home)


def secrets_of(paths: StackPaths) -> dict[str, str]:
    parser = configparser.ConfigParser()
    parser.read(paths.secrets)
    return {
        "password": json.loads(paths.passwords.read_text())["admin"],
        "fernet": parser["core"]["fernet_key"],
        "jwt": parser["api_auth"]["jwt_secret"],
        "session": parser["api"]["secret_key"],
    }


def test_secrets_are_strong_and_for_their_owner_only(written):
    secrets = secrets_of(written)

    assert len(secrets["password"]) >= 20
    assert len(base64.urlsafe_b64decode(secrets["fernet"])) == 32
    assert len(secrets["jwt"].encode()) >= 64
    assert len(set(secrets.values())) == 4
    for path in (written.passwords, written.secrets, written.shell):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(written.folder.stat().st_mode) == 0o700


def test_secrets_are_made_once(settings, written):
    before = secrets_of(written)

    write_files(settings, airflow_environment(settings))

    assert secrets_of(written) == before
    assert read_password(settings) == before["password"]


def test_no_secret_is_in_the_environment_or_in_any_other_file(settings, written):
    secrets = secrets_of(written).values()
    files = [path for path in written.home.rglob("*") if path.is_file()]
    others = [path for path in files if path not in (written.passwords, written.secrets)]
    texts = [path.read_text() for path in others] + list(airflow_environment(settings).values())

    assert others
    assert not [text for text in texts if any(secret in text for secret in secrets)]


def test_a_shell_that_sources_the_environment_has_it(settings, written):
    shown = f"$HOLDFAST_HOME|$AIRFLOW_CONFIG|${{{MARK}:-unmarked}}"
    script = f'. {shlex.quote(str(written.shell))}; printf "%s" "{shown}"'

    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]}
    )

    assert done.stdout == f"{settings.home}|{written.secrets}|unmarked"


def test_local_settings_preload_what_the_plugins_say(written):
    text = (written.airflow_home / "config" / "airflow_local_settings.py").read_text()
    compile(text, "airflow_local_settings.py", "exec")

    assert "from holdfast_airflow.preload import preload_in_parents" in text


def test_the_plugins_that_local_settings_need_are_on_the_path(settings):
    first = airflow_environment(settings)["PYTHONPATH"].split(os.pathsep)[0]

    assert (Path(first) / "holdfast_airflow" / "preload.py").exists()


def test_what_a_training_starts_carries_the_mark_on(settings, tmp_path, monkeypatch):
    monkeypatch.setenv(MARK, "the stack")

    assert Workspace(tmp_path, settings).environ(n_threads=1)[MARK] == "the stack"
