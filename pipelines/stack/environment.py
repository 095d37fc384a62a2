"""The environment of every process of the stack, and the few files that Airflow reads at its start.

The stack's own secrets are in files of mode 0600 below ``<home>/stack``; neither a command line, a log nor
an environment variable holds one. Addresses of people (``HOLDFAST_NOTIFY_URLS``) are handed on as they came.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from pipelines.config import Settings
from pipelines.stack.state import USER, StackPaths, write_private

DEFAULT_API_PORT = 8080
DEFAULT_MLFLOW_PORT = 5000
PARALLELISM = 4
# Every process of a stack inherits it; it names the home, and is how `down` finds orphans.
# Not HOLDFAST_*: those say where things live, and an unknown one is refused.
MARK = "_HOLDFAST_STACK_ID"

# No library phones home; and tasks run side by side, so each computes on one thread.
_LIBRARIES = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "SCARF_ANALYTICS": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
    # Airflow's processes rename themselves; without this the new name overwrites what the system
    # shows as their environment, and with it our mark.
    "SPT_NOENV": "1",
}

_AIRFLOW = {
    "CORE": {
        "EXECUTOR": "LocalExecutor",
        "PARALLELISM": str(PARALLELISM),
        "LOAD_EXAMPLES": "false",
        "DAGS_ARE_PAUSED_AT_CREATION": "false",
        "AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        "SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
    },
    "DATABASE": {"LOAD_DEFAULT_CONNECTIONS": "false"},
    "API": {
        "HOST": "127.0.0.1",
        "WORKERS": "1",
        "EXPOSE_CONFIG": "non-sensitive-only",
        "INSTANCE_NAME": "Holdfast",
    },
    "SCHEDULER": {
        # Measured on two cores: these take a task's cost from 1.5 s to about 1 s.
        "SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "TRIGGER_TIMEOUT_CHECK_INTERVAL": "5",
        # What a killed scheduler or task left behind is seen in a minute or two, not in five.
        "ORPHANED_TASKS_CHECK_INTERVAL": "60",
        "TASK_INSTANCE_HEARTBEAT_TIMEOUT": "120",
        "ENABLE_HEALTH_CHECK": "false",
    },
    "WORKERS": {"MIN_HEARTBEAT_INTERVAL": "1"},
    # A new or changed Dag, or an edit of params.yaml, is seen within a minute.
    "DAG_PROCESSOR": {
        "REFRESH_INTERVAL": "30",
        "MIN_FILE_PROCESS_INTERVAL": "60",
        "PARSING_PROCESSES": "1",
        "PRINT_STATS_INTERVAL": "0",
    },
    "LOGGING": {"COLORED_CONSOLE_LOG": "false"},
}

_LOCAL_SETTINGS = '''"""Written by `holdfast up`: what Airflow's processes do before anything else."""

from holdfast_airflow.preload import preload_in_parents

preload_in_parents()
'''


def airflow_environment(
    settings: Settings,
    *,
    api_port: int = DEFAULT_API_PORT,
    dags_folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the whole environment of a process of the stack, without secrets.

    Parameters
    ----------
    settings : Settings
        Where things live; handed on as absolute ``HOLDFAST_*`` variables.
    api_port : int
        Where Airflow's API server listens, or will.
    dags_folder : Path, optional
        The project's ``dags/`` by default.
    environ : mapping, optional
        The environment to start from; the process's own by default. Its ``AIRFLOW*`` and
        ``HOLDFAST_*`` variables are left out: another installation's settings must not leak in.
    """
    paths = StackPaths(settings.home)
    environ = os.environ if environ is None else environ
    inherited = {
        key: value
        for key, value in environ.items()
        if key != MARK and not key.startswith(("AIRFLOW", "_AIRFLOW", "HOLDFAST_"))
    }
    holdfast = {
        f"HOLDFAST_{key.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for key, value in settings.model_dump().items()
        if value is not None
    }
    airflow = {
        f"AIRFLOW__{section}__{key}": value
        for section, options in _AIRFLOW.items()
        for key, value in options.items()
    }
    url = f"http://127.0.0.1:{api_port}"
    if "pages_url" not in settings.model_fields_set:
        holdfast["HOLDFAST_PAGES_URL"] = f"{url}/holdfast"
    folder = dags_folder or settings.project / "dags"
    airflow |= {
        "AIRFLOW_HOME": str(paths.airflow_home),
        "AIRFLOW_CONFIG": str(paths.secrets),
        "AIRFLOW__API__PORT": str(api_port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(settings.project / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(paths.passwords),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{paths.airflow_database}?timeout=30",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(paths.airflow_home / "logs"),
    }
    return inherited | _LIBRARIES | airflow | holdfast | _search_paths(settings, environ)


def _search_paths(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what lets each process import the project, find our commands, and reach loopback."""

    def joined(first: list[str], key: str, separator: str) -> str:
        rest = [part for part in environ.get(key, "").split(separator) if part and part not in first]
        return separator.join([*first, *rest])

    loopback = joined(["127.0.0.1", "localhost"], "NO_PROXY", ",")
    return {
        # Airflow's local settings are imported before Airflow puts plugins/ on the path.
        "PYTHONPATH": joined(
            [str(settings.project / "plugins"), str(settings.project)], "PYTHONPATH", os.pathsep
        ),
        "PATH": joined([str(Path(sys.executable).parent)], "PATH", os.pathsep),
        "NO_PROXY": loopback,
        "no_proxy": loopback,
    }


def write_files(settings: Settings, environment: Mapping[str, str]) -> None:
    """Write the secrets (once), Airflow's local settings, and the environment for a shell."""
    paths = StackPaths(settings.home)
    if not paths.passwords.exists():
        write_private(paths.passwords, json.dumps({USER: secrets.token_urlsafe(18)}) + "\n")
    if not paths.secrets.exists():
        write_private(paths.secrets, _secrets_file())
    exports = [
        f"export {key}={shlex.quote(value)}"
        for key, value in sorted(environment.items())
        if key.startswith(("AIRFLOW", "HOLDFAST_")) or key in _LIBRARIES or key in ("PATH", "PYTHONPATH")
    ]
    write_private(paths.shell, "\n".join(["# Source this to use `airflow` on the stack.", *exports, ""]))
    local_settings = paths.airflow_home / "config" / "airflow_local_settings.py"
    local_settings.parent.mkdir(parents=True, exist_ok=True)
    local_settings.write_text(_LOCAL_SETTINGS, encoding="utf-8")


def read_password(settings: Settings) -> str:
    """Return the password of the stack's user."""
    content = json.loads(StackPaths(settings.home).passwords.read_text(encoding="utf-8"))
    return str(content[USER])


def _secrets_file() -> str:
    fernet_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return "\n".join(
        [
            "# Written once by `holdfast up`; remove it, and the stack's database, to get new secrets.",
            "[core]",
            f"fernet_key = {fernet_key}",
            "[api]",
            f"secret_key = {secrets.token_hex(64)}",
            "[api_auth]",
            f"jwt_secret = {secrets.token_hex(64)}",
            "",
        ]
    )
