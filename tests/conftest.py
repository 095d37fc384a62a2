"""What every test shares: a project of its own below a temporary folder, and quiet libraries.

The environment is set before any library is imported, since several read it at import.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psutil

for _name, _value in {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "OMP_NUM_THREADS": "1",
}.items():
    os.environ.setdefault(_name, _value)
# What a test starts runs as it does in production: traced, it would be half as slow again, and all but a
# few lines of it run in the tests' own processes too.
if "PYTEST_XDIST_WORKER" in os.environ:
    for _name in [name for name in os.environ if name.startswith("COVERAGE_")]:
        del os.environ[_name]


def _is_roomy(place: Path) -> bool:
    """Tell whether a folder in memory holds what the tests leave until they end, and runs their programs."""
    if not (place.is_dir() and os.access(place, os.W_OK)) or os.statvfs(place).f_flag & os.ST_NOEXEC:
        return False
    return min(shutil.disk_usage(place).free, psutil.virtual_memory().available) > 8 * 1024**3


# Databases wait for the disk at each commit, thousands of times in a run. What a test leaves is thrown away,
# so that it may lie in memory: kill -9 takes no more from there than from a disk.
_MEMORY = Path("/dev/shm")
if "TMPDIR" not in os.environ and _is_roomy(_MEMORY):
    os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)
# A shell that starts a command in the background lets it ignore Ctrl-C; tests of interrupts need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# A developer's own settings must not reach a test.
for _name in [name for name in os.environ if name.startswith("HOLDFAST_")]:
    del os.environ[_name]

import pytest  # noqa: E402
from bike_files import as_csv, bike_rows  # noqa: E402
from postgresql import postgresql_database, postgresql_server  # noqa: E402

from pipelines.config import PROJECT_ROOT, Params, load_params, load_settings  # noqa: E402
from pipelines.runtime import Runtime  # noqa: E402

RuntimeMaker = Callable[..., Runtime]

# By what they took, the longest first: a worker that starts one of these at the end keeps all others waiting.
_LONGEST = (
    "tests/integration/test_loop.py",
    "tests/integration/test_training.py",
    "tests/faults/test_trigger_storm.py",
    "tests/faults/test_hostile_inputs.py",
    "tests/faults/test_killed_steps.py",
    "tests/integration/test_any_table.py",
    "tests/integration/test_tasks.py",
    "tests/integration/test_second_dataset.py",
    "tests/unit/steps/test_odd_tables.py",
    "tests/unit/steps/test_add_dataset.py",
    "tests/integration/test_stack_crash.py",
    "tests/integration/test_promotion_races.py",
    "tests/unit/validation/engine/test_agreement.py",
    "tests/integration/test_drift_stories.py",
    "tests/integration/test_sources_s3.py",
    "tests/browser/test_pages.py",
    "tests/faults/test_killed_rollback.py",
    "tests/faults/test_promotion_storm.py",
    "tests/unit/validation/test_docs.py",
    "tests/unit/steps/test_ingest_merging.py",
    "tests/unit/steps/test_late_labels.py",
    "tests/unit/steps/test_amendment_properties.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first; xdist hands files out in this order, if it is told so."""
    places = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


def merge(base: dict[str, Any], override: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``override`` laid over it, dict by dict."""
    merged = dict(base)
    for key, value in override.items():
        merged[key] = merge(merged[key], value) if isinstance(value, dict) and key in merged else value
    return merged


@pytest.fixture
def make_runtime(tmp_path: Path) -> RuntimeMaker:
    """Return a maker of Runtimes on the shipped params, all state below ``tmp_path``.

    ``make_runtime({"datasets": {"flights": {"label_delay_days": 2}}})`` lays the dict over
    ``params.yaml``; ``make_runtime(home=...)`` shares a home between two Runtimes.
    """

    def make(overrides: dict[str, Any] | None = None, *, home: Path | None = None) -> Runtime:
        shipped = load_params(PROJECT_ROOT / "params.yaml").model_dump(mode="json")
        params = Params.model_validate(merge(shipped, overrides or {}))
        settings = load_settings({"HOLDFAST_HOME": str(home or tmp_path / "home"), "HOLDFAST_DEVICE": "cpu"})
        return Runtime(settings=settings, params=params)

    return make


@pytest.fixture
def runtime(make_runtime: RuntimeMaker) -> Runtime:
    """Return a Runtime on the shipped params."""
    return make_runtime()


@pytest.fixture
def bikes(make_runtime: RuntimeMaker, tmp_path: Path) -> Runtime:
    """Return a Runtime with the shipped `bikes`, on a made-up table of January 2011."""
    table = tmp_path / "home" / "sources" / "bikes" / "hour.csv"
    table.parent.mkdir(parents=True)
    table.write_text(as_csv(bike_rows(date(2011, 1, 1), 31)))
    return make_runtime({"datasets": {"bikes": {"enabled": True}}})


@pytest.fixture(scope="session")
def _postgresql_server() -> Iterator[str]:
    """Start a real PostgreSQL on a free loopback port; give the URL of its server."""
    with postgresql_server() as url:
        yield url


@pytest.fixture
def postgresql_url(_postgresql_server: str) -> Iterator[str]:
    """Give the URL of a new, empty database on a real PostgreSQL."""
    with postgresql_database(_postgresql_server) as url:
        yield url
