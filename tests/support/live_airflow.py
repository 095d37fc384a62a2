"""What tests ask of a real Airflow that runs beside them: runs, tasks, and questions to a person."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

Run = dict[str, Any]
DONE = {"success", "failed"}
# Airflow counts an answer that comes in the very moment of the question as a race, and asks again.
THOUGHT_SECONDS = 4


def wait_for(look: Callable[[], Any], what: str, *, seconds: float = 240) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.5)
    raise AssertionError(f"in {seconds:.0f} s there was no {what}")


def run_of(stack, dag_id: str, run_id: str, *, seconds: float = 240) -> Run:
    """Wait for the end of a run."""

    def ended() -> Run | None:
        run = stack.api.dag_run(dag_id, run_id)
        return run if run["state"] in DONE else None

    return wait_for(ended, f"end of {dag_id} {run_id}", seconds=seconds)


def chain_end(stack, night: str, since: int = 0) -> Run:
    """Wait for the last run of a night's chain, beyond those that were there before."""

    def ended() -> Run | None:
        runs = [r for r in stack.api.dag_runs("retrain_bikes") if r["partition_key"] == night]
        return runs[-1] if len(runs) > since and runs[-1]["state"] in DONE else None

    return wait_for(ended, f"retrain_bikes of {night}")


def question(stack, n: int) -> dict[str, Any]:
    """Wait for the n-th promotion that asks a person, and give the person time to think."""

    def asked() -> dict[str, Any] | None:
        found = [h for h in stack.api.hitl_details("promote_bikes") if not h["response_received"]]
        everything = stack.api.hitl_details("promote_bikes")
        return found[-1] if found and len(everything) >= n else None

    found = wait_for(asked, "promotion that waits for a person", seconds=300)
    time.sleep(THOUGHT_SECONDS)
    return found


def task_states(stack, dag_id: str, run_id: str) -> dict[str, str]:
    return {task["task_id"]: task["state"] for task in stack.api.task_instances(dag_id, run_id)}


def runs_of(stack, dag_id: str, run_type: str) -> list[Run]:
    return [run for run in stack.api.dag_runs(dag_id) if run["run_type"] == run_type]


def ended(runs: list[Run]) -> list[Run]:
    return [run for run in runs if run["state"] in DONE]
