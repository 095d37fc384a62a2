"""What of the stack is up, since when, on which ports, with how much memory."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import psutil

from pipelines.config import Settings
from pipelines.records import Record, now_utc
from pipelines.stack import processes
from pipelines.stack.state import USER, StackPaths, StackProcess, StackState, read_state
from pipelines.stack.table import aligned


class ProcessStatus(Record):
    """One process of the stack; ``since`` and ``memory_bytes`` are None if it is down.

    ``memory_bytes`` is its own and its children's, pages that they share counted once where the
    system says (PSS), else as resident (RSS).
    """

    name: str
    pid: int
    port: int | None
    since: datetime | None
    memory_bytes: int | None
    log: Path


class StackStatus(Record):
    """The stack as it is now."""

    state: StackState | None
    processes: tuple[ProcessStatus, ...]
    n_orphans: int
    passwords: Path

    @property
    def is_up(self) -> bool:
        """Whether every process runs."""
        return bool(self.processes) and all(process.since is not None for process in self.processes)

    def render(self) -> str:
        """Return the status as lines for the terminal."""
        if self.state is None:
            lines = ["The stack is not up: `holdfast up` starts it."]
        else:
            lines = [
                f"The stack is {'up' if self.is_up else 'broken: `holdfast up` starts it anew'}.",
                "",
                *_table(self.processes),
                "",
                f"Airflow   {self.state.api_url}  (user {USER}, password in {self.passwords})",
            ]
            if self.state.mlflow_url is not None:
                lines.append(f"MLflow    {self.state.mlflow_url}")
        if self.n_orphans:
            lines.append(
                f"{self.n_orphans} processes of an earlier stack still run: `holdfast down` ends them."
            )
        return "\n".join(lines)


def status(settings: Settings) -> StackStatus:
    """Look at the stack; change nothing."""
    paths = StackPaths(settings.home)
    state = read_state(paths)
    found = () if state is None else tuple(_look_at(process, state) for process in state.processes)
    is_down = all(process.since is None for process in found)
    return StackStatus(
        state=state,
        processes=found,
        n_orphans=len(processes.marked(paths.stack_id)) if is_down else 0,
        passwords=paths.passwords,
    )


def _look_at(process: StackProcess, state: StackState) -> ProcessStatus:
    alive = processes.find(process)
    port = {"api-server": state.api_port, "mlflow": state.mlflow_port}.get(process.name)
    return ProcessStatus(
        name=process.name,
        pid=process.pid,
        port=port,
        since=None if alive is None else datetime.fromtimestamp(process.created_at, UTC),
        memory_bytes=None if alive is None else _memory_bytes(alive),
        log=process.log,
    )


def _memory_bytes(leader: psutil.Process) -> int:
    total = 0
    for process in [leader, *leader.children(recursive=True)]:
        try:
            memory = process.memory_full_info()
        except psutil.Error:
            continue
        total += getattr(memory, "pss", memory.rss)
    return total


def _table(found: tuple[ProcessStatus, ...]) -> list[str]:
    rows = [("process", "state", "pid", "port", "since (UTC)", "memory")]
    for each in found:
        is_up = each.since is not None and each.memory_bytes is not None
        rows.append(
            (
                each.name,
                "up" if is_up else "DOWN",
                str(each.pid) if is_up else "",
                "" if each.port is None else str(each.port),
                f"{each.since:%Y-%m-%d %H:%M:%S} ({_age(each.since)})" if each.since else f"see {each.log}",
                f"{each.memory_bytes / 1024**2:.0f} MiB" if each.memory_bytes is not None else "",
            )
        )
    return aligned(rows, right={2, 3, 5})


def _age(since: datetime) -> str:
    minutes = int((now_utc() - since).total_seconds()) // 60
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
