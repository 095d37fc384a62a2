"""Wait until all that one night set in motion has come to rest, or say what went wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines.errors import StackError
from pipelines.ledger.ledger import Ledger
from pipelines.stack.airflow_api import AirflowApi
from pipelines.stack.interrupts import pause
from pipelines.stack.readiness import check_alive
from pipelines.stack.state import StackState

Run = dict[str, Any]

_ACTIVE = ("queued", "running")
_POLL_SECONDS = 0.7
_SIGN_OF_LIFE_SECONDS = 20.0
_LOG_LINES = 12
# Between a task's event and the run that it starts lies a turn or two of the scheduler.
_QUIET_LOOKS = 4


@dataclass(frozen=True)
class Stirred:
    """What was set in motion.

    Parameters
    ----------
    night : str
        The partition key that flows from Dag to Dag.
    since : datetime
        When: runs that were queued before are of another time.
    run_id : str, optional
        The first run, where it carries no partition key of its own.
    """

    night: str
    since: datetime
    run_id: str | None = None


@dataclass(frozen=True)
class Settler:
    """Waits for a dataset's Dags to come to rest.

    Parameters
    ----------
    api, ledger
        What ran, and what was decided.
    state : StackState
        The stack: if a process of it dies, waiting is in vain.
    dataset : str
        Whose Dags.
    logs : Path
        Where Airflow keeps the logs of tasks.
    say : callable
        Takes one line of progress at a time.
    """

    api: AirflowApi
    ledger: Ledger
    state: StackState
    dataset: str
    logs: Path
    say: Callable[[str], None]

    def settle(self, stirred: Stirred, *, timeout_seconds: float) -> None:
        """Return once every run of the night is over, a retraining that it caused included.

        Raises
        ------
        StackError
            If a run fails, with the task and the end of its log; if a process of the stack dies; or
            if time runs out, with what was still running.
        """
        is_championed = self.ledger.champions.present(self.dataset) is not None
        started = last_sign = time.monotonic()
        while True:
            check_alive(self.state)
            runs = self._runs(stirred)
            for run in runs:
                if run["state"] == "failed":
                    raise StackError(self._failure(run))
            open_ends = self._open_ends(stirred, runs, is_championed=is_championed)
            if not open_ends:
                return
            now = time.monotonic()
            if now - started > timeout_seconds:
                raise StackError(
                    f"{stirred.night} has not come to rest after {timeout_seconds:.0f} s; "
                    f"still open: {', '.join(open_ends)}. See Airflow's page, or `holdfast logs`."
                )
            if now - last_sign > _SIGN_OF_LIFE_SECONDS:
                self.say(f"    ... {', '.join(open_ends)}")
                last_sign = now
            pause(_POLL_SECONDS)

    def rest(self, *, timeout_seconds: float) -> None:
        """Return once no run at all is queued or running: the scheduler's own nights are over too.

        Raises
        ------
        StackError
            If time runs out, or a process of the stack dies.
        """
        deadline = time.monotonic() + timeout_seconds
        n_quiet = 0
        while n_quiet < _QUIET_LOOKS:
            check_alive(self.state)
            busy = self.api.dag_runs(state=list(_ACTIVE))
            n_quiet = 0 if busy else n_quiet + 1
            if time.monotonic() > deadline:
                names = sorted({run["dag_id"] for run in busy})
                raise StackError(f"{', '.join(names)} still run after {timeout_seconds:.0f} s.")
            pause(_POLL_SECONDS)

    def _runs(self, stirred: Stirred) -> list[Run]:
        recent = self.api.dag_runs(updated_at_gte=stirred.since.isoformat())
        return [
            run
            for run in recent
            if (run["partition_key"] == stirred.night or run["dag_run_id"] == stirred.run_id)
            and _queued_at(run) >= stirred.since
        ]

    def _open_ends(self, stirred: Stirred, runs: Sequence[Run], *, is_championed: bool) -> list[str]:
        """Return what the night still waits for, in words; nothing once it has come to rest."""
        active = [f"{run['dag_id']} {run['state']}" for run in runs if run["state"] in _ACTIVE]
        if active:
            return active
        in_flight = self.ledger.retraining_in_flight(self.dataset)
        if in_flight is not None:
            return [f"the retraining for {in_flight.partition_key}: {in_flight.status}"]
        return [
            f"{verb}_{self.dataset} to start"
            for verb, since in self._due(stirred, is_championed=is_championed)
            if not any(run["dag_id"] == f"{verb}_{self.dataset}" and _queued_at(run) >= since for run in runs)
        ]

    def _due(self, stirred: Stirred, *, is_championed: bool) -> list[tuple[str, datetime]]:
        """Return which Dags must have run, and since when.

        A published night is scored; with a champion it is monitored and decided on. A champion that
        the night brought forth does all of that once more.
        """
        chain = ("score", "monitor", "retrain")
        due = [("ingest", stirred.since), ("score", stirred.since)]
        if is_championed:
            due += [(verb, stirred.since) for verb in chain[1:]]
        for move in self.ledger.champions.history(self.dataset):
            if move.partition_key == stirred.night and move.moved_at >= stirred.since:
                due += [(verb, move.moved_at) for verb in chain]
        return due

    def _failure(self, run: Run) -> str:
        tasks = self.api.task_instances(run["dag_id"], run["dag_run_id"])
        failed = next((task for task in tasks if task["state"] == "failed"), None)
        name = f"{run['dag_id']} of {run['partition_key'] or run['dag_run_id']}"
        if failed is None:
            return f"{name} failed without a failed task; see Airflow's page."
        lines = "\n".join(f"    {line}" for line in self.api.task_log(failed, n=_LOG_LINES))
        log = self.logs / _log_name(failed)
        return f"{name} failed in task {failed['task_id']}; its log ({log}) ends with:\n{lines}"


def _queued_at(run: Run) -> datetime:
    return datetime.fromisoformat(run["queued_at"] or run["run_after"])


def _log_name(task: dict[str, Any]) -> str:
    """Return where below the folder of logs Airflow keeps the newest attempt's."""
    folders = f"dag_id={task['dag_id']}/run_id={task['dag_run_id']}/task_id={task['task_id']}"
    return f"{folders}/attempt={max(task['try_number'], 1)}.log"
