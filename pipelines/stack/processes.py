"""Start processes in groups of their own, tell ours from others, and leave none behind.

A process is ours if it carries the stack's mark in its environment, leads a session that we started,
or descends from one that does. A number alone proves nothing: numbers are used again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from pipelines.stack.environment import MARK
from pipelines.stack.interrupts import pause
from pipelines.stack.state import StackProcess

_GRACE_SECONDS = 6.0
_KILL_SECONDS = 5.0
_SWEEPS = 10
_SAME_PROCESS_SECONDS = 2.0
_POLL_SECONDS = 0.05

# The children that this very process started: kept so that it can reap them and tell their exit status.
_children: dict[int, subprocess.Popen[bytes]] = {}


def start(
    name: str, command: Sequence[str], *, environment: Mapping[str, str], stack_id: str, log: Path
) -> StackProcess:
    """Start one process as the leader of its own session, with its output in ``log``.

    The log of the run before is kept beside it, as ``<name>.log.1``.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_name(f"{log.name}.1"))
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**environment, MARK: stack_id},
            cwd=log.parent,
            start_new_session=True,
        )
    _children[child.pid] = child
    # A child that is dead already is a zombie until we ask for its status: it still has a time of creation.
    return StackProcess(name=name, pid=child.pid, created_at=psutil.Process(child.pid).create_time(), log=log)


def find(process: StackProcess) -> psutil.Process | None:
    """Return the live process that we started; None if it is gone, or its number is somebody else's."""
    try:
        found = psutil.Process(process.pid)
        is_same = abs(found.create_time() - process.created_at) < _SAME_PROCESS_SECONDS
        # The system rounds times of creation; but whom we start leads a session, and few others do.
        if is_same and os.getsid(process.pid) == process.pid and is_alive(found):
            return found
    except (psutil.NoSuchProcess, ProcessLookupError):
        pass
    return None


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process still runs.

    One that has ended stays in the system's table until its parent asks for its status, and an
    orphan's new parent may never do so: to psutil it is running still, and no signal changes that.
    """
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def exit_status(process: StackProcess) -> int | None:
    """Return the exit status of a dead child of this process; None if it lives or is no child."""
    child = _children.get(process.pid)
    return None if child is None else child.poll()


def await_exit(process: StackProcess, *, timeout_seconds: float) -> int | None:
    """Wait for a child of this process; return its exit status, or None if it outlives the time.

    An interrupt ends the waiting.
    """
    child = _children[process.pid]
    deadline = time.monotonic() + timeout_seconds
    while (status := child.poll()) is None and time.monotonic() < deadline:
        pause(_POLL_SECONDS)
    return status


def marked(stack_id: str) -> list[psutil.Process]:
    """Return every live process of this user that carries exactly this stack's mark."""
    me = psutil.Process()
    spared = {me.pid, *(parent.pid for parent in me.parents())}
    return [
        candidate
        for candidate in psutil.process_iter()
        if candidate.pid not in spared and _is_marked(candidate, stack_id)
    ]


def _is_marked(candidate: psutil.Process, stack_id: str) -> bool:
    try:
        return (
            candidate.uids().real == os.getuid()
            and is_alive(candidate)
            and bool(candidate.environ().get(MARK) == stack_id)
        )
    except (psutil.Error, OSError):
        # Gone meanwhile, or not ours to look into.
        return False


def stop(stack_id: str, leaders: Iterable[StackProcess]) -> int:
    """End every process of a stack, politely first; return how many were still alive.

    Leaders get SIGTERM with their whole group and time to leave. What is left then, in whatever
    group or session it has put itself, is found by its mark and ended too, until a look finds none.
    It is done whole: no interrupt is heeded on the way.
    """
    alive = [found for leader in leaders if (found := find(leader))]
    found = [*alive, *marked(stack_id)]
    ours = {process.pid: process for process in [*found, *_descendants(found)]}
    for leader in alive:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(leader.pid, signal.SIGTERM)
    strays = [process for pid, process in ours.items() if not _is_in_a_group_of(process, alive)]
    _signal(strays, signal.SIGTERM)
    left = _await_end(ours.values(), timeout_seconds=_GRACE_SECONDS)
    for _ in range(_SWEEPS):
        left = [*left, *marked(stack_id)]
        if not left:
            break
        _signal(left, signal.SIGKILL)
        left = _await_end(left, timeout_seconds=_KILL_SECONDS)
    _reap()
    return len(ours)


def _descendants(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Return the children of all, and theirs: a command may start another with an environment of its own."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            found += process.children(recursive=True)
    return [process for process in found if is_alive(process)]


def _await_end(processes: Iterable[psutil.Process], *, timeout_seconds: float) -> list[psutil.Process]:
    """Wait until every process has ended; return those that live when time runs out."""
    deadline = time.monotonic() + timeout_seconds
    while (left := [process for process in processes if is_alive(process)]) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return left


def _is_in_a_group_of(process: psutil.Process, leaders: Sequence[psutil.Process]) -> bool:
    try:
        return os.getpgid(process.pid) in {leader.pid for leader in leaders}
    except ProcessLookupError:
        return True


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            # psutil refuses to signal a process whose number was used again meanwhile.
            process.send_signal(number)


def _reap() -> None:
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            del _children[pid]
