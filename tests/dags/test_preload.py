"""Heavy imports are paid once, in the parents of tasks, and leave nothing behind that a fork would break."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast_airflow.preload import MODULES, preload_in_parents, runs_tasks

PROJECT = Path(__file__).resolve().parents[2]

_PRELOAD = """
import json, os, sys
from pathlib import Path
from holdfast_airflow.preload import preload_in_parents
imported = preload_in_parents(["/venv/bin/airflow", "scheduler", "-s"])
import torch
threads = [p.read_text().strip() for p in Path("/proc/self/task").glob("*/comm")]
found = {"imported": imported, "cuda": torch.cuda.is_initialized(), "threads": threads,
         "files": sorted(str(p) for p in Path(os.environ["HOLDFAST_HOME"]).rglob("*"))}
if os.fork() == 0:
    torch.ones(64, 64) @ torch.ones(64, 64)
    os._exit(0)
found["child"] = os.wait()[1]
print(json.dumps(found))
"""


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        pytest.param(["/venv/bin/airflow", "scheduler"], True, id="scheduler"),
        pytest.param(["airflow", "scheduler", "-s"], True, id="scheduler-with-options"),
        pytest.param(["/venv/bin/airflow", "celery", "worker", "-q", "gpu"], True, id="celery-worker"),
        pytest.param(["/x/airflow/__main__.py", "scheduler"], True, id="as-a-module"),
        pytest.param(["airflow", "celery", "flower"], False, id="celery-flower"),
        pytest.param(["airflow", "dag-processor"], False, id="dag-processor"),
        pytest.param(["airflow", "api-server"], False, id="api-server"),
        pytest.param(["airflow", "triggerer", "-s"], False, id="triggerer"),
        pytest.param(["airflow", "tasks", "test", "scheduler"], False, id="another-command"),
        pytest.param(["/venv/bin/pytest", "scheduler"], False, id="not-airflow"),
        pytest.param([], False, id="embedded"),
    ],
)
def test_only_the_parents_of_tasks_preload(argv: list[str], expected: bool) -> None:
    assert runs_tasks(argv) is expected


def test_no_other_process_imports_anything() -> None:
    assert preload_in_parents(["airflow", "dag-processor"]) == []


def test_preloading_opens_no_device_no_pool_and_no_store(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
    environment |= {
        "PYTHONPATH": os.pathsep.join([str(PROJECT / "plugins"), str(PROJECT)]),
        "HOLDFAST_HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", _PRELOAD], env=environment, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["imported"] == list(MODULES), done.stderr
    assert found["cuda"] is False
    # jemalloc (in pyarrow) gives memory back in the background; a fork does without that.
    assert [name for name in found["threads"] if name != "jemalloc_bg_thd"][1:] == []
    assert found["files"] == []
    assert found["child"] == 0
