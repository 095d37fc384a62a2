"""The production profile, as far as it can be checked without an engine: every name it uses exists."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml

from pipelines.config import PROJECT_ROOT, Settings

DOCKER = PROJECT_ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
STRINGS = {"type": "array", "items": {"type": "string"}}
# The part of the Compose specification that the file uses; a key that is not here is a typo.
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "services", "volumes"],
    "patternProperties": {"^x-": {"type": "object"}},
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9_-]+$"},
        "volumes": {"type": "object", "additionalProperties": {"type": "null"}},
        "services": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["image"],
                "properties": {
                    "image": {"type": "string", "pattern": "^[^:]+:[^:]+$"},
                    "restart": {"enum": ["unless-stopped"]},
                    "command": STRINGS,
                    "profiles": STRINGS,
                    "ports": {"type": "array", "items": {"pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
                    "volumes": STRINGS,
                    "environment": {"type": "object", "additionalProperties": {"type": "string"}},
                    "healthcheck": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["test"],
                        "properties": {
                            "test": {**STRINGS, "contains": {"const": "CMD"}},
                            "interval": {"type": "string", "pattern": r"^\d+s$"},
                            "retries": {"type": "integer"},
                        },
                    },
                    "depends_on": {
                        "type": "object",
                        "additionalProperties": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["condition"],
                            "properties": {
                                "condition": {"enum": ["service_healthy", "service_completed_successfully"]}
                            },
                        },
                    },
                    "deploy": {"type": "object", "required": ["resources"]},
                },
            },
        },
    },
}


def variables(text: str) -> dict[str, str]:
    """Return each ``${NAME}`` of a text with what follows its name (``:?message`` or ``:-default``)."""
    return dict(re.findall(r"\$\{([A-Z0-9_]+)([^}]*)\}", text))


def example_secrets() -> set[str]:
    return set(re.findall(r"^([A-Z0-9_]+)=", (DOCKER / ".env.example").read_text(), re.MULTILINE))


def test_compose_follows_its_schema():
    jsonschema.validate(COMPOSE, SCHEMA)


def test_what_a_service_depends_on_exists_and_can_meet_the_condition():
    for service in SERVICES.values():
        for name, wanted in service.get("depends_on", {}).items():
            if wanted["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[name]
            else:
                assert "restart" not in SERVICES[name], f"{name} would start anew for ever"


def test_every_secret_must_be_given_and_none_has_a_default():
    text = (DOCKER / "compose.yaml").read_text()
    secrets = set(COMPOSE["x-secrets"])
    assert secrets == example_secrets()
    for name in secrets:
        assert f"${{{name}:?" in text
    optional = {"HOLDFAST_WORKER_QUEUES", "HOLDFAST_NOTIFY_URLS", "HOLDFAST_PAGES_URL"}
    assert set(variables(text)) - secrets == optional


def test_the_example_of_the_secrets_gives_none_away():
    assert not re.search(r"^[A-Z0-9_]+=.+", (DOCKER / ".env.example").read_text(), re.MULTILINE)


def test_volumes_are_declared_and_bound_paths_exist():
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DOCKER / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


def test_holdfast_variables_are_settings():
    fields = {f"HOLDFAST_{name.upper()}" for name in Settings.model_fields}
    for dockerfile in ("Dockerfile", "Dockerfile.gpu"):
        named = set(re.findall(r"\b(HOLDFAST_[A-Z_]+)=", (DOCKER / dockerfile).read_text()))
        assert named <= fields
    assert {name for name in COMPOSE["x-environment"] if name.startswith("HOLDFAST_")} <= fields


def test_images_are_built_by_the_files_here_from_a_set_that_exists():
    extras = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name in ("Dockerfile", "Dockerfile.gpu"):
        text = (DOCKER / name).read_text()
        for sources in re.findall(r"^COPY (?:--\S+ )*(.+) \S+$", text, re.MULTILINE):
            for source in sources.split():
                assert (PROJECT_ROOT / source).exists(), f"{name} copies {source}, which is not there"
        for extra in re.findall(r"'\.\[(\w+)\]'", text):
            assert extra in extras
    assert "FROM holdfast:latest" in (DOCKER / "Dockerfile.gpu").read_text()
    ours = {s["image"] for s in SERVICES.values() if s["image"].startswith("holdfast")}
    assert ours == {"holdfast:latest", "holdfast:gpu"}


def test_airflow_knows_every_option_and_parses_every_command(tmp_path: Path):
    commands = [s["command"] for s in SERVICES.values() if s.get("command", [""])[0] == "airflow"]
    names = [name for name in COMPOSE["x-environment"] if name.startswith("AIRFLOW__")]
    names += re.findall(r"\b(AIRFLOW__\w+)=", (DOCKER / "Dockerfile").read_text())
    script = """
import json, sys
from airflow.cli.cli_parser import get_parser
from airflow.configuration import conf
from airflow.providers_manager import ProvidersManager
ProvidersManager().initialize_providers_configuration()
commands, names = json.load(sys.stdin)
for command in commands:
    get_parser().parse_args(command[1:])
for name in names:
    _, section, key = name.split("__")
    options = conf.configuration_description.get(section.lower(), {}).get("options", {})
    assert key.lower() in options, f"Airflow knows no option {name}"
"""
    environ = {"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps([commands, names]).replace("${HOLDFAST_WORKER_QUEUES:-default,gpu}", "default,gpu"),
        text=True,
        capture_output=True,
        env=environ | {"AIRFLOW__CORE__EXECUTOR": "CeleryExecutor"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(commands) == 6


def test_other_commands_are_programs_of_the_image():
    for name, service in SERVICES.items():
        if service["image"].startswith("holdfast"):
            program, *arguments = service["command"]
            assert (Path(sys.executable).parent / program).exists(), f"{name} runs {program}"
            for argument in arguments:
                if argument.startswith("docker/"):
                    assert (PROJECT_ROOT / argument).is_file()


@pytest.fixture(scope="module")
def refusals():
    return runpy.run_path(str(DOCKER / "initialise.py"))["refusals"]


@pytest.fixture
def strong() -> dict[str, str]:
    text = "q7Zp-x2Vd_Lw9sTt4KmYbN3hRgUe8CjAf5XoQi6PzD1"
    return dict.fromkeys(example_secrets(), text + text[::-1])


def test_strong_secrets_are_taken(refusals, strong):
    assert refusals(strong) == []


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        pytest.param("POSTGRES_PASSWORD", "", "not set", id="missing"),
        pytest.param("REDIS_PASSWORD", "short", "characters", id="short"),
        pytest.param("S3_SECRET_KEY", "minioadmin123456", "well-known", id="well-known"),
        pytest.param("AIRFLOW_ADMIN_PASSWORD", "aaaaaaaaaaaaaaaaaaa", "too few", id="one-letter"),
    ],
)
def test_a_weak_secret_is_refused_by_name(refusals, strong, name, value, word):
    (sentence,) = refusals(strong | {name: value})
    assert name in sentence
    assert word in sentence


def test_every_secret_that_compose_asks_for_is_checked(refusals):
    assert {sentence.split()[0] for sentence in refusals({})} == set(COMPOSE["x-secrets"])
