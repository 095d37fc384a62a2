"""One night of about 900 rows: under Airflow, against the same steps in one plain Python process.

Both work on one home, on nights of the same weeks, turn by turn, so that a machine that slows down
slows both. Also: what a task costs, and what it would cost to pay the heavy imports in each.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

from benchmarks.ports import free_port
from pipelines.config import load_settings
from pipelines.runtime import Runtime
from pipelines.stack import down, up
from pipelines.stack.airflow_api import AirflowApi
from pipelines.stack.control import connect
from pipelines.steps.gate import gate
from pipelines.steps.ingest import ingest, ingest_range
from pipelines.steps.monitor import monitor
from pipelines.steps.promote import promote
from pipelines.steps.reconcile import reconcile
from pipelines.steps.register import register
from pipelines.steps.retrain import decide_retraining
from pipelines.steps.score import score
from pipelines.steps.train import train
from pipelines.steps.validate import validate, validate_range

DATASET = "flights"
HISTORY = ("2013-01-01", "2013-03-31")
# Turn by turn: Airflow, plain, Airflow, plain, ...
NIGHTS = [f"2013-04-{day:02d}" for day in range(1, 13)]
HEAVY = "pandas, torch, mlflow, great_expectations, evidently, duckdb, deltalake, sklearn.ensemble"
_NIGHT_SECONDS = 300
STEPS: dict[str, Callable[..., object]] = {
    "ingest": ingest,
    "validate": validate,
    "score": score,
    "reconcile": reconcile,
    "monitor": monitor,
    "await_verdict": decide_retraining,
}


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        settings = load_settings({"HOLDFAST_HOME": folder, "HOLDFAST_DEVICE": "cpu"})
        runtime = Runtime.load({"HOLDFAST_HOME": folder, "HOLDFAST_DEVICE": "cpu"})
        print("Preparing: three months of history and a first champion, in this process.")
        _prepare(runtime)
        state = up(settings, api_port=free_port(), mlflow_port=free_port(), say=lambda _: None)
        try:
            with connect(settings, state) as api:
                _wait_until_idle(api)
                _compare(api, runtime)
        finally:
            down(settings, say=lambda _: None)


def _prepare(runtime: Runtime) -> None:
    ingest_range(DATASET, *HISTORY, runtime=runtime)
    validate_range(DATASET, *HISTORY, runtime=runtime)
    trained = train(DATASET, HISTORY[1], runtime=runtime, reason="benchmark")
    version = register(trained, runtime=runtime).model_version
    gate(DATASET, version, runtime=runtime)
    decision = promote(DATASET, version, runtime=runtime, actor="benchmark")
    assert decision.is_promoted, decision.reason


def _compare(api: AirflowApi, runtime: Runtime) -> None:
    walls: dict[str, list[float]] = {"airflow": [], "plain": []}
    spent: dict[str, dict[str, list[float]]] = {"airflow": defaultdict(list), "plain": defaultdict(list)}
    gaps = []
    for n, night in enumerate(NIGHTS):
        if n % 2 == 0:
            wall, tasks = _under_airflow(api, night)
            gaps.append(wall - sum(tasks.values()))
            side = "airflow"
        else:
            wall, tasks = _plain(runtime, night)
            side = "plain"
        if n < 2:
            continue  # the first turn warms both
        walls[side].append(wall)
        for name, seconds in tasks.items():
            spent[side][name].append(seconds)
    _report(walls, spent, gaps[1:])


def _under_airflow(api: AirflowApi, night: str) -> tuple[float, dict[str, float]]:
    """Start a night by its partition key; return the seconds until its last task ended, and by task."""
    began = time.time()
    api.trigger(f"ingest_{DATASET}", f"bench__{night}", partition_key=night)
    deadline = time.monotonic() + _NIGHT_SECONDS
    while time.monotonic() < deadline:
        last = [run for run in api.dag_runs(f"retrain_{DATASET}") if run["partition_key"] == night]
        if any(run["state"] == "success" for run in last):
            break
        time.sleep(0.2)
    else:
        raise TimeoutError(f"{night} was not over after {_NIGHT_SECONDS} s")
    tasks, ends = {}, []
    for run in api.dag_runs():
        if run["partition_key"] == night:
            for task in api.task_instances(run["dag_id"], run["dag_run_id"]):
                if task["task_id"] in STEPS and task["end_date"]:
                    tasks[task["task_id"]] = float(task["duration"])
                    ends.append(datetime.fromisoformat(task["end_date"]).timestamp())
    return max(ends) - began, tasks


def _plain(runtime: Runtime, night: str) -> tuple[float, dict[str, float]]:
    tasks = {}
    began = time.perf_counter()
    for name, step in STEPS.items():
        start = time.perf_counter()
        step(DATASET, night, runtime=runtime)
        tasks[name] = time.perf_counter() - start
    return time.perf_counter() - began, tasks


def _report(
    walls: dict[str, list[float]], spent: dict[str, dict[str, list[float]]], gaps: list[float]
) -> None:
    middle = statistics.median
    print(
        f"{'':24}{'under Airflow':>15}{'plain Python':>15}{'ratio':>8}   (medians of {len(walls['plain'])})"
    )
    for name in STEPS:
        airflow, plain = middle(spent["airflow"][name]), middle(spent["plain"][name])
        print(f"  {name:22}{airflow:13.2f} s{plain:13.2f} s{airflow / plain:8.1f}")
    gap, n_tasks = middle(gaps), len(STEPS)
    print(f"  {'between the tasks':22}{gap:13.2f} s{0.0:13.2f} s")
    airflow, plain = middle(walls["airflow"]), middle(walls["plain"])
    print(f"  {'one whole night':22}{airflow:13.2f} s{plain:13.2f} s{airflow / plain:8.1f}")
    overhead = (airflow - plain) / n_tasks
    print(f"A task of the embedded stack costs {overhead:.2f} s over its step ({n_tasks} tasks a night).")
    fresh = middle(_import_seconds() for _ in range(3))
    cheapest = middle(spent["airflow"]["await_verdict"])
    print(
        f"The heavy imports take {fresh:.1f} s in a fresh interpreter; a task forked from the scheduler that "
        f"has them runs in {cheapest:.2f} s in all (ratio {fresh / cheapest:.0f})."
    )


def _import_seconds() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-W", "ignore", "-c", f"import {HEAVY}"], check=True)
    return time.perf_counter() - began


def _wait_until_idle(api: AirflowApi) -> None:
    """Let the scheduler's own run of last night end, which it starts at once."""
    quiet = 0
    while quiet < 5:
        quiet = 0 if api.dag_runs(state=["queued", "running"]) else quiet + 1
        time.sleep(1.0)
