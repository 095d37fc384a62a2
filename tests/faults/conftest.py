"""Steps in processes of their own that are killed at a chosen write, the hard way."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from pipelines.config import Params
from pipelines.runtime import Runtime

# What each port writes with; a kill strikes just before or just after such a call.
WRITES = {
    "lake": {"replace", "replace_many", "replace_stream", "update"},
    "ledger": {"record", "move_champion", "update_retraining"},
    "registry": {"set_alias"},
}


class Fuse:
    """Counts the writes of one process and kills it, as ``kill -9`` does, when it is told to."""

    def __init__(self, blows_at: int, when: str) -> None:
        self._blows_at, self._when, self._n_writes = blows_at, when, 0

    def guard(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            self._n_writes += 1
            if self._n_writes == self._blows_at and self._when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = write(*args, **kwargs)
            if self._n_writes == self._blows_at and self._when == "after":
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return guarded


class FusedPort:
    """A real port whose writes go through a fuse."""

    def __init__(self, port: object, writes: set[str], fuse: Fuse) -> None:
        self._port, self._writes, self._fuse = port, writes, fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        return self._fuse.guard(found) if name in self._writes else found


def _run(step: Callable[[Runtime], object], runtime: Runtime, blows_at: int, when: str) -> None:
    fuse = Fuse(blows_at, when)
    for name, writes in WRITES.items():
        # The cached property's own slot: the step sees the guarded port, and nothing else changes.
        runtime.__dict__[name] = FusedPort(getattr(runtime, name), writes, fuse)
    step(runtime)


@pytest.fixture(scope="session")
def processes() -> multiprocessing.context.ForkServerContext:
    """Return a maker of processes that have the heavy imports behind them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "pipelines.steps.ingest",
            "pipelines.steps.validate",
            "pipelines.steps.score",
            "pipelines.steps.promote",
            "pipelines.steps.retrain",
            "pipelines.steps.tell",
        ]
    )
    return context


@pytest.fixture
def kill_at_write(
    processes: multiprocessing.context.ForkServerContext,
) -> Callable[[Callable[[Runtime], object], Runtime, int, str], bool]:
    """Return a function that runs a step in a process and kills it at its n-th write.

    ``kill_at_write(step, runtime, n, "before" | "after")`` is True where the blow struck, and
    False where the step had fewer writes and ended by itself.
    """

    def run(step: Callable[[Runtime], object], runtime: Runtime, n: int, when: str) -> bool:
        fresh = Runtime(settings=runtime.settings, params=Params.model_validate(runtime.params.model_dump()))
        process = processes.Process(target=_run, args=(step, fresh, n, when))
        process.start()
        process.join(120)
        assert process.exitcode in (0, -signal.SIGKILL), f"the step failed by itself: {process.exitcode}"
        return process.exitcode == -signal.SIGKILL

    return run
