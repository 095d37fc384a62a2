"""Wait until the stack is of use: each part healthy, each Dag there and free of import errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Set
from datetime import datetime

import httpx

from pipelines.config import Settings, load_params
from pipelines.errors import StackError
from pipelines.stack import processes
from pipelines.stack.airflow_api import AirflowApi
from pipelines.stack.interrupts import check_interrupted, pause, waiting
from pipelines.stack.state import StackState
from pipelines.stack.tail import last_lines

DAGS_PER_DATASET = ("ingest", "arrive", "score", "monitor", "retrain", "train", "promote", "rollback")
_PARTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")
_HEALTH_SECONDS = 240.0
_DAGS_SECONDS = 180.0
_POLL_SECONDS = 0.5


def await_health(
    state: StackState, *, say: Callable[[str], None], timeout_seconds: float = _HEALTH_SECONDS
) -> None:
    """Wait until Airflow says that all four of its parts are healthy.

    Raises
    ------
    StackError
        If a process dies meanwhile, or time runs out; names the log and its last lines.
    """
    started = time.monotonic()
    reported: set[str] = set()
    with AirflowApi(state.api_url, "", "") as api:
        while True:
            check_alive(state)
            parts = _health(api)
            healthy = {part for part in _PARTS if parts.get(part) == "healthy"}
            for part in _PARTS:
                if part in healthy - reported:
                    say(f"  {part.replace('_', ' ')}: healthy after {time.monotonic() - started:.0f} s")
            reported |= healthy
            if len(healthy) == len(_PARTS):
                return
            if time.monotonic() - started > timeout_seconds:
                missing = ", ".join(part.replace("_", " ") for part in _PARTS if part not in healthy)
                raise StackError(
                    f"Airflow is not healthy after {timeout_seconds:.0f} s ({missing}); see `holdfast logs`, "
                    f"or {state.processes[-1].log.parent}."
                )
            pause(_POLL_SECONDS)


def await_mlflow(
    state: StackState, *, say: Callable[[str], None], timeout_seconds: float = _HEALTH_SECONDS
) -> None:
    """Wait until MLflow's page answers, where the stack has one.

    Raises
    ------
    StackError
        As :func:`await_health`.
    """
    if state.mlflow_url is None:
        return
    started = time.monotonic()
    with httpx.Client(base_url=state.mlflow_url, timeout=5.0, trust_env=False) as client:
        while time.monotonic() - started < timeout_seconds:
            check_alive(state)
            try:
                with waiting():
                    is_healthy = client.get("/health").is_success
                if is_healthy:
                    say("  MLflow: healthy")
                    return
            except httpx.TransportError:
                pass
            pause(_POLL_SECONDS)
    raise StackError(
        f"MLflow's page does not answer after {timeout_seconds:.0f} s; see `holdfast logs mlflow`."
    )


def await_dags(
    api: AirflowApi,
    state: StackState,
    *,
    wanted: Set[str],
    say: Callable[[str], None],
    timeout_seconds: float = _DAGS_SECONDS,
) -> str | None:
    """Wait until every wanted Dag has been parsed since the stack started.

    Returns
    -------
    str or None
        What is wrong with the Dags, if something is: a person wants the stack up to look into it.

    Raises
    ------
    StackError
        If a process dies meanwhile.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        check_alive(state)
        for error in api.import_errors():
            if _time(error["timestamp"]) >= state.started_at:
                last = error["stack_trace"].strip().splitlines()[-1]
                return (
                    f"The stack is up, but {error['filename']} can't be imported ({last}): mend it, and it "
                    "is read again within a minute."
                )
        parsed = [dag for dag in api.dags() if dag["last_parsed_time"]]
        present = {dag["dag_id"] for dag in parsed if _time(dag["last_parsed_time"]) >= state.started_at}
        if wanted <= present:
            say(f"  {len(present)} Dags, no import errors")
            return None
        if time.monotonic() > deadline:
            missing = ", ".join(sorted(wanted - present))
            return (
                f"The stack is up, but after {timeout_seconds:.0f} s Airflow has no Dag {missing}; "
                "see `holdfast logs dag-processor`."
            )
        pause(_POLL_SECONDS)


def expected_dags(settings: Settings) -> set[str]:
    """Return the name of every Dag that ``params.yaml`` asks for."""
    return {f"{verb}_{name}" for name in load_params(settings.params).enabled for verb in DAGS_PER_DATASET}


def check_alive(state: StackState) -> None:
    """Raise StackError if a process of the stack has died; name its log and the log's last lines.

    Each loop that waits for the stack looks here, so this heeds an interrupt too.
    """
    check_interrupted()
    for process in state.processes:
        if processes.find(process) is None:
            status = processes.exit_status(process)
            how = "" if status is None else f" with status {status}"
            lines = "\n".join(last_lines(process.log, 12))
            raise StackError(f"The {process.name} stopped{how}; its log {process.log} ends with:\n{lines}")


def _health(api: AirflowApi) -> dict[str, str]:
    try:
        with waiting():
            return api.health()
    except httpx.HTTPError:
        return {}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
