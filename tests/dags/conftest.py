"""An Airflow of the tests' own: its home and database are in a temporary folder.

Airflow reads its settings at import, so they are set here, before any test module is collected.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]

assert "airflow.settings" not in sys.modules, "Airflow was imported before its settings were made"
_HOME = Path(tempfile.mkdtemp(prefix="holdfast-airflow-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
for _name in [name for name in os.environ if name.startswith("AIRFLOW")]:
    del os.environ[_name]
os.environ |= {
    "AIRFLOW_HOME": str(_HOME),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
    "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "tester:admin",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_HOME / "passwords.json"),
    "AIRFLOW__CORE__UNIT_TEST_MODE": "true",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_HOME / 'airflow.db'}",
    "AIRFLOW__API_AUTH__JWT_SECRET": "only-for-tests-" * 5,
    "AIRFLOW__API__SECRET_KEY": "only-for-tests-" * 5,
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(_HOME / "logs"),
}


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Make Airflow's database, once."""
    with warnings.catch_warnings():
        # Its own migrations are set up in ways that its libraries deprecate; none of it is ours.
        warnings.simplefilter("ignore")
        from airflow.utils.db import initdb

        initdb()


@pytest.fixture
def holdfast_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let everything that Holdfast opens from the environment be below a temporary folder."""
    home = tmp_path / "home"
    monkeypatch.setenv("HOLDFAST_HOME", str(home))
    monkeypatch.setenv("HOLDFAST_DEVICE", "cpu")
    return home


@pytest.fixture
def ledger(holdfast_home: Path) -> Iterator[Any]:
    """Give the real ledger that operators, sensors and callbacks will open."""
    from pipelines.config import load_settings
    from pipelines.ledger.ledger import Ledger

    opened = Ledger(load_settings().ledger_url)
    yield opened
    opened.close()


class TaskInstance(SimpleNamespace):
    """What operators use of Airflow's task instance: a place to put XComs."""

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


def make_context(
    dag_id: str = "train_flights",
    *,
    night: str | None = None,
    form: dict[str, Any] | None = None,
    user: str | None = None,
    **more: Any,
) -> Any:
    """Return what Airflow gives a task, as far as our operators look at it."""
    from airflow.sdk.execution_time.context import OutletEventAccessors

    run = SimpleNamespace(dag_id=dag_id, run_id="a-run", partition_key=night, triggering_user_name=user)
    ti = TaskInstance(dag_id=dag_id, task_id="a-task", try_number=3, map_index=-1, xcoms={})
    context = {"dag_run": run, "params": form or {}, "ti": ti, "outlet_events": OutletEventAccessors()}
    return context | more


@pytest.fixture(name="make_context")
def make_context_fixture() -> Any:
    """Return :func:`make_context`."""
    return make_context
