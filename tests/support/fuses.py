"""Ports whose n-th write kills the process, as ``kill -9`` does."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from typing import Any

from pipelines.runtime import Runtime

# What each port writes with; a kill strikes just before or just after such a call.
WRITES = {
    "lake": {"replace", "replace_many", "replace_stream", "update"},
    "ledger": {"record", "champions.move", "update_retraining"},
    "registry": {"set_alias", "anchor_head"},
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
    """A port, or a part of one, whose writes go through a fuse.

    It is opened at first use, as a Runtime opens its own: MLflow costs more to open than
    many a step to run, and most steps never ask it.
    """

    def __init__(self, opened_by: Callable[[], object], writes: set[str], fuse: Fuse) -> None:
        self._opened_by, self._writes, self._fuse = opened_by, writes, fuse

    @functools.cached_property
    def _port(self) -> object:
        return self._opened_by()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name in self._writes:
            return self._fuse.guard(found)
        nested = {write.removeprefix(f"{name}.") for write in self._writes if write.startswith(f"{name}.")}
        return FusedPort(lambda: found, nested, self._fuse) if nested else found


def light(runtime: Runtime, fuse: Fuse) -> None:
    """Have every write of a Runtime's ports go through a fuse."""
    for name, writes in WRITES.items():
        # The cached property's own slot: the step sees the guarded port, and nothing else changes.
        runtime.__dict__[name] = FusedPort(_opener(runtime, name), writes, fuse)


def _opener(runtime: Runtime, name: str) -> Callable[[], object]:
    if name in runtime.__dict__:
        port: object = runtime.__dict__[name]
        return lambda: port
    return functools.partial(getattr(Runtime, name).func, runtime)
