"""Steps in processes of their own that are killed at a chosen write, the hard way."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable

import pytest
from fuses import Fuse, light
from warm_processes import warm_processes

from pipelines.config import Params
from pipelines.runtime import Runtime


def _run(step: Callable[[Runtime], object], runtime: Runtime, blows_at: int, when: str) -> None:
    light(runtime, Fuse(blows_at, when))
    step(runtime)


@pytest.fixture(scope="session")
def processes() -> multiprocessing.context.ForkServerContext:
    """Return a maker of processes that have the heavy imports behind them."""
    return warm_processes()


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
